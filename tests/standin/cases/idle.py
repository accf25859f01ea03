# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing to do: no thread of the device model may run."""

import contextlib
import time

from standin import Count, expect, settle, xenopsd_command, xl_command

from . import group

WINDOW = 10.0

CONFIGURATIONS = [
    ('xl: VNC, pty, tablet, CD', xl_command(), 'fails'),
    ('xl: vnc=0', xl_command(vnc='none'), 'fails'),
    ('xl: vnc=0, no serial, no USB',
     xl_command(vnc='none', serial=None, usb=()), 'fails'),
    ('no -vnc at all', xl_command(vnc=None), 'fails'),
    ('xl: VNC on a unix socket, cirrus',
     xl_command(vnc='unix:{folder}/vnc', vga='cirrus-vga', vgamem=8),
     'fails'),
    ('xl: rtl8139', xl_command(nic='rtl8139'), 'fails'),
    ('xl: e1000, no VGA, no VNC, no serial',
     xl_command(nic='e1000', vga=None, vnc='none', serial=None), 'fails'),
    ('xl: usbversion=3', xl_command(usb=('-device', 'nec-usb-xhci,id=usb',
                                         '-device', 'usb-tablet')),
     'fails'),
    ('xl: two serial ports',
     xl_command(serial='pty', extra=('-serial', 'pty')), 'fails'),
    ('xl: -parallel null', xl_command(extra=('-parallel', 'null')), 'fails'),
    ('xenopsd', xenopsd_command(), 'fails'),
]


@group(alone=False)
def idle(b):
    with contextlib.ExitStack() as stack:
        machines = []
        for name, command, stock in CONFIGURATIONS:
            with b.report.case(f'starts: {name}'):
                m = stack.enter_context(b.machine(command))
                if 'xenopsd' in name:
                    m.qmp().execute('cont')
                machines.append((name, m, stock))
        settle([m.pid for _, m, _ in machines])
        counts = [(name, m, stock, Count(m.pid))
                  for name, m, stock in machines]
        time.sleep(WINDOW)
        for name, m, stock, count in counts:
            ran = count.threads()
            with b.report.case(f'idle for {WINDOW:.0f} s: {name}', stock, m):
                expect(m.alive(), 'the device model is gone')
                b.report.say(f'{name}: {count.total() / WINDOW:.2f} '
                             'context switches a second')
                expect(not ran, f'threads ran (name, voluntary, '
                                f'involuntary): {ran}')


@group(alone=False)
def idle_after_use(b):
    """Silence comes back after each thing that rightly wakes."""
    with b.machine() as m:
        g = m.guest
        g.graphics()
        g.draw(0x33, lines=480)
        for i in range(200):
            g.outb(0x3ff, i & 0xff)
        m.qmp().execute('query-status')
        m.qmp().hmp('info pci')
        with b.report.case('idle again after port accesses, QMP and '
                           'drawing', 'fails', m):
            expect(settle([m.pid], 4, 12), 'it went on running')
        m.qmp().execute('stop')
        with b.report.case('a stopped machine is idle', 'fails', m):
            expect(settle([m.pid], 3, 8), 'it went on running')
        m.qmp().execute('cont')
        with b.report.case('after cont requests are served again',
                           machine=m):
            g.outb(0x3ff, 0x66)
            expect(g.inb(0x3ff) == 0x66, 'requests go wrong')
        with b.report.case('idle again after stop and cont', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')
