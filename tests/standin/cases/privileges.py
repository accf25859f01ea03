# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left when privileges end, and whose page is whose."""

import collections
import contextlib
import ctypes
import fcntl
import os
import re
import signal
import stat
import struct
import time

from standin import STOCK, Machine, expect, require, xl_command

from . import group, ours
from .launchers import (CLONE_NEWNS, confine, new_libxl, old_libxl, unshare,
                        xenopsd)
from .observe import causes

STATE, DOMID, PID = 248, 60, 64     # offsets in a page
CAUSES, CAUSE_SIZE, LAST = 4096, 128, 96
RUNNING, EXITED = 2, 3
MS_REC, MS_PRIVATE = 0x4000, 0x40000


# ---- descriptors ------------------------------------------------------------

def kinds(pid):
    """How many descriptors a process has of each kind."""
    count = collections.Counter()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        path = f'/proc/{pid}/fd/{fd}'
        target = os.readlink(path)
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            target = f'folder {target}'
        elif target[0] != '/':
            target = re.sub(r':\[\d+\]$', '', target)
        elif not stat.S_ISCHR(mode):
            target = os.path.basename(target)
        count[target] += 1
    return count


# The other side of a pty, and how to hear of who opens it.
PTY = re.compile(r'/dev/pts/\d+$|anon_inode:inotify$')


def surplus(machine, other):
    """What one has and the other has not, but for what a pty needs."""
    more = kinds(machine.pid) - kinds(other.pid)
    for what in list(more):
        here = what.replace(machine.folder, '')
        if PTY.match(what) or here == 'folder ':
            del more[what]      # the stand-in's own folder is one
    return dict(more)


def no_folder(machine, pid=None):
    folders = [w for w in kinds(pid or machine.pid) if w.startswith('folder ') and
               w != f'folder {machine.folder}']
    expect(not folders, f'open: {folders}')


LINES = (
    ('libxl 4.17 to 4.19, dm_restrict=1', old_libxl(), None),
    ('libxl 4.20, dm_restrict=1', new_libxl(), None),
    ('libxl, not restricted', xl_command(paused=True), None),
    ('xenopsd, compat profile', xenopsd('compat'), confine),
    ('xenopsd, uefi profile', xenopsd('uefi'), confine),
)


@group(alone=False)
@ours
def descriptors(b):
    require(STOCK, 'run make stock')
    for name, command, preexec in LINES:
        with b.machine(command=None) as m, \
                b.report.case(f'{name}: no folder is open', 'fails', m):
            m.start(command, preexec=preexec)
            m.qmp()
            no_folder(m)
            with open(f'/proc/{m.pid}/maps', encoding='ascii') as f:
                expect('.ledger' in f.read(), 'it has no page at all')
        if preexec:
            continue            # stock does not know that command line
        if command is LINES[0][1]:
            command = LINES[1][1]   # stock knows only the newer words
        with b.machine(command=None) as m, \
                Machine(b.world, STOCK, None) as other, \
                b.report.case(f'{name}: no descriptor that stock has not',
                              'fails', m):
            m.start(command)
            m.qmp()
            other.start(command)
            other.qmp()
            more = surplus(m, other)
            # Stock shows the picture by a descriptor, and is none the worse.
            expect(not more, f'it has {more} more')


# ---- pages ------------------------------------------------------------------

def rundir(machine):
    """A folder of its own for the pages; others may be told of it."""
    machine.env['PULSAR_RUNDIR'] = machine.path('run')
    os.makedirs(machine.path('run'), exist_ok=True)
    return machine.path('run')


def page_of(machine, folder):
    return os.path.join(folder, f'{machine.domid}.ledger')


def field(path, offset):
    with open(path, 'rb') as f:
        return struct.unpack_from('<i', f.read(), offset)[0]


def is_held(path):
    with open(path, 'rb') as f:
        try:
            fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


def owner(path):
    """Who holds the page, as the kernel has it."""
    with open('/proc/locks', encoding='ascii') as f:
        return [int(pid) for pid in re.findall(
            rf'FLOCK .* WRITE (\d+) \S*:{os.stat(path).st_ino} ', f.read())]


def wait_gone(path, seconds=20):
    end = time.monotonic() + seconds
    while os.path.exists(path):
        expect(time.monotonic() < end, f'{path} is still there')
        time.sleep(0.05)


@group(alone=False)
@ours
def daemon(b):
    """The page belongs to the daemon, not to who started it."""
    with b.machine(command=None) as m, \
            b.report.case("-daemonize: the page is the daemon's", 'fails', m):
        path = page_of(m, rundir(m))
        m.start(xl_command(paused=True, extra=(
            '-daemonize', '-pidfile', m.path('pid'))), wait=False)
        expect(m.wait_exit() == 0, m.output())
        with open(m.path('pid'), encoding='ascii') as f:
            pid = int(f.read())
        try:
            expect(is_held(path), 'nobody holds the page')
            expect((field(path, PID), field(path, STATE)) == (pid, RUNNING),
                   f'page of {field(path, PID)}, daemon {pid}')
            expect(owner(path) == [pid], f'locked by {owner(path)}')
            no_folder(m, pid)
            m.qmp().execute('quit')
            wait_gone(path)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with b.machine(command=None) as m, \
            b.report.case('-daemonize with a page that cannot be: said, '
                          'exit 1', 'fails', m):
        m.start(xl_command(paused=True, extra=(
            '-daemonize', '-pulsar', 'ledger=/proc/no/page')), wait=False)
        expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
        expect('/proc/no' in m.output(), m.output())


def small_folder(path):
    """In the child: a folder of its own that has no room for a page."""
    libc = ctypes.CDLL(None, use_errno=True)

    def go():
        if unshare(CLONE_NEWNS) or \
                libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None) or \
                libc.mount(b'none', path.encode(), b'tmpfs', 0,
                           b'size=64k'):
            raise OSError(ctypes.get_errno(), 'mount')
    return go


@group(alone=False)
@ours
def no_room(b):
    for name, command in (('started', xl_command()),
                          ('restricted', new_libxl())):
        with b.machine(command=None) as m, \
                b.report.case(f'/run is full, {name}: one line, no page, the '
                              'guest runs', 'fails', m):
            folder = rundir(m)
            m.start(command, preexec=small_folder(folder))
            m.qmp().execute('cont')
            expect(m.guest.inb(0x3fd) & 0x60 == 0x60, 'it does not answer')
            said = [line for line in m.output().splitlines()
                    if 'not shown' in line]
            expect(len(said) == 1 and f'{m.domid}.ledger' in said[0] and
                   'No space' in said[0], m.output())
            expect(m.qmp().execute('query-wakeups')['total']['read'] > 0,
                   'it does not count')
            if name == 'started':
                left = os.listdir(f'/proc/{m.pid}/root{folder}')
                expect(left == [], f'left behind: {left}')


def wait_status(machine, status):
    end = time.monotonic() + 20
    while machine.qmp().execute('query-status')['status'] != status:
        expect(time.monotonic() < end, f'it is not {status}')


@group(alone=False)
@ours
def ended_pages(b):
    """Whose pages the next device model removes, and whose not."""
    with b.machine(command=None) as quits, b.machine(command=None) as off, \
            b.machine(command=None) as killed, \
            b.machine(command=None) as destroyed, \
            b.machine(command=None) as lives, \
            b.machine(command=None) as new:
        folder = rundir(new)
        all_ = (quits, off, killed, destroyed, lives)
        for m in all_:
            m.env['PULSAR_RUNDIR'] = folder
            m.start(new_libxl())
            m.qmp().execute('cont')
        with b.report.case('restricted, quit: the page says it has ended',
                           'fails', quits):
            quits.qmp().execute('quit')
            expect(quits.wait_exit() == 0, 'it crashed')
            expect(field(page_of(quits, folder), STATE) == EXITED, 'not so')
        with b.report.case('restricted, powered off and then killed: the '
                           'page says it has ended', 'fails', off):
            off.guest.power_off()
            wait_status(off, 'shutdown')
            off.stop()
            expect(field(page_of(off, folder), STATE) == EXITED, 'not so')
        with b.report.case('powered off and started again: the page says '
                           'that it runs', 'fails', lives):
            lives.guest.power_off()
            wait_status(lives, 'shutdown')
            expect(field(page_of(lives, folder), STATE) == EXITED, 'before')
            lives.qmp().execute('system_reset')
            wait_status(lives, 'prelaunch')
            lives.qmp().execute('cont')
            expect(field(page_of(lives, folder), STATE) == RUNNING, 'after')
        for m in killed, destroyed:
            m.stop()
            expect(field(page_of(m, folder), STATE) == RUNNING, 'the state')
        destroyed.xenstore.remove(f'/local/domain/{destroyed.domid}')
        leftover = os.path.join(folder, f'.{off.domid}.ledger.1')
        with open(leftover, 'wb') as f:
            f.truncate(81920)
        # Its contents are not believed about others.
        with open(page_of(lives, folder), 'r+b') as f:
            f.seek(DOMID)
            f.write(struct.pack('<i', killed.domid))
            f.seek(STATE)
            f.write(struct.pack('<i', EXITED))
        new.start(xl_command())
        left = set(os.listdir(folder))
        for m, name, stays in (
                (quits, 'one that quit', False),
                (off, 'one whose guest was powered off', False),
                (destroyed, 'one killed with its domain', False),
                (killed, 'one killed while its domain lives', True),
                (lives, 'one that lives and says it does not', True),
                (new, 'its own', True)):
            with b.report.case(f'a device model that starts '
                               f'{"leaves" if stays else "removes"} the page '
                               f'of {name}', 'fails', m):
                expect((f'{m.domid}.ledger' in left) == stays,
                       f'there are {left}')
        with b.report.case('a device model that starts removes what never '
                           'became a page', 'fails'):
            expect(not [n for n in left if n[0] == '.'], f'{left}')


@group(alone=False)
@ours
def who_may_read(b):
    with b.machine(command=None) as m, \
            b.report.case('the page: 0640, group of its folder, whatever '
                          'the umask', 'fails', m):
        folder = rundir(m)
        os.chown(folder, 0, 4242)
        m.start(xl_command(), preexec=lambda: os.umask(0o077))
        st = os.stat(page_of(m, folder))
        expect((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) ==
               (0o640, 0, 4242), f'{st}')
    with b.machine(command=None) as m, \
            b.report.case('the page: times are whole milliseconds', 'fails',
                          m):
        folder = rundir(m)
        m.start(xl_command())
        for i in range(20):
            m.guest.inb(0x60)       # the keyboard's data port
        with open(page_of(m, folder), 'rb') as f:
            page = f.read()
        start = struct.unpack_from('<Q', page, 72)[0]
        last = [struct.unpack_from('<Q', page, 264)[0]] + [
            struct.unpack_from('<Q', page, CAUSES + i * CAUSE_SIZE + LAST)[0]
            for i in range(struct.unpack_from('<I', page, 256)[0])]
        exact = [t for t in last if t and (t - start) % 1000000]
        expect(len(last) > 5 and not exact, f'{exact}')


@group(alone=False)
@ours
def guest_names(b):
    """A guest's own writes, 500 of them, as in its front-end directory."""
    with b.machine(command=None) as m, \
            b.report.case('500 nodes below a front end are one cause, and '
                          'others are told apart as before', 'fails', m):
        front = f'/local/domain/{m.domid}/device/vkbd/0'
        back = f'/local/domain/0/backend/vkbd/{m.domid}/0'
        for key, value in (('frontend-id', m.domid), ('online', 1),
                           ('state', 1), ('frontend', front)):
            m.xenstore.write(f'{back}/{key}', value)
        m.start(xl_command())
        q = m.qmp()
        before = causes(q)
        for i in range(500):
            m.xenstore.write(f'{front}/n{i}', i)
        end = time.monotonic() + 20
        while True:
            after = causes(q)
            vkbd = (after.get('xenstore:vkbd', {}).get('events', 0) -
                    before.get('xenstore:vkbd', {}).get('events', 0))
            if vkbd >= 500 or time.monotonic() > end:
                break
        new = set(after) - set(before)
        expect(vkbd >= 500, f'{vkbd} of 500; new: {sorted(new)[:20]}')
        expect(len(new) < 20, f'{len(new)} new causes')
        m.guest.inb(0x1f7)
        expect('pio-read:ide' in causes(q), 'a later one is not told')
        expect('overflow' not in causes(q), 'it overflows')


@group(alone=False)
@ours
def jailed_threads(b):
    with b.machine(command=None) as m, \
            b.report.case('query-wakeups in a jail: the main thread\'s '
                          'switches', 'fails', m):
        m.start(new_libxl())
        m.qmp().execute('cont')
        before = m.qmp().execute('query-wakeups')['threads']
        for _ in range(50):
            m.guest.inb(0x1f7)
        after = m.qmp().execute('query-wakeups')['threads']
        expect([t['tid'] for t in after] == [m.pid], f'{after}')
        expect(after[0]['voluntary'] + after[0]['involuntary'] >
               before[0]['voluntary'] + before[0]['involuntary'],
               f'{before}, {after}')
