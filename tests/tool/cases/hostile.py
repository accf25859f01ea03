# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages that are not as they should be. A device model may have been broken
into; what it writes into its page must not harm who reads it."""

import os
import random
import subprocess

from harness import (BAD_PAGE, case, check, equal, Failure, NO_SUCH_VM, OK,
                     OUR_BUILD)

LAYOUT = {}


def field(name, struct='PulsarLedgerHeader'):
    """Where a field is, as the compiler sees it."""
    if not LAYOUT:
        out = subprocess.run([os.path.join(OUR_BUILD, 'layout')], check=True,
                             capture_output=True, text=True).stdout
        for line in out.splitlines():
            owner, key, offset, size = line.split()
            LAYOUT[owner, key] = int(offset), int(size)
    return LAYOUT[struct, name][0]


def commands(host, domid=5):
    """Everything that reads pages."""
    return [('table', domid), ('table', domid, '--json'),
            ('table', domid, '--svg', '-'), ('show', domid),
            ('show', '--all', '--json'), ('table', 'some-name'),
            ('table', host.path(domid))]


@case(sanitised=True)
def wrong_pages_get_one_sentence(host):
    dm = host.dm(5)
    page = open(dm.path, 'rb').read()
    dm.crash()

    def put(data):
        with open(dm.path, 'wb') as f:
            f.write(data)

    def version(offset, value):
        return page[:offset] + value.to_bytes(4, 'little') + page[offset + 4:]

    for data, words in (
            (b'', ('shorter',)), (page[:100], ('shorter',)),
            (page[:5000], ('shorter',)), (page[:-1], ('shorter',)),
            (bytes(len(page)), ('magic',)), (b'x' + page[1:], ('magic',)),
            (version(field('major'), 2), ('version 2', 'version 1')),
            (version(field('cause_size'), 64), ('contradicts',)),
            (version(field('cause_count'), 513), ('contradicts',))):
        put(data)
        host.fails(BAD_PAGE, 'table', 5, says=(dm.path, *words))
        host.fails(BAD_PAGE, 'show', 5, says=(dm.path, *words))
    put(version(field('minor'), 9))
    host.run('table', 5)
    put(page + bytes(10000))
    host.run('table', 5)


@case(sanitised=True)
def things_that_are_no_files(host):
    path = host.path(5)
    os.mkdir(path)
    host.fails(BAD_PAGE, 'table', 5, says=(path, 'plain file'))
    os.rmdir(path)
    os.mkfifo(path)
    host.fails(BAD_PAGE, 'table', 5, says=(path, 'plain file'))
    os.unlink(path)
    os.symlink('/dev/zero', path)
    host.fails(BAD_PAGE, 'table', 5, says=(path, 'plain file'))
    os.unlink(path)
    os.symlink(path, path)
    host.fails(None, 'table', 5)
    os.unlink(path)
    for name in '5.ledger.123', '.5.ledger.123', 'x.ledger', '5', '-1.ledger':
        with open(os.path.join(host.rundir, name), 'w', encoding='ascii'):
            pass
    host.dm(31006)
    equal([vm['domid'] for vm in host.run('show', '--all', '--json').jsons()],
          [31006], 'other files are not looked at')


@case(sanitised=True)
def a_page_that_is_never_at_rest(host):
    dm = host.dm(5)
    dm.say(f'poke {field("seq")} 7')
    host.fails(BAD_PAGE, 'table', 5, says=(dm.path, 'at rest'))


@case(sanitised=True)
def a_page_cut_short_while_it_is_read(host):
    dm = host.dm(5, 'at 0', 'wake timer:x 5')
    for length in 80000, 5000, 100, 0:
        dm.say(f'cut {length}')
        host.fails(BAD_PAGE, 'table', 5, says=('shorter',))


@case(sanitised=True)
def random_pages_harm_nobody(host):
    """Fields and areas of a living page, with all kinds of numbers."""
    rng = random.Random(1)
    extreme = (0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 512)
    fields = ['cause_count', 'row_last', 'start_ns', 'last_ns', 'total',
              'domid', 'pid', 'state', 'minor', 'start_real_ns']
    for _ in range(25):
        dm = host.dm(5, 'at 0', 'wake timer:x 5', 'wake pio-read:ide',
                     'option usb=false command line', name='some-name',
                     start=70)
        for _ in range(rng.randrange(1, 4)):
            offset = field(rng.choice(fields)) + 4 * rng.randrange(2)
            dm.say(f'poke {offset} {rng.choice(extreme)}')
        area = rng.randrange(4096, 80000)
        dm.say(f'fill {area} {rng.randrange(1, 3000)} {rng.randrange(256)}',
               f'fill {field("name")} {rng.randrange(64)} '
               f'{rng.randrange(1, 256)}')
        for command in commands(host):
            r = host.run(*command, code=None)
            if r.code not in (OK, NO_SUCH_VM, BAD_PAGE):
                raise Failure(f'{command}: exit {r.code}: {r.err}')
        if rng.randrange(2):
            dm.crash()
            for command in commands(host):
                check(host.run(*command, code=None).code in
                      (OK, NO_SUCH_VM, BAD_PAGE), command)
        dm.close()
        os.unlink(dm.path)
