# SPDX-License-Identifier: GPL-2.0-or-later
"""This system's programs (device models, tools), packed up for dom0.

Each program becomes a cpio of its own, kept by the hash of what is in it, so
that a new build of one needs no new image. In dom0 it stands in
/opt/NAME/BASENAME with its libraries in /opt/NAME/lib; /opt/NAME/run starts it.
"""

import hashlib
import os
import subprocess
import time

from .cpio import Cpio
from .elf import Elf, NotElf, closure
from .paths import WORK, Trouble, short

CACHE = os.path.join(WORK, 'programs')

# Somebody's run may wait its turn for as long with a pack that it made.
KEEP_SECONDS = 2 * 3600

# Where QEMU finds its ROMs in dom0; only device models are told.
QEMU_DATA = ['/usr/share/seabios', '/usr/share/qemu', '/usr/lib/ipxe/qemu']


def _digest(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def _own_interpreter(elf, name):
    """The program's bytes with its loader and C library beside it.

    The path of the loader stands in the file; the new one must not be longer.
    """
    offset, length, _ = elf.interpreter
    path = f'/opt/{name}/ld.so'.encode()
    if len(path) >= length:
        raise Trouble(f"'{name}' is too long a name for a program; take at "
                      f"most {length - 1 - len('/opt//ld.so')} letters")
    return (elf.data[:offset] + path + bytes(length - len(path))
            + elf.data[offset + length:])


def _stripped(path):
    target = os.path.join(CACHE, f'stripped.{os.getpid()}')
    run = subprocess.run(['strip', '-o', target, path],
                         stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        raise Trouble(f'strip failed: {run.stderr.strip()}')
    elf = Elf(target)
    os.unlink(target)
    return elf


def _forget_old(name):
    """Remove packs of name, but none that a run may still wait to use."""
    for entry in os.scandir(CACHE):
        if (entry.name.startswith(name + '.')
                and time.time() - entry.stat().st_mtime > KEEP_SECONDS):
            os.unlink(entry.path)


def pack(name, path, words=()):
    """The cpio file that brings the program at path to dom0 as name."""
    try:
        libraries = closure([path])
    except (FileNotFoundError, NotElf) as e:
        raise Trouble(f"'{name}={path}' cannot be packed: {e}") from e
    key = hashlib.sha256(repr((name, path, words, _digest(__file__),
                               _digest(path))).encode())
    for soname, library in sorted(libraries.items()):
        key.update(f'{soname} {_digest(library)}'.encode())
    target = os.path.join(CACHE, f'{name}.{key.hexdigest()[:16]}.cpio')
    if os.path.exists(target):
        os.utime(target)
        return target
    os.makedirs(CACHE, exist_ok=True)
    _forget_old(name)
    elf = _stripped(path)
    program = os.path.basename(path)
    folder = f'opt/{name}/'
    temporary = target + '.new'
    with Cpio(temporary) as archive:
        for soname, library in sorted(libraries.items()):
            archive.copy(folder + 'lib/' + soname, library)
        if elf.interpreter:
            loader = os.path.basename(elf.interpreter[2])
            archive.link(folder + 'ld.so', 'lib/' + loader)
            archive.data(folder + program, _own_interpreter(elf, name),
                         0o755)
        else:
            archive.data(folder + program, elf.data, 0o755)
        options = ''.join(f' {word}' for word in words)
        archive.data(folder + 'run', (
            '#!/bin/sh\n'
            f'export LD_LIBRARY_PATH=/opt/{name}/lib\n'
            f'exec /opt/{name}/{program}{options} "$@"\n').encode(), 0o755)
    os.rename(temporary, target)
    return target


def device_model(name, path):
    """pack() for a device model."""
    if not os.path.isfile(path):
        raise Trouble(f"there is no device model '{short(path)}'; build it "
                      'first')
    words = tuple(w for folder in QEMU_DATA for w in ('-L', folder))
    return pack(name, path, words)
