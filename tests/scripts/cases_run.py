# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run: what it counts and when it fails."""
# pylint: disable=missing-function-docstring

import os
import shutil
import subprocess

from sandbox import ROOT


def suite(box, script):
    box.write('tests/x/check', '#!/bin/sh\n' + script, 0o755)
    return box.run('tests/run', 'x')


def last(result):
    return result.out.splitlines()[-1]


def test_counts(box):
    """tests/run counts passed, failed and skipped tests"""
    result = suite(box, 'echo "# a"; echo "ok - x: a"; echo "ok - x: b"')
    assert last(result.fine()) == '2 passed, 0 failed', result.out
    result = suite(box, 'echo "ok - x: a"; echo "ok - x: b # SKIP no c"')
    assert last(result.fine()) == '1 passed, 0 failed, 1 skipped', result.out
    result = suite(box, 'echo "ok - x: a"; echo "not ok - x: b"; exit 1')
    assert last(result) == '1 passed, 1 failed' and result.code == 1


def test_silent_failure(box):
    """tests/run counts a suite that dies, lies, runs nothing or is missing"""
    result = suite(box, 'echo "ok - x: a"; exit 3')
    assert last(result) == '1 passed, 1 failed' and result.code == 1
    assert 'exited with 3' in result.out
    result = suite(box, 'echo "ok - x: a"; kill -9 $$')
    assert last(result) == '1 passed, 1 failed' and result.code == 1
    result = suite(box, 'echo "not ok - x: a"')
    assert 'exited with 0' in result.out and result.code == 1
    result = suite(box, 'exit 0')
    assert 'ran no test' in result.out and result.code == 1
    result = box.run('tests/run', 'y')
    assert 'tests/y/check' in result.out and result.code == 1


def test_environment(box):
    """tests/run tells suites where the programs are, in full"""
    result = suite(box, 'echo "ok - x: $PULSAR_QEMU|$PULSAR_STOCK|'
                        '$PULSAR_TOOL|$PULSAR_BUILD"')
    wanted = '|'.join(box.path('build' + name) for name in (
        '/qemu-system-i386', '/stock/qemu-system-i386', '/pulsar', ''))
    assert wanted in result.fine().out, result.out


def test_hermetic(box):
    """nothing of the caller's environment gets into these tests"""
    odd = {'CC': '/nowhere/cc', 'CFLAGS': '-nonsense', 'LDFLAGS': '-nonsense',
           'PKG_CONFIG': '/nowhere/pkg-config', 'PYTHON': '/nowhere/python',
           'SECONDS': 'soon', 'BASH_ENV': '/nowhere/x', 'CDPATH': '/',
           'MAKEFLAGS': '-n', 'PULSAR_BUILD': 'build', 'PULSAR_QEMU': '/nowhere',
           'PULSAR_PACKAGES': '/nowhere', 'APT_CONFIG': '/nowhere/apt.conf'}
    shutil.copytree(os.path.join(ROOT, 'tests/scripts'),
                    box.path('tests/scripts'),
                    ignore=shutil.ignore_patterns('__pycache__'))
    result = subprocess.run(
        [box.path('tests/scripts/check'), 'test_build', 'test_counts'],
        env=dict(os.environ, **odd), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout
