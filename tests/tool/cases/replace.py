# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar replace, with real device models of which the stand-in plays the
guests."""

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
