# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of xapi's VMs, as its qemu-wrapper starts them.

data/xapi-argv.tsv holds what xenopsd passes to the wrapper; here is what the
wrapper makes of it.
"""

import os

# What the wrapper drops, and how many words follow; what it makes of them is
# in wrapped().
WRAPPER = {'--syslog': 0, '-acpi': 0, '-std-vga': 0, '-trad-compat': 0,
           '-priv': 0, '-videoram': 1, '-loadvm': 1}


def argvs():
    """Name to arguments: what xenopsd passes to its wrapper."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data',
                           'xapi-argv.tsv'), encoding='ascii') as f:
        lines = [line.rstrip('\n').split('\t') for line in f
                 if not line.startswith('#')]
    return {name: args for name, _, *args in lines}


def wrapped(argv, restrict):
    """What xenopsd's wrapper makes of its arguments.

    The taps are as xenopsd names them, not yet descriptors, nor is the socket
    of the clipboard; restrict is how the wrapper tells root folder and user.
    """
    words = iter(argv)
    rest, wrapper = [], {}
    for word in words:
        if word in WRAPPER:
            wrapper[word] = next(words) if WRAPPER[word] else ''
        else:
            rest.append(word)
    trad = '-trad-compat' in wrapper
    vga = 'VGA,qemu-extended-regs=false' if '-std-vga' in wrapper else \
        'cirrus-vga'
    if trad:
        vga += ',subvendor_id=0x5853,subsystem_id=0x0001'
    machine = 'pc-0.10' if trad else 'pc-i440fx-2.10'
    rest = ['-machine', f'{machine},accel=xen,max-ram-below-4g=4026531840,'
            f'suppress-vmdesc=on,allow-unassigned=true,trad_compat={trad}',
            *rest, '-device', f'{vga},vgamem_mb={wrapper["-videoram"]},'
            'addr=2,romfile=,rombar=1',
            '-vnc-clipboard-socket-fd', '{clipboard}']
    if '-priv' not in wrapper:
        rest += ['-xen-domid-restrict', *restrict]
    return rest
