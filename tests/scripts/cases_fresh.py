# SPDX-License-Identifier: GPL-2.0-or-later
"""check-fresh, the clean root that it runs in, and .ci/run."""
# pylint: disable=missing-function-docstring

import glob
import os
import re
import signal
import subprocess

from sandbox import Skip

# A "Debian" of one shell and what clean-root and enter-root call in it.
DEBOOTSTRAP = '''
while [[ $1 == -* ]]; do shift; done
root=$2
[[ ! -e {top}/broken ]] || { echo "E: no such mirror"; exit 1; }
mkdir -p "$root"/{dev,proc,root,usr/{bin,sbin,lib,lib64},var/lib/dpkg} \\
    "$root"/etc/{apt/apt.conf.d,dpkg/dpkg.cfg.d}
ln -s usr/bin usr/lib usr/lib64 "$root"
for name in bash env setsid umount rmdir; do
    path=$(command -v $name)
    cp "$path" "$root/usr/bin"
    for library in $(ldd "$path" | grep -o '/[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp "$library" "$root$library"
    done
done
: >"$root/var/lib/dpkg/status"
echo made >>{top}/made
'''


def clean(box, really=True):
    """Have all that clean-root asks for; really: namespaces, too."""
    if really and (os.getuid() or subprocess.run(
            ['unshare', '--mount', '--pid', '--fork', 'true'],
            stderr=subprocess.DEVNULL, check=False).returncode):
        raise Skip('a clean root needs root and namespaces')
    box.write('build-aux/packages/fresh', 'make\n')
    box.fake_apt({})
    box.commit()
    box.write(os.path.join(box.bin, 'debootstrap'),
              '#!/bin/bash' + DEBOOTSTRAP.replace('{top}', box.top), 0o755)
    box.stub('id', 'echo 0')
    if not really:
        box.stub('unshare', '''
while :; do case $1 in -*) shift ;; *) exec "$@" ;; esac; done''')


def left(box):
    return glob.glob(box.path('build/fresh/run.*'))


def test_clean_root(box):
    """a clean root holds nothing of this machine, and is gone afterwards"""
    clean(box)
    result = box.run('build-aux/clean-root', '--clone', 'bash', '-c', '''
        echo $PWD $PPID ${SECRET-none} $(</proc/sys/kernel/hostname)
        echo /* /proc/self/fd/*
        read word </root/pulsar/VERSION; echo VERSION $word
        while read line; do echo "$line"; done </etc/apt/sources.list
        exit 7''', SECRET='x')
    assert result.code == 7, result.text
    lines = result.out.splitlines()
    assert lines[0] == '/root/pulsar 1 none fresh', result.text
    assert '/etc' in lines[1] and '/home' not in lines[1], lines[1]
    assert '/proc/self/fd/2' in lines[1] and '/fd/9' not in lines[1], lines[1]
    assert lines[2] == 'VERSION ' + box.read('VERSION').strip(), result.text
    signed = r'deb (\[signed-by=/etc/apt/keyrings/[^ ]*\] )?http://mirror.test/'
    for line, source in zip(lines[3:], ('debian/ bookworm main',
                                        'debian-security/ bookworm-security main'),
                            strict=True):
        assert re.fullmatch(signed + source, line), result.text
    assert not left(box)


def test_clean_root_files(box):
    """a clean root takes files in, and gives those of a folder out"""
    clean(box)
    box.write(os.path.join(box.top, 'in'), 'word\n')
    out = os.path.join(box.top, 'out')
    command = ('build-aux/clean-root', f'--copy={box.top}/in',
               f'--fetch=/root/made:{out}', 'bash', '-c')
    made = 'read word </root/in; echo "$word" >/root/made/$word; exit '
    clean_made = box.path('build/fresh/bookworm.tar')
    box.run('build-aux/clean-root', 'bash', '-c', 'exit').fine()
    subprocess.run(['tar', '-r', '-f', clean_made, '--transform',
                    's,^.*/in$,root/made/old,', f'{box.top}/in'],
                   stderr=subprocess.DEVNULL, check=True)
    assert box.run(*command, made + '3').code == 3
    assert not os.path.exists(out)
    box.run(*command, made + '0').fine()
    assert sorted(os.listdir(out)) == ['old', 'word'], os.listdir(out)
    assert box.read(os.path.join(out, 'word')) == 'word\n'
    result = box.run('build-aux/clean-root', '--copy=/nowhere', 'true')
    assert result.code == 125 and '/nowhere' in result.err, result.text


def test_clean_root_kept(box):
    """the minimal Debian is made once, and again when it is a week old"""
    clean(box)
    made = os.path.join(box.top, 'made')
    command = ('build-aux/clean-root', 'bash', '-c', 'exit')
    box.run(*command).fine()
    box.run(*command).fine()
    assert box.read(made).count('made') == 1
    tarball = box.path('build/fresh/bookworm.tar')
    os.utime(tarball, (0, 0))
    box.run(*command).fine()
    assert box.read(made).count('made') == 2
    os.utime(tarball, (0, 0))
    box.write(os.path.join(box.top, 'broken'), '')
    assert 'stays that of 1970' in box.run(*command).fine().err


def test_clean_root_killed(box):
    """a clean root that is interrupted is removed; a killed one by the next"""
    clean(box)
    for how, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        with subprocess.Popen(
                ['build-aux/clean-root', 'bash', '-c', 'echo up; read </dev/ptmx'],
                cwd=box.root, env=box.env, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True) as run:
            assert run.stdout.readline() == 'up\n'
            run.send_signal(how)
            # The pipe ends with the last of those who run in there.
            assert run.stdout.read() == ''
        assert run.returncode == code, run.returncode
        assert bool(left(box)) == (how == signal.SIGKILL), left(box)
    box.run('build-aux/clean-root', 'bash', '-c', 'exit').fine()
    assert not left(box)


def test_fresh_errors(box):
    """check-fresh refuses a suite, a target, a user that it cannot serve"""
    box.stub('id', 'echo 1000')
    box.copy('README.md')
    box.make('check-fresh').refused('root', 'uid 0')
    box.make('check-fresh', 'SUITE=buster').refused('buster', 'bookworm',
                                                    'trixie')
    box.make('check-fresh', 'TARGET=check Demo').refused('Demo', 'demo')
    box.make('check-fresh', 'SERIES=9.2').refused("'9.2'", '10.0')
    box.run('build-aux/check-fresh', '--sweet=x').refused('--sweet=x')
    box.make('check-deb', 'PACKAGES=/nowhere').refused('/nowhere', 'make deb')
    box.make('check-deb', 'PART=x').refused("'x'", '--help')
    result = box.run('build-aux/clean-root', '--x', 'true')
    assert result.code == 125 and '--help' in result.err, result.text
    result = box.run('build-aux/clean-root')
    assert result.code == 125 and 'no command' in result.err, result.text


def test_fresh_series(box):
    """check-fresh has every target made from the series that it was told"""
    box.write('build-aux/clean-root', """#!/bin/sh
while case $1 in --*) true ;; *) false ;; esac; do shift; done
exec "$@"
""", 0o755)
    for name in ('apt-get', 'setpriv'):
        box.stub(name, 'while [ $# != 0 ] && [ "$1" = "${1#/}" ]; do shift; '
                       'done; [ $# = 0 ] || exec "$@"')
    box.stub('make', 'echo "made: $*"')
    for given, made in ((['--series=10.0'], ' SERIES=10.0'), ([], '')):
        out = box.run('build-aux/check-fresh', *given, 'demo',
                      'check').fine().out
        assert re.findall('made: (.*)', out) == ['demo' + made,
                                                 'check' + made], out


def ci(box, *words):
    """.ci/run says in its first lines that it runs here, and why."""
    box.copy('.ci/run')
    box.stub('make', 'echo "$* on $(hostname)"; echo "3 passed, 1 failed"; '
                     'exit 2')
    result = box.run('.ci/run')
    lines = result.out.splitlines()
    assert lines[-1] == '3 passed, 1 failed' and result.code == 2, result.text
    said = [line for line in lines if 'NO CLEAN ROOT' in line]
    assert len(said) == 1 and lines.index(said[0]) < 2, result.text
    for word in words:
        assert word in said[0], said
    return result


def test_ci_user(box):
    """.ci/run as a user says that it runs on the machine itself"""
    box.stub('id', 'echo 1000')
    ci(box, 'only root')


def test_ci_no_namespaces(box):
    """.ci/run without namespaces says that it runs on the machine itself"""
    box.stub('id', 'echo 0')
    box.stub('unshare', 'exit 1')
    ci(box, 'no namespaces')


def test_ci_no_debian(box):
    """.ci/run runs on the machine itself when no clean root can be made"""
    clean(box, really=False)
    box.write(os.path.join(box.top, 'broken'), '')
    result = ci(box, 'could not be made')
    assert 'try 2 failed: E: no such mirror' in result.err, result.err
    assert not left(box)
