# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host: boot it, let dom0 run a script, bring back the result."""

import os
import select
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time

from . import emulator, image
from .cpio import Cpio
from .paths import HERE, WORK, Trouble, lock, say, short

MARK = b'\x01'
BOOTS = 3               # a boot that froze is started again
BOOT_SECONDS = 240      # a boot takes 6 s on a core of its own
SILENT_SECONDS = 60     # a boot that prints nothing for so long is frozen
BEAT_SECONDS = 120      # dom0 gives a sign of life every ten seconds
NUDGE_SECONDS = 25      # after so much silence its console gets a key
MEMORY = 2560
DOM0_MEMORY = 1024
LOCK = os.path.join(tempfile.gettempdir(), f'xenhost.{os.getuid()}.lock')
DOM0_KERNEL = 'console=hvc0 quiet mitigations=off pci=noearly'
DISK_SIZE = 512 << 20   # sparse; for the files that come back


class Frozen(Exception):
    """The emulator stopped before the test began."""


class Result:
    """What a run of a script left."""

    def __init__(self):
        self.code = None
        self.size = 0


def write_initrd(path, script, files, archives):
    """dom0's archive, those of the programs, and last the test's own."""
    with open(path, 'wb') as out:
        for archive in (image.DOM0, *archives):
            with open(archive, 'rb') as f:
                shutil.copyfileobj(f, out, 1 << 20)
        with tempfile.NamedTemporaryFile(dir=WORK) as own:
            with Cpio(own.name) as archive:
                archive.copy('init', os.path.join(HERE, 'dom0/init'), 0o755)
                archive.copy('lib/xenhost.sh',
                             os.path.join(HERE, 'dom0/xenhost.sh'))
                for name in ('block', 'vif-bridge'):
                    archive.copy('etc/xen/scripts/' + name,
                                 os.path.join(HERE, 'dom0/hotplug'), 0o755)
                archive.copy('test/script', script)
                for source, target in files:
                    archive.copy(target, source)
            with open(own.name, 'rb') as f:
                shutil.copyfileobj(f, out)


class Channel:
    """The second serial port: the script's output and marked lines."""

    def __init__(self, connection, output):
        self._connection = connection
        self._output = output
        self._buffer = b''

    def fileno(self):
        return self._connection.fileno()

    def pull(self):
        """Take in what is there; False when the other side is gone."""
        data = self._connection.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def messages(self):
        """Marked lines as lists of words; other lines go to the output."""
        while b'\n' in self._buffer:
            line, self._buffer = self._buffer.split(b'\n', 1)
            before, mark, words = line.partition(MARK)
            if before or not mark:
                self._output(before.decode(errors='replace').rstrip('\r'))
            if mark:
                yield words.decode(errors='replace').split()


class Machine:
    """One emulator process; its serial ports are sockets of ours.

    The folder holds xen, vmlinux, initrd and disk, and gets emulator.log.
    """

    def __init__(self, folder, memory, dom0_memory):
        self._folder = folder
        self.console, console = socket.socketpair()
        self.channel, channel = socket.socketpair()
        # It goes when this program goes, however that ends.
        command = [
            'setpriv', '--pdeathsig', 'KILL', *emulator.command(),
            '-machine', 'pc', '-accel', 'tcg',
            '-cpu', 'qemu64,+svm,+npt,+rdrand', '-smp', '1',
            '-m', str(memory), '-display', 'none', '-nodefaults',
            '-no-user-config', '-nic', 'none', '-no-reboot']
        for name, port in ('console', console), ('channel', channel):
            command += ['-chardev', f'socket,id={name},fd={port.fileno()}',
                        '-serial', 'chardev:' + name]
        command += [
            '-drive', 'if=none,id=files,format=raw,file=disk,cache=unsafe',
            '-device', 'nvme,drive=files,serial=files',
            '-kernel', 'xen',
            '-append', 'console=com1 com1=115200,8n1 loglvl=all '
                       'guest_loglvl=all bootscrub=0 '
                       f'dom0_mem={dom0_memory}M,max:{dom0_memory}M',
            '-initrd', f'vmlinux {DOM0_KERNEL},initrd']
        with open(os.path.join(folder, 'emulator.log'), 'wb') as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(console.fileno(), channel.fileno()),
                cwd=folder, start_new_session=True)
        console.close()
        channel.close()

    def log(self):
        """What the emulator itself said."""
        with open(os.path.join(self._folder, 'emulator.log'),
                  encoding='utf-8', errors='replace') as f:
            return f.read().strip() or 'it said nothing'

    def stop(self):
        """End the emulator."""
        if self._process.poll() is not None:
            return
        with open(f'/proc/{self._process.pid}/stat', encoding='ascii') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        say('the emulator is stopped; it took '
            f"{ticks / os.sysconf('SC_CLK_TCK'):.0f} s of processor time")


class _Run:
    """One boot and what comes of it."""

    def __init__(self, machine, log, timeout, output):
        self._machine = machine
        self._log = log
        self._timeout = timeout
        self._channel = Channel(machine.channel, output)
        self._started = False
        now = time.monotonic()
        self._deadline = now + BOOT_SECONDS
        self._alive = now
        self._nudged = now
        self.result = Result()

    def _obey(self, message):
        word, *words = message
        # The first line of the port has been seen to get lost; a beat follows.
        if word in ('ready', 'beat') and not self._started:
            say('dom0 is up')
            self._started = True
            self._deadline = time.monotonic() + self._timeout
        elif word == 'files':
            self.result.size = int(words[0])
        elif word == 'exit':
            self.result.code = int(words[0])
        elif word == 'fail':
            raise Trouble(f"dom0 cannot start: {' '.join(words)}; Xen's "
                          f'console is in {short(self._log.name)}')

    def _gone(self, why):
        if not self._started:
            raise Frozen(why)
        raise Trouble(f"{why}; Xen's console is in {short(self._log.name)}")

    def _nudge(self):
        """Press a key on Xen's console.

        QEMU as Debian built it loses an interrupt now and then (the folder
        emulator/ says why). When that is the one of Xen's timer, which fires
        once, nothing happens any more. The next interrupt of any device has
        the APIC deliver both.
        """
        self._nudged = time.monotonic()
        self._machine.console.send(b'\n')

    def _wait(self):
        """Wait for either port; raises when it has been too long."""
        silent = BEAT_SECONDS if self._started else SILENT_SECONDS
        end = min(self._deadline, self._alive + silent)
        nudge = max(self._alive, self._nudged) + NUDGE_SECONDS
        left = max(0, min(end, nudge) - time.monotonic())
        ready, _, _ = select.select([self._machine.console, self._channel],
                                    [], [], left)
        if ready:
            return ready
        if nudge < end:
            silence = time.monotonic() - self._alive
            say(f'no sign of life for {silence:.0f} s, so a key is pressed')
            self._nudge()
            return []
        if self._started and end == self._deadline:
            self._gone(f'the script did not end within {self._timeout:g} s')
        self._gone(f'no sign of life for {silent} s' if end < self._deadline
                   else f'dom0 was not up after {BOOT_SECONDS} s')
        return []

    def follow(self):
        """Until the script has ended."""
        while self.result.code is None:
            ready = self._wait()
            if ready and (not self._started or self._channel in ready):
                if self._nudged > self._alive:
                    say('it goes on')
                self._alive = time.monotonic()
            if self._machine.console in ready:
                self._log.write(self._machine.console.recv(1 << 16))
                self._log.flush()
            if self._channel in ready:
                if not self._channel.pull():
                    raise Trouble('the emulated host went down '
                                  f'({self._machine.log()}); its console is '
                                  f'in {short(self._log.name)}')
                for message in self._channel.messages():
                    self._obey(message)
        return self.result


def _attempt(folder, memory, out, timeout, output):
    """One boot and one run; raises Frozen when the script never started."""
    machine = Machine(folder, *memory)
    try:
        with open(os.path.join(out, 'console.log'), 'wb') as log:
            return _Run(machine, log, timeout, output).follow()
    finally:
        machine.stop()
        machine.console.close()
        machine.channel.close()


def _unpack(disk, size, out):
    """Take dom0's /out and logs from the disk."""
    if not size:
        return
    with tarfile.open(disk, 'r:') as tar:
        for member in tar:
            for folder, place in (('out/', ''), ('var/log/xen/', 'log/')):
                if not member.isfile() or not member.name.startswith(folder):
                    continue
                name = member.name.removeprefix(folder)
                target = os.path.normpath(os.path.join(out, place, name))
                if not target.startswith(out + os.sep):
                    raise Trouble(f"dom0 sent a file named '{member.name}', "
                                  f'which is not inside {short(out)}')
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, 'wb') as f:
                    shutil.copyfileobj(tar.extractfile(member), f)


def _print(line):
    print(line, flush=True)


def run(script, archives=(), files=(), timeout=300, out=None, output=_print,
        memory=(MEMORY, DOM0_MEMORY)):
    """Boot, run the script in dom0, and return its exit code.

    archives are cpio files (programs.pack), files pairs of (source, path in
    dom0), out the folder that gets the script's files (its /out), dom0's
    logs (log/) and Xen's console (console.log), output what is called with
    each line that the script prints, memory the host's and dom0's in MiB.
    """
    out = os.path.abspath(out or os.path.join(WORK, 'out'))
    image.ensure()
    emulator.command()
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    with lock(LOCK, 'another emulated host (two side by side freeze)'), \
            tempfile.TemporaryDirectory(dir=WORK, prefix='run.') as folder:
        # By plain names in one folder: QEMU splits its options at commas and
        # spaces, which the way to this folder may have.
        write_initrd(os.path.join(folder, 'initrd'), script, files, archives)
        os.symlink(image.XEN, os.path.join(folder, 'xen'))
        os.symlink(image.KERNEL, os.path.join(folder, 'vmlinux'))
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.truncate(DISK_SIZE)
        for attempt in range(1, BOOTS + 1):
            say('booting Xen in the emulator')
            try:
                result = _attempt(folder, memory, out, timeout, output)
                break
            except Frozen as e:
                say(f'boot {attempt} of {BOOTS} froze before the test began '
                    f'({e})' + (', starting again' if attempt < BOOTS else ''))
        else:
            raise Trouble(f'the emulated host froze in {BOOTS} boots; see '
                          f"{short(os.path.join(out, 'console.log'))}")
        _unpack(disk, result.size, out)
    return result.code
