# SPDX-License-Identifier: GPL-2.0-or-later
"""A saved state goes from one build to the other and back."""

import os

from standin import QEMU, STOCK, Machine, expect, settle, xl_command

from . import group

SCRATCH = 0x3ff


def prepare(m):
    """Leave something in every device that the stand-in can look at."""
    g = m.guest
    g.graphics()
    g.draw(0xa5, lines=480)
    g.outb(SCRATCH, 0xc3)
    g.outb(0x3f9, 0x05)
    g.config_write(g.find_pci(0x030000), 0x3c, 0x0b, 1)
    g.buffered(0xa0200, 0x5ac35ac3, 2, 1)
    g.load(0xa0200)


def look(m):
    """What prepare() left, as far as it is still there."""
    g = m.guest
    viewer = m.view()
    viewer.request(incremental=False)
    viewer.update()
    pixel = viewer.pixel(639, 479)
    viewer.close()
    bdf = g.find_pci(0x030000)
    return {
        'scratch': g.inb(SCRATCH),
        'interrupt enable': g.inb(0x3f9),
        'VGA base': g.config_read(bdf, 0x10) & ~15,
        'VGA line': g.config_read(bdf, 0x3c, 1),
        'window': g.load(0xa0200),
        'pixel': pixel,
        'xen-platform': g.config_read(g.find_pci(0xff8000), 0),
    }


def save(m):
    """As xl does: stop, then have the device state written to a file."""
    path = m.path('state')
    m.qmp().execute('stop')
    if os.path.exists(path):
        os.unlink(path)
    m.qmp().execute('xen-save-devices-state', filename=path, live=False)
    return path


def journey(b, binaries, command, name):
    with Machine(b.world, binaries[0], command()) as m, \
            b.report.case(name, machine=m):
        prepare(m)
        expected = look(m)
        expect(expected['scratch'] == 0xc3 and expected['pixel'] == 0xa5,
               f'the guest could not be prepared: {expected}')
        for binary in binaries[1:]:
            path = save(m)
            m.restart(binary, command(incoming=path))
            found = look(m)
            expect(found == expected, f'{found} instead of {expected}')
            expect(m.guest.figures('isolated', 4, 1000)['n'] == 4, '')
            m.guest.outb(0x3f9, expected['interrupt enable'])
        if binaries[-1] != STOCK and not b.report.stock:
            expect(settle([m.pid], 3, 9), 'the restored one is not idle')


@group(alone=False)
def states(b):
    journey(b, [b.binary] * 3, xl_command, 'saved and restored twice')
    variants = [
        ('', xl_command),
        (' with cirrus, rtl8139 and no serial port',
         lambda **o: xl_command(vga='cirrus-vga', nic='rtl8139', **o)),
    ]
    for suffix, command in variants:
        name = f'stock to Pulsar to stock{suffix}'
        if not os.access(STOCK, os.X_OK):
            b.report.skip(name, 'no stock build; run make stock')
        elif b.report.stock:
            b.report.skip(name, 'it needs both builds')
        elif suffix:
            cirrus_journey(b, command, name)
        else:
            journey(b, [STOCK, QEMU, STOCK, QEMU], command, name)


def cirrus_journey(b, command, name):
    """The same without the standard VGA's modes."""
    with Machine(b.world, STOCK, command()) as m, \
            b.report.case(name, machine=m):
        m.guest.outb(SCRATCH, 0x3d)
        for binary in (QEMU, STOCK, QEMU):
            path = save(m)
            m.restart(binary, command(incoming=path))
            expect(m.guest.inb(SCRATCH) == 0x3d, 'the UART forgot')
            nic = m.guest.find_pci(0x020000)
            expect(m.guest.config_read(nic, 0) == 0x813910ec,
                   'the NIC is gone')
