# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar table: the figures, and finding the VM."""

import csv
import io
import os
import re
import xml.etree.ElementTree as ET

from harness import (case, check, equal, NO_SUCH_VM, NO_VM, PERMISSION, SYSTEM,
                     USAGE)

COLUMNS = ('wakes', 'timer', 'read', 'write', 'buffered', 'event')

# 95 seconds of a VM that boots, waits, and writes once.
STORY = ('at 0', 'wake timer:gui_update 2130', 'wake pio-read:ide 160191',
         'wake pio-write:ide 59769',
         'at 31', 'wake timer:uhci_frame_timer 900', 'event pio-read:uhci 17',
         'wake fd:libxl-cmd 4', 'unclaimed',
         'at 92', 'wake bufioreq 3', 'wake mmio-read:vga',
         'wake config-write:rtl8139')
ROWS = [(222090, 2130, 160191, 59769, 0, 0),
        (905, 900, 17, 0, 0, 4),
        (0, 0, 0, 0, 0, 0),
        (5, 0, 1, 4, 3, 0)]
TOTAL = tuple(map(sum, zip(*ROWS)))


def counts(row):
    return tuple(int(row[c]) for c in COLUMNS)


@case
def table_counts_what_happened(host):
    host.dm(7, *STORY, name='web', start=95)
    table = host.run('table', 7, '--json').json()
    equal([counts(r) for r in table['rows']], ROWS, 'rows')
    equal(counts(table['total']), TOTAL, 'total')
    equal([r['row'] for r in table['rows']], [0, 1, 2, 3], 'row numbers')
    equal([r['seconds'] for r in table['rows'][:3]], [30] * 3, 'row lengths')
    check(5 <= table['rows'][3]['seconds'] < 30, 'length of the last row')
    check(95 <= table['seconds'] < 120, 'age')
    equal((table['domid'], table['name'], table['state']),
          (7, 'web', 'running'), 'identity')


@case
def table_says_the_same_in_every_format(host):
    host.dm(7, *STORY, name='web', start=95)
    text = host.run('table', 'web').out.splitlines()
    check(text[0].startswith('VM web (domain 7), running, 1 min 3'), text[0])
    equal(text[1].split(), ['30', 's', *COLUMNS], 'head')
    equal([tuple(map(int, line.split()[1:])) for line in text[2:6]], ROWS,
          'rows as text')
    equal([line.split()[0] for line in text[2:6]], ['0', '1', '2', '3*'],
          'row numbers')
    equal(text[6].split()[1:], [str(n) for n in TOTAL], 'total as text')
    rows = list(csv.DictReader(io.StringIO(
        host.run('table', '--csv', 'web').out)))
    equal([counts(r) for r in rows], ROWS, 'rows as CSV')
    equal([r['row'] for r in rows], ['0', '1', '2', '3'], 'CSV row numbers')


@case
def table_of_one_who_sleeps_goes_on(host):
    """Rows are filled in by the reader, not by a wake."""
    host.dm(1, 'at 2', 'wake timer:gui_update 9', start=95)
    rows = host.run('table', 1, '--json').json()['rows']
    equal(len(rows), 4, 'rows in 95 s')
    equal(counts(rows[0])[0], 9, 'first row')
    equal([counts(r) for r in rows[1:]], [(0,) * 6] * 3, 'idle rows')


@case
def table_remembers_the_last_128_rows(host):
    dm = host.dm(1)
    for row in range(0, 202, 3):
        dm.say(f'at {row * 30}', f'wake timer:x {row + 1}')
    dm.crash()          # its table ends in the future then
    table = host.run('table', 1, '--json').json()
    equal([r['row'] for r in table['rows']], list(range(74, 202)), 'kept')
    for r in table['rows']:
        n = r['row']
        equal(r['timer'], n + 1 if n % 3 == 0 else 0, f'row {n}')
    equal(table['total']['timer'], sum(n + 1 for n in range(0, 202, 3)),
          'total since the start')
    text = host.run('table', 1).out.splitlines()
    equal(text[2].split(), ['...'], 'mark of the rows that are gone')
    shown = [line.split() for line in text if line.split()[0] == 'shown'][0]
    equal(int(shown[2]), sum(r['timer'] for r in table['rows']), 'sum shown')


@case
def table_shows_as_many_rows_as_asked(host):
    host.dm(7, *STORY, start=95)
    rows = host.run('table', 7, '-n', 2, '-j').json()['rows']
    equal([r['row'] for r in rows], [2, 3], '-n 2')
    rows = host.run('table', '--rows=128', '7', '--json').json()['rows']
    equal(len(rows), 4, '--rows=128')
    for bad in '0', '129', '1.5', 'all', '', '-1', 'nan', '1e300':
        host.fails(USAGE, 'table', f'--rows={bad}', 7, says=('--rows', '128'))


@case
def table_of_a_crashed_device_model(host):
    """The page outlives its owner, and its table ends with it."""
    dm = host.dm(7, *STORY, name='web', start=110)
    dm.crash()
    table = host.run('table', 'web', '--json').json()
    equal(table['state'], 'crashed', 'state')
    equal([counts(r) for r in table['rows']], ROWS, 'rows')
    equal(table['seconds'], 92, 'age at the last event')
    check('*' not in host.run('table', 7).out, 'unfinished row of a dead one')


@case
def killed_with_its_domain(host):
    """As toolstacks end restricted ones: that is no crash."""
    dm = host.dm(7, name='web')
    dm.crash()
    equal(host.run('table', 7, '--json').json()['state'], 'crashed', 'before')
    host.xenstored.forget(7)
    equal(host.run('table', 7, '--json').json()['state'], 'exited', 'after')
    host.dm(8)
    equal([vm['domid'] for vm in host.run('top', '-jn', '-d', 0.1,
                                          '--no-stock').jsons()], [8],
          'whom top lists')
    host.env['XENSTORED_PATH'] = '/nowhere'
    equal(host.run('table', 7, '--json').json()['state'], 'crashed',
          'without a xenstored to ask')


@case
def table_of_one_that_died_while_writing(host):
    dm = host.dm(7, *STORY, start=95)
    seq = int.from_bytes(open(dm.path, 'rb').read()[seq_offset():][:4],
                         'little')
    dm.say(f'poke {seq_offset()} {seq + 1}')
    dm.crash()
    table = host.run('table', 7, '--json').json()
    equal(counts(table['total']), TOTAL, 'total')


def seq_offset():
    from cases.hostile import field
    return field('seq')


@case
def table_finds_by_name_uuid_and_file(host):
    uuid = '12345678-9abc-def0-1234-56789abcdef0'
    host.dm(3, 'uuid ' + uuid, name='web')
    host.dm(4, name='99')
    host.dm(9, name='mail')
    for what, want in (('web', 3), (uuid, 3), (uuid.upper(), 3), ('3', 3),
                       (host.path(9), 9), ('99', 4)):
        equal(host.run('table', what, '--json').json()['domid'], want, what)
    equal(host.run('table', './9.ledger', '--json',
                   cwd=host.rundir).json()['domid'], 9, 'file here')


@case
def table_prefers_the_living(host):
    host.dm(3, name='web').crash()
    host.dm(8, name='web')
    equal(host.run('table', 'web', '--json').json()['domid'], 8, 'living one')
    host.dm(9, name='web')
    host.fails(USAGE, 'table', 'web', says=('web', '8', '9'))


@case
def table_names_what_is_wrong(host):
    host.fails(NO_VM, 'table', 'web', says=(host.rundir,))
    host.fails(NO_VM, 'table', '31007', says=(host.rundir,))
    host.dm(3, name='web')
    host.fails(NO_SUCH_VM, 'table', 'mail', says=('mail', 'domain id'))
    host.fails(NO_SUCH_VM, 'table', '31007', says=("'31007'",))
    host.fails(NO_SUCH_VM, 'table', '03', says=("'03'",))
    host.fails(NO_SUCH_VM, 'table', '/nowhere/3.ledger',
               says=('/nowhere/3.ledger',))
    host.fails(USAGE, 'table', says=('VM',))
    host.fails(USAGE, 'table', '3', '4', says=('2',))
    host.fails(USAGE, 'table', '3', '--json', '--csv', says=('--csv',))
    host.fails(USAGE, 'table', '3', '--tsv', says=('--tsv', '--help'))
    host.fails(USAGE, 'table', '3', '-x', says=('-x',))
    host.fails(USAGE, 'table', '3', '--json=1', says=('--json',))
    host.fails(USAGE, 'table', '3', '--svg', says=('--svg', 'FILE'))
    host.fails(USAGE, 'tabel', says=('tabel', 'table'))


@case
def table_of_a_stock_device_model(host):
    dm = host.stock(31337, name='old-one')
    for what in '31337', 'old-one':
        host.fails(NO_SUCH_VM, 'table', what, says=(str(dm.pid), 'stock'))


@case
def a_missing_folder_is_an_empty_host(host):
    os.rmdir(host.rundir)
    host.fails(NO_VM, 'table', '31001', says=(host.rundir,))
    os.mkdir(host.rundir)


@case
def nobody_may_look_without_permission(host):
    from cases.cli import as_nobody
    dm = host.dm(3, name='web')
    with as_nobody(host) as prefix:
        host.run('table', 3, prefix=prefix)
        os.chmod(dm.path, 0o600)
        host.fails(PERMISSION, 'table', 3, prefix=prefix, says=(dm.path,))
        host.fails(NO_SUCH_VM, 'table', 'web', prefix=prefix, says=(dm.path,))
        os.chmod(host.rundir, 0o700)
        host.fails(PERMISSION, 'table', 'web', prefix=prefix,
                   says=(host.rundir,))


SVG = '{http://www.w3.org/2000/svg}'


@case
def table_draws_a_chart(host):
    host.dm(7, *STORY, name='a<b>&"c"', start=95)
    path = os.path.join(host.dir, 'chart.svg')
    equal(host.run('table', 7, '--svg', path).out, '', 'standard output')
    root = ET.parse(path).getroot()
    texts = [t.text for t in root.iter(SVG + 'text')]
    check('a<b>&"c" (domain 7)' in texts[0], f'title {texts[0]!r}')
    for name, n in zip(COLUMNS[:4], TOTAL):
        check(f'{name}: {n}' in texts, f'legend of {name}')
    # A bar for each figure that is not 0: its height orders as they do.
    heights = {}
    for rect in root.iter(SVG + 'rect'):
        if float(rect.get('height', '0').rstrip('%')) > 0 and \
           rect.get('height') not in ('100%', '10', '2'):
            heights.setdefault(rect.get('fill'), []).append(
                float(rect.get('height')))
    bars = sorted(h for hs in heights.values() for h in hs)
    figures = sorted(n for r in ROWS for n in r[1:4] if n)
    equal(len(bars), len(figures), 'bars')
    equal(sorted(len(hs) for hs in heights.values()), [2, 2, 3],
          'bars by colour')
    lines = [p for p in root.iter(SVG + 'path') if p.get('fill') == 'none']
    equal(len(re.findall('[ML]', lines[0].get('d'))), 4, 'points of the line')
    equal(host.run('table', 7, '--svg=-').out, open(path).read(),
          'the same on standard output')
    host.fails(SYSTEM, 'table', 7, '--svg', '/nowhere/x.svg',
               says=('/nowhere/x.svg',))


@case
def table_chart_of_a_long_time_and_of_none(host):
    dm = host.dm(1)
    for row in range(200):
        dm.say(f'at {row * 30}', 'wake timer:x')
    dm.crash()
    root = ET.fromstring(host.run('table', 1, '--svg', '-').out)
    labels = [float(t.get('x')) for t in root.iter(SVG + 'text')
              if (t.text or '').isdigit() and t.get('text-anchor') == 'middle']
    check(all(b - a >= 30 for a, b in zip(labels, labels[1:])),
          f'labels run into each other: {labels}')
    host.dm(2)
    ET.fromstring(host.run('table', 2, '--svg', '-').out)
