# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer emulator: QEMU 7.2, built from Debian 12's source and mended, or,
where that is not there, as Debian built it.

Newer ones do not carry nested guests (QEMU 10.0's SVM emulation lets Linux
guests halt), so the version is part of the recipe. What is mended is in the
folder emulator/ beside this one.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

from . import elf, packages
from .paths import HERE, TOP, WORK, Trouble, lock, say, short

VERSION = '7.2'
ROOT = os.path.join(WORK, 'emulator')
MENDED = os.path.join(WORK, 'mended')
NAME = 'qemu-system-x86_64'
FIRMWARE = ('usr/share/seabios', 'usr/share/qemu')

# Just what host.py's command line asks for, since it is built on the way.
TARGET = 'x86_64-softmmu'
DEVICES = {'CONFIG_I440FX': 'y', 'CONFIG_NVME_PCI': 'y'}
OPTIONS = ('--target-list=' + TARGET, '--with-devices-x86_64=xenhost',
           '--without-default-features', '--without-default-devices',
           '--enable-system', '--enable-tcg', '--enable-trace-backends=nop',
           '--disable-debug-info', '--disable-qom-cast-debug',
           '--disable-stack-protector', '--disable-install-blobs',
           '--with-git-submodules=ignore')


def _firmware(root):
    return [word for folder in FIRMWARE
            for word in ('-L', os.path.join(root, folder))]


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
            ('usr/bin/' + NAME, 'usr/lib/', 'lib/', 'lib64/', *FIRMWARE)))
        with open(stamp, 'w', encoding='utf-8') as f:
            f.write(files)
    modules = os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu/qemu')
    return ['env', 'QEMU_MODULE_DIR=' + modules,
            *elf.command(os.path.join(ROOT, 'usr/bin', NAME), ROOT),
            *_firmware(ROOT)]


def _mended():
    """The one that build() made, if it did and it starts here."""
    path = os.path.join(MENDED, NAME)
    if not os.path.exists(path):
        return None
    run = subprocess.run([path, '-version'], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, check=False)
    return [path, *_firmware(MENDED)] if run.returncode == 0 else None


def _locked():
    return lock(os.path.join(WORK, 'emulator.lock'),
                'another unpacking or build of the emulator')


def command():
    """The words that start the outer emulator."""
    with _locked():
        return _mended() or _system() or _beside()


def _patches():
    return sorted(glob.glob(os.path.join(HERE, 'emulator/*.patch')))


def _key(listed):
    digest = hashlib.sha256(repr((OPTIONS, DEVICES)).encode())
    for package in listed:
        digest.update(f'{package.file} {package.digest}\n'.encode())
    for path in _patches():
        with open(path, 'rb') as f:
            digest.update(f.read())
    return digest.hexdigest()


def _run(log, *words, **where):
    log.write(' '.join(words) + '\n')
    log.flush()
    run = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log,
                         stderr=log, check=False, **where)
    if run.returncode != 0:
        with open(log.name, encoding='utf-8', errors='replace') as f:
            said = [line.strip() for line in f if line.strip()]
        errors = [line for line in said if 'ERROR: ' in line]
        raise Trouble(f'{os.path.basename(words[0])} failed: '
                      f'{(errors or said)[-1]} (all of it is in '
                      f'{short(log.name)})')


def _unpack(log, source, tree):
    """Debian's source package, as dpkg-source would, and our patches."""
    os.makedirs(tree)
    for part, options in (('.orig.tar.', ['--strip-components=1']),
                          ('.debian.tar.', [])):
        archive, = (p.file for p in source if part in p.file)
        _run(log, 'tar', '-x', '-f', os.path.join(packages.DEBS, archive),
             '-C', tree, '--no-same-owner', *options)
    patches = os.path.join(tree, 'debian/patches')
    with open(os.path.join(patches, 'series'), encoding='utf-8') as f:
        names = [line.strip() for line in f]
    for name in names:
        if name and not name.startswith('#'):
            _run(log, 'patch', '-p1', '-f', '-s', '-d', tree,
                 '-i', os.path.join(patches, name))
    for path in _patches():
        _run(log, 'patch', '-p1', '-f', '-s', '-F0', '-d', tree, '-i', path)
    with open(os.path.join(tree, f'configs/devices/{TARGET}/xenhost.mak'),
              'w', encoding='utf-8') as f:
        for name, value in DEVICES.items():
            print(f'{name}={value}', file=f)


def _compile(log, tree, objects):
    """Configure and build, told nothing of what the caller's make was."""
    env = {name: value for name, value in os.environ.items() if name not in (
        'CC', 'CFLAGS', 'LDFLAGS', 'PKG_CONFIG', 'PYTHON', 'PYTHONPATH')}
    cc = ['--cc=ccache gcc'] if shutil.which('ccache') else []
    os.makedirs(objects)
    _run(log, os.path.join(tree, 'configure'), *OPTIONS, *cc, cwd=objects,
         env=env)
    ninja = subprocess.run(
        [os.path.join(TOP, 'build-aux/run-ninja'), '-C', objects, NAME],
        stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env, check=False)
    if ninja.returncode != 0:
        raise Trouble('ninja failed, as is said above')


def _build():
    source = packages.resolve('mended', ['qemu'],
                              packages.SUITE + packages.SOURCE)
    if not all(p.file.startswith(f'qemu_{VERSION}') for p in source):
        raise Trouble(f'{packages.SUITE} has no QEMU {VERSION} any more but '
                      f'{source[0].file}')
    listed = [p for p in packages.resolve('mended-firmware',
                                          ['seabios', 'qemu-system-data'])
              if p.name in ('seabios', 'qemu-system-data')]
    key = _key(source + listed)
    stamp = os.path.join(MENDED, 'key')
    if os.path.exists(stamp) and _mended():
        with open(stamp, encoding='utf-8') as f:
            if f.read() == key:
                return
    run = subprocess.run([os.path.join(TOP, 'build-aux/need-packages'),
                          '--check', 'xenhost'], stderr=subprocess.PIPE,
                         text=True, check=False)
    if run.returncode != 0:
        raise Trouble(run.stderr.strip().removeprefix('need-packages: '))
    packages.fetch(source + listed)
    packages.unpack(listed, MENDED, lambda name: name.startswith(FIRMWARE))
    say(f'building QEMU {VERSION} for the outer emulator, once')
    scratch = os.path.join(MENDED, 'build')
    tree = os.path.join(scratch, 'source')
    objects = os.path.join(scratch, 'objects')
    try:
        with open(os.path.join(WORK, 'mended.log'), 'w',
                  encoding='utf-8') as log:
            _unpack(log, source, tree)
            _compile(log, tree, objects)
        os.rename(os.path.join(objects, NAME), os.path.join(MENDED, NAME))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not _mended():
        raise Trouble(f'{short(MENDED)}/{NAME} was built and does not start')
    with open(stamp, 'w', encoding='utf-8') as f:
        f.write(key)
    say('the outer emulator is built')


def build():
    """Have the mended emulator; quick when nothing changed.

    Returns: nothing, or in a sentence why there is none.
    """
    try:
        with _locked():
            _build()
    except Trouble as e:
        return str(e)
    return None
