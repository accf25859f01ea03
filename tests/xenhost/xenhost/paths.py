# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things stand, and how this program speaks and gives up."""

import contextlib
import fcntl
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get('PULSAR_BUILD', 'build'))
WORK = os.path.join(BUILD, 'xenhost')
QEMU = os.path.join(
    TOP, os.environ.get('PULSAR_QEMU', os.path.join(BUILD,
                                                    'qemu-system-i386')))
STOCK = os.path.join(
    TOP, os.environ.get('PULSAR_STOCK', os.path.join(BUILD, 'stock',
                                                     'qemu-system-i386')))
TOOL = os.path.join(
    TOP, os.environ.get('PULSAR_TOOL', os.path.join(BUILD, 'pulsar')))
VERBOSE = os.environ.get('V', '') not in ('', '0')

_start = time.monotonic()


class Trouble(Exception):
    """Something that is told in one sentence; the program exits with 1."""


def say(text):
    """A line of progress with the time since the start, on stderr."""
    print(f'xenhost: {time.monotonic() - _start:6.1f} s  {text}',
          file=sys.stderr, flush=True)


def short(path):
    """The path as somebody at the top of the source tree would type it."""
    relative = os.path.relpath(path, TOP)
    return path if relative.startswith('..') else relative


def main(function):
    """Run a program's main function; a Trouble is one line and exit 1."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    try:
        sys.exit(function())
    except Trouble as e:
        print(f'{os.path.basename(sys.argv[0])}: {e}', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def lock(path, waiting_for):
    """Hold a lock file; says so when somebody else has it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'a') as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'waiting for {waiting_for}')
            fcntl.flock(f, fcntl.LOCK_EX)
        yield
