# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's packages, fetched and unpacked beside the system's own.

Nothing is installed: apt only resolves and downloads, through
build-aux/private-apt, and the archives are unpacked below build/xenhost.
"""

import collections
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time

from .paths import TOP, WORK, Trouble, say, short

SUITE = 'bookworm'      # unless another is asked for
SOURCE = ':deb-src'     # after a suite: its source packages
PRIVATE_APT = os.path.join(TOP, 'build-aux', 'private-apt')
DEBS = os.path.join(WORK, 'debs')
DAY = 24 * 3600

Package = collections.namedtuple('Package', 'suite name file size digest')


def _apt(suite, *args, folder=DEBS):
    os.makedirs(DEBS, exist_ok=True)
    run = subprocess.run([PRIVATE_APT, suite, folder, 'apt-get', '-qq', *args],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, check=False)
    if run.returncode != 0:
        why = (run.stderr.strip().splitlines() or ['it gave no reason'])[-1]
        raise Trouble(f'apt-get {args[0]} for suite {suite} failed: {why}')
    return run.stdout


def _resolve(suite, names):
    """What an empty system would install to have the named packages, or the
    files of these source packages."""
    how = ['install', '--no-install-recommends']
    if suite.endswith(SOURCE):
        how = ['source', '--only-source']
    # What is there already would not be listed.
    with tempfile.TemporaryDirectory() as empty:
        listing = _apt(suite, *how, '--print-uris', '-o',
                       'Dir::Cache::Archives=' + empty, *names, folder=empty)
    found = re.findall(r"^'\S+' (\S+?)(_\S+) (\d+) (\S+)$", listing, re.M)
    return [Package(suite, name, name + rest, int(size), digest.split(':')[-1])
            for name, rest, size, digest in found]


def resolve(label, names, suite=SUITE):
    """_resolve(), asked once a day; the last answer stands in when offline."""
    memory = os.path.join(WORK, label + '.packages')
    os.makedirs(WORK, exist_ok=True)
    question = f"# {suite} {' '.join(names)}"
    known = None
    if os.path.exists(memory):
        with open(memory, encoding='utf-8') as f:
            lines = f.read().splitlines()
        if lines[:1] == [question]:
            known = [Package(suite, n, f, int(s), d)
                     for n, f, s, d in map(str.split, lines[1:])]
    if known and time.time() - os.path.getmtime(memory) < DAY:
        return known
    try:
        fresh = _resolve(suite, names)
    except Trouble as e:
        if known is None:
            raise
        say(f'{e}; taking the packages of last time')
        return known
    with open(memory, 'w', encoding='utf-8') as f:
        print(question, file=f)
        for package in fresh:
            print(*package[1:], file=f)
    return fresh


def _intact(package):
    path = os.path.join(DEBS, package.file)
    if not os.path.exists(path) or os.path.getsize(path) != package.size:
        return False
    algorithm = {32: 'md5', 64: 'sha256', 128: 'sha512'}[len(package.digest)]
    with open(path, 'rb') as f:
        digest = hashlib.file_digest(f, algorithm).hexdigest()
    return digest == package.digest


def fetch(packages):
    """Have every package's archive in build/xenhost/debs."""
    missing = [p for p in packages if not _intact(p)]
    if not missing:
        return
    size = sum(p.size for p in missing) / 1e6
    say(f'fetching {len(missing)} Debian packages ({size:.0f} MB)')
    for suite in {p.suite for p in missing}:
        how = ['download']
        if suite.endswith(SOURCE):
            how = ['source', '--only-source', '--download-only']
        _apt(suite, *how, *{p.name for p in missing if p.suite == suite})
    for package in missing:
        if not _intact(package):
            raise Trouble(f'{short(os.path.join(DEBS, package.file))} is not '
                          'what the package list promised; remove '
                          f'{short(WORK)} and try again')


def unpack(packages, root, wanted=lambda name: True):
    """Unpack what wanted(path) accepts of the packages, into an empty root."""
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for package in packages:
        path = os.path.join(DEBS, package.file)
        with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', path],
                              stdout=subprocess.PIPE) as proc:
            with tarfile.open(fileobj=proc.stdout, mode='r|') as tar:
                for member in tar:
                    member.name = member.name.removeprefix('./')
                    if member.isdir() or not wanted(member.name):
                        continue
                    member.mode |= 0o600
                    tar.extract(member, root, set_attrs=True,
                                numeric_owner=False)
        if proc.returncode != 0:
            raise Trouble(f'{short(path)} cannot be unpacked')
