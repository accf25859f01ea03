# SPDX-License-Identifier: GPL-2.0-or-later
"""A serial port on a pty: silent while nobody is there, prompt if so."""

import errno
import os
import time

from standin import Terminal, expect, settle, xenopsd_command, xl_command

from . import group
from .launchers import new_libxl

DATA, IER, FCR, LSR = 0x3f8, 0x3f9, 0x3fa, 0x3fd
IRQ = 4


def wait_byte(m, timeout_ms=5000):
    """Sleep like a guest until the UART has a byte; the byte."""
    m.guest.run('wait-irq', IRQ, 1, timeout_ms)
    return m.guest.inb(DATA)


@group()
def attach(b):
    with b.machine() as m:
        m.guest.outb(IER, 1)
        path = m.pty()
        settle([m.pid], 1, 3)
        with b.report.case('a byte typed right after attaching reaches the '
                           'guest', 'either', m):
            took = []
            for i in range(7):
                with Terminal(path) as terminal:
                    start = time.monotonic()
                    terminal.type(bytes([0x41 + i]))
                    got = wait_byte(m)
                    took.append((time.monotonic() - start) * 1000)
                    expect(got == 0x41 + i, f'{got:#x} arrived')
                # Detaching has to be over before the next one comes.
                time.sleep(0.3)
            took.sort()
            b.report.say(f'typed byte there after median {took[3]:.1f} ms, '
                         f'longest {took[-1]:.1f} ms')
            expect(took[3] < 100, f'median {took[3]:.0f} ms')
        with b.report.case('what the guest writes while nobody is attached '
                           'goes nowhere', machine=m):
            settle([m.pid], 1, 3)
            for byte in b'lost' * 50:
                m.guest.outb(DATA, byte)
            with Terminal(path) as terminal:
                terminal.type(b'?')
                expect(wait_byte(m) == ord('?'), 'the wrong byte arrived')
                for byte in b'kept':
                    m.guest.outb(DATA, byte)
                got = terminal.read(4, 2)
                expect(got == b'kept', f'{got!r} was read')
        with b.report.case('a byte written to nobody costs one wake',
                           'either', m):
            settle([m.pid], 1, 3)
            count = m.count()
            for _ in range(20):
                m.guest.outb(DATA, 0x2e)
                time.sleep(0.01)    # longer than "nobody" is believed
            b.report.say(f'20 bytes: {count.voluntary()} sleeps')
            expect(count.voluntary() <= 24, f'{count.voluntary()} sleeps')
        with b.report.case('a reader that only reads gets what the guest '
                           'writes', machine=m):
            settle([m.pid], 1, 3)
            with Terminal(path) as terminal:
                for byte in b'hello':
                    m.guest.outb(DATA, byte)
                got = terminal.read(5, 3)
                expect(got == b'hello', f'{got!r} was read')


@group(alone=False)
def detach(b):
    with b.machine() as m:
        m.guest.outb(IER, 1)
        path = m.pty()
        with Terminal(path) as terminal:
            terminal.type(b'a')
            wait_byte(m)
            with b.report.case('attached and quiet: silence', 'fails', m):
                expect(settle([m.pid], 4, 10), 'it went on running')
        with b.report.case('detached: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')
        with b.report.case('attached and detached fifty times: silence',
                           'fails', m):
            for _ in range(50):
                with Terminal(path):
                    pass
            expect(settle([m.pid], 4, 10), 'it went on running')
        with b.report.case('two attached, one leaves: the other is heard',
                           machine=m):
            with Terminal(path) as one:
                with Terminal(path):
                    pass
                one.type(b'z')
                expect(wait_byte(m) == ord('z'), 'the wrong byte arrived')
        with b.report.case('idle after all of it', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


@group(alone=False)
def no_tiocgptpeer(b):
    with b.machine(command=None) as m, \
            b.report.case('a kernel that cannot open the other end of a '
                          'pty: polled, and said so', 'fails', m):
        m.guest.run('fault', 'tiocgptpeer', 0, 1000, 25)
        m.start(xl_command())
        m.guest.outb(IER, 1)
        for i in range(3):
            with Terminal(m.pty()) as terminal:
                terminal.type(bytes([0x61 + i]))
                got = wait_byte(m)
                expect(got == 0x61 + i, f'{got:#x} arrived')
        expect(m.output().count('polling it every second') == 1,
               'the log does not say once that the pty is polled')


@group(alone=False)
def come_and_gone(b):
    with b.machine() as m:
        m.guest.outb(IER, 1)
        path = m.pty()
        with b.report.case('typed by somebody who has gone already: arrives',
                           'fails', m):
            for i in range(5):
                settle([m.pid], 1, 3)
                with Terminal(path) as terminal:
                    terminal.type(bytes([0x61 + i]))
                got = wait_byte(m, 2000)
                expect(got == 0x61 + i, f'{got:#x} arrived')
        with b.report.case('and then: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


def hears(m):
    """Whether the guest has been told that somebody has its port open."""
    return 'port 1, guest off, host on' in m.qmp().hmp('info qtree')


def wait_until(condition, what, seconds=2):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f'{what} after {seconds} s')
        time.sleep(0.02)


@group(alone=False)
def monitor_on_serial(b):
    with b.machine(xl_command(serial='mon:pty')) as m, \
            b.report.case('who attaches to a serial port with a monitor on '
                          'it and only looks hangs nothing', machine=m):
        path = m.pty('serial0-base')
        with Terminal(path) as terminal:
            terminal.type(b'\x01c')
            expect(b'(qemu)' in terminal.read(4000, 2), 'no prompt')
        time.sleep(0.3)
        m.qmp().execute('query-status')
        with Terminal(path) as terminal:
            m.guest.outb(DATA, ord('!'))
            expect(m.guest.inb(LSR) & 0x60 == 0x60, 'the UART is not itself')
            m.qmp().execute('query-status')
            terminal.type(b'\x01c')
            terminal.read(4000, 0.5)
            m.guest.outb(DATA, ord('?'))
            expect(b'?' in terminal.read(4000, 1.5), 'what is written is lost')
        settle([m.pid], 0.3, 2)
        for byte in b'nobody':
            m.guest.outb(DATA, byte)
        m.qmp().execute('query-status')


@group(alone=False)
def monitor_on_pty(b):
    with b.machine(xl_command(extra=('-monitor', 'pty'))) as m:
        path = m.pty('compat_monitor0')
        with b.report.case('a monitor on a pty greets who only looks, each '
                           'time', machine=m):
            for _ in range(3):
                with Terminal(path) as terminal:
                    got = terminal.read(4000, 2)
                    expect(b'(qemu)' in got, f'it printed {got!r}')
                time.sleep(0.3)
        with b.report.case('a command by somebody who has gone already is '
                           'no trouble', machine=m):
            for _ in range(5):
                with Terminal(path) as terminal:
                    terminal.type(b'info qtree\n')
                m.qmp().execute('query-status')
        with b.report.case('a monitor on a pty, nobody there: silence',
                           'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


CHANNEL = ('-chardev', 'pty,id=channel', '-device', 'virtio-serial-pci',
           '-device', 'virtserialport,chardev=channel,id=port')


@group(alone=False)
def virtio_port(b):
    """What Linux' virtio console and a guest agent wait for."""
    with b.machine(xl_command(extra=CHANNEL)) as m:
        with b.report.case('a port of virtio-serial, nobody there: silence',
                           'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')
        with b.report.case('a port of virtio-serial hears of somebody who '
                           'only listens', machine=m):
            expect(not hears(m), 'nobody is there')
            with Terminal(m.pty('channel')):
                wait_until(lambda: hears(m), 'it has not heard')
    with b.machine(new_libxl(serial=None, usb=CHANNEL)) as m, \
            b.report.case('so it does in a jail, as another user and with '
                          'the privileges gone', machine=m):
        m.qmp().execute('cont')
        with Terminal(m.pty('channel')):
            wait_until(lambda: hears(m), 'it has not heard')
    with b.machine(xenopsd_command(serial='none', extra=CHANNEL)) as m, \
            b.report.case("so it does in xenopsd's sandbox", machine=m):
        m.qmp().execute('cont')
        with Terminal(m.pty('channel')):
            wait_until(lambda: hears(m), 'it has not heard')
    with b.machine(command=None) as m, \
            b.report.case('no inotify instance is left: the port hears all '
                          'the same, and the log says it is polled', 'fails',
                          m):
        m.guest.run('fault', 'inotify_init1', 0, 1000, errno.EMFILE)
        m.start(xl_command(extra=CHANNEL))
        with Terminal(m.pty('channel')):
            wait_until(lambda: hears(m), 'it has not heard', 3)
        expect(m.output().count('polling it every second') == 1,
               'the log does not say once that the pty is polled')
    with b.machine() as m, \
            b.report.case('a UART needs no inotify instance', 'fails', m):
        expect(settle([m.pid], 2, 5), 'it went on running')
        links = [os.readlink(f'/proc/{m.pid}/fd/{fd}')
                 for fd in os.listdir(f'/proc/{m.pid}/fd')]
        expect('anon_inode:inotify' not in links, f'{links}')


@group(alone=False)
def paste(b):
    with b.machine() as m:
        g = m.guest
        g.outb(FCR, 7)
        g.outb(IER, 1)
        with Terminal(m.pty()) as terminal:
            text = bytes(33 + i % 90 for i in range(2000))
            terminal.type(text)
            with b.report.case('text that the guest does not read costs '
                               'nothing', 'fails', m):
                expect(settle([m.pid], 3, 8), 'it went on running')
            with b.report.case('text pasted at once arrives whole and in '
                               'order', machine=m):
                got = b''
                while len(got) < len(text):
                    g.run('wait-irq', IRQ, 1, 5000)
                    while g.inb(LSR) & 1:
                        got += bytes([g.inb(DATA)])
                expect(got == text, f'{len(got)} bytes, first difference at '
                       f'{next((i for i, (x, y) in enumerate(zip(got, text)) if x != y), None)}')
