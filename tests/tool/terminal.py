# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal for a program, and eyes for a test: tmux, private to it."""

import contextlib
import os
import select
import signal
import subprocess
import time

from harness import Failure

PATIENCE = 30       # seconds until what should come is given up


class Terminal:
    def __init__(self, host, *command, width=110, height=24, env=()):
        # A server of its own: one that was told to go may not be gone yet.
        number = time.monotonic_ns()
        self.socket = os.path.join(host.dir, f'tmux-{number}')
        self.fifo = os.path.join(host.dir, f'output-{number}')
        self.width, self.height = width, height
        self.env = dict(host.env)
        self.env.pop('TMUX', None)
        status = os.path.join(host.dir, 'status')
        self.status = status
        # tmux itself wants UTF-8, and gives its windows a TERM of its own.
        env = {'TERM': self.env['TERM'], **dict(env)}
        line = ' '.join(f"'{word}'" for word in
                        ('env', *(f'{k}={v}' for k, v in env.items()),
                         *map(str, command)))
        os.mkfifo(self.fifo)
        self.output = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', width, '-y',
                  height, '--', '/bin/sh', '-c',
                  f"read x; {line}; echo $? >'{status}.new'; "
                  f"mv '{status}.new' '{status}'; printf 'ENDED\\n'; read x")
        self.tmux('pipe-pane', '-O', f"exec cat >'{self.fifo}'")
        self.keys('Enter')      # now that its output is heard

    def tmux(self, *args, check=True):
        return subprocess.run(['tmux', '-S', self.socket, *map(str, args)],
                              env=self.env, check=check, text=True,
                              capture_output=True).stdout

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def type(self, text):
        self.tmux('send-keys', '-l', text)

    def screen(self, colours=False):
        """The lines that are on it now."""
        args = ['capture-pane', '-p'] + (['-e'] if colours else [])
        return self.tmux(*args).split('\n')[:self.height]

    def wait(self, condition, what):
        """Until the screen is so; looks again whenever something came."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.screen()
            found = condition(lines)
            if found:
                return found
            ready, _, _ = select.select([self.output], [], [], max(
                0, deadline - time.monotonic()))
            if not ready:
                raise Failure(f'not on the screen: {what}\n' +
                              '\n'.join(lines))
            os.read(self.output, 65536)

    def wait_text(self, text):
        self.wait(lambda lines: any(text in line for line in lines),
                  repr(text))

    def resize(self, width, height):
        self.width, self.height = width, height
        self.tmux('resize-window', '-x', width, '-y', height)

    def ended(self):
        """Its exit status, when it has ended."""
        self.wait_text('ENDED')
        with open(self.status, encoding='ascii') as f:
            return int(f.read())

    def programs(self):
        """(name, process) of all that the terminal's shell has started."""
        shell = self.tmux('display-message', '-p', '#{pane_pid}',
                          check=False).strip()
        for pid in os.listdir('/proc'):
            with contextlib.suppress(OSError):
                with open(f'/proc/{pid}/stat', encoding='ascii',
                          errors='replace') as f:
                    name, rest = f.read().rsplit(')', 1)
                if rest.split()[1] == shell:
                    yield name.split('(', 1)[1], int(pid)

    def pid_of(self, program):
        """The process of that program in it."""
        for name, pid in self.programs():
            if name == program:
                return pid
        raise Failure(f'{program} does not run')

    def close(self):
        """Hangs up. A program whose leaks are being looked for then spins for
        ever, as the hangup ends LeakSanitizer's helper; it is killed."""
        left = []
        for _, pid in self.programs():
            with contextlib.suppress(OSError):
                left.append(os.pidfd_open(pid))
        self.tmux('kill-server', check=False)
        for process in left:
            if not select.select([process], [], [], 5)[0]:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            os.close(process)
        os.close(self.output)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
