# SPDX-License-Identifier: GPL-2.0-or-later
"""USB controllers that rest: how seldom they wake, and what they must not
miss for it."""

import contextlib
import os
import random
import time

from standin import QEMU, STOCK, Machine, Failure, expect, settle, xl_command

from . import group
from .state import save
from .usb_hc import Ehci, Stick, Uhci, Xhci, setup_packet

WINDOW = 10.0
TABLET = ('-usb', '-device', 'usb-tablet,id=tablet')
EHCI = ('-device', 'usb-ehci,id=ehci', '-device', 'usb-tablet,bus=ehci.0')
XHCI = ('-device', 'nec-usb-xhci,id=usb', '-device', 'usb-tablet,bus=usb.0')


def command(usb=TABLET, **more):
    """A device model in which nothing but USB wakes."""
    return xl_command(vnc='none', serial=None, cd=False, usb=usb, **more)


def wakes(machine):
    """Times the main loop was woken by a timer, and by anything else."""
    stat = machine.guest.stat()
    return stat['wakes_timeout'], stat['wakes_fd']


class Wakes:
    """Wakes in a window."""

    def __init__(self, machine):
        self.machine = machine
        self.start = time.monotonic()
        self.before = wakes(machine)

    def __call__(self):
        seconds = time.monotonic() - self.start
        timer, other = (a - b for a, b in zip(wakes(self.machine),
                                              self.before))
        return timer, other, seconds


def expect_rest(b, machine, what, limit=10.0, window=WINDOW):
    """At most so many timer wakes a second in a window."""
    count = Wakes(machine)
    time.sleep(window)
    timer, other, seconds = count()
    b.report.say(f'{what}: {timer / seconds:.2f} timer wakes/s, '
                 f'{other / seconds:.2f} others')
    # The window begins and ends between two wakes.
    expect(timer <= limit * seconds + 1,
           f'{timer} timer wakes in {seconds:.1f} s')


def rested(machine):
    """Wait for the steps down to be over: there is no event for it."""
    time.sleep(1.5)
    return machine


# ---- UHCI ---------------------------------------------------------------

def keeps_time(frame, pause):
    """What frame() reads goes on as the clock does, over @pause seconds."""
    before, first, then = time.monotonic(), frame(), time.monotonic()
    time.sleep(pause)
    now, moved, after = (time.monotonic(), (frame() - first) % 2048,
                         time.monotonic())
    # Each was read at some time between two of these.
    least, most = (now - then) * 1000, (after - before) * 1000
    expect(least - 4 <= moved <= most + 4,
           f'{moved} frames in {least:.1f} to {most:.1f} ms')


@group(alone=False)
def uhci_idle(b):
    with contextlib.ExitStack() as stack:
        def machine(**more):
            m = stack.enter_context(b.machine(command(**more)))
            return m, Uhci(m)

        m, hc = machine()
        hc.start()
        with b.report.case('UHCI running with nothing queued rests', 'fails',
                           m):
            expect_rest(b, rested(m), 'UHCI, nothing queued')

        m, hc = machine()
        hc.tablet()
        with b.report.case('UHCI with an idle tablet rests', 'fails', m):
            expect_rest(b, rested(m), 'UHCI, tablet')
        with b.report.case('the frame number is right after a rest',
                           machine=m):
            for pause in (0.05, 0.333, 1.7):
                keeps_time(hc.frame, pause)
        with b.report.case('UHCI stopped does not wake', machine=m):
            hc.stop()
            expect(hc.read(hc.STS) & 0x20, 'it is not halted')
            time.sleep(0.5)
            expect_rest(b, m, 'UHCI, stopped', 0.0 if not b.report.stock
                        else 1.0, 5.0)
        with b.report.case('UHCI goes on after a stop', machine=m):
            hc.start()
            hc.configure()
            hc.arm()
            hc.move(1, 2)
            hc.wait_report()


@group(alone=False)
def uhci_polled(b):
    """Linux: four times a second, for as long as something is plugged."""
    with b.machine(command()) as m, \
            b.report.case('UHCI rests though its root hub is polled',
                          'fails', m):
        hc = Uhci(m)
        hc.tablet()
        end = time.monotonic() + 4.0
        count = None
        for _ in range(int(4 * (WINDOW + 4))):
            hc.poll_ports()
            if not count and time.monotonic() > end:
                count = Wakes(m)
            time.sleep(0.25)
        timer, other, seconds = count()
        b.report.say(f'UHCI, tablet, polled four times a second: '
                     f'{timer / seconds:.2f} timer wakes/s, '
                     f'{other / seconds:.2f} others')
        expect(timer <= 10 * seconds + 1,
               f'{timer} timer wakes in {seconds:.1f} s')


def median(values):
    return sorted(values)[len(values) // 2]


def movements(b, hc, name, n=8, pause=1.2):
    """Move the pointer of a resting machine; each delay in ms."""
    delays = []
    for i in range(n):
        time.sleep(pause + random.random() / 5)
        sent = hc.move(1000 + i, 2000 - i)
        position, came = hc.wait_report()
        expect(position == (1000 + i, 2000 - i),
               f'the guest sees {position}')
        delays.append((came - sent) / 1e6)
    b.report.say(f'{name}: a movement reaches the resting guest after '
                 f'median {median(delays):.1f}, at most {max(delays):.1f} '
                 f'ms')
    return delays


@group(alone=False)
def uhci_movement(b):
    with b.machine(command()) as m, \
            b.report.case('a movement reaches a resting UHCI guest at once',
                          machine=m):
        hc = Uhci(m)
        hc.tablet()
        # Polled every 8 ms.
        delays = movements(b, hc, 'UHCI')
        expect(median(delays) <= 20, f'{median(delays):.1f} ms')
    with b.machine(command()) as m, \
            b.report.case('movements come at the rate of the endpoint',
                          machine=m):
        hc = Uhci(m)
        hc.tablet()
        start = time.monotonic()
        for i in range(100):
            hc.move(i, i)
            expect(hc.wait_report()[0] == (i, i), 'a movement is lost')
        each = (time.monotonic() - start) * 10
        b.report.say(f'UHCI: {each:.1f} ms from movement to movement')
        expect(each <= 24, f'{each:.1f} ms each')


def from_memory(hc, packet, n, pause=1.2):
    """As Linux' uhci_urb_enqueue() does: a control transfer of a resting
    machine of which nothing but memory tells; how long each took in ms."""
    delays = []
    for _ in range(n):
        time.sleep(pause + random.random() / 5)
        start = time.monotonic_ns()
        tds, _ = hc.queue_control(1, packet, 18)
        came = hc.wait_done(lambda: not hc.active(tds[-1]))
        delays.append((came - start) / 1e6)
    return delays


@group(alone=False)
def uhci_clock(b):
    """The frame number, when it is read while work is found."""
    packet = setup_packet(6, 0x100, 0, 18, 0x80)
    for i in range(3):
        with b.machine(command()) as m, \
                b.report.case(f'the frame number is right when a transfer is '
                              f'found in memory, {i + 1}', machine=m):
            hc = Uhci(m)
            hc.tablet()
            rested(m)
            first, then = hc.frame(), time.monotonic()
            time.sleep(1.5)
            tds, _ = hc.queue_control(1, packet, 18)
            while hc.active(tds[-1]):
                expect(time.monotonic() < then + 3, 'it is not done')
                time.sleep(0.0005)
            frame, after = hc.frame(), time.monotonic()
            late = (after - then) * 1000 - (frame - first) % 2048
            b.report.say(f'UHCI: the frame number is {late:.1f} ms behind')
            expect(-4 <= late <= 15, f'{late:.1f} frames')
            keeps_time(hc.frame, 0.05)


@group(alone=False)
def uhci_control(b):
    packet = setup_packet(6, 0x100, 0, 18, 0x80)
    with b.machine(command()) as m:
        hc = Uhci(m)
        hc.tablet()
        with b.report.case('a control transfer starts within 100 ms of '
                           'rest, and soon when the guest did it before',
                           'either', m):
            first, *delays = from_memory(hc, packet, 16)
            b.report.say(f'UHCI: a control transfer that nothing tells of '
                         f'is done after {first:.1f} ms, the next ones after '
                         f'median {median(delays):.1f}, at most '
                         f'{max(delays):.1f} ms')
            expect(first <= 200, f'{first:.1f} ms')
            # One may have met another program.
            expect(median(delays) <= 10 and sorted(delays)[-2] <= 20,
                   f'{[round(d, 1) for d in delays]} ms')
        with b.report.case('such a guest rests again after ten seconds',
                           'fails', m):
            time.sleep(11)
            expect_rest(b, m, 'UHCI, after transfers', window=5.0)
        with b.report.case('control transfers go on at full speed',
                           machine=m):
            time.sleep(1.2)
            hc.control(1, packet, 18)
            start = time.monotonic()
            for _ in range(100):
                hc.control(1, packet, 18)
            each = (time.monotonic() - start) * 10
            b.report.say(f'UHCI: {each:.2f} ms a control transfer')
            expect(each <= 10, f'{each:.2f} ms each')
        with b.report.case('a transfer after a look at a register starts at '
                           'once', machine=m):
            time.sleep(1.2)
            hc.read(hc.STS)
            start = time.monotonic_ns()
            tds, _ = hc.queue_control(1, packet, 18)
            came = hc.wait_done(lambda: not hc.active(tds[-1]))
            b.report.say(f'UHCI: {(came - start) / 1e6:.1f} ms after a look')
            expect(came - start <= 40e6, f'{(came - start) / 1e6:.1f} ms')
        with b.report.case('a transfer after a write to a register starts '
                           'at once', machine=m):
            rested(m)
            for _ in range(8):
                hc.poll_ports()         # looks alone mean nothing any more
                time.sleep(0.25)
            hc.write(hc.INTR, 7)
            start = time.monotonic_ns()
            tds, _ = hc.queue_control(1, packet, 18)
            came = hc.wait_done(lambda: not hc.active(tds[-1]))
            b.report.say(f'UHCI: {(came - start) / 1e6:.1f} ms after a '
                         f'write')
            expect(came - start <= 40e6, f'{(came - start) / 1e6:.1f} ms')


@group(alone=False)
def uhci_interrupts(b):
    """A guest that has itself called twice each time round."""
    slots = (0, 512)
    with b.machine(command()) as m, \
            b.report.case('interrupts of known frames come in their frames',
                          machine=m):
        hc = Uhci(m)
        hc.tablet()
        for slot in slots:
            td = hc.ram.take(16)
            hc.ram.put(td, hc.ram.get(hc.list + slot * 4), 1 << 24, 0, 0)
            hc.ram.put(hc.list + slot * 4, td)
        # Until it is known that nothing follows when the guest looks at the
        # registers.
        for _ in range(12):
            hc.wait_interrupt()
            hc.acknowledge()
        late, count = [], Wakes(m)
        for i in range(20):
            hc.wait_interrupt(1.5)
            frame = hc.frame() % 1024
            hc.acknowledge()
            slot = min(slots, key=lambda s: (frame - s) % 1024)
            late.append((frame - slot) % 1024 - 1)
        timer, _, seconds = count()
        b.report.say(f'UHCI: interrupts {sorted(late)} frames late; '
                     f'{timer / seconds:.2f} timer wakes/s')
        expect(9 <= seconds <= 12, f'20 interrupts took {seconds:.1f} s')
        expect(median(late) <= 3, f'{sorted(late)} frames late')
        if not b.report.stock:
            # Each look of the guest may buy some frames at full rate.
            expect(timer <= 30 * seconds,
                   f'{timer} timer wakes in {seconds:.1f} s')


@group(alone=False)
def uhci_frames(b):
    with b.machine(command()) as m:
        hc = Uhci(m)
        hc.tablet()
        with b.report.case('frames that passed during a rest are caught up '
                           'in order', machine=m):
            for _ in range(6):
                rested(m)
                # For the next 90 frames or so, without touching a register:
                # by their errors the transfers tell when they were done.
                frame = hc.ram.take(16)
                tds = []
                now = hc.frame()
                time.sleep(0.03)
                for ahead in range(8, 128, 24):
                    slot = (now + 30 + ahead) % 1024
                    at = hc.list + slot * 4
                    link = hc.ram.get(at)
                    td = hc.td(hc.IN, 99, 1, 8, frame, 0, hc.IOC, link)
                    hc.ram.put(at, td)
                    tds.append((td, at, link))
                seen = 0
                while seen < len(tds):
                    hc.wait_interrupt(2)
                    hc.acknowledge()
                    done = [not hc.active(td) for td, _, _ in tds]
                    expect(done == sorted(done, reverse=True),
                           f'out of order: {done}')
                    seen = sum(done)
                for td, at, link in tds:
                    expect(hc.ram.get(td + 4) & hc.TIMEDOUT, 'no error')
                    hc.ram.put(at, link)
        with b.report.case('a transfer that looks refused is done all the '
                           'same', machine=m):
            hc.move(7, 8)
            hc.wait_report()
            rested(m)
            # Data comes first, so that nothing tells of it later, and the
            # guest leaves the mark of a refusal in its new transfer.
            hc.ram.put(hc.level[3] + 4, hc.T)
            time.sleep(0.2)
            hc.move(9, 10)
            time.sleep(1.5)
            word = hc.ram.get(hc.report_td + 4)
            hc.ram.put(hc.report_td + 4, word | hc.NAK)
            hc.ram.put(hc.level[3] + 4, hc.report_td)
            expect(hc.wait_report(3)[0] == (9, 10), 'a wrong position')
        with b.report.case('an error in one frame halts the controller',
                           machine=m):
            rested(m)
            slot = (hc.frame() + 300) % 1024
            at = hc.list + slot * 4
            link = hc.ram.get(at)
            hc.ram.put(at, hc.td(0, 1, 1, 8, link=link))
            hc.wait_interrupt(2)
            start = time.monotonic()
            while not hc.read(hc.STS) & 0x20:
                expect(time.monotonic() < start + 1, 'it is not halted')
            late = (time.monotonic() - start) * 1000
            b.report.say(f'UHCI: halted after {late:.1f} ms')
            expect(late <= 50, f'{late:.1f} ms')
            hc.ram.put(at, link)
            hc.acknowledge()
            hc.start()
            hc.configure()
            hc.arm()
        with b.report.case('unplugging the tablet ends its transfer',
                           machine=m):
            rested(m)
            m.qmp().execute('device_del', id='tablet')
            hc.wait_done(lambda: not hc.active(hc.report_td), 2)
            expect(hc.ram.get(hc.report_td + 4) & hc.TIMEDOUT, 'no error')


@group(alone=False)
def uhci_retries(b):
    """What waits is tried again now and then; the device model's trace tells
    when."""
    extra = ('-trace', 'usb_uhci_packet_add')
    with b.machine(command(extra=extra)) as m, \
            b.report.case('a waiting transfer is tried again, however often '
                          'the guest reads registers', machine=m):
        hc = Uhci(m)
        hc.tablet()

        def tries():
            with open(m.log, encoding='utf-8', errors='replace') as log:
                return log.read().count('usb_uhci_packet_add')

        # Until its looks mean nothing any more.
        count = None
        start = time.monotonic()
        while time.monotonic() < start + 4:
            hc.poll_ports()
            time.sleep(0.03)
            if count is None and time.monotonic() > start + 2:
                count = tries()
        count = tries() - count
        b.report.say(f'UHCI: tried {count} times in 2 s')
        expect(count >= 10, f'it was tried {count} times')


@group(alone=False)
def uhci_unplugged(b):
    with b.machine(command(('-device', 'piix3-usb-uhci,id=usb,addr=5',
                            '-device', 'usb-tablet,bus=usb.0'))) as m, \
            b.report.case('a resting UHCI controller can be unplugged',
                          machine=m):
        hc = Uhci(m)
        hc.tablet()
        rested(m)
        m.qmp().execute('device_del', id='usb')
        # The guest ejects slot 5 of bus 0.
        m.guest.outb(0xae10, 0, 4)
        m.guest.outb(0xae08, 1 << 5, 4)
        m.qmp().wait_event('DEVICE_DELETED')
        m.qmp().execute('device_add', driver='piix3-usb-uhci', id='again',
                        addr='5')
        m.qmp().execute('device_add', driver='usb-tablet', bus='again.0')
        hc = Uhci(m)
        hc.tablet()
        hc.move(3, 4)
        expect(hc.wait_report()[0] == (3, 4), 'the new one does not work')


# ---- storage ------------------------------------------------------------

def throughput(b, binary, name):
    """Read 1 MiB from a stick; bytes a second, and what was read."""
    with Machine(b.world, binary, None) as m:
        image = m.path('stick')
        data = random.Random(1).randbytes(1 << 20)
        with open(image, 'wb') as file:
            file.write(data)
        m.start(command(TABLET + (
            '-drive', f'if=none,id=stick,format=raw,file={image}',
            '-device', 'usb-storage,drive=stick,port=2')))
        hc = Uhci(m)
        hc.tablet()
        stick = Stick(hc)
        stick.ready()
        start = time.monotonic()
        for sector in range(0, 2048, 64):
            if stick.read(sector, 64) != data[sector * 512:][:64 * 512]:
                raise Failure(f'wrong data at sector {sector}')
        rate = (1 << 20) / (time.monotonic() - start)
        b.report.say(f'UHCI storage under {name}: {rate / 1e3:.0f} kB/s')
        return rate


@group()
def uhci_storage(b):
    name = 'storage on UHCI is as fast as under stock'
    if not os.access(STOCK, os.X_OK):
        b.report.skip(name, 'no stock build; run make stock')
        return
    with b.report.case(name):
        ours = throughput(b, b.binary, 'this build')
        stock = throughput(b, STOCK, 'stock')
        expect(ours >= 0.75 * stock,
               f'{ours / 1e3:.0f} kB/s, stock {stock / 1e3:.0f} kB/s')


# ---- a saved state ------------------------------------------------------

def restored_rests(b, driver, machine):
    # EHCI steps down a millisecond at a time.
    time.sleep(4 if driver is Ehci else 1.5)
    expect_rest(b, machine, f'{driver.__name__}, restored', window=4.0)


def usb_journey(b, driver, usb, binaries, name):
    with Machine(b.world, binaries[0], command(usb)) as m, \
            b.report.case(name, machine=m):
        hc = driver(m)
        hc.tablet()
        for i, binary in enumerate(binaries[1:]):
            start, frame = time.monotonic(), hc.frame()
            time.sleep(3)
            path = save(m)
            frame += int((time.monotonic() - start) * 1000)
            m.restart(binary, command(usb, incoming=path))
            # It stood still meanwhile, a while of it before the state was
            # written, and has run for a moment since.
            moved = (hc.frame() - frame + 300) % 2048
            expect(moved < 1000, f'the frame number went from '
                                 f'{frame % 2048} to {hc.frame()}')
            if binary != STOCK:
                # Before anything is done with the tablet, and after.
                keeps_time(hc.frame, 0.3)
                restored_rests(b, driver, m)
            hc.move(100 + i, 200 + i)
            expect(hc.wait_report()[0] == (100 + i, 200 + i),
                   f'the tablet is dead after {i + 1} restores')
        if binaries[-1] != STOCK:
            restored_rests(b, driver, m)


@group(alone=False)
def usb_states(b):
    for title, driver, usb in (('UHCI', Uhci, TABLET), ('EHCI', Ehci, EHCI)):
        usb_journey(b, driver, usb, [b.binary] * 3,
                    f'a resting {title} is saved and restored twice')
        name = f'a resting {title} goes from stock to Pulsar and back'
        if not os.access(STOCK, os.X_OK):
            b.report.skip(name, 'no stock build; run make stock')
        elif b.report.stock:
            b.report.skip(name, 'it needs both builds')
        else:
            usb_journey(b, driver, usb, [STOCK, QEMU, STOCK, QEMU], name)


# ---- EHCI ---------------------------------------------------------------

@group(alone=False)
def ehci_idle(b):
    with contextlib.ExitStack() as stack:
        machines = []
        for name, schedules, interrupts in (
                ('periodic', Ehci.PSE, 0x37),
                ('periodic, asynchronous', Ehci.PSE | Ehci.ASE, 0x37),
                ('periodic, rollover interrupt', Ehci.PSE, 0x3f)):
            m = stack.enter_context(b.machine(command(EHCI)))
            hc = Ehci(m)
            hc.tablet(schedules, interrupts)
            machines.append((name, m, hc))
        # It steps down a millisecond at a time.
        time.sleep(4)
        for name, m, hc in machines[:2]:
            with b.report.case(f'EHCI with an idle tablet rests: {name}',
                               'fails', m):
                expect_rest(b, m, f'EHCI, tablet, {name}')
        name, m, hc = machines[2]
        with b.report.case('EHCI calls at each rollover of the frame index, '
                           'and rests', 'fails', m):
            hc.wait_interrupt(2)
            hc.acknowledge()
            late, count = [], Wakes(m)
            for _ in range(10):
                hc.wait_interrupt(2)
                late.append(hc.read(hc.FRINDEX) % 0x2000 / 8)
                hc.acknowledge()
            timer, _, seconds = count()
            b.report.say(f'EHCI, {name}: {timer / seconds:.2f} timer '
                         f'wakes/s; interrupts {sorted(late)} ms late')
            expect(timer <= 10 * seconds + 1,
                   f'{timer} timer wakes in {seconds:.1f} s')
            expect(median(late) <= 3, f'{sorted(late)} ms late')
        _, m, hc = machines[0]
        with b.report.case('the frame index is right after a rest', 'fails',
                           m):
            for pause in (0.033, 0.333, 1.2):
                keeps_time(lambda: hc.read(hc.FRINDEX) % 0x4000 / 8, pause)


@group(alone=False)
def ehci_memory(b):
    """A transfer descriptor linked without a doorbell."""
    packet = setup_packet(6, 0x100, 0, 18, 0x80)
    with b.machine(command(EHCI)) as m, \
            b.report.case('EHCI is looked at as often as under stock once a '
                          'transfer was found in memory', 'fails', m):
        hc = Ehci(m)
        hc.tablet(Ehci.PSE | Ehci.ASE)
        first, *delays = from_memory(hc, packet, 4, 3.0)
        b.report.say(f'EHCI: a control transfer that nothing tells of is '
                     f'done after {first:.1f} ms, the next ones after at '
                     f'most {max(delays):.1f} ms')
        time.sleep(3)
        count = Wakes(m)
        time.sleep(4)
        timer, _, seconds = count()
        b.report.say(f'EHCI: {timer / seconds:.2f} timer wakes/s then')
        expect(timer >= 12 * seconds, f'{timer} in {seconds:.1f} s')
        time.sleep(8)
        # Stock does not.
        expect_rest(b, m, 'EHCI, ten seconds later', window=5.0)


@group(alone=False)
def ehci_movement(b):
    with b.machine(command(EHCI)) as m, \
            b.report.case('a movement reaches a resting EHCI guest at once',
                          machine=m):
        hc = Ehci(m)
        hc.tablet()
        delays = movements(b, hc, 'EHCI', 5, 3.0)
        expect(median(delays) <= 20, f'{median(delays):.1f} ms')


# ---- xHCI ---------------------------------------------------------------

@group(alone=False)
def xhci_idle(b):
    with b.machine(command(XHCI)) as m:
        hc = Xhci(m)
        hc.tablet()
        settle([m.pid])
        with b.report.case('xHCI with an idle tablet does not wake',
                           'either', m):
            expect_rest(b, m, 'xHCI, tablet', 0.0)
        with b.report.case('a movement reaches an xHCI guest at once',
                           machine=m):
            delays = movements(b, hc, 'xHCI', 4, 0.3)
            expect(median(delays) <= 20, f'{median(delays):.1f} ms')
