# SPDX-License-Identifier: GPL-2.0-or-later
"""Device models that are started as xenopsd does it: through a qemu-wrapper,
in the environment that it has, with a process of their own."""

import contextlib
import os
import shutil
import signal
import subprocess

import standin

WRAPPER = os.path.join(standin.ROOT, 'packaging', 'xapi', 'qemu-wrapper')


def install(folder, binary):
    """Our wrapper as make install places it, beside the device model;
    returns its path."""
    os.makedirs(folder)
    os.symlink(binary, os.path.join(folder, 'qemu-system-i386'))
    return shutil.copy(WRAPPER, folder)


def running(pid):
    """The file that a process runs."""
    return os.readlink(f'/proc/{pid}/exe')


class Machine(standin.Machine):
    """A domain whose device model a wrapper starts."""

    dm = None           # the device model's pid, as the wrapper tells it
    log_begin = 0       # where the log of the last start begins

    @property
    def pid(self):
        return self.dm

    def launch(self, wrapper, arguments, path, wait=True):
        """Run a wrapper with xenopsd's arguments. Returns when it has told
        who the device model is (True), or with wait=False, or has ended
        (False)."""
        key = f'/local/domain/{self.domid}/qemu-pid'
        self.xenstore.remove(key)
        env = dict(PATH=path, STANDIN_DIR=self.folder,
                   LD_PRELOAD=os.path.join(standin.HELPERS, 'libxen.so'),
                   XENSTORED_PATH=self.world.xenstored.path)
        env.update((name, value) for name, value in os.environ.items()
                   if name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'))
        env.update(self.env)
        with open(self.log, 'ab') as log:
            self.log_begin = log.tell()
            self.process = subprocess.Popen(
                [wrapper, str(self.domid), *arguments], env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[s.fileno() for s in self.listeners])
        for sock in self.listeners:
            sock.close()
        self.listeners = []
        self.dm = None
        # Longer than a wrapper waits for anything.
        if wait and self.xenstore.wait_value(key, None, self.process, 60):
            self.dm = int(self.xenstore.read(key))
        return self.dm is not None

    def said(self):
        """What was logged since the last start."""
        with open(self.log, 'rb') as log:
            log.seek(self.log_begin)
            return log.read().decode('utf-8', 'replace')

    def alive(self):
        with open(f'/proc/{self.dm}/stat', encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'

    def stop(self):
        """End the device model, and with it what logs for it."""
        if self.dm:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dm, signal.SIGKILL)
            self.dm = None
            self.wait_exit()
        super().stop()

    def again(self):
        """Another device model is to serve the same guest memory."""
        self.stop()
        subprocess.run([os.path.join(standin.HELPERS, 'guest'), 'reset',
                        self.folder], check=True)
