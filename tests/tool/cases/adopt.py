# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar adopt: which VMs of xapi have Pulsar for a device model."""

import os
import subprocess
import sys
import xmlrpc.client

from harness import case, check, equal, NO_SUCH_VM, SYSTEM, TOP, USAGE
from cases.set import Xapi

KEY = 'device_model_variant'
PLUGIN = os.path.join(TOP, 'packaging', 'xapi', 'plugin')


def pool(host, **changes):
    """A xapi with changes: VM to what it has besides."""
    xapi = Xapi(host)
    vms = xapi.vms()
    for uuid, vm in vms.items():
        vm['power-state'] = 'halted'
        vm.update(changes.get(uuid.replace('-', ''), {}))
    xapi.write(vms)
    return xapi


def adopted(xapi):
    return [u for u, p in xapi.platforms().items() if p.get(KEY) == 'pulsar']


@case(sanitised=True)
def adopt_and_undo(host):
    xapi = pool(host, u2={'power-state': 'running'},
                u6={'power-state': 'suspended'},
                u7={'platform': {KEY: 'other'}})
    before = xapi.vms()
    out = xapi.run('adopt', 'web', 'u-2', 'u-6', '--dry-run').out
    check('would adopt web (u-1): ' in out, out)
    equal(xapi.vms(), before, 'dry run')
    out = xapi.run('adopt', 'web', 'mail', 'u-6', 'u-7').out
    for line in ('adopted web (u-1): it has Pulsar from its next start on',
                 'adopted mail (u-2): it runs and keeps its device model, also '
                 'when it is suspended or migrated; it has Pulsar when it was '
                 'shut down and started again',
                 'adopted twin (u-6): it is suspended, and is resumed by the '
                 'QEMU that has saved it; it has Pulsar from its next start '
                 'on'):
        check(line + '\n' in out, f'{line!r} is not in {out!r}')
    equal(adopted(xapi), ['u-1', 'u-2', 'u-6', 'u-7'], 'adopted')
    equal(xapi.platforms()['u-1'], {'timeoffset': '0', 'usb': 'true',
                                    KEY: 'pulsar'}, 'other keys')
    out = xapi.run('adopt', 'web').out
    equal(out, 'web (u-1) is adopted already\n', 'again')
    out = xapi.run('adopt', '--undo', '-n', '--all').out
    check('would release web (u-1): ' in out, out)
    equal(len(adopted(xapi)), 4, 'dry run')
    out = xapi.run('adopt', '--undo', 'web', 'mail').out
    check("released web (u-1): it has xapi's own QEMU from its next start on\n"
          in out and 'released mail (u-2): it runs and keeps' in out, out)
    equal(adopted(xapi), ['u-6', 'u-7'], 'released')
    out = xapi.run('adopt', '-u', '--all').out
    check('web (u-1) is not adopted\n' in out and
          'skipped Windows 10 (u-3): it is a template\n' in out, out)
    equal({u: p for u, p in xapi.platforms().items()},
          {u: vm['platform'] for u, vm in before.items()}, 'as it was')
    check(not any(vm.get('other-config') for vm in xapi.vms().values()),
          'something is left in other-config')


@case(sanitised=True)
def adopt_leaves_vgpus_to_xapi(host):
    xapi = pool(host, u1={'vgpus': ['passthrough']},
                u2={'vgpus': ['GRID \x1b[31mK100']}, u6={'vgpus': ['K1', 'K2']})
    before = xapi.vms()
    for words in ('web', 'mail'), ('mail',), ('u-6', '-n'):
        xapi.fails(USAGE, 'adopt', *words, says=('vGPU', 'nothing was'))
        equal(xapi.vms(), before, f'after {words}')
    out = xapi.run('adopt', '--all').out
    check('skipped mail (u-2): it has a vGPU (GRID ' in out, out)
    equal(adopted(xapi), ['u-1', 'u-7'], 'adopted')
    # Who has got one since is released all the same.
    vms = xapi.vms()
    vms['u-1']['vgpus'] = ['K1']
    xapi.write(vms)
    xapi.run('adopt', '--undo', 'web')
    equal(adopted(xapi), ['u-7'], 'released')


@case(sanitised=True)
def adopt_says_which_hosts_are_not_ready(host):
    xapi = pool(host, u0={'hosts': {
        'here': 'ready', 'there': '/usr/libexec/pulsar/qemu-wrapper is not '
        'there\x1b[0m', 'old': None}})
    out = xapi.run('adopt', 'web').out
    check('host here' not in out, out)
    for words in ('note: host there is not ready for Pulsar: /usr/libexec/'
                  'pulsar/qemu-wrapper is not there', 'must not be migrated',
                  'note: host old is not ready for Pulsar: ',
                  'The requested plugin could not be found'):
        check(words in out, f'{words!r} is not in {out!r}')
    equal(adopted(xapi), ['u-1'], 'adopted')
    out = xapi.run('adopt', '--undo', 'web').out
    check('host' not in out, out)


@case(sanitised=True)
def adopt_checks_first(host):
    xapi = pool(host, u0={'restrictions': 'platform_filter: true'})
    before = xapi.vms()
    for code, args, says in (
            (USAGE, (), ('--all',)),
            (USAGE, ('web', '--all'), ('--all',)),
            (NO_SUCH_VM, ('nix',), ('nix',)),
            (NO_SUCH_VM, ('web', 'twin'), ('twin', 'UUID')),
            (USAGE, ('web', 'u-4'), ('u-4', 'snapshot', 'cannot be adopted')),
            (USAGE, ('pv',), ('not an HVM guest',)),
            (SYSTEM, ('web',), (KEY, 'no_platform_filter'))):
        xapi.fails(code, 'adopt', *args, says=says)
        equal(xapi.vms(), before, f'after {args}')
    host.fails(SYSTEM, 'adopt', 'web', says=('xe', 'device_model_override'),
               env={'PATH': '/nowhere'})
    vms = xapi.vms()
    vms['u-0']['restrictions'] = 'restrict_x: false'
    vms['u-2']['refuses'] = True
    xapi.write(vms)
    r = xapi.fails(SYSTEM, 'adopt', '--all', says=('1 of 4',))
    check('skipped mail (u-2): ' in r.out and 'not authorized' in r.out and
          'note: xapi does not say' in r.out, r.out)
    equal(adopted(xapi), ['u-1', 'u-6', 'u-7'], 'the others')


def ask(plugin, function):
    """As xapi's own code calls a plugin and takes its answer."""
    call = xmlrpc.client.dumps(('OpaqueRef:session', {}), function)
    out = subprocess.run([sys.executable, plugin, call],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return xmlrpc.client.loads(out)[0][0]


@case
def adopt_asks_a_plugin_of_xapi(host):
    """What is installed on a host, with the folders of this case."""
    def folder(name):
        path = os.path.join(host.dir, name)
        os.makedirs(path, exist_ok=True)
        return path

    def put(path, text, mode=0o644):
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)

    with open(PLUGIN, encoding='utf-8') as f:
        text = f.read().replace('@libexecdir@', host.dir).replace(
            '/etc/xenopsd.conf.d', folder('conf.d'))
    plugin = os.path.join(host.dir, 'plugin')
    put(plugin, text)
    ours = folder('pulsar')

    def status():
        answer = ask(plugin, 'status')
        equal(answer['Status'], 'Success', 'status')
        return answer['Value']

    wrapper = os.path.join(ours, 'qemu-wrapper')
    equal(status(), f'{wrapper} is not there', 'nothing')
    put(wrapper, '', 0o755)
    check('qemu-system-i386 is not there' in status(), status())
    put(os.path.join(ours, 'qemu-system-i386'), '', 0o755)
    check('is not named in' in status(), status())
    conf = os.path.join(host.dir, 'conf.d', 'pulsar.conf')
    key = 'upstream-compat-qemu-dm-wrapper'
    for line in (f'# {key}={wrapper}\n', f'{key}=/other\n', f'x{key}=1\n'):
        put(conf, line)
        check('is not named in' in status(), line)
    for line in (f'{key}={wrapper}\n', f'a=b\n{key} = "{wrapper}" # ours\n'):
        put(conf, line)
        equal(status(), 'ready', line)
    put(conf + '.later', f'{key}=/other\n')
    check('is not named in' in status(), 'a later file')
    equal(ask(plugin, 'nothing')['Status'], 'Failure', 'another function')
