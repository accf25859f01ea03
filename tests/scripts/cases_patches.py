# SPDX-License-Identifier: GPL-2.0-or-later
"""check-patches and what makes patches anew."""
# pylint: disable=missing-function-docstring

import os
import re
import shutil

from sandbox import FAKE, HEADER, Skip, hunk, patch

HOOK = patch(hunk(20, [], ['pulsar_line(20);']))


def check(box):
    return box.run('build-aux/check-patches', box.source)


def flawed(box, test, *words):
    """Exactly this test fails, and says so in these words."""
    result = check(box)
    assert result.code == 1, result.text
    bad = [line for line in result.out.splitlines() if line[:6] == 'not ok']
    assert len(bad) == 1 and test in bad[0], result.out
    said = [line for line in result.out.splitlines() if line[0] == '#']
    assert any(all(word in line for word in words) for line in said), said


def test_good(box):
    """check-patches passes a series that keeps the rules"""
    result = check(box).fine()
    assert 'not ok' not in result.out and 'now 3' in result.out, result.out
    assert '# QEMU 10.0.99: 3 lines of 1 files are changed; of 2 hunks 0 have' \
        in result.out, result.out
    box.write(os.path.join(box.source, 'pc.c'), 'zero\n' + FAKE['pc.c'])
    assert 'of 2 hunks 2 have moved' in check(box).fine().out
    box.write(os.path.join(box.source, 'pc.c'), FAKE['pc.c'])
    with open(os.path.join(box.source, 'pc.c'), encoding='utf-8') as file:
        assert file.read() == FAKE['pc.c'], 'the pristine tree was touched'


def test_twice(box):
    """check-patches finds a patch listed twice"""
    box.patches({'hooks/a.patch': HOOK},
                series=['hooks/a.patch', 'hooks/a.patch'])
    flawed(box, 'listed once', 'hooks/a.patch', '2 times')


def test_unlisted(box):
    """check-patches finds a patch that is not listed"""
    box.patches({'hooks/a.patch': HOOK, 'hooks/b.patch': HOOK},
                series=['hooks/a.patch'])
    flawed(box, 'listed once', 'hooks/b.patch', 'not listed')


def test_missing(box):
    """check-patches finds a patch that is listed but is not there"""
    box.patches({'hooks/a.patch': HOOK},
                series=['hooks/a.patch', 'hooks/b.patch'])
    flawed(box, 'listed once', 'hooks/b.patch', 'not there')


def test_header(box):
    """check-patches finds each header field that is missing or says nothing"""
    for field in ('Description', 'Author', 'Forwarded', 'Last-Update'):
        header = '\n'.join(line for line in HEADER.splitlines()
                           if not line.startswith(field)) + '\n\n'
        box.patches({'hooks/a.patch': HOOK.replace(HEADER, header)})
        flawed(box, 'headers', 'hooks/a.patch', f'no field {field}')
    for old, new in (('not-needed', 'no'), ('not-needed', 'perhaps'),
                     ('2026-01-31', '2026-01-32'), ('2026-01-31', 'today')):
        box.patches({'hooks/a.patch': HOOK.replace(old, new)})
        flawed(box, 'headers', 'hooks/a.patch', f': {new}"')
    for new in ('no (only ours)', 'https://lists.example.org/1'):
        box.patches({'hooks/a.patch': HOOK.replace('not-needed', new)})
        check(box).fine()


def test_whitespace(box):
    """check-patches finds a hunk that changes only whitespace"""
    for old, new in (([], ['']), (['line 30'], ['  line  30']),
                     (['line 30', 'line 31'], ['line 30 line', '31'])):
        box.patches({'hooks/a.patch': patch(
            hunk(20, [], ['pulsar_line(20);']),
            hunk(30, old, new).replace('+30', '+31'))})
        flawed(box, 'whitespace', 'hunk 2 of pc.c')


def test_budget(box):
    """check-patches finds a series that grew too large"""
    box.patches({'hooks/a.patch': patch(hunk(
        20, [], ['pulsar_line(20);'] + [f'x{n}' for n in range(400)]))})
    flawed(box, 'at most 400', '401')


def test_apply(box):
    """check-patches finds a patch that does not apply, fuzz not allowed"""
    for text in (patch(hunk(10, ['line ten'], ['ten'])),
                 patch(hunk(10, ['line 10'], ['ten'])).replace(' line 9',
                                                               ' line 8')):
        box.patches({'hooks/a.patch': HOOK, 'hooks/b.patch': text})
        flawed(box, 'applies exactly', 'hooks/b.patch', 'does not apply')


def test_ambiguous(box):
    """check-patches finds a hunk that moved and fits in several places"""
    twice = 'first\n' + FAKE['pc.c'] * 2
    box.write(os.path.join(box.source, 'pc.c'), twice)
    box.patches({'hooks/a.patch': HOOK})
    flawed(box, 'applies exactly', 'hunk 1 of pc.c', '2 places')
    box.write(os.path.join(box.source, 'pc.c'), FAKE['pc.c'] * 2)
    check(box).fine()


def test_hooks(box):
    """check-patches finds hooks without a call and calls without a hook"""
    box.write('xen/pulsar-hooks.h', '/* pulsar_comment(int n); */\n'
              'void pulsar_line(int n);\nvoid pulsar_idle(void);\n')
    flawed(box, 'each hook declared', 'pulsar_idle()', 'no patch calls it')
    box.write('xen/pulsar-hooks.h', '')
    flawed(box, 'each hook declared', 'hooks/hook.patch', 'pulsar_line()',
           'does not declare')
    os.unlink(box.path('xen/pulsar-hooks.h'))
    flawed(box, 'each hook declared', 'xen/pulsar-hooks.h')


def test_call_sites(box):
    """check-patches finds a caller in the seam's comments that does not call"""
    seam = ('/**\n * pulsar_line: from %s (%s)\n * @n: from nowhere() (x.c)\n'
            ' *\n * And from() elsewhere() (y.c).\n */\nvoid pulsar_line();\n')
    with open(os.path.join(box.source, 'pc.c'), 'a', encoding='utf-8') as f:
        f.write('int\nfirst(int a,\n      int b)\n{\n    pulsar_line(1);\n}\n\n'
                'void second(void)\n{\n    /* pulsar_line() */\n}\n\n'
                'int third(void);\n')
    for said, file in (('first()', 'pc.c'), ('a table', 'pc.c')):
        box.write('xen/pulsar-hooks.h', seam % (said, file))
        check(box).fine()
    for said, file, word in (
            ('second()', 'pc.c', 'does not call it'),
            ('first() and\n * second()', 'pc.c', 'second()'),
            ('third()', 'pc.c', 'no such function'),
            ('first()', 'cpu.c', 'no patch changes'),
            ('a table', 'cpu.c', 'no patch changes')):
        box.write('xen/pulsar-hooks.h', seam % (said, file))
        flawed(box, 'each caller', 'pulsar_line()', word)


def test_order(box):
    """check-patches takes off what it put on, later patches first"""
    box.patches({'build/a.patch': patch(hunk(20, ['line 20'], ['one'])),
                 'hooks/b.patch': patch(hunk(20, ['one'],
                                             ['pulsar_line(2);']))})
    check(box).fine()
    box.patches({'hooks/b.patch': patch(hunk(20, ['one'],
                                             ['pulsar_line(2);'])),
                 'build/a.patch': patch(hunk(20, ['line 20'], ['one']))})
    flawed(box, 'applies exactly', 'hooks/b.patch')


SOME = """static int one(int n)
{
    return n;
}

/* two */
int two(void)
{
    if (one(2)) {
        return 2;
    }
    return 0;
}

int three(void)
{
    return 3;
}
"""


def test_rehearsal(box):
    """make rebase-rehearsal tells what moved, fails, and is another function"""
    box.write(os.path.join(box.source, 'some.c'), SOME)
    base, new = box.source, os.path.join(box.top, 'new')
    shutil.copytree(base, new)
    box.write(os.path.join(new, 'VERSION'), '11.1.7\n')
    box.write(os.path.join(new, 'pc.c'), 'zero\n' + FAKE['pc.c'].replace(
        'line 10\n', 'line ten\n'))
    box.write(os.path.join(new, 'some.c'), SOME.replace(
        '/* two */', '/* II */').replace('one(2)', 'one(4)').replace(
            'int three(void)', 'int drei(void)'))
    os.unlink(os.path.join(new, 'hw/xen/xen.c'))
    box.patches({
        'build/ten.patch': patch(hunk(10, ['line 10'], ['ten'])),
        'hooks/later.patch': patch(
            hunk(20, [], ['a']), hunk(30, [], ['b'])),
        'hooks/after.patch': patch(hunk(36, ['line 36'], ['c'])),
        'hooks/some.patch': patch(
            '@@ -3,2 +3,3 @@\n     return n;\n+    one_more();\n }\n'
            '@@ -9,2 +10,3 @@\n     if (one(2)) {\n+        more();\n'
            '         return 2;\n'
            '@@ -12,2 +14,3 @@\n     return 0;\n+    more();\n }\n'
            '@@ -17,2 +20,3 @@\n     return 3;\n+    more();\n }\n',
            name='some.c'),
        'hooks/gone.patch': patch('@@ -1 +1 @@\n-int xen;\n+int nex;\n',
                                  name='hw/xen/xen.c')})
    before = {name: box.read(os.path.join(new, name))
              for name in ('pc.c', 'some.c')}
    result = box.run('build-aux/rebase-rehearsal', base, new)
    assert result.code == 1, result.text
    out = result.out
    assert out.startswith('From QEMU 10.0.99 to 11.1.7: 9 hunks of 5 patches, '
                          'of which 3 fit exactly.\n'), out
    assert '3 have moved:\n' in out and '3 fail:\n' in out, out
    for said in ('hooks/later.patch: hunk 2 of pc.c by 1 line\n',
                 'build/ten.patch: hunk 1 of pc.c fits nowhere\n',
                 'hooks/some.patch: hunk 2 of some.c fits nowhere\n',
                 'hooks/gone.patch: hunk 1 of hw/xen/xen.c: there is no such',
                 'Of 3 functions with a hunk 2 are others:\n',
                 'some.c: two() (patches/hooks/some.patch): 1 line less, 1 more',
                 'some.c: three() (patches/hooks/some.patch) is not there'):
        assert said in out, (said, out)
    assert '+    if (one(4)) {' in box.run(
        'build-aux/rebase-rehearsal', '--diff', base, new).out
    for name, text in before.items():
        assert box.read(os.path.join(new, name)) == text, name


def test_rehearsal_make(box):
    """make rebase-rehearsal starts from what apt gives, and takes any QEMU"""
    box.make('rebase-rehearsal').refused('QEMU_SOURCE=')
    box.fake_apt({'trixie': '10.0.99'})
    box.write(os.path.join(box.source, 'VERSION'), '11.1.7\n')
    out = box.make('rebase-rehearsal', f'QEMU_SOURCE={box.source}').fine().out
    assert 'From QEMU 10.0.99 to 11.1.7: 2 hunks of 2 patches, of which 2 fit' \
        in out, out


def test_suite(box):
    """make check-patches takes the source that QEMU_SOURCE names"""
    box.copy('tests/patches/check')
    result = box.make('check-patches', f'QEMU_SOURCE={box.source}').fine()
    assert 'QEMU 10.0.99: applies exactly' in result.out, result.out
    assert re.search(r'\n[1-9]\d* passed, 0 failed\n$', result.out), result.out
    result = box.make('check-patches', 'QEMU_SOURCE=/nowhere')
    assert result.code and '/nowhere' in result.text


def test_refresh(box):
    """make refresh writes a patch that has moved anew, and only that one"""
    if not shutil.which('quilt'):
        raise Skip('quilt is not installed')
    def read(name):
        # diff takes our lines for function names and quotes them
        return re.sub('@@ line .*', '@@', box.read(f'patches/{name}'))

    ten = read('build/ten.patch')
    assert '@@ -19,2 +19,3 @@' in read('hooks/hook.patch')
    box.write(os.path.join(box.source, 'pc.c'),
              FAKE['pc.c'].replace('line 15\n', 'line 15\nnew\n'))
    box.make('refresh', f'QEMU_SOURCE={box.source}').fine()
    assert read('build/ten.patch') == ten
    moved = read('hooks/hook.patch')
    assert '@@ -20,2 +20,3 @@' in moved, moved
    assert moved.startswith(HEADER), moved


def test_refresh_fails(box):
    """make refresh names a patch that cannot be brought over"""
    if not shutil.which('quilt'):
        raise Skip('quilt is not installed')
    before = box.read('patches/build/ten.patch')
    box.write(os.path.join(box.source, 'pc.c'),
              FAKE['pc.c'].replace('line 10\n', 'line X\n'))
    result = box.make('refresh', f'QEMU_SOURCE={box.source}')
    assert result.code and 'patches/build/ten.patch does not apply' in \
        result.text and 'make quilt' in result.text, result.text
    assert box.read('patches/build/ten.patch') == before
