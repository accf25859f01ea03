# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting: libxl's probe, refusals that must be a sentence, the end."""

import os
import re
import signal
import subprocess

from standin import expect, xl_command

from . import group


@group()
def probe(b):
    """What libxl asks before it starts a restricted device model."""
    with b.machine(command=None) as m:
        def command(machine):
            sock = machine.listen('qmp')
            return ['-S', '-no-user-config', '-nodefaults', '-nographic',
                    '-machine', 'none,accel=xen',
                    '-chardev', f'socket,id=libxl-cmd,fd={sock.fileno()},'
                                'server=on,wait=off',
                    '-mon', 'chardev=libxl-cmd,mode=control']
        with b.report.case("libxl's option probe is answered, and nothing "
                           'else is said', machine=m):
            m.start(command)
            options = m.qmp().execute('query-command-line-options')
            names = {o['option'] for o in options}
            expect({'machine', 'sandbox', 'run-with'} <= names,
                   f'options: {sorted(names)}')
            b.report.say(f'probe: ready after {m.ready_ms:.0f} ms')
            m.qmp().execute('quit')
            expect(m.wait_exit() == 0, f'exit code {m.process.returncode}')
            expect(m.output() == '', f'it said {m.output()!r}')


@group()
def version(b):
    with b.report.case('-version is what toolstacks parse'):
        r = subprocess.run([b.binary, '-version'], stdout=subprocess.PIPE,
                           text=True, check=True)
        expect(re.match(r'QEMU emulator version \d+\.\d+\.\d+\b', r.stdout),
               f'it printed {r.stdout!r}')


@group()
def start_and_end(b):
    with b.machine() as m:
        b.report.say(f'exec to serving: {m.ready_ms:.1f} ms')
        with b.report.case('QMP answers what libxl asks', machine=m):
            for query in ('query-version', 'query-status', 'query-chardev',
                          'query-vnc', 'query-pci', 'query-cpus-fast',
                          'query-hotpluggable-cpus', 'query-fdsets',
                          'query-command-line-options'):
                m.qmp().execute(query)
            m.qmp().execute('xen-set-global-dirty-log', enable=True)
            m.qmp().execute('xen-set-global-dirty-log', enable=False)
        with b.report.case('quit ends it cleanly', machine=m):
            m.qmp().execute('quit')
            expect(m.wait_exit() == 0, f'exit code {m.process.returncode}')
            expect(m.guest.stat()['created'] == 0,
                   'the ioreq server was left behind')
    with b.machine() as m:
        with b.report.case('SIGTERM ends it cleanly', machine=m):
            m.qmp()     # its main loop runs
            os.kill(m.pid, signal.SIGTERM)
            expect(m.wait_exit() == 0, f'exit code {m.process.returncode}')
    with b.machine() as m:
        with b.report.case('a power-off by the guest is told to Xen',
                           machine=m):
            m.guest.power_off()
            expect(m.guest.stat()['reason'] == 0, 'it was no power-off')


# What a start needs of Xen: without any one of these it cannot serve.
NEEDED = ('xc_interface_open', 'xendevicemodel_open', 'xenforeignmemory_open',
          'xenevtchn_open', 'xenforeignmemory_map_resource',
          'xendevicemodel_get_ioreq_server_info',
          'xenevtchn_bind_interdomain',
          'xendevicemodel_set_ioreq_server_state')


@group()
def refusals(b):
    for call in NEEDED:
        with b.machine(command=None) as m, \
                b.report.case(f'{call} fails at start: said, and not served',
                              'either', m):
            m.guest.run('fault', call, 0, 1, 13)
            m.start(xl_command(), wait=False)
            code = m.wait_exit()
            expect(code == 1, f'exit code {code}')
            expect(m.output().strip(), 'it said nothing')


@group()
def no_ioreq_server(b):
    """As when another device model serves the domain. Stock crashes."""
    with b.machine(command=None) as m, \
            b.report.case('Xen gives no ioreq server: said, and not served',
                          machine=m):
        m.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0, 1, 17)
        m.start(xl_command(), wait=False)
        code = m.wait_exit()
        expect(code == 1, f'exit code {code}')
        expect('gets no ioreq server' in m.output(),
               f'it said {m.output()!r}')


@group()
def no_xenstore(b):
    with b.machine(command=None) as m, \
            b.report.case('no xenstore: said, and not served', machine=m):
        m.env['XENSTORED_PATH'] = m.path('nothing')
        m.start(xl_command(), wait=False)
        code = m.wait_exit()
        expect(code == 1, f'exit code {code}')
        expect('xenstore' in m.output(), f'it said {m.output()!r}')


@group()
def ten_starts(b):
    """Starting is quick, and does not leak into the next start."""
    with b.report.case('ten starts, one after the other'):
        took = []
        for _ in range(10):
            with b.machine() as m:
                took.append(m.ready_ms)
        took.sort()
        b.report.say(f'exec to serving: median {took[5]:.1f} ms')




@group(alone=False)
def pci_links(b):
    """As hvmloader's pci_setup() routes them; without, no interrupt of a PCI
    device reaches the PIC."""
    with b.machine() as m, \
            b.report.case('Xen is told which interrupts the PCI links have',
                          'fails', m):
        isa_bridge = m.guest.find_pci(0x060100)
        for link, irq in enumerate((5, 10, 11, 5)):
            m.guest.config_write(isa_bridge, 0x60 + link, irq, 1)
        links = m.guest.stat()['links']
        expect(links == [5, 10, 11, 5], f'{links}')
        # Bit 7 is a link that is not routed.
        m.guest.config_write(isa_bridge, 0x61, 0x80, 1)
        links = m.guest.stat()['links']
        expect(links == [5, 0, 11, 5], f'{links}')
