# SPDX-License-Identifier: GPL-2.0-or-later
"""Adoption under xapi: our qemu-wrapper, and which device model it starts.

xapi's own wrapper is played by PLAYED, which does what matters here: it has
the path of QEMU in its text, starts that with a name and arguments of its own,
tells xenstore who it is, and becomes what logs. `make check-xapi` does the
same with xapi's real one."""

import contextlib
import fcntl
import os
import re
import shutil

from standin import Failure, expect
from xenopsd import Machine, install, running

from . import group, ours
from .launchers import save, xenopsd

PLAYED = '''#!/usr/bin/python3
import os, socket, subprocess, sys
own = sys.argv[1:]
domid = own.pop(0)
daemons, its = socket.socketpair()
daemons.set_inheritable(True)
own += [{clipboard!r}, str(its.fileno())]
fds = [its.fileno()]
if '-loadvm' in own:
    where = own.index('-loadvm')
    fds.append(os.open(own[where + 1], os.O_RDONLY))
    own[where:where + 2] = '-incoming', 'fd:%d' % fds[1]
binary = {path!r}
print('played wrapper', __file__, sys.argv[0], sys.path[0], flush=True)
dm = subprocess.Popen(['qemu-dm-' + domid] + own, executable=binary,
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                      pass_fds=fds)
subprocess.check_call(['xenstore-write',
                       '/local/domain/%s/qemu-pid' % domid, str(dm.pid)])
os.dup2(dm.stdout.fileno(), 0)
os.execvp('cat', ['cat'])
'''

CLIPBOARD = '-vnc-clipboard-socket-fd'  # the wrapper's, not xenopsd's

# A wrapper that is none of Python's.
SHELL = '''#!/bin/sh
exec {path} "$@"
'''
XAPIS = "this is xapi's own QEMU\n"


class Dom0:
    """Where things are on a host of xapi, in a folder."""

    def __init__(self, machine, binary, text=PLAYED):
        self.machine = machine
        self.pulsar = machine.path('libexec/qemu-system-i386')
        self.wrapper = install(machine.path('libexec'), binary)
        os.mkdir(machine.path('xapi'))
        self.own = machine.path('xapi/qemu-system-i386')
        self.program(self.own, f'#!/bin/sh\necho "{XAPIS.strip()}"\n')
        self.wrap(text)
        self.path = machine.path('xapi') + ':' + os.environ['PATH']
        self.args = xenopsd('a-bios')(machine)
        where = self.args.index(CLIPBOARD)
        del self.args[where:where + 2]

    @staticmethod
    def program(path, text):
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(path, 0o755)

    def wrap(self, text):
        """Another wrapper of xapi's, for the path of its QEMU."""
        self.program(self.machine.path('xapi/qemu-wrapper'),
                     text.format(path=self.own, clipboard=CLIPBOARD))

    def adopt(self, value='pulsar'):
        self.machine.xenstore.write(
            f'/local/domain/{self.machine.domid}/platform/'
            'device_model_variant', value)

    def release(self):
        self.machine.xenstore.remove(
            f'/local/domain/{self.machine.domid}/platform/'
            'device_model_variant')

    def start(self, *more):
        """Through our wrapper; what was logged meanwhile."""
        self.machine.launch(self.wrapper, [*self.args, *more], self.path)
        return self.machine.said()

    def is_pulsar(self, binary, *more):
        log = self.start(*more)
        expect(self.machine.dm, f'none was started: {log}')
        self.machine.qmp().execute('cont')
        path = running(self.machine.dm)
        expect(path == os.path.realpath(binary), f'it is {path}: {log}')

    def is_xapis(self, *more, why=None):
        """The log says why, in a line; nothing if nobody wanted another."""
        self.start(*more)
        self.machine.wait_exit()
        log = self.machine.said()
        self.machine.dm = None
        expect(XAPIS in log, f"it is not xapi's own: {log}")
        said = re.findall('^pulsar: (.*)', log, re.M)
        if why is None:
            expect(not said, f'it says {said}')
        else:
            expect(len(said) == 1 and why in said[0], f'it says {said}')


@contextlib.contextmanager
def dom0(b, name, text=PLAYED):
    with Machine(b.world, b.binary) as m:
        host = Dom0(m, b.binary, text)
        with b.report.case(name, machine=m):
            yield host


@group(alone=False)
@ours
def adopted(b):
    with dom0(b, 'an adopted VM is started by Pulsar, as xapi starts its own '
                 'QEMU') as host:
        m = host.machine
        host.adopt()
        host.is_pulsar(b.binary)
        m.guest.outb(0x3ff, 0x5a)
        expect(m.guest.inb(0x3ff) == 0x5a, 'it does not serve its guest')
        with open(f'/proc/{m.dm}/cmdline', 'rb') as f:
            words = f.read().decode().split('\0')[:-1]
        expect(words[:-1] == [f'qemu-dm-{m.domid}', *host.args, CLIPBOARD],
               'its command line is another one')
        place = m.path('xapi/qemu-wrapper')
        expect(f'played wrapper {place} {place} {os.path.dirname(place)}\n'
               in m.output(),
               "xapi's wrapper has other names")
        # How xenopsd knows that it is there.
        with open(m.path('qemu-dm-1.pid'), 'r+', encoding='ascii') as f:
            expect(int(f.read()) == m.dm, 'the pidfile names another')
            try:
                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass
            else:
                raise Failure('the pidfile is not locked')
    with dom0(b, "a VM that is not adopted has xapi's own QEMU, and nothing "
                 'is said') as host:
        host.is_xapis()
        for value in ('', 'Pulsar', 'pulsar2', 'qemu\npulsar'):
            host.adopt(value)
            host.is_xapis()
        host.adopt()
        host.release()
        host.is_xapis()


@group(alone=False)
@ours
def adopted_not_here(b):
    """Each has the reason in one line, and starts all the same."""
    with dom0(b, "adopted, and left to xapi's own QEMU with a reason") as host:
        m = host.machine
        host.adopt()
        for option in ('-vgpu', '-xengt'):
            host.is_xapis(option, why=f'vGPU ({option})')
        os.unlink(host.pulsar)
        host.is_xapis(why='cannot be run')
        host.program(host.pulsar, '#!/bin/sh\necho no library >&2\nexit 127\n')
        host.is_xapis(why='no library')
    with dom0(b, 'xenstore does not answer') as host:
        host.adopt()
        m = host.machine
        silent = m.listen('silent')
        m.listeners.clear()
        # The played wrapper needs no xenstore when it is a shell script.
        host.wrap(SHELL)
        m.env = {'XENSTORED_PATH': silent.getsockname()}
        host.is_xapis(why='xenstore cannot be asked')
        m.env = {'XENSTORED_PATH': m.path('nowhere')}
        host.is_xapis(why='xenstore does not say')
        silent.close()
    with dom0(b, "xapi's wrapper is not what it was", SHELL) as host:
        host.adopt()
        host.is_xapis(why='names no python3')
        # Python 2, by its name; and what no Python takes.
        python = host.machine.path('python')
        os.symlink('/usr/bin/python3', python)
        host.wrap(PLAYED.replace('/usr/bin/python3', python))
        host.is_xapis(why='names no python3')
        # Python itself ends with these: a syntax error, and a worse one.
        for text in '(', 'x = ' + '-' * 20000 + '1':
            host.wrap('#!/usr/bin/python3\n' + text)
            log = host.start()
            expect("pulsar: the VM gets xapi's own QEMU: " in log, log)
        host.own = os.path.join(os.path.dirname(host.own), 'qemu')
        os.rename(host.machine.path('xapi/qemu-system-i386'), host.own)
        host.wrap(PLAYED)
        host.is_xapis(why='names no qemu-system-i386')
    with dom0(b, "without a wrapper of xapi's nothing is started") as host:
        os.unlink(host.machine.path('xapi/qemu-wrapper'))
        host.path = host.machine.path('libexec') + ':' + host.path
        log = host.start()
        expect(host.machine.wait_exit() == 1 and
               'the VM is not started' in log, log)


def foreign(path, to):
    """The same state without Pulsar's section, which is the first."""
    with open(path, 'rb') as f:
        data = f.read()
    end = re.search(rb'\x04....\x05timer', data, re.S).start()
    with open(to, 'wb') as f:
        f.write(data[:8] + data[end:])
    return to


@group(alone=False)
@ours
def adopted_states(b):
    with dom0(b, 'a state is restored by the QEMU that has saved it, adopted '
                 'or not') as host:
        m = host.machine
        host.adopt()
        host.is_pulsar(b.binary)
        m.guest.outb(0x3ff, 0x5a)
        path = save(m)
        m.again()
        host.release()
        host.is_pulsar(b.binary, '-loadvm', path)
        expect(m.guest.inb(0x3ff) == 0x5a, 'the scratch register is lost')
        m.again()
        host.adopt()
        other = foreign(path, m.path('foreign'))
        host.is_xapis('-loadvm', other, why="state of xapi's own QEMU")
        for size in (0, 13, 25):
            shutil.copyfile(path, other)
            os.truncate(other, size)
            host.is_xapis('-loadvm', other, why="state of xapi's own QEMU")
        with open(path, 'rb') as f:
            host.machine.listeners = [f]
            host.is_xapis('-incoming', f'fd:{f.fileno()}',
                          why="state of xapi's own QEMU")
        host.release()
        host.is_xapis('-loadvm', foreign(path, other))
    with dom0(b, 'a state of Pulsar is given to nobody else') as host:
        m = host.machine
        host.adopt()
        host.is_pulsar(b.binary)
        path = save(m)
        m.again()

        def refused(*more):
            log = host.start('-loadvm', path, *more)
            expect(not m.dm and m.wait_exit() == 1 and XAPIS not in log and
                   'the VM is not started: it was saved by Pulsar, and '
                   in log, log)
        refused('-vgpu')
        os.unlink(host.pulsar)
        refused()
        os.symlink(b.binary, host.pulsar)
        host.wrap(SHELL)
        refused()
