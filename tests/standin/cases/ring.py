# SPDX-License-Identifier: GPL-2.0-or-later
"""The ring of buffered writes: its latency, its wakes, its enemies."""

import json
import os
import select
import signal
import struct
import time

from standin import Failure, Guest, cpu_seconds, expect, settle, xl_command

from . import group, ours
from .state import save

PIO, COPY, VMPORT, CONFIG, TIMEOFFSET, INVALIDATE = 0, 1, 3, 2, 7, 8
SCRATCH = 0x3ff         # COM1's scratch register: keeps what it is given
# µs. Stock waits for up to 100 ms; a busy machine needs a few to wake a process
# that has slept.
AT_ONCE = 10000


def poll_wakes(machine):
    """How often the main loop returned from sleep so far."""
    stat = machine.guest.stat()
    return stat['wakes_fd'] + stat['wakes_timeout']


@group()
def isolated(b):
    with b.machine() as m:
        settle([m.pid], 0.5, 3)
        for gap in (13000, 150000):
            n = 100 if gap < 50000 else 10
            with b.report.case(f'a buffered write every {gap // 1000} ms is '
                               'drained at once',
                               'fails' if gap < 100000 else 'either', m):
                f = m.guest.figures('isolated', n, gap)
                b.report.say(f"drained after median {f['median']:.0f} µs, "
                             f"p99 {f['p99']:.0f} µs (0.2 ms wanted)")
                expect(f['median'] <= AT_ONCE,
                       f"median {f['median']:.0f} µs, {AT_ONCE} allowed")
            with b.report.case(f'a buffered write every {gap // 1000} ms '
                               'costs exactly one wake', 'fails', m):
                # What a preceding case left must not be counted here.
                settle([m.pid], 0.3, 1.5)
                before, count = poll_wakes(m), m.count()
                m.guest.figures('isolated', n, gap)
                time.sleep(0.25)
                wakes = poll_wakes(m) - before
                b.report.say(f'{wakes} wakes for {n} writes; threads '
                             f'{count.threads()}')
                expect(wakes == n, f'{wakes} wakes for {n} writes')


@group()
def stream(b):
    with b.machine() as m:
        with b.report.case('2000 buffered writes at 1 kHz cost at most 28 '
                           'wakes', 'either', m):
            before = poll_wakes(m)
            f = m.guest.figures('stream', 2000, 1000)
            wakes = poll_wakes(m) - before
            b.report.say(f"{wakes} wakes, longest wait {f['max'] / 1000:.1f} "
                         f"ms, median {f['median'] / 1000:.1f} ms")
            expect(wakes <= 28, f'{wakes} wakes')
            expect(f['median'] <= 115000,
                   f"writes waited {f['median']:.0f} µs")
        with b.report.case('after a stream the next isolated write is '
                           'drained at once', 'fails', m):
            settle([m.pid], 0.5, 2)
            m.guest.figures('isolated', 5, 200000)
            f = m.guest.figures('isolated', 11, 50000)
            expect(f['median'] <= AT_ONCE, f"median {f['median']:.0f} µs")
        with b.report.case('after a stream the device model sleeps',
                           'fails', m):
            expect(settle([m.pid], 2, 6), 'it goes on waking')


@group()
def saved_in_a_stream(b):
    """xl pauses the guest, stops the machine and saves; the ring is not in
    the state, and ends with the device model."""
    with b.machine() as m, \
            b.report.case('what a stream has left in the ring is in the '
                          'saved state', 'either', m):
        for turn in range(3):
            for i in range(60):
                m.guest.buffered(SCRATCH, turn * 64 + i + 1)
            path = save(m)
            stat = m.guest.stat()
            left = stat['write_pointer'] - stat['read_pointer']
            expect(left == 0, f'{left} writes were left in the ring')
            m.restart(m.binary, xl_command(incoming=path))
            m.qmp().execute('query-status')
            got = m.guest.inb(SCRATCH)
            expect(got == turn * 64 + 60,
                   f'the register has {got:#x} after the restore')


# The bus master of PIIX' IDE, and where its descriptor table is put.
BMDMA, TABLE, BUFFER = 0xc000, 0x10000, 0x20000


def drains(m):
    """How often the device model has looked into the ring."""
    return m.output().count('pulsar_bufioreq_drain')


@group()
@ours
def nested(b):
    """A driver that gives up a transfer stops the bus master, and QEMU waits
    for the disk inside that very access."""
    disk = ('-blockdev', 'driver=null-co,node-name=slow,size=67108864,'
                         'latency-ns=1500000000',
            '-device', 'ide-hd,drive=slow,bus=ide.0,unit=0',
            '-trace', 'pulsar_bufioreq_drain')
    with b.machine(xl_command(extra=disk)) as m:
        g, helper = m.guest, Guest(m.folder)
        try:
            with b.report.case('the ring is not served from inside a device '
                               'that waits for its disk', machine=m):
                bdf = g.find_pci(0x010180)
                g.config_write(bdf, 0x20, BMDMA)
                g.config_write(bdf, 4, 5, 2)
                g.poke(TABLE, struct.pack('<II', BUFFER, 512 | 1 << 31))
                for port, value in ((0x1f6, 0xe0), (0x1f2, 1), (0x1f3, 0),
                                    (0x1f4, 0), (0x1f5, 0), (0x1f7, 0xc8)):
                    g.outb(port, value)
                g.outb(BMDMA + 4, TABLE, 4)
                settle([m.pid], 0.2, 1)
                first = g.stat()['read_pointer']
                for i in range(511):
                    g.run('ring-slot', (first + i) % 511,
                          slot(PIO, 0, SCRATCH, i & 0xff))
                g.outb(BMDMA, 9)
                before = drains(m)
                g.run('ring-pointers', first, first + 511)
                helper.send('out', 1, 1, BMDMA, 8)
                end = time.monotonic() + 1
                while g.stat()['read_pointer'] != first + 511:
                    expect(time.monotonic() < end, 'the ring is not served')
                time.sleep(0.3)
                expect(drains(m) == before + 1,
                       f'{drains(m) - before} looks into the ring')
                expect(helper_waits(helper), 'the access did not wait')
                helper.finish()
                expect(g.inb(SCRATCH) == 510 & 0xff, 'the wrong write came '
                                                     'last')
        finally:
            helper.close()


def helper_waits(helper):
    """Whether the command that was sent has no answer yet."""
    return not select.select([helper.process.stdout], [], [], 0)[0]


@group()
def flood(b):
    for sync in (0, 1):
        name = 'whose full ring turns into requests' if sync else \
            'that keeps the ring full'
        with b.machine() as m:
            helper = Guest(m.folder)
            try:
                with b.report.case(f'QMP answers during a flood {name}',
                                   'either', m):
                    m.qmp().execute('query-status')
                    helper.send('flood', 1500, sync, 1)
                    end = time.monotonic() + 1.2
                    waits = []
                    while time.monotonic() < end:
                        start = time.monotonic()
                        m.qmp().execute('query-status')
                        waits.append((time.monotonic() - start) * 1000)
                    written = json.loads(helper.finish())['written']
                    waits.sort()
                    b.report.say(f'{written} writes in 1.5 s; QMP median '
                                 f'{waits[len(waits) // 2]:.2f} ms, longest '
                                 f'{waits[-1]:.1f} ms')
                    expect(waits[-1] < 500,
                           f'QMP waited {waits[-1]:.0f} ms')
                    expect(len(waits) > 20,
                           f'only {len(waits)} QMP answers in 1.2 s')
                with b.report.case(f'a request is answered after a flood '
                                   f'{name}', machine=m):
                    expect(m.guest.inb(SCRATCH) == (written - 1) & 0xff,
                           'the last write of the flood is not there')
            finally:
                helper.close()


@group()
def order(b):
    with b.machine() as m:
        g = m.guest
        with b.report.case('a request sees every buffered write before it',
                           machine=m):
            for i in range(2000):
                g.buffered(SCRATCH, i & 0xff)
                got = g.inb(SCRATCH)
                expect(got == i & 0xff, f'write {i} reads back as {got:#x}')
        with b.report.case('so it does in the middle of a stream',
                           machine=m):
            helper = Guest(m.folder)
            try:
                helper.send('stream', 500, 1000)
                for i in range(300):
                    # The ring has one writer at a time in Xen as well.
                    before = g.inb(0x3fd, vcpu=1)
                    expect(before & 0x60 == 0x60, 'the UART is not itself')
                f = json.loads(helper.finish())
                expect(f['median'] <= 115000,
                       f"writes waited {f['median']} µs")
            finally:
                helper.close()
        with b.report.case('writes of 1, 2, 4 and 8 bytes arrive whole',
                           machine=m):
            g.graphics()
            for i, value in enumerate((0x11, 0x2233, 0x44556677,
                                       0x8899aabbccddeeff)):
                addr = 0xa0000 + 16 * i
                g.buffered(addr, value, i, COPY)
                low = g.load(addr, min(1 << i, 4))
                high = g.load(addr + 4) if i == 3 else 0
                expect(low | high << 32 == value,
                       f'{1 << i} bytes {value:#x} arrived as '
                       f'{low | high << 32:#x}')
        with b.report.case('a quad word across the end of the ring arrives '
                           'whole', machine=m):
            s = g.stat()
            at = s['read_pointer'] // 511 * 511 + 510
            g.run('ring-pointers', at, at)
            g.buffered(0xa0100, 0x0123456789abcdef, 3, COPY)
            got = g.load(0xa0100) | g.load(0xa0104) << 32
            expect(got == 0x0123456789abcdef, f'it arrived as {got:#x}')


@group()
def rebase(b):
    with b.machine() as m:
        with b.report.case("Xen's lowering of both pointers loses and "
                           'doubles nothing', machine=m):
            f = m.guest.figures('rebase', 60000)
            b.report.say(f)
            expect(f['arrived'] == 60000 and f['wrong'] == 0,
                   f'{f} instead of 60000 in order')
            # Whoever read but stored the pointer would be beyond a ring.
            expect(f['read_pointer'] < 2 * 511 + 511 * 3,
                   f"the read pointer is {f['read_pointer']}")


def served_or_stopped(b, m, lines_before, cpu_before, log_lines=1):
    """What every hostile case wants of the device model afterwards."""
    qmp_start = time.monotonic()
    expect(m.alive(), f'it died with {m.process.poll()}')
    try:
        status = m.qmp().execute('query-status')
    except (Failure, OSError) as e:
        raise Failure(f'QMP does not answer ({e}); exit code '
                      f'{m.process.poll()}') from None
    waited = time.monotonic() - qmp_start
    expect(waited < 1.5, f'QMP answered after {waited:.1f} s')
    stat = m.guest.stat()
    stopped = not stat['enabled'] or stat['shutdowns'] or \
        not status['running']
    if not stopped:
        f = m.guest.figures('isolated', 3, 1000)
        expect(f['n'] == 3, 'buffered writes are no longer drained')
        m.guest.outb(SCRATCH, 0x3c)
        expect(m.guest.inb(SCRATCH) == 0x3c, 'requests go wrong')
    spent = cpu_seconds(m.pid) - cpu_before
    expect(spent < 1.0, f'it took {spent:.2f} s of processor time')
    said = m.output().splitlines()[lines_before:]
    if log_lines is not None:
        expect(len(said) == log_lines,
               f'{len(said)} lines in the log instead of {log_lines}')
    b.report.say(('stopped' if stopped else 'still serves') +
                 ''.join(f'; log: {line}' for line in said[:3]))


def slot(kind, log2size, addr, data, direction=0, pad=0):
    """One entry of the ring as its 64-bit word."""
    return kind | (pad | direction << 1 | log2size << 2 |
                   addr << 4) << 8 | data << 32


RING_ATTACKS = [
    ('half a quad word', [slot(COPY, 3, 0xa0000, 1)], (0, 1)),
    ('half a quad word after good entries',
     [slot(PIO, 0, SCRATCH, 1), slot(PIO, 0, SCRATCH, 2),
      slot(COPY, 3, 0xa0000, 1)], (0, 3)),
    ('a write pointer 2³¹ ahead', [], (0, 1 << 31)),
    ('a write pointer just behind', [], (10, 9)),
    ('a write pointer one beyond the ring', [], (0, 512)),
    ('a write pointer far ahead of a high read pointer', [],
     (0xfffffff0, 0x7fffffff)),
    ('an unknown type', [slot(0x7f, 0, SCRATCH, 1)], (0, 1)),
    ('a type that needs the VMware port page',
     [slot(VMPORT, 2, 0x5658, 1)], (0, 1)),
    ('a port access of eight bytes',
     [slot(PIO, 3, SCRATCH, 1), slot(PIO, 3, SCRATCH, 0)], (0, 2)),
    ('a config access of eight bytes',
     [slot(CONFIG, 3, 0, 1), slot(CONFIG, 3, 0, 0)], (0, 2)),
]


@group()
def hostile_ring(b):
    for name, slots, pointers in RING_ATTACKS:
        with b.machine() as m, \
                b.report.case(f'hostile ring: {name}', 'fails', m):
            m.qmp()
            lines, cpu = len(m.output().splitlines()), cpu_seconds(m.pid)
            for i, word in enumerate(slots):
                m.guest.run('ring-slot', i, word)
            m.guest.run('ring-pointers', *pointers)
            m.guest.run('ring-notify')
            served_or_stopped(b, m, lines, cpu)
    with b.machine() as m, \
            b.report.case('hostile ring: an entry that claims to read',
                          'either', m):
        m.qmp()
        lines, cpu = len(m.output().splitlines()), cpu_seconds(m.pid)
        m.guest.run('ring-slot', 0, slot(PIO, 0, SCRATCH, 1, direction=1))
        m.guest.run('ring-pointers', 0, 1)
        m.guest.run('ring-notify')
        served_or_stopped(b, m, lines, cpu, log_lines=None)
    with b.machine() as m, \
            b.report.case('hostile ring: the same attack again and again '
                          'does not fill the log', 'fails', m):
        m.qmp()
        lines = len(m.output().splitlines())
        for _ in range(200):
            m.guest.run('ring-slot', 0, slot(0x7f, 0, SCRATCH, 1))
            m.guest.run('ring-pointers', 0, 1)
            m.guest.run('ring-notify')
            # Wait until it has been looked at: requests come behind it.
            if m.guest.stat()['enabled']:
                m.guest.inb(SCRATCH)
        said = m.output().splitlines()[lines:]
        expect(m.alive(), 'it died')
        expect(1 <= len(said) <= 10, f'{len(said)} lines in the log')
    with b.machine() as m, \
            b.report.case('hostile ring: noise in all of it for a second',
                          'fails', m):
        m.qmp()
        m.guest.run('scribble', 0x9e3779b97f4a7c15, 1000)
        expect(m.alive(), f'it died with {m.process.poll()}')
        m.qmp().execute('query-status')
        expect(settle([m.pid], 1, 5), 'it goes on running afterwards')
        lines = len(m.output().splitlines())
        expect(lines < 40, f'{lines} lines in the log')


REQUEST_ATTACKS = [
    # type dir size count df ptr addr data
    ('a port read of size 0', (PIO, 1, 0, 1, 0, 0, SCRATCH, 0)),
    ('a port read of size 3', (PIO, 1, 3, 1, 0, 0, SCRATCH, 0)),
    ('a port write of size 8', (PIO, 0, 8, 1, 0, 0, SCRATCH, 0)),
    ('a port read of huge size', (PIO, 1, 0x7fffffff, 1, 0, 0, SCRATCH, 0)),
    ('a memory read of huge size', (COPY, 1, 0x7fffffff, 1, 0, 0, 0xa0000,
                                    0)),
    ('a memory write of 9 bytes', (COPY, 0, 9, 1, 0, 0, 0xa0000, 0)),
    ('a config read of size 0', (CONFIG, 1, 0, 1, 0, 0, 0, 0)),
    ('a config read of size 3', (CONFIG, 1, 3, 1, 0, 0, 0, 0)),
    ('a config write of huge size', (CONFIG, 0, 1 << 31, 1, 0, 0, 0, 0)),
    ('a config access with a count of 2', (CONFIG, 1, 4, 2, 0, 0, 0, 0)),
    ('an unknown type', (0x55, 1, 4, 1, 0, 0, 0, 0)),
    ('the VMware port without its page', (VMPORT, 1, 4, 1, 0, 0, 0x5658,
                                          0)),
]


@group()
def hostile_requests(b):
    for name, request in REQUEST_ATTACKS:
        with b.machine() as m, \
                b.report.case(f'hostile request: {name}', 'fails', m):
            m.qmp()
            lines, cpu = len(m.output().splitlines()), cpu_seconds(m.pid)
            try:
                m.guest.run('raw', 0, *request, 1000)
            except Failure:
                # Only a server that was stopped may leave it unanswered.
                stat = m.guest.stat()
                expect(m.alive(), f'it died with {m.process.poll()}')
                expect(not stat['enabled'] or stat['shutdowns'],
                       'the request was not answered')
            served_or_stopped(b, m, lines, cpu)
    with b.machine(xl_command(paused=True,
                              extra=('-xen-domid-restrict',))) as m, \
            b.report.case('hostile request: the VMware port without its '
                          'page, restricted', 'fails', m):
        m.qmp().execute('cont')
        lines, cpu = len(m.output().splitlines()), cpu_seconds(m.pid)
        m.guest.run('raw', 0, VMPORT, 1, 4, 1, 0, 0, 0x5658, 0, 1000)
        served_or_stopped(b, m, lines, cpu)
    with b.machine() as m, \
            b.report.case('an event without a request is taken for nothing',
                          machine=m):
        m.qmp()
        lines, cpu = len(m.output().splitlines()), cpu_seconds(m.pid)
        for _ in range(100):
            m.guest.run('notify', 1)
            m.guest.run('notify', 2)
            m.guest.run('ring-notify')
        served_or_stopped(b, m, lines, cpu, log_lines=0)


@group()
def vcpus(b):
    with b.machine(vcpus=4) as m:
        helpers = [Guest(m.folder) for _ in range(4)]
        try:
            with b.report.case('four vCPUs are served at once', machine=m):
                for i, helper in enumerate(helpers):
                    helper.send('time-reads', i, SCRATCH, 2000, 0)
                for helper in helpers:
                    f = json.loads(helper.finish())
                    expect(f['n'] == 2000, f'{f}')
        finally:
            for helper in helpers:
                helper.close()


@group()
def legacy_pages(b):
    with b.machine(command=None) as m, \
            b.report.case('without mappable resources the pages are mapped '
                          'by frame', machine=m):
        m.guest.run('fault', 'xenforeignmemory_map_resource', 0, 1000, 95)
        m.start(xl_command())
        stat = m.guest.stat()
        expect(stat['legacy'] == 1, 'the frames were not asked for')
        m.guest.outb(SCRATCH, 0x77)
        expect(m.guest.inb(SCRATCH) == 0x77, 'requests go wrong')
        expect(m.guest.figures('isolated', 5, 1000)['n'] == 5, '')


@group()
def lost_unmask(b):
    with b.machine() as m, \
            b.report.case('a failed read of the event channel neither spins '
                          'nor kills', machine=m):
        cpu = cpu_seconds(m.pid)
        m.guest.run('fault', 'xenevtchn_pending', 0, 3, 5)
        for _ in range(5):
            m.guest.run('ring-notify')
        m.guest.outb(SCRATCH, 0x21)
        expect(m.guest.inb(SCRATCH) == 0x21, 'requests go wrong')
        expect(cpu_seconds(m.pid) - cpu < 0.5, 'it spun')


@group()
def masked_port(b):
    """The stand-in's own promise: a masked port is silent and pending."""
    with b.machine() as m, \
            b.report.case('events for a port that is masked become one, '
                          'delivered at its unmasking', machine=m):
        settle([m.pid], 0.3, 1)
        os.kill(m.pid, signal.SIGSTOP)
        before = m.guest.stat()['channels'][0]['delivered']
        for _ in range(50):
            m.guest.run('ring-notify')
        after = m.guest.stat()['channels'][0]
        os.kill(m.pid, signal.SIGCONT)
        expect(after['delivered'] == before + 1,
               f"{after['delivered'] - before} deliveries while masked")
        expect(after['state'] == 7, f"state {after['state']}, not bound, "
                                    'masked and pending')
        end = time.monotonic() + 5
        while m.guest.stat()['channels'][0]['delivered'] != before + 2:
            expect(time.monotonic() < end, 'the pending event never came')
            m.guest.inb(SCRATCH)
