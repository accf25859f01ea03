# SPDX-License-Identifier: GPL-2.0-or-later
"""DMA to guest memory that is not there, or that QEMU does not know of."""

import json
import struct

from standin import expect, xl_command

from . import group
from .usb_hc import Xhci

FRAME = 4096
IOREQ_TYPE_INVALIDATE = 8
ALL = (1 << 64) - 1
PCI_CAP_ID_MSI = 5
IDE_IRQ = 14
BUS_MASTER = 0xc000             # an I/O port range that is free
PRDT = 0x1000000                # where the tests keep the tables of the IDE
BUFFER = 0x1200000              # and what is transferred
FAR = 0x10000000                # beyond the memory of a machine of 128 MiB
PATTERN = bytes(range(256)) * (2 * FRAME // 256)


def balloon_out(m, addr, frames=1):
    """As Xen does it for XENMEM_decrease_reservation of the guest's own:
    the frames are gone, then the map cache is told (hvm_hypercall())."""
    m.guest.run('balloon', 0, addr // FRAME, frames)
    m.guest.run('raw', 0, IOREQ_TYPE_INVALIDATE, 0, 4, 1, 0, 0, 0, ALL, 5000)


def balloon_in(m, addr, frames=1):
    m.guest.run('balloon', 1, addr // FRAME, frames)


class Ide:
    """A channel of the PIIX3, driven as libata's ata_bmdma_setup(),
    ata_bmdma_start() and ata_bmdma_stop() do (drivers/ata/libata-sff.c)."""

    def __init__(self, m, channel=0):
        self.guest = m.guest
        self.ports = 0x170 if channel else 0x1f0
        self.irq = IDE_IRQ + channel
        self.bus_master = BUS_MASTER + 8 * channel
        bdf = self.guest.find_pci(0x010180)
        self.guest.config_write(bdf, 0x20, BUS_MASTER)
        self.guest.config_write(bdf, 0x04, 5, 2)    # I/O and bus mastering

    def read(self, table, prdt=PRDT, sectors=2 * FRAME // 512):
        """READ DMA of the first sectors; table lists (address, bytes), and
        None stands for the one that is at prdt."""
        g = self.guest
        if table is not None:
            g.poke(prdt, b''.join(
                struct.pack('<IHH', addr, size & 0xffff,
                            0x8000 * (i == len(table) - 1))
                for i, (addr, size) in enumerate(table)))
        g.outb(self.bus_master + 4, prdt, 4)
        g.outb(self.bus_master, 8)                  # to memory
        g.outb(self.bus_master + 2, 6)              # clear interrupt, error
        for register, value in ((6, 0xe0), (2, sectors), (3, 0), (4, 0),
                                (5, 0), (7, 0xc8)):
            g.outb(self.ports + register, value)
        g.outb(self.bus_master, 9)                  # start

    def stop(self):
        self.guest.outb(self.bus_master, 8)

    def done(self):
        """Wait for the interrupt; (the bus master's, the drive's status)."""
        self.guest.run('wait-irq', self.irq, 1, 5000)
        bus_master = self.guest.inb(self.bus_master + 2)
        self.stop()
        # Of the drive: busy, data request, error.
        return bus_master & 7, self.guest.inb(self.ports + 7) & 0x89

    def transfers(self, *table):
        self.read(table)
        expect(self.done() == (4, 0), 'the transfer failed')


def capability(m, bdf, wanted):
    """Where a PCI capability of a device is."""
    at = m.guest.config_read(bdf, 0x34, 1)
    while at and m.guest.config_read(bdf, at, 1) != wanted:
        at = m.guest.config_read(bdf, at + 1, 1)
    expect(at, f'no capability {wanted}')
    return at


def with_disks(m, first=''):
    """One on each channel; first is said of the first one, too."""
    args = []
    for index in 0, 2:
        path = m.path(f'disk{index}')
        with open(path, 'wb') as f:
            f.write(PATTERN)
            f.truncate(1 << 20)
        args += ['-drive', f'file={path},if=ide,index={index},media=disk,'
                           'format=raw' + first]
        first = ''
    return args


def disks(m, first=''):
    return xl_command(vnc='none', usb=with_disks(m, first), cd=False)(m)


def serves(m):
    m.guest.outb(0x3ff, 0x5a)
    expect(m.guest.inb(0x3ff) == 0x5a, 'it does not serve its guest')


@group(alone=False)
def memory_holes(b):
    with b.machine(disks) as m, \
            b.report.case('DMA to a frame that was ballooned out is lost, and '
                          'what comes after it arrives', 'fails', m):
        ide = Ide(m)
        ide.transfers((BUFFER, 2 * FRAME))
        m.guest.fill(BUFFER, 2 * FRAME, 0)
        balloon_out(m, BUFFER)
        ide.transfers((BUFFER, 2 * FRAME))
        expect(m.guest.peek(BUFFER + FRAME, FRAME) == PATTERN[FRAME:],
               'the frame behind it')
        balloon_in(m, BUFFER)
        expect(not any(m.guest.peek(BUFFER, FRAME)), 'the frame has data')
        ide.transfers((BUFFER, 2 * FRAME))
        expect(m.guest.peek(BUFFER, 2 * FRAME) == PATTERN,
               'not what the disk has, once the frame is back')
    with b.machine(disks) as m, \
            b.report.case('DMA across a hole in the middle', 'fails', m):
        ide = Ide(m)
        balloon_out(m, BUFFER + FRAME)
        ide.transfers((BUFFER, 2 * FRAME))
        expect(m.guest.peek(BUFFER, FRAME) == PATTERN[:FRAME],
               'the frame before it')
        serves(m)
    with b.machine(disks) as m, \
            b.report.case('a table of transfers in a frame that was '
                          'ballooned out', 'fails', m):
        ide = Ide(m)
        balloon_out(m, PRDT + FRAME)
        ide.read(None, prdt=PRDT + FRAME)
        serves(m)
        # All ones end the table and point to 64 KiB where nothing is.
        ide.stop()
        ide.transfers((BUFFER, 2 * FRAME))
        expect(m.guest.peek(BUFFER, 2 * FRAME) == PATTERN, 'later DMA')
    with b.machine(disks) as m, \
            b.report.case('DMA to nowhere that the guest stops at once',
                          'either', m):
        ide = Ide(m)
        for _ in range(8):
            # 16 parts of it: a buffer of 4 KiB stands in for memory.
            ide.read([(FAR, 1 << 16)], sectors=128)
            ide.stop()
        serves(m)
        ide.transfers((BUFFER, 2 * FRAME))
        expect(m.guest.peek(BUFFER, 2 * FRAME) == PATTERN, 'later DMA')
    with b.machine(disks) as m, \
            b.report.case('DMA to nowhere by two channels that the guest '
                          'stops at once', 'fails', m):
        first, second = Ide(m), Ide(m, 1)
        for _ in range(8):
            first.read([(FAR, 1 << 16)], sectors=128)
            second.read([(FAR, 1 << 16)], prdt=PRDT + 8, sectors=128)
            for channel in second, first:
                channel.stop()
        serves(m)
    with b.machine(lambda m: disks(m, ',throttling.iops-read=1')) as m, \
            b.report.case('DMA to a frame that came while a neighbour is '
                          'being transferred', 'fails', m):
        slow, fast = Ide(m), Ide(m, 1)
        balloon_out(m, BUFFER)
        slow.transfers((BUFFER + FRAME, FRAME), (BUFFER + FRAME, FRAME))
        slow.read([(BUFFER + FRAME, 2 * FRAME)])    # takes a second
        balloon_in(m, BUFFER)
        fast.read([(BUFFER, FRAME)], prdt=PRDT + 16, sectors=FRAME // 512)
        expect(fast.done() == (4, 0), 'the transfer failed')
        expect(m.guest.peek(BUFFER, FRAME) == PATTERN[:FRAME], 'what came')
        expect(slow.done() == (4, 0), 'the slow transfer failed')
        expect(m.guest.peek(BUFFER + FRAME, 2 * FRAME) == PATTERN,
               'what came slowly')
    with b.machine(xl_command(vnc='none', usb=(
            '-device', 'nec-usb-xhci,id=usb', '-device',
            'usb-tablet,bus=usb.0'))) as m, \
            b.report.case('an MSI to a frame that was ballooned out', 'fails',
                          m):
        hc = Xhci(m)
        at = capability(m, hc.bdf, PCI_CAP_ID_MSI)
        balloon_out(m, BUFFER)
        for register, value, size in (
                (4, BUFFER, 4), (8, 0, 4), (12, 0x4021, 2), (2, 1, 2)):
            m.guest.config_write(hc.bdf, at + register, value, size)
        hc.start()
        for port in range(hc.ports):        # an event, and so an MSI
            m.guest.store(hc.op + 0x400 + 16 * port, 0x210)
        serves(m)
        expect(m.guest.calls('xendevicemodel_inject_msi') == 0, 'sent')


def xapi_disks(flag):
    """xapi's BIOS machine, with disks."""
    def command(m):
        return ['-xen-domid', str(m.domid), '-m', str(m.memory),
                '-display', 'none', '-vnc', 'none', '-nodefaults',
                '-serial', 'null', *with_disks(m),
                '-machine', 'pc-0.10,accel=xen,suppress-vmdesc=on,' + flag]
    return command


@group(alone=False)
def memory_unassigned(b):
    for flag, works in (('allow-unassigned=true', True),
                        ('allow-unassigned=false', False),
                        ('trad_compat=on', False)):
        with b.machine(command=None) as m, b.report.case(
                f'{flag}: DMA to memory that was ballooned in beyond all else '
                f'{"arrives" if works else "is lost"}', 'fails', m):
            m.start(xapi_disks(flag))
            ide = Ide(m)
            balloon_in(m, FAR, 3)
            m.guest.fill(FAR, 3 * FRAME, 0)
            ide.read([(FAR + 2, 2 * FRAME)])
            ide.done()
            expect((m.guest.peek(FAR, 2 * FRAME + 4) ==
                    b'\0\0' + PATTERN + b'\0\0') == works, 'what came')
            if works:
                # Tables of transfers there, too.
                m.guest.poke(FAR, struct.pack('<IHH', BUFFER, 2 * FRAME,
                                              0x8000))
                ide.read(None, prdt=FAR)
                expect(ide.done() == (4, 0), 'the transfer failed')
                expect(m.guest.peek(BUFFER, 2 * FRAME) == PATTERN,
                       'by a table there')
            serves(m)
    with b.machine(command=None) as m, b.report.case(
            'allow-unassigned=true: DMA to where nothing is, and nothing is '
            'claimed from Xen', 'fails', m):
        m.start(xapi_disks('allow-unassigned=true'))
        ide = Ide(m)
        ide.read([(FAR, 2 * FRAME)])
        ide.stop()
        balloon_in(m, FAR, 2)
        ide.transfers((FAR, 2 * FRAME))
        expect(m.guest.peek(FAR, 2 * FRAME) == PATTERN, 'what came later')
        ranges = json.loads(m.guest.run('ranges'))
        expect(not [r for r in ranges if r[0] == 1 and
                    r[1] <= FAR <= r[2]], f'claimed: {ranges}')
