# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer emulator: QEMU 7.2, the system's or Debian 12's beside it.

Newer ones do not carry nested guests (QEMU 10.0's SVM emulation lets Linux
guests halt), so the version is part of the recipe.
"""

import os
import shutil
import subprocess

from . import elf, packages
from .paths import WORK, lock, say

VERSION = '7.2'
ROOT = os.path.join(WORK, 'emulator')
NAME = 'qemu-system-x86_64'


def _system():
    """The system's own emulator if it is of the version that works."""
    path = shutil.which(NAME)
    if path:
        run = subprocess.run([path, '-version'], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=False)
        if f'version {VERSION}.' in run.stdout:
            return [path]
    return None


def _beside():
    """Debian 12's emulator, unpacked below build/ and run from there."""
    listed = [p for p in packages.resolve('emulator', ['qemu-system-x86'])
              if p.name.startswith(('lib', 'zlib', 'qemu-', 'seabios'))]
    stamp = os.path.join(ROOT, '.packages')
    files = '\n'.join(p.file for p in listed)
    fresh = False
    if os.path.exists(stamp):
        with open(stamp, encoding='utf-8') as f:
            fresh = f.read() == files
    if not fresh:
        packages.fetch(listed)
        say(f"unpacking Debian 12's QEMU {VERSION} as the outer emulator")
        packages.unpack(listed, ROOT, lambda name: name.startswith(
            ('usr/bin/' + NAME, 'usr/share/qemu/', 'usr/share/seabios/',
             'usr/lib/', 'lib/', 'lib64/')))
        with open(stamp, 'w', encoding='utf-8') as f:
            f.write(files)
    modules = os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu/qemu')
    return ['env', 'QEMU_MODULE_DIR=' + modules,
            *elf.command(os.path.join(ROOT, 'usr/bin', NAME), ROOT),
            '-L', os.path.join(ROOT, 'usr/share/seabios'),
            '-L', os.path.join(ROOT, 'usr/share/qemu')]


def command():
    """The words that start the outer emulator."""
    with lock(os.path.join(WORK, 'emulator.lock'), 'another unpacking'):
        return _system() or _beside()
