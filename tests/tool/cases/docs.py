# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual pages, completion and the format's description say what is so."""

import os
import re
import subprocess
import sys

from harness import case, check, equal, OUR_BUILD, TOP

MAN = os.path.join(TOP, 'docs', 'man')
PAGES = ('pulsar.1', 'pulsar.conf.5', 'pulsar-dm.8', 'pulsar-ledger.5')

# In a help text and in a rendered page: "  -n, --rows N".
OPTION = re.compile(r'^ +(?:-(\w), )?--([a-z-]+)(?: ([A-Z]+))?(?:  .*)?$',
                    re.M)


def rendered(page):
    """A page as man shows it, on lines that are long enough."""
    r = subprocess.run(
        ['man', '--warnings=all', '-E', 'UTF-8', '-l',
         os.path.join(MAN, page)], capture_output=True, text=True, check=True,
        env=dict(os.environ, MANWIDTH='80', MANPAGER='cat', LC_ALL='C.UTF-8'))
    equal(r.stderr, '', f'warnings about {page}')
    return r.stdout.replace('\u2010\n', '')


def read(*path):
    with open(os.path.join(TOP, *path), encoding='utf-8') as f:
        return f.read()


def commands(host):
    """{command: its help}"""
    return {line.split()[0]: host.run(line.split()[0], '--help').out
            for line in host.run('--help').out.split('Commands:\n')[1]
            .split('\n\n')[0].splitlines()}


def options(text):
    return [o for o in OPTION.findall(text) if o[1] != 'help']


@case
def man_pages_are_well_formed(host):
    for page in PAGES:
        text = rendered(page)
        for heading in 'NAME', 'DESCRIPTION', 'SEE ALSO':
            check(f'\n{heading}\n' in text, f'{page} has no {heading}')
        for name, section in re.findall(r'([a-z.-]+)\((\d)\)',
                                        text.split('SEE ALSO')[1]):
            check(not name.startswith('pulsar') or
                  f'{name}.{section}' in PAGES,
                  f'{page} refers to {name}({section})')


@case
def man_page_and_help_agree(host):
    text = rendered('pulsar.1').split('\nKEYS\n')[0].split('\nCOMMANDS\n')[1]
    parts = re.split(r'^   (\w+)$', text, flags=re.M)[1:]
    described = dict(zip(parts[::2], parts[1::2]))
    helps = commands(host)
    equal(list(described), list(helps), 'commands')
    for command, help_text in helps.items():
        equal(options(described[command]), options(help_text), command)


@case
def man_page_tells_every_exit_status(host):
    header = read('tools', 'cli.h')
    codes = re.findall(r'^    CLI_\w+ = (\d+),', header, re.M)
    text = rendered('pulsar.1').split('EXIT STATUS')[1].split('ENVIRON')[0]
    equal(re.findall(r'^       (\d+) ', text, re.M), codes, 'exit status')


@case
def man_page_tells_every_key_and_column(host):
    text = rendered('pulsar.1')
    flat = ' '.join(text.split())
    for keys in re.findall(r'^    "(\S.*?)   +\S', read('tools', 'screen.c'),
                           re.M):
        if re.search(r'[A-Z]{3}', keys):
            continue            # what the columns mean
        check(re.search(rf'^       {re.escape(keys)}\s', text, re.M) or
              f' {keys} ' in flat, f'key "{keys}"')
    for title in re.findall(r'^    \{ "\w+", "([^"]+)"',
                            read('tools', 'report.c'), re.M):
        check(title in text, f'column {title}')
    host.dm(1)
    fields = host.run('top', '-j', '-n', '-d', 0.1).jsons()[0]
    for field in fields:
        check(re.search(rf'\b{field}\b', text), f'JSON field {field}')


def option_table(host):
    """{option: [words]}, as the command knows it."""
    text = host.run('set', '--help').out.split('What can be set:\n')[1]
    table = {}
    for row in re.split(r'\n(?=  \w)', text):
        name, rest = row.split(None, 1)
        accepted = ' '.join(rest.split()).split('accepted: ')[1]
        table[name] = [w for w in re.split(', | or ', accepted)
                       if re.fullmatch('[a-z]+', w)]
    return table


@case
def man_page_of_the_options_agrees(host):
    source = read('docs', 'man', 'pulsar-dm.8')
    described = {}
    for line in re.findall(r'^\.BR (\w+ = .*)$', source, re.M):
        name, words = line.split(' = ')
        described[name] = re.findall(r'\b[a-z]+\b', words)
    config = described.pop('config')
    equal(config, ['auto', 'off'], 'config')
    equal(described, option_table(host), 'options and values')
    table = read('xen', 'options.c')
    for key in re.findall(r'\.platform_key = "(\w+)"', table):
        check(key in source, f'platform key {key}')


def complete(host, *words):
    """What bash offers for the last of WORDS."""
    script = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
             '_pulsar; printf "%s\\n" "${COMPREPLY[@]}"'
    out = subprocess.run(
        ['bash', '-c', script, 'bash',
         os.path.join(TOP, 'tools', 'completion', 'pulsar'), host.tool,
         *words], env=host.env, capture_output=True, text=True, check=True)
    equal(out.stderr, '', 'completion complains')
    return out.stdout.split()


@case
def completion_agrees_with_help(host):
    helps = commands(host)
    equal(complete(host, '')[:-2], list(helps), 'commands')
    for command, text in helps.items():
        equal(complete(host, command, '--'),
              [f'--{o[1]}' for o in options(text)] + ['--help'], command)
    sort = re.search(r'accepted are (.*)', host.run(
        'top', '-1', '--sort', 'x', code=2).err).group(1)
    equal(complete(host, 'top', '--sort', ''), sort.split(', '), '--sort')
    equal(complete(host, 'top', '--sort', '=', ''), sort.split(', '),
          '--sort=')
    equal(complete(host, 'doctor', '-t', ''), ['xl', 'xapi'], '--toolstack')
    for name, words in option_table(host).items():
        check(f'{name}=' in complete(host, 'set', ''), f'set {name}')
        check(name in complete(host, 'unset', ''), f'unset {name}')
        equal(complete(host, 'set', name, '=', ''), words, f'set {name}=')


@case
def completion_knows_the_vms(host):
    host.dm(3, name='web')
    host.dm(4, name='two words')
    host.dm(5)
    for words in ('table', ''), ('show', ''), ('doctor', ''), \
                 ('top', '-D', ''):
        equal(sorted(complete(host, *words)), ['3', '5', 'web'], words)
    equal(complete(host, 'table', 'w'), ['web'], 'table w')
    check('web' in complete(host, 'set', 'w'), 'set w')
    path = os.path.join(host.dir, 'chart.svg')
    with open(path, 'w', encoding='ascii'):
        pass
    equal(complete(host, 'table', '--svg', path[:-3]), [path], '--svg')


def layout():
    """[(struct, field, offset, size)], as the compiler has it."""
    out = subprocess.run([os.path.join(OUR_BUILD, 'layout')], check=True,
                         capture_output=True, text=True).stdout
    return [line.split() for line in out.splitlines()]


@case
def ledger_page_is_described_to_the_byte(host):
    header = read('monitor', 'ledger-page.h')
    structs = dict(re.findall(r'typedef struct (\w+) \{(.*?)\n\} \1;', header,
                              re.S))
    want = {}
    for struct, name, offset, size in layout():
        if struct != 'sizes':
            want.setdefault(struct, []).append(
                (int(offset), int(size), name.rstrip('_')))
    # The helper itself leaves no field out.
    for struct, fields in want.items():
        declared = re.findall(r'(\w+)(?:\[\w+\])?;', structs[struct])
        equal([f[2] for f in fields], [d.rstrip('_') for d in declared],
              struct)
    for path, row in ((('docs', 'ledger-page.md'),
                       r'^\| (\d+) \| (\d+) \| (\w+) \|'),
                      (('docs', 'man', 'pulsar-ledger.5'),
                       r'^(\d+)\|(\d+)\|(\w+)\|')):
        have = [(int(o), int(s), n) for o, s, n in
                re.findall(row, read(*path), re.M)]
        parts = [(0, 2048, 'header'), (77824, 4096, 'text')]
        have = [f for f in have if f not in parts]
        equal(have, want['PulsarLedgerHeader'] + want['PulsarLedgerCounts'] +
              want['PulsarLedgerThread'] + want['PulsarLedgerCause'] + want['PulsarLedgerRow'], path)


@case
def ledger_page_has_the_values_described(host):
    dm = host.dm(7)
    with open(dm.path, 'rb') as f:
        page = f.read()
    header = {n: int.from_bytes(page[int(o):][:4], 'little')
              for s, n, o, _ in layout() if s == 'PulsarLedgerHeader'}
    part = r'^\| (\d+) \| (\d+) \| (?:header|text|\d+ \w+ of \d+ bytes) \|$'
    equal(re.findall(part, read('docs', 'ledger-page.md'), re.M),
          [(str(header[p + '_offset']) if p != 'header' else '0', str(size))
           for p, size in (('header', header['thread_offset']),
                           ('thread', header['thread_max'] *
                            header['thread_size']),
                           ('cause', header['cause_max'] *
                            header['cause_size']),
                           ('row', header['row_max'] * header['row_size']),
                           ('text', header['text_size']))], 'parts')
    for path, row in ((('docs', 'ledger-page.md'),
                       r'^\| (\d+) \| 4 \| (\w+) \| (\d+)\b'),
                      (('docs', 'man', 'pulsar-ledger.5'),
                       r'^(\d+)\|4\|(\w+)\|(\d+)\b')):
        found = re.findall(row, read(*path), re.M)
        check(len(found) >= 12, f'{path}: {found}')
        for offset, name, value in found:
            if name != 'state':
                have = int.from_bytes(page[int(offset):][:4], 'little')
                equal(have, int(value), f'{path}: {name}')
    classes = re.findall(r'^    (PULSAR_CAUSE_[A-Z]\w*),',
                         read('monitor', 'ledger-page.h'), re.M)
    described = re.findall(r'^\| (\d+) \| (?:`|any)',
                           read('docs', 'ledger-page.md'), re.M)
    equal(described, [str(n) for n in range(len(classes))], 'classes')


@case
def the_example_reader_works(host):
    dm = host.dm(7, 'at 1', 'wake timer:x 5', 'wake pio-read:ide 9',
                 'event pio-read:ide 2', start=30)
    code = re.search(r'```python\n(.*?)```', read('docs', 'ledger-page.md'),
                     re.S).group(1)
    out = subprocess.run([sys.executable, '-c', code, dm.path], check=True,
                         capture_output=True, text=True).stdout
    equal(out.splitlines()[:2], ["9 11 'pio-read:ide'", "5 5 'timer:x'"],
          'output')
    r = subprocess.run([sys.executable, '-c', code, '/etc/hostname'],
                       check=False, capture_output=True, text=True)
    check('no ledger page' in r.stderr or r.returncode, r.stderr)


@case
def packaged_conf_is_accepted(host):
    """It says nothing, and its examples may be used as they are."""
    text = read('packaging', 'pulsar.conf')
    check(all(not line or line[0] == '#' for line in text.splitlines()),
          'a line is no comment')
    examples = re.sub(r'(?m)^#(?=\[|\w+ = )', '', text)
    equal(re.findall(r'(?m)^\[.*', examples), ['[defaults]', '[vm web]'],
          'groups')
    for name, conf in ('as-it-comes', text), ('examples', examples):
        path = os.path.join(host.dir, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(conf)
        host.run('set', '-n', '-t', 'xl', '-f', path, '--all', 'dvd=none')
