# SPDX-License-Identifier: GPL-2.0-or-later
"""The wake ledger through QMP, HMP, query-stats and gdb."""

import os
import re
import shutil
import subprocess

from standin import QEMU, expect, settle, xl_command

from . import group

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))
DATA, STATUS = 0x3f8, 0x1f7


def causes(qmp):
    return {c['name']: c for c in qmp.execute('query-wakeups')['causes']}


@group(alone=False)
def monitor(b):
    with b.machine() as m:
        qmp = m.qmp()
        with b.report.case('query-wakeups counts by device', 'fails', m):
            before = causes(qmp)
            for _ in range(20):
                m.guest.inb(STATUS)
            for _ in range(7):
                m.guest.outb(DATA, 0x41)
            for i in range(5):
                m.guest.buffered(0x3c4, i)
                m.guest.inb(STATUS)
            after = causes(qmp)

            def grew(name, what):
                return after[name][what] - before.get(name, {}).get(what, 0)

            expect(grew('pio-read:ide', 'events') == 25, 'reads of the disk')
            expect(grew('pio-write:isa-serial', 'events') == 7,
                   'writes to the serial port')
            expect(grew('bufioreq', 'events') == 5, 'buffered writes')
            expect(grew('qmp:libxl-cmd', 'events') == 1,
                   'query-wakeups itself')
        with b.report.case('a sleeping device model is woken by QMP once',
                           'fails', m):
            expect(settle([m.pid], 1, 5), 'it went on running')
            before = causes(qmp)
            expect(settle([m.pid], 1, 5), 'it went on running')
            after = causes(qmp)
            grown = (after['qmp:libxl-cmd']['wakes'] -
                     before['qmp:libxl-cmd']['wakes'])
            expect(grown == 1, f'{grown} wakes')
        with b.report.case('query-wakeups: wakes are the sum of the causes',
                           'fails', m):
            info = qmp.execute('query-wakeups')
            total = info['total']['wakes']
            got = sum(c['wakes'] for c in info['causes'])
            # The wake that is being served has its cause counted already.
            expect(got == total, f'{got} by cause, {total} in all')
            rows = info['table']
            expect(sum(r['counts']['wakes'] for r in rows) == total,
                   'the rows do not add up')
            expect(rows[0]['seconds'] == 0, 'the first row')
        with b.report.case('query-wakeups: the page is where it says',
                           'fails', m):
            path = qmp.execute('query-wakeups')['page']
            with open(path, 'rb') as f:
                expect(f.read(8) == b'PULSARLG', path)
        with b.report.case('query-wakeups: context switches by thread',
                           'fails', m):
            threads = {t['tid']: t
                       for t in qmp.execute('query-wakeups')['threads']}
            now = {t.name: t for t in os.scandir(f'/proc/{m.pid}/task')}
            expect(set(map(str, threads)) == set(now), sorted(threads))
            before = threads[m.pid]
            for _ in range(50):
                m.guest.inb(STATUS)     # it leaves the processor in between
            after = {t['tid']: t for t in
                     qmp.execute('query-wakeups')['threads']}[m.pid]
            with open(f'/proc/{m.pid}/status', encoding='ascii') as f:
                status = f.read()
            # On a busy machine it may be made to leave before it sleeps.
            kinds = {'voluntary': 'voluntary', 'involuntary': 'nonvoluntary'}
            now = {kind: int(re.search(rf'^{word}_ctxt_switches:\s*(\d+)$',
                                       status, re.M)[1])
                   for kind, word in kinds.items()}
            expect(all(before[k] <= after[k] <= now[k] for k in kinds) and
                   any(before[k] < after[k] for k in kinds),
                   f'{before}, {after}, {now}')
            expect(f'\nName:\t{after["name"]}\n' in '\n' + status, after)
        with b.report.case('info wakeups', 'fails', m):
            text = qmp.hmp('info wakeups')
            expect('pio-read:ide' in text and 'second' in text, text)
            expect(f'({m.pid})' in text, text)
        with b.report.case('query-stats and its schema', 'fails', m):
            stats = qmp.execute('query-stats', target='vm')
            mine = [s for s in stats if s['provider'] == 'pulsar'][0]
            schema = qmp.execute('query-stats-schemas', provider='pulsar')
            names = {s['name'] for s in mine['stats']}
            expect(names == {s['name'] for s in schema[0]['stats']}, names)
            reads = [s['value'] for s in mine['stats']
                     if s['name'] == 'read'][0]
            expect(reads == qmp.execute('query-wakeups')['total']['read'],
                   f'{reads} reads')
            some = qmp.execute('query-stats', target='vm', providers=[
                {'provider': 'pulsar', 'names': ['wakes']}])
            expect([s['name'] for s in some[0]['stats']] == ['wakes'], some)
        with b.report.case('idle after all of it', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


@group(alone=False)
def nothing_unclaimed(b):
    """Coming and going of a viewer, with all that is set up for it."""
    with b.machine() as m, \
            b.report.case('each wake for a viewer has a cause', 'fails', m):
        qmp = m.qmp()
        before = causes(qmp)
        for _ in range(10):
            viewer = m.view()
            viewer.request(incremental=False)
            viewer.update()
            viewer.pointer(5, 5)
            viewer.close()
        after = causes(qmp)
        total = sum(c['wakes'] - before.get(n, {}).get('wakes', 0)
                    for n, c in after.items())
        unclaimed = (after['unclaimed']['wakes'] -
                     before.get('unclaimed', {}).get('wakes', 0)
                     if 'unclaimed' in after else 0)
        b.report.say(f'{unclaimed} of {total} wakes had no cause')
        expect(total >= 20, f'{total} wakes')
        expect(unclaimed * 100 <= total, f'{unclaimed} of {total}')


@group(alone=False)
def drives(b):
    """Requests to a drive: by its name, or by that of its node."""
    with b.machine(command=None) as m:
        for name in 'disk', 'node':
            with open(m.path(name), 'wb') as f:
                f.truncate(65536)
        m.start(xl_command(extra=[
            '-drive', f'file={m.path("disk")},if=none,id=ide-0,format=raw',
            '-blockdev', f'raw,node-name=pv,file.driver=file,'
                         f'file.filename={m.path("node")}']))
        qmp = m.qmp()
        for drive, times in ('ide-0', 3), ('pv', 2):
            with b.report.case(f'block:{drive} is what its requests wake for',
                               'fails', m):
                for _ in range(times):
                    qmp.hmp(f'qemu-io {drive} "aio_read 0 4096"')
                    qmp.hmp(f'qemu-io {drive} "aio_flush"')
                cause = causes(qmp).get(f'block:{drive}', {})
                expect(cause.get('events') == times, cause)


def gdb(target, *commands):
    tree = os.path.dirname(os.path.dirname(os.path.realpath(QEMU)))
    line = ['gdb', '-q', '-batch', '-iex', 'set auto-load safe-path /',
            '-ex', 'handle SIGUSR2 nostop noprint',
            '-x', os.path.join(tree, 'src/scripts/qemu-gdb.py'),
            '-x', os.path.join(ROOT, 'monitor/pulsar-gdb.py'), *target]
    for command in commands:
        line += ['-ex', command]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tree,
                          timeout=120, check=False)
    return done.stdout + done.stderr


@group(alone=False)
def debugger(b):
    if not shutil.which('gdb'):
        b.report.skip('gdb commands', 'gdb is not installed')
        return
    shown = ('qemu wakeups', 'qemu bufioreq', 'qemu pulsar')
    with b.machine(command=xl_command()) as m:
        for i in range(3):
            m.guest.buffered(0x3c4, i)
        m.guest.inb(STATUS)
        core = m.path('core')
        live = gdb(['-p', str(m.pid)], *shown, f'gcore {core}')
        for name, text in (('a live process', live),
                           ('a core file', gdb([QEMU, core], *shown))):
            with b.report.case(f'gdb on {name}: wakeups, bufioreq, pulsar',
                               'fails', m):
                expect('pio-read:ide' in text, text)
                expect('waited for by its event channel' in text, text)
                expect('usb=given' in text, text)
                expect(f'({m.pid})' in text, text)
        os.unlink(core)
