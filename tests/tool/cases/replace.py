# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar replace, with real device models of which the stand-in plays the
guests."""

import collections
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from harness import case, check, equal, OK, SANITISED, Skip, SYSTEM
from cases.real import load, standin, STANDIN

PvDisk = load('pvdisk', os.path.join(STANDIN, 'pvdisk.py')).PvDisk

LIBXEN = os.path.join(standin.HELPERS, 'libxen.so')
SCRATCH = 0x3ff         # a byte that the serial port keeps


def preload(tool):
    """Xen's libraries, behind the one that has to come first."""
    if tool != SANITISED:
        return LIBXEN
    asan = subprocess.run(['cc', '-print-file-name=libasan.so'], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    return f'{os.path.realpath(asan)} {LIBXEN}'


class Place:
    """One domain, its device model, and the command beside it."""

    def __init__(self, host, world, binary, **more):
        self.host, self.world = host, world
        more.setdefault('vnc', 'unix:{folder}/vnc')
        os.makedirs(os.path.join(host.dir, 'jail'), exist_ok=True)
        os.chmod(host.dir, 0o755)
        self.machine = standin.Machine(
            world, binary, None, memory=32, vcpus=more.pop('vcpus', 2),
            env={'PULSAR_RUNDIR': host.rundir})
        self.start(more)
        host.env['XENSTORED_PATH'] = world.xenstored.path
        self.env = {'STANDIN_DIR': self.machine.folder,
                    'LD_PRELOAD': preload(host.tool)}

    def start(self, more):
        m = self.machine
        more.pop('before', lambda m: None)(m)
        preexec = more.pop('preexec', None)
        m.start(standin.xl_command(**more), preexec=preexec)
        if more.get('paused'):
            m.qmp().execute('cont')
        home = f'/local/domain/{m.domid}'
        m.xenstore.write(home + '/vm', f'/vm/{m.domid:036}')
        m.xenstore.write(home + '/image/device-model-pid', m.pid)
        m.xenstore.write(home + '/serial/0/tty', m.pty())
        m.qmp_connection.close()
        m.qmp_connection = None

    def pid(self):
        return int(self.machine.xenstore.read(
            f'/local/domain/{self.machine.domid}/image/device-model-pid'))

    def program(self):
        return os.path.realpath(f'/proc/{self.pid()}/exe')

    def left(self):
        return os.path.exists(os.path.join(
            self.host.rundir, f'{self.machine.domid}.replace'))

    def replace(self, binary, *args, code=OK, env=(), **more):
        return self.host.run('replace', '--with', binary,
                             *args, self.machine.domid, code=code,
                             env={**self.env, **dict(env)}, **more)

    def close(self):
        for pid in keepers(self):
            os.kill(pid, 9)
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(self.pid(), 9)
        self.machine.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


BUILDING = threading.Lock()


def new_world():
    with BUILDING:          # the stand-in, when it has changed
        standin.build_helpers()
    return standin.World()


@contextlib.contextmanager
def place(host, binary=standin.QEMU, **more):
    world = new_world()
    try:
        with Place(host, world, binary, **more) as p:
            yield p
    finally:
        world.close()


@contextlib.contextmanager
def disks_place(host, binary=standin.QEMU, orders=(0,), **more):
    """With PV disks whose front ends are connected, and the disks."""
    disks = []

    def make(m):
        disks.extend(PvDisk(m, i, order) for i, order in enumerate(orders))

    with place(host, binary, before=make, vcpus=4, **more) as p:
        try:
            for disk in disks:
                disk.connect()
            yield p, disks
        finally:
            for disk in disks:
                disk.close()


STOP = 0x1000           # a byte that ends the work on the disks


@contextlib.contextmanager
def at_work(p, disks):
    """Front ends work meanwhile; in the end all of each disk is compared.
    Gives a dictionary that has their figures then."""
    figures = {}
    p.machine.guest.poke(STOP, b'\0')
    for disk in disks:
        disk.guest.send('disk-work', 0, STOP)
    try:
        yield figures
    finally:
        p.machine.guest.poke(STOP, b'\1')
        p.machine.guest.run('paused', 0)        # where a case has failed
        for disk in disks:
            figures[disk.number] = standin.json.loads(disk.guest.finish())


def copies(p):
    return p.machine.guest.calls('xengnttab_grant_copy')


@case(sanitised=True)
def a_device_model_is_replaced_and_back(host):
    with place(host) as p:
        guest = p.machine.guest
        guest.outb(SCRATCH, 0x5a)
        for byte, binary in enumerate((standin.QEMU, standin.STOCK,
                                       standin.QEMU)):
            before = p.pid()
            result = p.replace(binary, '--json').json()
            equal(result['result'], 'replaced', result)
            equal((result['before'], result['after']), (before, p.pid()),
                  'processes')
            equal(p.program(), os.path.realpath(binary), 'program')
            equal(guest.inb(SCRATCH), byte or 0x5a, 'a byte')
            guest.outb(SCRATCH, byte + 1)
            check(not p.left(), 'something is left')
            print(f'# stood still for {result["paused_ms"]} ms')


def at_rest(p, byte, about):
    """The guest has a device model and is not paused, and nothing is left."""
    check(p.machine.guest.inb(SCRATCH) == byte, f'{about}: a byte is lost')
    check(not p.left(), f'{about}: something is left')
    equal(processes(p), [p.pid()], f'{about}: device models')
    equal(keepers(p), [], f'{about}: keepers')


def processes(p, comm=None):
    """Those that live and belong to the domain."""
    found = []
    for number in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            with open(f'/proc/{number}/environ', 'rb') as f:
                ours = f'STANDIN_DIR={p.machine.folder}\0'.encode() in f.read()
            with open(f'/proc/{number}/comm', encoding='ascii') as f:
                name = f.read().strip()
            if ours and (name == comm if comm else name.startswith('qemu')):
                found.append(int(number))
    return found


def keepers(p):
    return processes(p, 'pulsar-keeper')


def cuts(p):
    """In how many places a replacement can be cut short."""
    p.replace(standin.QEMU)
    return p.machine.guest.stat()['cuts']


@case
def killed_at_every_step_it_is_finished_or_taken_back(host):
    """By SIGKILL before each call of Xen's and xenstore's libraries, each
    line to a device model, each fork, each entry in the journal; the guest has a PV disk."""
    outcomes = collections.Counter()
    with disks_place(host) as (p, (disk,)):
        for step in range(1, cuts(p) + 1):
            p.machine.guest.outb(SCRATCH, step & 0xff)
            child = host.start('replace', '--with', standin.QEMU,
                               p.machine.domid,
                               env={**p.env, 'STANDIN_DIE_AT': str(step)})
            child.communicate(timeout=120)
            if child.returncode == OK:
                break       # it took fewer this time
            equal(child.returncode, -9, f'step {step}')
            result = p.replace(standin.QEMU, '--json', code=None).json()
            about = f'killed at step {step}, then {result}'
            check(result['result'] in ('replaced', 'finished'),
                  f'{about}\n{p.machine.complaint()}\n'
                  f'{processes(p)}')
            outcomes[result['result']] += 1
            at_rest(p, step & 0xff, about)
            disk.work(20)
    print(f'# {step} steps: {dict(outcomes)}')
    check(step > 50 and len(outcomes) == 2, f'{step} steps, only {outcomes}')


@case
def whatever_fails_the_guest_goes_on(host):
    """Each of the same calls fails once."""
    outcomes = collections.Counter()
    with disks_place(host) as (p, (disk,)):
        for step in range(1, cuts(p) + 1):
            p.machine.guest.outb(SCRATCH, step & 0xff)
            before = p.pid()
            result = p.replace(standin.QEMU, '--json', code=None,
                               env={'STANDIN_FAIL_AT': str(step)})
            if not result.out:
                outcomes['said'] += 1       # not even the VM was found
                continue
            result = result.json()
            outcomes[result['result']] += 1
            about = f'step {step} failed: {result}'
            if result['result'] == 'lost':
                check(p.left(), f'{about}: nothing to go by is left')
                check(p.replace(standin.QEMU, '--json').json()['result'] in
                      ('replaced', 'finished'), about)
            elif result['result'] in ('refused', 'kept'):
                equal(p.pid(), before, about)
            at_rest(p, step & 0xff, about)
            disk.work(20)
    print(f'# {step} steps: {dict(outcomes)}')
    check({'refused', 'kept', 'back', 'replaced'} <= set(outcomes), outcomes)


@case
def a_guest_at_work_loses_nothing(host):
    """It writes and reads a byte, by requests and into the ring, which stock
    reads up to 100 ms late, while its device model is exchanged."""
    with place(host, standin.STOCK) as p:
        guest, end, done = p.machine.guest, threading.Event(), [0]
        problems = []

        def work():
            byte = 0
            while not end.is_set():
                byte = (byte + 1) & 0xff
                if byte % 2:
                    guest.outb(SCRATCH, byte)
                else:
                    guest.buffered(SCRATCH, byte)
                    if byte % 64 == 0:
                        time.sleep(0.05)    # for it to be late
                have = guest.inb(SCRATCH)
                if have != byte:
                    problems.append(f'{have} instead of {byte}')
                    return
                done[0] += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for i in range(8):
                before = done[0]
                result = p.replace((standin.QEMU, standin.STOCK)[i % 2],
                                   '--json').json()
                equal(result['result'], 'replaced', result)
                print(f'# stood still for {result["paused_ms"]} ms')
                while done[0] < before + 100 and not problems:
                    time.sleep(0.001)
        finally:
            end.set()
            thread.join()
        equal(problems, [], 'lost or doubled')
        check(done[0] > 800, f'{done[0]} rounds')


@case
def what_was_told_to_it_since_its_start_is_kept(host):
    with place(host, vnc='127.0.0.1:0,to=99') as p:
        m, medium = p.machine, os.path.join(p.machine.folder, 'a,b.iso')
        with open(medium, 'wb') as f:
            f.truncate(1 << 16)
        before = m.qmp().execute('query-vnc')['service']
        m.qmp().execute('blockdev-change-medium', id='ide-5632',
                        filename=medium, format='raw')
        m.qmp_connection.close()
        for _ in range(2):
            m.qmp_connection = None
            p.replace(standin.QEMU)
            # By the toolstack's socket, which it had been given open.
            equal(m.qmp().execute('query-vnc')['service'], before, 'VNC port')
            drive, = m.qmp().execute('query-block')
            equal(drive['inserted']['file'], medium, 'medium')
            equal(m.xenstore.read(f'/local/domain/{m.domid}/serial/0/tty'),
                  m.pty(), 'serial port')
            m.qmp().execute('eject', id='ide-5632', force=True)
            drive, = m.qmp().execute('query-block')
            check('inserted' not in drive and drive['tray_open'], drive)
            m.qmp_connection.close()
            m.qmp_connection = None
            p.replace(standin.QEMU)
            drive, = m.qmp().execute('query-block')
            check('inserted' not in drive and drive['tray_open'], drive)
            m.qmp().execute('blockdev-change-medium', id='ide-5632',
                            filename=medium, format='raw')
            m.qmp_connection.close()
        with open(f'/proc/{p.pid()}/cmdline', 'rb') as f:
            words = f.read().split(b'\0')
        equal((words.count(b'-S'), words.count(b'-incoming')), (1, 1), words)


@case
def the_old_program_is_started_again_though_it_was_removed(host):
    with place(host) as p:
        old = os.path.join(host.dir, 'qemu-old')
        shutil.copy(standin.QEMU, old)
        p.replace(old)
        os.unlink(old)
        p.machine.guest.outb(SCRATCH, 7)
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            1, 5)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'back', result)
        at_rest(p, 7, 'taken back')
        check(p.program().startswith(old), p.program())
        equal(p.replace(standin.QEMU, '--json').json()['result'], 'replaced',
              'the next')
        at_rest(p, 7, 'replaced')


@case
def where_neither_can_be_started_the_next_run_goes_on(host):
    with place(host) as p:
        p.machine.guest.outb(SCRATCH, 9)
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            2, 5)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'lost', result)
        check(p.left(), 'nothing is left')
        check('broken off' in p.replace(standin.QEMU, '--dry-run',
                                        code=SYSTEM).out, 'a dry run')
        result = p.replace(standin.QEMU, '--json').json()
        equal(result['result'], 'finished', result)
        at_rest(p, 9, 'finished')


@case
def a_state_that_is_out_of_date_is_not_loaded(host):
    """Somebody let the guest run after an exchange was broken off."""
    with place(host) as p:
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            2, 5)
        p.replace(standin.QEMU, code=SYSTEM)
        p.machine.guest.run('paused', 0)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'lost', result)
        check('was let run' in result['error'], result)
        equal((p.left(), processes(p), keepers(p)), (False, [], []),
              'what is left')


@case
def one_that_somebody_paused_stays_paused(host):
    with place(host) as p:
        p.machine.guest.outb(SCRATCH, 4)
        p.machine.guest.run('paused', 1)
        p.replace(standin.QEMU)
        result = host.run('replace', '--dry-run', '--with', standin.QEMU,
                          p.machine.domid, env=p.env)
        check('can be replaced' in result.out, result.out)
        equal(p.machine.guest.stat()['paused'], 1, 'paused')
        p.machine.guest.run('paused', 0)
        at_rest(p, 4, 'let go on')


def refused(p, words, *args, **more):
    """Refused by a sentence, and the device model has not noticed."""
    before = p.pid()
    result = p.replace(more.pop('binary', standin.QEMU), *args, '--json',
                       code=SYSTEM, **more).json()
    equal(result['result'], 'refused', result)
    check(words in result['error'], f'{words}: {result}')
    at_rest(p, p.machine.guest.inb(SCRATCH), words)
    equal(p.pid(), before, words)


@case
def what_cannot_be_handed_over_is_refused(host):
    with place(host) as p:
        m = p.machine
        home = f'/local/domain/{m.domid}'
        back = f'/local/domain/0/backend/qdisk/{m.domid}/768'
        front = f'{home}/device/vbd/768'
        m.xenstore.write(back + '/frontend', front)
        for there, here in ('4', '2'), ('3', '4'), ('5', '4'), ('2', '1'):
            m.xenstore.write(front + '/state', there)
            m.xenstore.write(back + '/state', here)
            refused(p, 'PV disk 768 (qdisk), which is just being connected')
        for end in front, back:
            m.xenstore.write(end + '/state', '4')
        refused(p, 'names no ring')
        m.xenstore.write(front + '/ring-ref', '1000000')
        refused(p, 'a ring that cannot be mapped')
        m.xenstore.write(front + '/state', '1')
        m.xenstore.write(back + '/state', '2')
        for kind, what in (('console', 'PV console'), ('vfb', 'frame buffer'),
                           ('qnic', 'network card')):
            other = f'/local/domain/0/backend/{kind}/{m.domid}/1'
            m.xenstore.write(other + '/frontend', f'{home}/device/{kind}/1')
            m.xenstore.write(f'{home}/device/{kind}/1/type', 'ioemu')
            m.xenstore.write(f'{home}/device/{kind}/1/state', '4')
            refused(p, what)
            m.xenstore.remove(other)
        refused(p, 'does not say that it is a QEMU', binary='/bin/true')
        refused(p, 'cannot be opened', binary='/nowhere')
        other = m.qmp()
        other.execute('stop')
        refused(p, 'stopped')
        other.execute('cont')
        other.execute('device_add', driver='usb-mouse', id='mouse')
        refused(p, 'mouse')
        other.execute('device_del', id='mouse')
        other.wait_event('DEVICE_DELETED')
        other.execute('device_add', driver='usb-wacom-tablet')
        refused(p, 'cannot be saved')
        other.close()
        m.qmp_connection = None
        number = m.xenstore.read(home + '/image/device-model-pid')
        m.xenstore.write(home + '/qemu-pid', number)
        m.xenstore.remove(home + '/image/device-model-pid')
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        check('xenopsd' in result['error'], result)
        m.xenstore.write(home + '/image/device-model-pid', '1')
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        check('is none' in result['error'], result)
        m.xenstore.write(home + '/image/device-model-pid', number)
        m.xenstore.write(f'{home}/image/device-model-pid', number)


@case
def its_own_disk_back_end_waits_for_the_front_end_again(host):
    """As of a CD drive that xl gives a guest, whose PV driver leaves it."""
    with place(host) as p:
        m = p.machine
        back = f'/local/domain/0/backend/qdisk/{m.domid}/5632'
        front = f'/local/domain/{m.domid}/device/vbd/5632'
        m.xenstore.write(back + '/frontend', front)
        m.xenstore.write(front + '/state', '1')
        m.xenstore.write(back + '/state', '4')
        p.replace(standin.QEMU)
        # What is written here is not enough for one to be made of it.
        equal(m.xenstore.read(back + '/state'), '1', 'state')


@case
def one_at_a_time_is_at_it(host):
    with place(host) as p:
        folder = os.path.join(host.rundir, f'{p.machine.domid}.replace')
        os.mkdir(folder, 0o700)
        with open(os.path.join(folder, 'lock'), 'wb') as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
            check('is at it' in result['error'], result)
        p.replace(standin.QEMU)
        check(not p.left(), 'something is left')


@case
def several_are_replaced_one_line_each(host):
    world = new_world()
    with contextlib.ExitStack() as stack:
        stack.callback(world.close)
        first = stack.enter_context(Place(host, world, standin.QEMU))
        second = stack.enter_context(Place(host, world, standin.QEMU))
        # The second cannot be seen from the first one's Xen.
        result = host.run('replace', '--all', '--dry-run', '--with',
                          standin.QEMU, env=first.env, code=SYSTEM)
        said = subprocess.run([standin.QEMU, '-version'], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        version = re.match(r'QEMU emulator version (\d+\.\d+)\.', said)[1]
        check('standin-1 (domain 1): can be replaced (QEMU '
              f'{version} by {version})' in result.out and 'standin-2 (domain 2): refused: ' in result.out
              and '2 VMs: 1 can be replaced, 1 not, 0 not tried' in
              result.out, result.out)
        before = first.pid(), second.pid()
        result = host.run('replace', '--all', '-j', 2, '--json', '--with',
                          standin.QEMU, env=first.env, code=SYSTEM)
        equal(sorted(r['result'] for r in result.jsons()),
              ['refused', 'replaced'], 'results')
        check(first.pid() != before[0] and second.pid() == before[1],
              'processes')
        # No other is begun after one that cannot be brought back.
        first.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server',
                                0, 2, 5)
        result = host.run('replace', '--all', '--with', standin.QEMU,
                          env=first.env, code=SYSTEM)
        check('domain 1): lost: ' in result.out and 'domain 2' not in
              result.out and '1 not tried' in result.out, result.out)
        first.replace(standin.QEMU)


@case
def a_confined_one_is_believed_only_when_told_so(host):
    """As libxl starts it with dm_restrict=1, as another user and in a folder
    that is empty."""
    if os.geteuid():
        raise Skip('only root can give a process to another user')
    with place(host, paused=True, extra=(
            '-xen-domid-restrict', '-run-with',
            f'chroot={host.dir}/jail,user=65534:65534')) as p:
        refused(p, 'given up its rights')
        p.machine.guest.outb(SCRATCH, 3)
        for binary in standin.STOCK, standin.QEMU:
            p.replace(binary, '--believe')
            at_rest(p, 3, binary)
            with open(f'/proc/{p.pid()}/status', encoding='ascii') as f:
                check('Uid:\t65534\t65534' in f.read(), 'user')
            equal(os.readlink(f'/proc/{p.pid()}/root'), f'{host.dir}/jail',
                  'root folder')


PAGE = 0x100            # the frame that front end and back end share


def keyboard(m):
    """The PV keyboard that xl gives each guest with VNC, its front end
    connected and asking to come before the emulated one; its event channel
    is that of a vCPU that the device model is not told of."""
    m.vcpus = 1
    front = f'/local/domain/{m.domid}/device/vkbd/0'
    back = f'/local/domain/0/backend/vkbd/{m.domid}/0'
    for node, value in (
            ('page-ref', PAGE), ('event-channel', 13), ('backend-id', 0),
            ('request-abs-pointer', 1), ('request-raw-pointer', 1),
            ('backend', back), ('state', 4)):
        m.xenstore.write(f'{front}/{node}', value)
    for node, value in (('frontend', front), ('frontend-id', m.domid),
                        ('online', 1), ('state', 1)):
        m.xenstore.write(f'{back}/{node}', value)


@case
def a_connected_pv_keyboard_goes_on(host):
    """Its ring goes on where it stands (struct xenkbd_page of xen/io/kbdif.h:
    in_cons, in_prod; the events at 1024, 40 bytes each)."""
    with place(host, before=keyboard) as p:
        m = p.machine
        state = f'/local/domain/0/backend/vkbd/{m.domid}/0/state'
        for i in range(3):
            m.xenstore.wait_value(state, '4')
            m.qmp().execute('send-key',
                            keys=[{'type': 'qcode', 'data': 'a'}])
            m.qmp().execute('query-status')
            while m.guest.peek(PAGE * 4096 + 4, 4)[0] < 2 * i + 2:
                time.sleep(0.01)    # both edges come by a timer
            m.qmp_connection.close()
            m.qmp_connection = None
            equal(m.guest.peek(PAGE * 4096 + 4, 4)[0], 2 * i + 2, 'events')
            events = m.guest.peek(PAGE * 4096 + 1024 + 80 * i, 80)
            equal((events[:6], events[40:46]),
                  (b'\x03\1\0\0\x1e\0', b'\x03\0\0\0\x1e\0'), 'keys')
            p.replace(standin.QEMU)


@case
def pv_disks_at_work_lose_no_request_and_get_none_twice(host):
    """Each request with data is one copy from or to the guest, and each
    start of a device model is one that moves nothing (QEMU's
    setup_xen_backend_ops)."""
    with disks_place(host, standin.STOCK, orders=(0, 2)) as (p, disks):
        before, times = copies(p), 20
        with at_work(p, disks) as figures:
            for i in range(times):
                result = p.replace(standin.QEMU, '--json').json()
                equal(result['result'], 'replaced', result)
                print(f'# stood still for {result["paused_ms"]} ms')
        for disk in disks:
            f = figures[disk.number]
            print(f'# {disk.number}: {f}')
            check(f['writes'] > 20 * times, f)
            equal(f['index'], f['writes'] + f['reads'] + f['flushes'],
                  'requests')
            equal(f['answered'], f['index'], 'answers')
        equal(copies(p) - before, times + sum(
            f['writes'] + f['reads'] for f in figures.values()), 'copies')


@case
def requests_that_are_under_way_are_waited_for(host):
    """A disk that does 40 requests a second has some at any time."""
    with disks_place(host, orders=(2,)) as (p, (disk,)), \
            at_work(p, [disk]) as figures:
        for _ in range(2):
            qmp = p.machine.qmp()
            drive, = (d for d in qmp.execute('query-block') if
                      d.get('inserted', {}).get('node-name') == 'xvda-raw')
            equal(qmp.hmp(f'block_set_io_throttle {drive["qdev"]} '
                          '0 0 0 40 0 0'), '', 'what it says')
            qmp.close()
            p.machine.qmp_connection = None
            before = copies(p)
            while copies(p) < before + 10:
                time.sleep(0.01)        # it tells nobody
            result = p.replace(standin.QEMU, '--json').json()
            print(f'# stood still for {result["paused_ms"]} ms')
    check(figures[disk.number]['writes'] > 20, figures)


@case(sanitised=True)
def a_program_that_would_begin_anew_gets_no_pv_disk(host):
    with disks_place(host) as (p, (disk,)):
        refused(p, 'would begin anew', binary=standin.STOCK)
        disk.work(200)
        disk.close_front()
        p.replace(standin.STOCK)
        disk.connect()
        disk.work(200)
        p.replace(standin.QEMU)
        disk.work(200)


@case
def a_pv_disk_goes_back_to_the_old_program(host):
    with disks_place(host) as (p, (disk,)):
        disk.work(200)
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            1, 5)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'back', result)
        disk.work(200)
        # The command looks at the ring twice, then the next one has it.
        p.machine.guest.run('fault', 'xengnttab_map_domain_grant_refs', 2, 1,
                            5)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'back', result)
        check('does not go on with the guest\'s PV disk 51712' in
              result['error'], result)
        disk.work(200)
        at_rest(p, p.machine.guest.inb(SCRATCH), 'taken back')


@case
def with_a_pv_disk_there_is_no_way_back_to_stock(host):
    """It is tried once more, and then waits for the next run."""
    with disks_place(host, standin.STOCK) as (p, (disk,)):
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            1, 5)
        result = p.replace(standin.QEMU, '--json').json()
        equal(result['result'], 'replaced', result)
        disk.work(200)
    with disks_place(host, standin.STOCK) as (p, (disk,)):
        p.machine.guest.run('fault', 'xendevicemodel_create_ioreq_server', 0,
                            2, 5)
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal(result['result'], 'lost', result)
        check('the old program cannot go on with PV disk 51712; the guest is '
              'paused' in result['error'], result)
        result = p.replace(standin.QEMU, '--json').json()
        equal(result['result'], 'finished', result)
        disk.work(200)
        equal(p.program(), os.path.realpath(standin.QEMU), 'program')


@case
def a_ring_that_is_never_at_rest_keeps_its_device_model(host):
    """Its guest has written where only the back end writes."""
    with disks_place(host) as (p, (disk,)):
        before = p.pid()
        answered = disk.frame * 4096 + 8        # xen/io/ring.h, rsp_prod
        p.machine.guest.poke(answered, b'\xfb\xff\xff\xff')
        result = p.replace(standin.QEMU, '--json', code=SYSTEM).json()
        equal((result['result'], p.pid()), ('kept', before), result)
        check('does not get done' in result['error'], result)
        p.machine.guest.poke(answered, b'\0\0\0\0')
        disk.work(200)
        at_rest(p, p.machine.guest.inb(SCRATCH), 'kept')


def make_image(m, path, size):
    """An empty qcow2 image, by the device model itself."""
    qmp = m.qmp()

    def create(job, **options):
        qmp.execute('blockdev-create', **{'job-id': job}, options=options)
        while qmp.wait_event('JOB_STATUS_CHANGE')['data'] != {
                'status': 'concluded', 'id': job}:
            pass
        job, = qmp.execute('query-jobs')
        check('error' not in job, job)
        qmp.execute('job-dismiss', id=job['id'])

    create('file', driver='file', filename=path, size=0)
    qmp.execute('blockdev-add', driver='file', filename=path,
                **{'node-name': 'image'})
    create('qcow2', driver='qcow2', file='image', size=size)
    qmp.execute('blockdev-del', **{'node-name': 'image'})
    qmp.close()
    m.qmp_connection = None


@case
def a_qcow2_image_is_let_go_and_taken_up(host):
    """What the old one knows of it is on the disk before the next opens it."""
    with place(host, standin.STOCK, vcpus=4,
               before=lambda m: setattr(m, 'vcpus', 1)) as p:
        disk = PvDisk(p.machine, image='qcow2', made=make_image)
        try:
            disk.connect()
            with at_work(p, [disk]) as figures:
                for _ in range(5):
                    p.replace(standin.QEMU)
            check(figures[disk.number]['writes'] > 100, figures)
        finally:
            disk.close()


CLONE_NEWNET = 0x40000000
INTERFACE = """
import ctypes, os, socket, sys
if ctypes.CDLL(None).setns(os.open(f'/proc/{sys.argv[1]}/ns/net', 0), 0):
    sys.exit('setns')
print(socket.if_nametoindex(sys.argv[2]))
"""


def own_network():
    """As xenopsd gives one to each device model."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET):
        os._exit(126)


def interface(pid, name):
    """Its number, which is another when it has been made anew."""
    return subprocess.run([sys.executable, '-c', INTERFACE, str(pid), name],
                          stdout=subprocess.PIPE, check=True).stdout


@case
def a_tap_and_its_namespace_are_handed_over(host):
    """The network card of xl's guests, as libxl 4.17 asks for it."""
    if subprocess.run(['true'], preexec_fn=own_network,
                      check=False).returncode:
        raise Skip('no network namespace can be made here')
    try:
        os.close(os.open('/dev/net/tun', os.O_RDWR))
    except OSError as e:
        raise Skip(f'no tap can be made here: {e}') from e
    with place(host, preexec=own_network, extra=(
            '-device', 'rtl8139,id=nic0,netdev=net0,mac=00:16:3e:00:00:01',
            '-netdev', 'type=tap,id=net0,ifname=vif1.0-emu,br=xenbr0,'
                       'script=no,downscript=no')) as p:
        network = os.readlink(f'/proc/{p.pid()}/ns/net')
        number = interface(p.pid(), 'vif1.0-emu')
        for _ in range(2):
            p.replace(standin.QEMU)
            equal(os.readlink(f'/proc/{p.pid()}/ns/net'), network,
                  'namespace')
            equal(interface(p.pid(), 'vif1.0-emu'), number, 'interface')
            at_rest(p, p.machine.guest.inb(SCRATCH), 'replaced')
