# SPDX-License-Identifier: GPL-2.0-or-later
"""Drivers of USB host controllers, as far as the cases need them.

The guest's memory is the domain's file, mapped here; registers go through
the guest helper; the interrupt line is what is waited for.
"""

import mmap
import os
import struct
import time

from standin import TIMEOUT, Failure, expect

SET_ADDRESS, GET_DESCRIPTOR, SET_CONFIGURATION = 5, 6, 9


def setup_packet(request, value=0, index=0, length=0, kind=0):
    return struct.pack('<BBHHH', kind, request, value, index, length)


class Ram:
    """Guest memory below 16 MiB, and a place to take structures from."""

    def __init__(self, machine, base):
        fd = os.open(machine.path('ram'), os.O_RDWR)
        self.map = mmap.mmap(fd, 16 << 20)
        os.close(fd)
        self.next = base

    def take(self, size, align=64):
        """Zeroed memory that nobody else has."""
        at = (self.next + align - 1) // align * align
        self.next = at + size
        self.map[at:at + size] = bytes(size)
        return at

    def get(self, addr, n=1):
        words = struct.unpack_from(f'<{n}I', self.map, addr)
        return words[0] if n == 1 else words

    def put(self, addr, *words):
        struct.pack_into(f'<{len(words)}I', self.map, addr, *words)

    def bytes(self, addr, n):
        return self.map[addr:addr + n]

    def write(self, addr, data):
        self.map[addr:addr + len(data)] = data


class Controller:
    """What the drivers have in common."""

    def __init__(self, machine, device_class, base):
        self.machine = machine
        self.guest = machine.guest
        self.ram = Ram(machine, base)
        self.bdf = self.guest.find_pci(device_class)
        pin = self.guest.config_read(self.bdf, 0x3d, 1)
        self.line = (self.bdf >> 3 & 31) * 4 + pin - 1

    def wait_interrupt(self, timeout=TIMEOUT):
        """Wait for the line; the time (CLOCK_MONOTONIC, ns) it rose."""
        return int(self.guest.run('wait-intx', self.line, 1,
                                  int(timeout * 1000)))

    def wait_done(self, done, timeout=TIMEOUT):
        """Serve interrupts until done(); when the last one came."""
        end = time.monotonic() + timeout
        while True:
            at = self.wait_interrupt(max(0.001, end - time.monotonic()))
            self.acknowledge()
            if done():
                return at

    def acknowledge(self):
        raise NotImplementedError

    def move(self, x, y):
        """Somebody moves the pointer; when the device model was told."""
        qmp = self.machine.qmp()
        at = time.monotonic_ns()
        qmp.execute('input-send-event', events=[
            {'type': 'abs', 'data': {'axis': 'x', 'value': x}},
            {'type': 'abs', 'data': {'axis': 'y', 'value': y}}])
        return at

    @staticmethod
    def position(report):
        return struct.unpack_from('<HH', report, 1)


# ---- UHCI ---------------------------------------------------------------

class Uhci(Controller):
    """A schedule laid out as Linux does: eight levels of interrupt queues,
    then the queues for control and bulk transfers."""

    CMD, STS, INTR, FRNUM, FLBASE, PORTSC = 0, 2, 4, 6, 8, 0x10
    IN, OUT, SETUP = 0x69, 0xe1, 0x2d
    ACTIVE, IOC, SPD, NAK = 1 << 23, 1 << 24, 1 << 29, 1 << 19
    STALL, TIMEDOUT = 1 << 22, 1 << 18
    T, QH, DEPTH = 1, 2, 4
    IO = 0xc400

    def __init__(self, machine, base=2 << 20):
        super().__init__(machine, 0x0c0300, base)
        self.guest.config_write(self.bdf, 0x20, self.IO)
        self.guest.config_write(self.bdf, 4, 5, 2)
        self.list = self.ram.take(4096, 4096)
        self.bulk = self.queue(self.T)
        self.ctrl = self.queue(self.bulk | self.QH)
        self.level = []
        below = self.ctrl
        for i in range(8):
            below = self.queue(below | self.QH)
            self.level.append(below)
            for frame in range((1 << i) - 1, 1024, 1 << i):
                self.ram.put(self.list + frame * 4, below | self.QH)
        self.pool = self.ram.take(1 << 16)
        self.used = 0
        self.toggle = {}
        self.report = self.report_td = None

    def read(self, register, size=2):
        return self.guest.inb(self.IO + register, size)

    def write(self, register, value, size=2):
        self.guest.outb(self.IO + register, value, size)

    def queue(self, link):
        at = self.ram.take(16, 16)
        self.ram.put(at, link, self.T)
        return at

    def start(self):
        self.write(self.CMD, 2)
        self.write(self.FLBASE, self.list, 4)
        self.write(self.INTR, 0xf)
        self.write(self.CMD, 0xc1)

    def stop(self):
        self.write(self.CMD, 0xc0)

    def acknowledge(self):
        self.write(self.STS, self.read(self.STS))

    def frame(self):
        return self.read(self.FRNUM)

    def reset_port(self, port=0):
        self.write(self.PORTSC + 2 * port, 0x200)
        self.write(self.PORTSC + 2 * port, 0)
        self.write(self.PORTSC + 2 * port, 0xe)
        expect(self.read(self.PORTSC + 2 * port) & 5 == 5,
               f'port {port + 1} is not enabled')

    def td(self, pid, addr, ep, length, data=0, toggle=0, flags=0,
           link=T, at=None):
        if at is None:
            at = self.pool + self.used
            self.used = (self.used + 16) % (1 << 16)
        self.ram.put(at, link, 3 << 27 | self.ACTIVE | flags,
                     (length - 1 & 0x7ff) << 21 | toggle << 19 | ep << 15 |
                     addr << 8 | pid, data)
        return at

    def chain(self, tds):
        for a, b in zip(tds, tds[1:]):
            self.ram.put(a, b | self.DEPTH)
        return tds

    def active(self, td):
        return bool(self.ram.get(td + 4) & self.ACTIVE)

    def queue_control(self, addr, packet, length=0, size=8):
        """Put a control transfer into memory; its descriptors."""
        buf = self.ram.take(8 + max(length, 8))
        self.ram.write(buf, packet)
        tds = [self.td(self.SETUP, addr, 0, 8, buf)]
        for at in range(0, length, size):
            tds.append(self.td(self.IN, addr, 0, min(size, length - at),
                               buf + 8 + at, len(tds) & 1))
        tds.append(self.td(self.OUT if length else self.IN, addr, 0, 0, 0, 1,
                           self.IOC))
        self.chain(tds)
        self.ram.put(self.ctrl + 4, tds[0])
        return tds, buf + 8

    def control(self, addr, packet, length=0, size=8):
        tds, buf = self.queue_control(addr, packet, length, size)
        self.wait_done(lambda: not self.active(tds[-1]))
        expect(not self.ram.get(tds[-1] + 4) & (self.STALL | self.TIMEDOUT),
               'a control transfer failed')
        return self.ram.bytes(buf, length)

    def configure(self, addr=1, port=0):
        self.reset_port(port)
        self.control(0, setup_packet(SET_ADDRESS, addr))
        descriptor = self.control(addr, setup_packet(
            GET_DESCRIPTOR, 0x100, 0, 18, 0x80), 18)
        expect(descriptor[:2] == b'\x12\x01',
               f'no device descriptor: {descriptor.hex()}')
        self.control(addr, setup_packet(SET_CONFIGURATION, 1))

    def arm(self, addr=1, level=3):
        """Queue the tablet's interrupt transfer."""
        if self.report is None:
            self.report = self.ram.take(8)
            self.report_td = self.ram.take(16)
        toggle = self.toggle.get(addr, 0)
        self.toggle[addr] = toggle ^ 1
        self.td(self.IN, addr, 1, 8, self.report, toggle, self.IOC,
                at=self.report_td)
        self.ram.put(self.level[level] + 4, self.report_td)

    def tablet(self, addr=1):
        self.start()
        self.configure(addr)
        self.arm(addr)

    def wait_report(self, timeout=TIMEOUT):
        """The tablet's position, and when its interrupt came."""
        at = self.wait_done(lambda: not self.active(self.report_td),
                            timeout)
        position = self.position(self.ram.bytes(self.report, 8))
        self.arm()
        return position, at

    def poll_ports(self):
        """As Linux polls a root hub that cannot interrupt."""
        self.frame()
        self.read(self.PORTSC)
        self.read(self.PORTSC + 2)


class Stick:
    """A bulk-only storage device on a UHCI controller."""

    def __init__(self, hc, addr=2, port=1):
        self.hc = hc
        self.addr = addr
        self.toggle = {Uhci.IN: 0, Uhci.OUT: 0}
        self.buffer = hc.ram.take(1 << 16, 4096)
        self.wrap = hc.ram.take(64)
        self.tag = 0
        hc.configure(addr, port)

    def bulk(self, pid, ep, buffer, length, last=False):
        """The descriptors of a transfer."""
        hc, tds = self.hc, []
        for at in range(0, length, 64):
            tds.append(hc.td(pid, self.addr, ep, min(64, length - at),
                             buffer + at, self.toggle[pid]))
            self.toggle[pid] ^= 1
        if last:
            hc.ram.put(tds[-1] + 4, hc.ram.get(tds[-1] + 4) | hc.IOC)
        return tds

    def run(self, tds):
        hc = self.hc
        hc.chain(tds)
        hc.ram.put(hc.bulk + 4, tds[0])
        hc.wait_done(lambda: not hc.active(tds[-1]))

    def command(self, cdb, length):
        """A command that reads; each stage is awaited, as guests do."""
        hc = self.hc
        self.tag += 1
        hc.ram.write(self.wrap, struct.pack(
            '<IIIBBB16s', 0x43425355, self.tag, length, 0x80, 0, len(cdb),
            cdb))
        self.run(self.bulk(hc.OUT, 2, self.wrap, 31, True))
        if length:
            self.run(self.bulk(hc.IN, 1, self.buffer, length, True))
        self.run(self.bulk(hc.IN, 1, self.wrap, 13, True))
        signature, tag, _, status = struct.unpack_from(
            '<IIIB', hc.ram.bytes(self.wrap, 13))
        expect((signature, tag) == (0x53425355, self.tag),
               'the stick does not answer')
        return status

    def ready(self):
        """Until the unit attention of a new medium has passed."""
        for _ in range(4):
            if self.command(b'\0' * 6, 0) == 0:
                return
            self.command(b'\3\0\0\0\x12\0', 18)
        raise Failure('the stick does not become ready')

    def read(self, sector, sectors):
        status = self.command(struct.pack('>BBIBHB', 0x28, 0, sector, 0,
                                          sectors, 0), sectors * 512)
        expect(status == 0, f'reading failed with status {status}')
        return self.hc.ram.bytes(self.buffer, sectors * 512)


# ---- EHCI ---------------------------------------------------------------

class Ehci(Controller):
    BAR = 0xe0000000
    CMD, STS, INTR, FRINDEX, PERIODIC, ASYNC, CONFIG, PORTSC = \
        0, 4, 8, 0xc, 0x14, 0x18, 0x40, 0x44
    RS, PSE, ASE = 1, 1 << 4, 1 << 5
    FLR = 8
    ACTIVE, IOC = 1 << 7, 1 << 15
    OUT, IN, SETUP = 0, 1, 2
    T, QH = 1, 2

    def __init__(self, machine, base=2 << 20):
        super().__init__(machine, 0x0c0320, base)
        self.guest.config_write(self.bdf, 0x10, self.BAR)
        self.guest.config_write(self.bdf, 4, 6, 2)
        self.op = self.BAR + self.guest.load(self.BAR, 1)
        self.list = self.ram.take(4096, 4096)
        self.ctrl = self.queue(0, 0, 1 << 14 | 1 << 15)
        self.ram.put(self.ctrl, self.ctrl | self.QH)
        self.poll = self.queue(1, 1, 0)
        self.ram.put(self.poll, self.T)
        self.ram.put(self.poll + 8, 1 << 30 | 1)
        for frame in range(1024):
            self.ram.put(self.list + frame * 4,
                         self.poll | self.QH if frame % 8 == 0 else self.T)
        self.flags = 0
        self.report = self.report_td = None

    def read(self, register):
        return self.guest.load(self.op + register)

    def write(self, register, value):
        self.guest.store(self.op + register, value)

    def queue(self, addr, ep, flags):
        at = self.ram.take(64)
        self.ram.put(at + 4, addr | ep << 8 | 2 << 12 | flags | 64 << 16,
                     1 << 30, 0, self.T, self.T)
        return at

    def start(self, interrupts=0x37):
        self.write(self.CMD, 2)
        self.write(self.PERIODIC, self.list)
        self.write(self.ASYNC, self.ctrl)
        self.write(self.INTR, interrupts)
        self.command(self.RS)
        self.write(self.CONFIG, 1)

    def command(self, flags):
        self.flags = flags
        self.write(self.CMD, 8 << 16 | flags)

    def acknowledge(self):
        self.write(self.STS, self.read(self.STS) & 0x3f)

    def frame(self):
        return self.read(self.FRINDEX) // 8

    def reset_port(self, port=0):
        at = self.PORTSC + 4 * port
        self.write(at, 0x1100)
        self.write(at, 0x1000)
        expect(self.read(at) & 5 == 5, f'port {port + 1} is not enabled')

    def qtd(self, pid, length, data=0, toggle=0, flags=0, at=None):
        if at is None:
            at = self.ram.take(32)
        self.ram.put(at, self.T, self.T, toggle << 31 | length << 16 |
                     3 << 10 | pid << 8 | self.ACTIVE | flags, data)
        return at

    def active(self, qtd):
        return bool(self.ram.get(qtd + 8) & self.ACTIVE)

    def queue_control(self, addr, packet, length=0):
        buf = self.ram.take(8 + length)
        self.ram.write(buf, packet)
        qtds = [self.qtd(self.SETUP, 8, buf)]
        if length:
            qtds.append(self.qtd(self.IN, length, buf + 8, 1))
        qtds.append(self.qtd(self.OUT if length else self.IN, 0, 0, 1,
                             self.IOC))
        for a, b in zip(qtds, qtds[1:]):
            self.ram.put(a, b)
        word = self.ram.get(self.ctrl + 4)
        self.ram.put(self.ctrl + 4, word & ~0x7f | addr)
        self.ram.put(self.ctrl + 16, qtds[0])
        return qtds, buf + 8

    def control(self, addr, packet, length=0):
        qtds, buf = self.queue_control(addr, packet, length)
        self.wait_done(lambda: not self.active(qtds[-1]))
        return self.ram.bytes(buf, length)

    def arm(self):
        if self.report is None:
            self.report = self.ram.take(8)
            self.report_td = self.ram.take(32)
        self.qtd(self.IN, 8, self.report, 0, self.IOC, at=self.report_td)
        self.ram.put(self.poll + 16, self.report_td, self.T)

    def tablet(self, schedules=None, interrupts=0x37):
        self.start(interrupts)
        self.reset_port()
        self.command(self.RS | self.ASE)
        self.control(0, setup_packet(SET_ADDRESS, 1))
        self.control(1, setup_packet(SET_CONFIGURATION, 1))
        self.arm()
        self.command(self.RS | (schedules or self.PSE))

    def wait_report(self, timeout=TIMEOUT):
        at = self.wait_done(lambda: not self.active(self.report_td),
                            timeout)
        position = self.position(self.ram.bytes(self.report, 8))
        self.arm()
        return position, at


# ---- xHCI ---------------------------------------------------------------

class Xhci(Controller):
    """One slot, its control endpoint and one interrupt endpoint."""

    BAR = 0xe0000000
    RING = 64                   # entries of each ring; none is gone around
    SETUP, STATUS, NORMAL = 2, 4, 1
    ENABLE_SLOT, ADDRESS, CONFIGURE = 9, 11, 12
    IOC, CYCLE = 1 << 5, 1

    def __init__(self, machine, base=2 << 20):
        super().__init__(machine, 0x0c0330, base)
        self.guest.config_write(self.bdf, 0x10, self.BAR)
        self.guest.config_write(self.bdf, 0x14, 0)
        self.guest.config_write(self.bdf, 4, 6, 2)
        load = self.guest.load
        self.op = self.BAR + load(self.BAR, 1)
        self.doorbell = self.BAR + load(self.BAR + 0x14)
        self.runtime = self.BAR + load(self.BAR + 0x18)
        self.ports = load(self.BAR + 4) >> 24
        self.rings = {name: [self.ram.take(16 * self.RING), 0]
                      for name in ('command', 'event', 'control', 'poll')}
        self.slot = None
        self.report = None

    def write64(self, addr, value):
        self.guest.store(addr, value)
        self.guest.store(addr + 4, 0)

    def enqueue(self, ring, *trb):
        base, n = self.rings[ring]
        at = base + 16 * n
        self.ram.put(at, *trb[:3], 0)
        self.ram.put(at + 12, trb[3] | self.CYCLE)
        self.rings[ring][1] += 1
        return at

    def ring(self, doorbell, target):
        self.guest.store(self.doorbell + 4 * doorbell, target)

    def acknowledge(self):
        base, n = self.rings['event']
        self.guest.store(self.op + 4, self.guest.load(self.op + 4))
        self.guest.store(self.runtime + 0x20, 3)
        self.write64(self.runtime + 0x38, base + 16 * n | 8)

    def event(self, kind, timeout=TIMEOUT):
        """The next event of a kind, and when its interrupt came."""
        found = []

        def look():
            while True:
                base, n = self.rings['event']
                words = self.ram.get(base + 16 * n, 4)
                if not words[3] & self.CYCLE:
                    return bool(found)
                self.rings['event'][1] += 1
                if words[3] >> 10 & 63 == kind:
                    found.append(words)
        at = self.wait_done(look, timeout)
        self.acknowledge()
        expect(found[0][2] >> 24 in (1, 13),
               f'completion code {found[0][2] >> 24}')
        return found[0], at

    def command(self, kind, pointer=0):
        self.enqueue('command', pointer, 0, 0,
                     kind << 10 | (self.slot or 0) << 24)
        self.ring(0, 0)
        return self.event(33)[0][3] >> 24

    def start(self):
        g, ram = self.guest, self.ram
        self.dcbaa = ram.take(2048)
        segments = ram.take(64)
        ram.put(segments, self.rings['event'][0], 0, self.RING)
        g.store(self.op, 2)
        g.store(self.op + 0x38, 1)
        self.write64(self.op + 0x30, self.dcbaa)
        self.write64(self.op + 0x18, self.rings['command'][0] | 1)
        g.store(self.runtime + 0x28, 1)
        self.write64(self.runtime + 0x38, self.rings['event'][0])
        self.write64(self.runtime + 0x30, segments)
        g.store(self.runtime + 0x20, 2)
        g.store(self.op, 5)

    def tablet(self):
        g, ram = self.guest, self.ram
        self.start()
        for port in range(1, self.ports + 1):
            at = self.op + 0x400 + 16 * (port - 1)
            if g.load(at) & 1:
                g.store(at, 0x210)
                break
        else:
            raise Failure('no port has a device')
        self.slot = self.command(self.ENABLE_SLOT)
        device, given = ram.take(2048), ram.take(2048)
        ram.put(self.dcbaa + 8 * self.slot, device, 0)
        ram.put(given, 0, 3)                        # slot and endpoint 0
        ram.put(given + 32, 1 << 27 | 3 << 20, port << 16)
        ram.put(given + 64, 0, 4 << 3 | 64 << 16 | 3 << 1,
                self.rings['control'][0] | 1, 0, 8)
        self.command(self.ADDRESS, given)
        ram.put(given, 0, 1 | 1 << 3)               # slot, endpoint 1 IN
        ram.put(given + 32, 3 << 27 | 3 << 20, port << 16)
        ram.put(given + 128, 6 << 16, 7 << 3 | 8 << 16 | 3 << 1,
                self.rings['poll'][0] | 1, 0, 8)
        self.command(self.CONFIGURE, given)
        self.enqueue('control', *struct.unpack(
            '<II', setup_packet(SET_CONFIGURATION, 1)), 8,
            self.SETUP << 10 | 1 << 6)
        self.enqueue('control', 0, 0, 0, self.STATUS << 10 | 1 << 16 |
                     self.IOC)
        self.ring(self.slot, 1)
        self.event(32)
        self.arm()

    def arm(self):
        self.report = self.report or self.ram.take(8)
        self.enqueue('poll', self.report, 0, 8, self.NORMAL << 10 |
                     self.IOC | 1 << 2)
        self.ring(self.slot, 3)

    def wait_report(self, timeout=TIMEOUT):
        _, at = self.event(32, timeout)
        position = self.position(self.ram.bytes(self.report, 8))
        self.arm()
        return position, at
