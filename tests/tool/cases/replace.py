# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar replace, with real device models of which the stand-in plays the
guests."""

import collections
import contextlib
import os
import subprocess

from harness import case, check, equal, OK, SANITISED, SYSTEM
from cases.real import standin

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
        more.setdefault('vnc', f'unix:{{folder}}/vnc')
        self.machine = standin.Machine(
            world, binary, None, memory=32,
            env={'PULSAR_RUNDIR': host.rundir})
        self.start(more)
        host.env['XENSTORED_PATH'] = world.xenstored.path
        self.env = {'STANDIN_DIR': self.machine.folder,
                    'LD_PRELOAD': preload(host.tool)}

    def start(self, more):
        m = self.machine
        m.start(standin.xl_command(**more))
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


@contextlib.contextmanager
def place(host, binary=standin.QEMU, **more):
    world = standin.World()
    try:
        with Place(host, world, binary, **more) as p:
            yield p
    finally:
        world.close()


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
    line to a device model, each fork, each entry in the journal."""
    outcomes = collections.Counter()
    with place(host) as p:
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
    print(f'# {step} steps: {dict(outcomes)}')
    check(step > 50 and len(outcomes) == 2, f'{step} steps, only {outcomes}')


@case
def whatever_fails_the_guest_goes_on(host):
    """Each of the same calls fails once."""
    outcomes = collections.Counter()
    with place(host) as p:
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
    print(f'# {step} steps: {dict(outcomes)}')
    check({'refused', 'kept', 'back', 'replaced'} <= set(outcomes), outcomes)
