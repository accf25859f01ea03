# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host: boot it, let dom0 run a script, bring back the result."""

import os
import select
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

from . import emulator, image
from .cpio import Cpio
from .paths import HERE, WORK, Trouble, lock, say, short

MARK = b'\x01'
BOOTS = 3               # how often a boot that froze is started again
BOOT_SECONDS = 120      # a boot takes 6 s on a core of its own
MEMORY = 2560
DOM0_MEMORY = 1024
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
    """One emulator process."""

    def __init__(self, folder, initrd, disk, console):
        self._folder = folder
        path = os.path.join(folder, 'channel')
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        command = emulator.command() + [
            '-machine', 'pc', '-accel', 'tcg',
            '-cpu', 'qemu64,+svm,+npt,+rdrand', '-smp', '1',
            '-m', str(MEMORY), '-display', 'none', '-nodefaults',
            '-no-user-config', '-nic', 'none', '-no-reboot',
            '-serial', 'file:' + console,
            '-chardev', 'socket,id=channel,path=' + path,
            '-serial', 'chardev:channel',
            '-drive', f'if=none,id=files,format=raw,file={disk},cache=unsafe',
            '-device', 'nvme,drive=files,serial=files',
            '-kernel', image.XEN,
            '-append', 'console=com1 com1=115200,8n1 loglvl=all '
                       'guest_loglvl=all bootscrub=0 '
                       f'dom0_mem={DOM0_MEMORY}M,max:{DOM0_MEMORY}M',
            '-initrd', f'{image.KERNEL} console=hvc0 quiet mitigations=off pci=noearly,'
                       f'{initrd}']
        with open(os.path.join(folder, 'emulator.log'), 'wb') as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        listener.settimeout(30)
        try:
            self.connection, _ = listener.accept()
        except TimeoutError as e:
            self.stop()
            raise Trouble('the outer emulator does not start: '
                          f'{self.log()}') from e
        finally:
            listener.close()
            os.unlink(path)

    def log(self):
        """What the emulator itself said."""
        with open(os.path.join(self._folder, 'emulator.log'),
                  encoding='utf-8', errors='replace') as f:
            return f.read().strip() or 'it said nothing'

    def stop(self):
        """End the emulator."""
        with open(f'/proc/{self._process.pid}/stat', encoding='ascii') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        say('the emulator is stopped; it took '
            f"{ticks / os.sysconf('SC_CLK_TCK'):.0f} s of processor time")
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _attempt(folder, initrd, disk, out, timeout, output):
    """One boot and one run; raises Frozen when the script never started."""
    console = os.path.join(out, 'console.log')
    machine = Machine(folder, initrd, disk, console)
    result = Result()
    try:
        channel = Channel(machine.connection, output)
        started = False
        deadline = time.monotonic() + BOOT_SECONDS
        while result.code is None:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([channel], [], [], left)[0]
            if not ready and not started:
                raise Frozen(f'no sign of dom0 after {BOOT_SECONDS} s')
            if not ready:
                raise Trouble(
                    f'the script did not end within {timeout} s; '
                    f"Xen's console is in {short(console)}")
            if not channel.pull():
                if not started:
                    raise Frozen(f'the emulator ended: {machine.log()}')
                raise Trouble('the emulated host went down under the script; '
                              f"Xen's console is in {short(console)}")
            for message in channel.messages():
                if message[0] == 'ready':
                    say('dom0 is up')
                    started = True
                    deadline = time.monotonic() + timeout
                elif message[0] == 'files':
                    result.size = int(message[1])
                elif message[0] == 'exit':
                    result.code = int(message[1])
                elif message[0] == 'fail':
                    raise Trouble(f'dom0 cannot start: '
                                  f"{' '.join(message[1:])}; "
                                  f"Xen's console is in {short(console)}")
        return result
    finally:
        machine.stop()
        machine.connection.close()


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


def run(script, archives=(), files=(), timeout=300, out=None, output=_print):
    """Boot, run the script in dom0, and return its exit code.

    archives are cpio files (programs.pack), files pairs of (source, path in
    dom0), out the folder that gets the script's files (its /out), dom0's
    logs (log/) and Xen's console (console.log), output what is called with
    each line that the script prints.
    """
    out = os.path.abspath(out or os.path.join(WORK, 'out'))
    image.ensure()
    emulator.command()
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    with lock(os.path.join(tempfile.gettempdir(),
                           f'xenhost.{os.getuid()}.lock'),
              'another emulated host (two side by side freeze)'), \
            tempfile.TemporaryDirectory(dir=WORK, prefix='run.') as folder:
        initrd = os.path.join(folder, 'initrd')
        write_initrd(initrd, script, files, archives)
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.truncate(DISK_SIZE)
        for attempt in range(1, BOOTS + 1):
            say('booting Xen in the emulator')
            try:
                result = _attempt(folder, initrd, disk, out, timeout, output)
                break
            except Frozen as e:
                say(f'boot {attempt} of {BOOTS} froze before the test began '
                    f'({e})' + (', starting again' if attempt < BOOTS else ''))
        else:
            raise Trouble(f'the emulated host froze in {BOOTS} boots; see '
                          f"{short(os.path.join(out, 'console.log'))}")
        _unpack(disk, result.size, out)
    return result.code
