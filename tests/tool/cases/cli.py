# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands have in common: options, names, ends."""

import contextlib
import json
import os
import re
import shutil
import subprocess

from harness import (BAD_PAGE, case, check, equal, NO_SUCH_VM, Skip, SYSTEM,
                     USAGE)


@contextlib.contextmanager
def as_nobody(host):
    """What to put before a command so that an unprivileged user runs it."""
    if os.getuid() != 0 or not shutil.which('setpriv'):
        raise Skip('needs root and setpriv')
    copy = os.path.join(host.dir, 'pulsar')
    shutil.copy(host.tool, copy)
    os.chmod(host.dir, 0o755)
    tool, host.tool = host.tool, copy
    try:
        yield ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    finally:
        host.tool = tool


@case
def version_and_help(host):
    version = open(os.path.join(os.path.dirname(__file__),
                                '../../../VERSION'),
                   encoding='utf-8').read().strip()
    for word in '--version', '-V':
        out = host.run(word).out
        if host.tool.endswith('build/pulsar'):
            equal(out, f'pulsar {version}\n', word)
    for word in '--help', '-h':
        check('Commands:' in host.run(word).out, word)


@case(sanitised=True)
def every_command_has_help(host):
    commands = [line.split()[0] for line in
                host.run('--help').out.split('Commands:\n')[1]
                .split('\n\n')[0].splitlines()]
    check(len(commands) >= 3, f'commands: {commands}')
    for command in commands:
        for word in '--help', '-h':
            out = host.run(command, word).out
            check(out.startswith(f'Usage: pulsar {command} '), out)
            check(max(map(len, out.splitlines())) < 80,
                  f'{command}: wider than 79 columns')
        host.fails(USAGE, command, '--no-such-option',
                   says=('--no-such-option', command))
        host.fails(USAGE, command, '-%', says=('-%',))


@case
def options_in_every_form(host):
    host.dm(3, name='web', start=95)
    want = host.run('table', '--json', '--rows', '2', '3').json()['rows']
    for args in (('3', '--json', '--rows=2'), ('-j', '-n', '2', '3'),
                 ('-jn2', '3'), ('-n2', '-j', '--', '3'), ('-jn', '2', '3')):
        have = host.run('table', *args).json()['rows']
        equal([r['row'] for r in have], [r['row'] for r in want], args)
    host.fails(NO_SUCH_VM, 'table', '--', '-j', says=('-j',))
    host.fails(USAGE, 'table', '-n', says=('-n', 'N'))


@case(sanitised=True)
def foreign_text_is_made_harmless(host):
    """No byte of a name reaches the terminal as a control character."""
    evil = (r'\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xae\xff'
            r'\xc3\x28tail')
    host.dm(3, 'option usb=\x1b[31mfalse xen\x1b[0mstore',
            r'version \x1b[5mblink', 'now', r'wake timer:\x1b[1mx', name=evil)
    clean = (r'\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b1m\xe2\x80\xae\xff'
             r'\xc3(tail')
    # Host.run() itself refuses what is not printable.
    equal(host.run('table', 3, '--json').json()['name'], clean, 'name')
    check(clean in host.run('table', 3).out, 'name as text')
    equal(host.run('show', 3, '--json').json()['options']['usb'],
          {'value': r'\x1b[31mfalse', 'source': r'xen\x1b[0mstore'}, 'option')
    host.run('show', 3)
    host.run('table', 3, '--svg', '-')
    host.fails(NO_SUCH_VM, 'table', '\x1b[31mred\n', says=(r'\x1b[31mred',))
    host.fails(USAGE, '\x1b[31mred', says=(r'\x1b[31mred',))
    host.fails(USAGE, 'table', '--\x1b[31mred', says=(r'\x1b[31mred',))


@case
def names_in_other_scripts_stay(host):
    host.dm(3, name='Zürich-東京')
    check('Zürich-東京' in host.run('table', 3).out, 'in UTF-8')
    equal(host.run('table', 'Zürich-東京', '--json').json()['domid'], 3,
          'found by it')
    plain = host.run('table', 3, env={'LC_ALL': 'C'}).out
    check(r'Z\xc3\xbcrich' in plain and plain.isascii(), 'in an ASCII locale')
    equal(host.run('table', 3, '--json', env={'LC_ALL': 'C'}).json()['name'],
          'Zürich-東京', 'JSON in an ASCII locale')


@case
def a_full_disk_is_said(host):
    host.dm(3)
    for args in (('table', '3'), ('table', '3', '--json'), ('show', '3'),
                 ('--help',), ('--version',), ('table', '--help')):
        with open('/dev/full', 'wb') as full:
            r = subprocess.run([host.tool, *args], stdout=full,
                               stderr=subprocess.PIPE, env=host.env,
                               check=False)
        equal(r.returncode, SYSTEM, f'{args}: exit')
        check(b'No space left' in r.stderr, f'{args}: {r.stderr!r}')


@case
def clean_removes_only_the_dead(host):
    alive = host.dm(1)
    dead = host.dm(2)
    dead.crash()
    host.fails(USAGE, 'clean', '2', says=('no VM',))
    out = host.run('clean', '--dry-run').out
    equal(out, f'would remove {dead.path}\n', 'dry run')
    check(os.path.exists(dead.path), 'dry run removed it')
    equal(host.run('clean').out, f'removed {dead.path}\n', 'output')
    check(not os.path.exists(dead.path), 'page of the dead is there')
    check(os.path.exists(alive.path), 'page of the living is gone')
    check('no page' in host.run('clean').out, 'nothing to do')


@case
def clean_needs_permission(host):
    from harness import PERMISSION
    dead = host.dm(2)
    dead.crash()
    with as_nobody(host) as prefix:
        host.fails(PERMISSION, 'clean', prefix=prefix, says=(dead.path,))


@case(sanitised=True)
def clean_does_what_it_can(host):
    """What is no page is named, and the rest is removed all the same."""
    for domid in 2, 4, 9:
        host.dm(domid).crash()
    os.mkdir(host.path(3))
    os.symlink('/nowhere', host.path(5))
    os.mkfifo(host.path(7))
    r = host.fails(BAD_PAGE, 'clean', says=(host.path(3), host.path(7)))
    for domid in 2, 4, 9:
        check(f'removed {host.path(domid)}\n' in r.out, r.out)
    equal(sorted(os.listdir(host.rundir)),
          ['3.ledger', '5.ledger', '7.ledger'], 'left')


LATE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A device model puts its page in place just before one is taken away. */
static void be_late(const char *path)
{
    static int (*real)(const char *, const char *);
    const char *late = getenv("LATE_PAGE");

    if (!real) {
        real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    }
    if (late && strstr(path, ".ledger")) {
        unsetenv("LATE_PAGE");
        real(late, path);
    }
}

int unlink(const char *path)
{
    be_late(path);
    return ((int (*)(const char *))dlsym(RTLD_NEXT, "unlink"))(path);
}

int rename(const char *from, const char *to)
{
    be_late(from);
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))
        (from, to);
}
"""


@case
def clean_spares_who_has_just_started(host):
    """Between the look at a dead page and its removal a device model of the
    same domain starts, and its page is where the dead one's was."""
    source = os.path.join(host.dir, 'late.c')
    with open(source, 'w', encoding='ascii') as f:
        f.write(LATE)
    library = os.path.join(host.dir, 'late.so')
    subprocess.run(['cc', '-shared', '-fPIC', '-o', library, source, '-ldl'],
                   check=True)
    new = host.dm(5, name='new')
    late = os.path.join(host.dir, 'late')
    os.rename(new.path, late)
    host.dm(5).crash()
    host.run('clean', env={'LD_PRELOAD': library, 'LATE_PAGE': late})
    check(not os.path.exists(late), 'the test itself')
    equal(os.listdir(host.rundir), ['5.ledger'], 'pages')
    equal(host.run('table', 5, '-j').json()['state'], 'running', 'page')


def in_german(host):
    """A locale in which numbers have a comma, made for this test."""
    made = subprocess.run(['localedef', '-i', 'de_DE', '-f', 'UTF-8',
                           os.path.join(host.dir, 'de_DE.UTF-8')],
                          capture_output=True, check=False)
    equal(made.returncode, 0, f'localedef, which says {made.stderr!r}')
    return {'LOCPATH': host.dir, 'LC_ALL': 'de_DE.UTF-8'}


@case(sanitised=True)
def numbers_are_the_same_everywhere(host):
    """What programs read has points, and who types may use a comma."""
    env = in_german(host)
    dm = host.dm(3, 'at 1', 'wake timer:x 3 500', name='web', start=95.5)
    say = subprocess.run(['/bin/bash', '-c', 'printf %.1f 1,5'],
                         env={**host.env, **env}, capture_output=True,
                         check=False).stdout
    equal(say, b'1,5', 'the test itself')
    dm.crash()      # what is of now would not be the same twice
    for args in ('table', 3, '--csv'), ('table', 3, '--json'), \
            ('table', 3, '--svg', '-'), ('table', 3), ('show', 3), \
            ('top', '-n', '-p', '-'):
        equal(host.run(*args, env=env).out, host.run(*args).out, args)
    lines = host.run('table', 3, '--csv', env=env).out.splitlines()
    equal({len(line.split(',')) for line in lines}, {8}, 'fields')
    host.dm(4)
    for args in ('top', '-c'), ('top', '-j'), ('doctor', '-j'), ('top', '-1'):
        for number in '0,3', '0.3':
            out = host.run(*args, '-n', '-d', number, env=env).out
            if args[1] == '-c':
                equal({line.count(',') for line in out.splitlines()}, {22},
                      'commas')
            elif args[1] == '-j':
                check([json.loads(line) for line in out.splitlines()], args)
            else:
                check(not re.search(r'\d,\d', out), out)
    host.fails(USAGE, 'top', '-1', '-d', '0,01', env=env,
               says=('0,01', '0.1'))
    host.fails(USAGE, 'top', '-1', '-d', '1,5,2', env=env, says=('1,5,2',))


@case(sanitised=True)
def files_keep_their_modes(host):
    """Whatever the umask: who reads them is not who writes them."""
    dm = host.dm(3, name='web')
    conf = os.path.join(host.dir, 'pulsar.conf')
    for args in (('top', '-n', '-p'), ('table', '3', '--svg'),
                 ('set', '-t', 'xl', 'web', 'usb=false', '-f')):
        path = os.path.join(host.dir, 'file')
        link = os.path.join(host.dir, 'link')
        os.symlink(path, link)
        for mode in None, 0o644, 0o640, 0o664:
            if mode is not None:
                os.chmod(path, mode)
                with contextlib.suppress(PermissionError):
                    os.chown(path, -1, 12345)
            group = mode is not None and os.stat(path).st_gid
            host.run(*args, path if mode is None else link, umask=0o077)
            equal(os.stat(path).st_mode & 0o7777, mode or 0o644,
                  f'{args}: mode')
            check(os.path.islink(link), 'the link is gone')
            if mode is not None:
                equal(os.stat(path).st_gid, group, f'{args}: group')
        os.unlink(path)
        os.unlink(link)
    check(not os.path.exists(conf), 'the test itself')
    # What is no file stays what it is.
    fifo = os.path.join(host.dir, 'fifo')
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    host.run('top', '-n', '-p', fifo)
    check(b'xen_dm_up' in os.read(reader, 65536), 'fifo')
    os.close(reader)
    check(os.path.exists(fifo) and not os.path.isfile(fifo), 'a fifo still')
    equal(sorted(n for n in os.listdir(host.dir) if n.startswith('f')),
          ['fifo'], 'files left')
    check(dm.pid, 'the test itself')


@case
def a_clean_exit_leaves_nothing(host):
    dm = host.dm(2)
    host.run('table', 2)
    dm.leave()
    equal(os.listdir(host.rundir), [], 'files left')


@case
def show_names_options_and_sources(host):
    host.dm(3, 'version Pulsar 0.1', 'option usb=false command line',
            'option serial=none xenstore /local/domain/3/platform/hvm_serial',
            'option dvd=given default', name='web')
    host.dm(4, name='mail')
    one = host.run('show', 'web', '--json').json()
    equal(one['options'], {
        'usb': {'value': 'false', 'source': 'command line'},
        'serial': {'value': 'none', 'source':
                   'xenstore /local/domain/3/platform/hvm_serial'},
        'dvd': {'value': 'given', 'source': 'default'}}, 'options')
    text = host.run('show', '3').out
    check('usb=false' in text and 'command line' in text, text)
    equal([vm['domid'] for vm in host.run('show', '--all', '--json').jsons()],
          [3, 4], '--all')
    equal([vm['domid'] for vm in host.run('show', '4', 'web', '-j').jsons()],
          [4, 3], 'two')
    host.fails(USAGE, 'show', says=('--all',))
    host.fails(USAGE, 'show', '3', '--all', says=('--all',))
    host.fails(NO_SUCH_VM, 'show', 'nix', says=('nix',))
