# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs when a guest asks its CD drive for a new disc."""

import contextlib

from standin import Count, expect, settle, xl_command

from . import group
from .ahci import Ahci, CI, IS, PACKET, PORT_IS
from .usb_hc import Ram

GESN = bytes((0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0, 0, 0))
PIO, READ = 0, 1
IDE_CLASS, BUS_MASTER = 0x010180, 0xc500


class Poll:
    """Counts the accesses of each step, and the wakes that they cost."""

    def __init__(self, machine):
        self.machine = machine
        self.steps = []
        self.accesses = 0

    @contextlib.contextmanager
    def step(self, name):
        count = Count(self.machine.pid)
        self.accesses = 0
        yield
        self.steps.append((name, self.accesses, count.voluntary()))

    def total(self):
        """All accesses, all wakes."""
        return tuple(sum(n) for n in zip(*(s[1:] for s in self.steps)))


class PiixDrive:
    """The master of the second channel, as Linux' libata-sff.c drives it, by
    PIO as for each packet whose data are not a multiple of 16 bytes."""

    BASE, CONTROL = 0x170, 0x376

    def __init__(self, machine):
        self.guest = machine.guest
        self.ram = Ram(machine, 6 << 20)
        self.data = self.ram.take(64)
        bdf = self.guest.find_pci(IDE_CLASS)
        self.guest.config_write(bdf, 0x20, BUS_MASTER)
        self.guest.config_write(bdf, 4, 5, 2)
        self.poll = None

    def read(self, port):
        self.poll.accesses += 1
        return self.guest.inb(port)

    def write(self, port, value):
        self.poll.accesses += 1
        self.guest.outb(port, value)

    def words(self, direction, count):
        """rep insw, rep outsw: one request for all of them."""
        self.poll.accesses += 1
        self.guest.run('raw', 0, PIO, direction, 2, count, 0, 1, self.BASE,
                       self.data, 5000)

    def status(self):
        return self.read(self.BASE + 7)

    def pause(self):
        return self.read(self.CONTROL)

    def acknowledge(self):
        """ata_sff_irq_status() and ata_bmdma_irq_clear(): of the interrupt."""
        self.guest.run('wait-irq', 15, 1, 5000)
        self.pause()
        status = self.status()
        self.write(BUS_MASTER + 10, self.read(BUS_MASTER + 10))
        return status

    def ask(self, poll):
        self.poll = poll
        with poll.step('select the drive, wait until it is idle'):
            self.status()
            self.write(self.BASE + 6, 0xa0)
            self.pause()
            self.status()
        with poll.step('write the registers'):
            for register, value in ((1, 0), (2, 0), (3, 0), (4, 8), (5, 0),
                                    (6, 0xa0)):
                self.write(self.BASE + register, value)
            self.status()
        with poll.step('write the command'):
            self.write(self.BASE + 7, 0xa0)
            self.pause()
        with poll.step('write the packet'):
            expect(self.status() & 0x89 == 0x08, 'it does not want a packet')
            self.ram.write(self.data, GESN)
            self.words(1 - READ, 6)
            self.pause()
        with poll.step('interrupt: the answer is there'):
            expect(self.acknowledge() & 0x89 == 0x08, 'there is no answer')
        with poll.step('read the registers'):
            for register in (7, 1, 2, 3, 4, 5, 6):
                self.read(self.BASE + register)
        with poll.step('read the answer'):
            self.words(READ, 4)
            self.pause()
        with poll.step('interrupt: the command is done'):
            expect(not self.acknowledge() & 0x89, 'it failed')
        expect(self.ram.bytes(self.data, 4)[2:] == b'\x04\x10', 'no answer')


class AhciDrive(Ahci):
    """The same question as libahci.c asks it."""

    def __init__(self, machine):
        self.poll = None
        super().__init__(machine)
        self.start()

    def read(self, register):
        if self.poll:
            self.poll.accesses += 1
        return super().read(register)

    def write(self, register, value):
        if self.poll:
            self.poll.accesses += 1
        super().write(register, value)

    def ask(self, poll):
        self.lay_out(bytes((0x27, 0x80, PACKET, 0, 0, 8, 0, 0xa0)), GESN, 8)
        self.poll = poll
        with poll.step('issue the command'):
            self.set(CI, 1)
        with poll.step('interrupt: it is done'):
            self.wait_interrupt()
            pending = self.read(IS)
            self.set(PORT_IS, self.get(PORT_IS))
            self.get(CI)
            self.write(IS, pending)
        self.poll = None
        expect(self.ram.bytes(self.buffer, 4)[2:] == b'\x04\x10', 'no answer')


def polled(machine, drive_class):
    """The steps of one question, after a few that are not counted."""
    drive = drive_class(machine)
    for _ in range(4):
        drive.ask(Poll(machine))
    settle([machine.pid], 0.5, 3)
    poll = Poll(machine)
    drive.ask(poll)
    return poll


@group(alone=False)
def dvd_poll(b):
    """Each access is a request that a virtual CPU waits for: a wake. No less
    can be had, and it shall not be more."""
    def judge(name, stock, extra, drive_class, accesses):
        with b.machine(xl_command(vnc='none', serial=None, usb=(),
                                  extra=extra)) as m, \
                b.report.case(name, stock, m):
            poll = polled(m, drive_class)
            asked, wakes = poll.total()
            expect(asked == accesses, f'{asked} accesses: {poll.steps}')
            expect(wakes <= accesses + 2, f'{wakes} wakes: {poll.steps}')

    judge('a question for a new disc on IDE: 33 accesses, a wake each',
          'either', (), PiixDrive, 33)
    if not b.report.stock:
        judge('a question for a new disc on AHCI: 6 accesses, a wake each',
              'either', ('-pulsar', 'dvd=ahci'), AhciDrive, 6)
