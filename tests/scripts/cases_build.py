# SPDX-License-Identifier: GPL-2.0-or-later
"""configure, make, install and dist."""
# pylint: disable=missing-function-docstring

import hashlib
import os
import subprocess

from sandbox import FAKE, hunk, patch


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def pin(box, kind, value, version='10.0.99'):
    box.write('patches/upstream.pin',
              f'series 10.0 trixie\nversion {version}\n' + (
                  f'tarball test x.tar 1 {value}\n' if kind == 'tarball'
                  else f'tree {value}\n'))


def test_build(box):
    """configure and make build the patched source; make again does nothing"""
    box.configure().fine()
    box.make('build/qemu-system-i386').fine()
    lines = box.read('build/qemu-system-i386').splitlines()
    assert lines[9] == 'ten', lines[9]
    assert lines[19] == 'pulsar_line(20);', lines[19]
    before = os.stat(box.path('build/qemu-system-i386')).st_mtime_ns
    box.make('build/qemu-system-i386').fine()
    assert os.stat(box.path('build/qemu-system-i386')).st_mtime_ns == before


def test_links(box):
    """our folders and the device list stand in the patched tree, as links"""
    box.configure().fine()
    for link, name in (('hw/pulsar', 'hw'), ('ui/pulsar', 'ui'),
                       ('monitor/pulsar', 'monitor'),
                       ('hw/xen/pulsar', 'xen')):
        assert os.path.samefile(box.path(f'build/src/{link}'), box.path(name))
    for made, name in (('pulsar', 'pulsar-devices'),
                       ('pulsar-full', 'pulsar-devices-full')):
        made = box.read(f'build/src/configs/devices/i386-softmmu/{made}.mak')
        assert made == box.read(f'hw/{name}.mak')


def test_stock(box):
    """make stock builds without our hooks and folders"""
    box.configure().fine()
    box.make('stock').fine()
    lines = box.read('build/stock/qemu-system-i386').splitlines()
    assert lines[9] == 'ten' and lines[19] == 'line 20', lines
    assert not os.path.lexists(box.path('build/stock/src/hw/pulsar'))


def test_again(box):
    """configure runs again, and again after another source"""
    box.configure().fine()
    box.configure().fine()
    box.make('build/qemu-system-i386').fine()
    box.write(os.path.join(box.source, 'VERSION'), '10.0.98\n')
    box.write(os.path.join(box.source, 'pc.c'),
              FAKE['pc.c'].replace('line 30', 'line thirty'))
    box.configure().fine()
    box.make('build/qemu-system-i386').fine()
    assert 'line thirty' in box.read('build/qemu-system-i386')


def test_configure_again(box):
    """make runs configure again, as it was told, when it changed"""
    box.configure('--prefix=/opt/x y', '--', '--one', CFLAGS='-O1').fine()
    box.make('build/qemu-system-i386').fine()
    options = box.read('build-aux/qemu-options')
    box.write('build-aux/qemu-options', options + '--another\n')
    box.make('build/qemu-system-i386').fine()
    log = box.read('build/qemu/configure.log')
    for word in ('--another', '--one', '--prefix=/opt/x y'):
        assert f'argument {word}\n' in log, word
    assert 'CFLAGS := -O1\n' in box.read('build/config.mk')
    assert not box.make('build/qemu-system-i386').fine().err


def test_patch_changed(box):
    """a patch that changes writes its files and no other, and make follows"""
    other = os.path.join(box.source, 'other.c')
    box.write(other, FAKE['pc.c'])
    patches = {'build/other.patch': patch(hunk(10, ['line 10'], ['ten']),
                                          name='other.c'),
               'hooks/hook.patch': patch(hunk(20, [], ['pulsar_line(20);']))}
    box.patches(patches)
    box.configure().fine()
    box.make('build/qemu-system-i386').fine()
    before = os.stat(box.path('build/src/other.c')).st_mtime_ns
    patches['hooks/hook.patch'] = patch(hunk(20, [], ['pulsar_line(21);']))
    box.patches(patches)
    box.make('build/qemu-system-i386').fine()
    assert 'pulsar_line(21);' in box.read('build/qemu-system-i386')
    assert os.stat(box.path('build/src/other.c')).st_mtime_ns == before


def test_patch_dropped(box):
    """a patch that goes leaves its files as upstream made them"""
    box.configure().fine()
    box.patches({})
    box.make('build/qemu-system-i386').fine()
    assert box.read('build/qemu-system-i386') == FAKE['pc.c']


def test_patch_fails(box):
    """a patch that does not apply is named, and mended it does"""
    good = {'hooks/hook.patch': patch(hunk(20, [], ['pulsar_line(20);']))}
    box.patches({'hooks/bad.patch': patch(hunk(10, ['line ten'], ['ten']))})
    box.configure().refused('patches/hooks/bad.patch', 'does not apply',
                            'QEMU 10.0.99', 'pc.c', 'docs/updating.md')
    box.make('build/qemu-system-i386').refused('./configure')
    box.patches(good)
    box.configure().fine()
    box.patches({'hooks/bad.patch': patch(hunk(10, ['line ten'], ['ten']))})
    result = box.make('build/qemu-system-i386')
    assert result.code and 'patches/hooks/bad.patch' in result.text
    box.patches(good)
    box.make('build/qemu-system-i386').fine()
    assert 'pulsar_line(20);' in box.read('build/qemu-system-i386')


def test_fuzz(box):
    """a patch that would need fuzz does not apply"""
    text = patch(hunk(10, ['line 10'], ['ten'])).replace(' line 9', ' line 8')
    box.patches({'hooks/fuzz.patch': text})
    box.configure().refused('patches/hooks/fuzz.patch', 'does not apply')


def test_unpinned(box):
    """a folder that the pin does not list is refused by hash, or taken aloud"""
    result = box.run('./configure', f'--qemu-source={box.source}')
    result.refused(box.source, 'SHA-256', 'upstream.pin', '--allow-unpinned')
    assert 'NOTE' in box.configure().fine().err


def test_pinned_folder(box):
    """a folder that the pin lists is taken; a byte more and it is not"""
    result = box.run('./configure', f'--qemu-source={box.source}')
    pin(box, 'tree', result.err.split('SHA-256 ')[1].split(',')[0])
    result = box.run('./configure', f'--qemu-source={box.source}').fine()
    assert 'NOTE' not in result.err
    assert not os.path.exists(box.path('build/src/roms')), 'firmware taken'
    with open(os.path.join(box.source, 'pc.c'), 'a', encoding='utf-8') as file:
        file.write('x')
    box.run('./configure', f'--qemu-source={box.source}').refused('SHA-256')


def test_pinned_tarball(box):
    """a tarball that the pin lists is taken; another one is not"""
    path, value = box.tarball('qemu-10.0.99.tar')
    pin(box, 'tarball', value)
    box.run('./configure', f'--qemu-source={path}').fine()
    with open(path, 'ab') as file:
        file.write(b'x')
    box.run('./configure', f'--qemu-source={path}').refused(
        'qemu-10.0.99.tar', 'SHA-256', '--allow-unpinned')


def test_repacked(box):
    """a tarball packed by somebody else is taken if the pin lists its tree"""
    result = box.run('./configure', f'--qemu-source={box.source}')
    pin(box, 'tree', result.err.split('SHA-256 ')[1].split(',')[0])
    path, _ = box.tarball('qemu-10.0.99.tar')
    result = box.run('./configure', f'--qemu-source={path}').fine()
    assert 'NOTE' not in result.err
    box.write(os.path.join(box.source, 'other.c'), '')
    path, _ = box.tarball('qemu-10.0.99.tar')
    box.configure(source=path).fine()
    box.run('./configure', f'--qemu-source={path}').refused('--allow-unpinned')


def unpacked(box):
    """The folder that configure unpacked last, as somebody would name it."""
    made = box.read('build/config.mk').split('\nupstream := ')[1].split()[0]
    return os.path.relpath(made, box.root)


def test_own_folder(box):
    """a folder that configure unpacked itself is taken, as it came"""
    path, value = box.tarball('qemu-10.0.99.tar')
    pin(box, 'tarball', value)
    box.run('./configure', f'--qemu-source={path}').fine()
    pinned = unpacked(box)
    box.write('patches/upstream.pin', 'series 10.0 trixie\n')
    box.run('./configure', f'--qemu-source={pinned}').refused('SHA-256')
    pin(box, 'tarball', value)
    box.write(os.path.join(box.source, 'other.c'), '')
    box.fake_apt({'trixie': '10.0.99'})
    box.run('./configure').fine()
    through_apt = unpacked(box)
    for folder in pinned, through_apt:
        result = box.run('./configure', f'--qemu-source={folder}').fine()
        assert 'NOTE' not in result.err, result.err
        assert unpacked(box) == folder
    box.write(os.path.join(box.source, 'another.c'), '')
    box.configure().fine()
    box.run('./configure', f'--qemu-source={unpacked(box)}').refused(
        'SHA-256', '--allow-unpinned')


def test_no_source(box):
    """a source that is not there, or is none, is refused"""
    box.configure(source='/nowhere').refused('/nowhere', 'QEMU 10.0.N')
    box.configure(source=box.bin).refused(box.bin, 'no QEMU source')
    box.write(os.path.join(box.top, 'text'), 'no tarball')
    box.configure(source=os.path.join(box.top, 'text')).refused(
        'cannot be unpacked')


def test_other_version(box):
    """another QEMU than 10.0.N is refused, or taken aloud"""
    box.write(os.path.join(box.source, 'VERSION'), '9.2.1\n')
    path, value = box.tarball('qemu-9.2.1.tar')
    pin(box, 'tarball', value, '9.2.1')
    box.run('./configure', f'--qemu-source={path}').refused(
        'QEMU 9.2.1', 'QEMU 10.0.N')
    assert '9.2.1, not 10.0' in box.configure().fine().err


def test_series(box):
    """--qemu-series and --qemu-source agree, or configure says which is right"""
    path, value = box.tarball('qemu-10.0.99.tar')
    box.write('patches/upstream.pin',
              f'series 10.0 trixie\nversion 10.0.99\n'
              f'tarball test a.tar 1 {value}\n'
              f'series 10.2 pool\nversion 10.2.9\n'
              f'tarball test b.tar 1 {"0" * 64}\n')
    source = f'--qemu-source={path}'
    box.run('./configure', source, '--qemu-series=10.2').refused(
        'QEMU 10.0.99', 'QEMU 10.2.N')
    box.run('./configure', source, '--qemu-series=10.0').fine()
    # Unpacked by now, and no other then.
    box.run('./configure', source, '--qemu-series=10.2').refused(
        'QEMU 10.0.99', 'QEMU 10.2.N')
    tree = box.run('build-aux/get-source', f'--source={path}').fine().out.strip()
    box.run('./configure', f'--qemu-source={tree}',
            '--qemu-series=10.2').refused('QEMU 10.0.99', 'QEMU 10.2.N')
    box.run('./configure', source, '--qemu-series=9.2').refused(
        "'9.2'", '10.0, 10.2')
    assert '10.0 or 10.2' in box.run('./configure', '--help').fine().out


def test_series_options(box):
    """an option of one series is handed to that series alone"""
    with open(box.path('build-aux/qemu-options'), 'a', encoding='utf-8') as f:
        f.write('10.0 --enable-here\n10.2 --enable-there\n--enable-both\n')
    box.configure().fine()
    handed = [line.split(None, 1)[1] for line in
              box.read('build/qemu/configure.log').splitlines()
              if line.startswith('argument ')]
    assert '--enable-here' in handed and '--enable-both' in handed, handed
    assert not [word for word in handed if 'there' in word], handed


def test_options(box):
    """wrong options of configure are refused"""
    box.configure('--prfix=/usr').refused('--prfix=/usr', '--help')
    box.configure('--prefix=usr').refused('--prefix', 'usr', 'absolute')
    assert '--qemu-source' in box.run('./configure', '--help').fine().out


def test_arguments(box):
    """what follows -- reaches QEMU's configure word by word"""
    box.configure('--with-pkgversion=A b', '--prefix=/opt/x', '--', '--one=1 2',
                  "--two='$x'").fine()
    log = box.read('build/qemu/configure.log')
    for word in ('--one=1 2', "--two='$x'", '--with-pkgversion=A b',
                 '--prefix=/opt/x', '--without-default-devices'):
        assert f'argument {word}\n' in log, word
    box.make('stock').fine()
    assert "argument --two='$x'\n" in box.read(
        'build/stock/qemu/configure.log')


def test_lean(box):
    """a lean build asks QEMU for less, needs fewer packages, and stays lean"""
    box.stub('id', 'echo 1000')
    box.write('build-aux/packages/build', 'make\n')
    box.write('build-aux/packages/full', 'no-such-library-dev\n')
    box.configure().refused('no-such-library-dev')
    box.write('build-aux/packages/full', '')
    box.configure().fine()
    full = asked(box)
    box.write('build-aux/packages/full', 'no-such-library-dev\n')
    box.configure('--lean').fine()
    lean = asked(box)
    assert lean - full == {'--with-devices-i386=pulsar'}, lean - full
    assert full - lean == {
        '--with-devices-i386=pulsar-full', '--enable-gnutls',
        '--enable-vnc-sasl', '--enable-spice', '--enable-spice-protocol',
        '--enable-libusb', '--enable-usb-redir', '--enable-virtfs'}
    box.write('build-aux/qemu-options',
              box.read('build-aux/qemu-options') + '--another\n')
    box.make('stock').fine()
    assert asked(box) == lean | {'--another'}
    assert asked(box, 'stock/qemu') == {
        word.replace('build/qemu', 'build/stock/qemu').replace(
            'build=', 'build/stock=') for word in asked(box)}


def asked(box, objects='qemu'):
    """What QEMU's configure was told."""
    return {line.split(maxsplit=1)[1]
            for line in box.read(f'build/{objects}/configure.log').splitlines()
            if line.startswith('argument ')}


def test_qemu_fails(box):
    """an error of QEMU's configure is passed on, with where its log is"""
    box.patches({'hooks/x.patch': patch(hunk(9, [], ['broken']))})
    box.configure().refused('pc.c is broken', 'build/qemu/configure.log')
    box.patches({})
    box.configure().fine()


def test_missing_package(box):
    """a missing package is named with the command that installs it"""
    box.stub('id', 'echo 1000')
    box.write('build-aux/packages/build', 'make\nno-such-package-1\n')
    box.configure().refused('no-such-package-1', 'apt-get install')


def test_meson_old(box):
    """an old meson and no other to be had: what is needed is said"""
    box.fake_apt({})
    box.configure(PYTHONPATH=box.meson('1.0.1')).refused(
        'meson is 1.0.1', '1.5.0', 'install meson')


def test_meson_backport(box):
    """an old meson: the backport is taken, for this build only, and once"""
    tree = os.path.join(box.top, 'deb')
    box.write(os.path.join(tree, 'DEBIAN/control'),
              'Package: meson\nVersion: 1.7.0\nArchitecture: all\n'
              'Maintainer: X <x@example.org>\nDescription: x\n')
    box.write(os.path.join(tree, 'usr/lib/python3/dist-packages/mesonbuild/'
                           'coredata.py'), 'version = "1.7.0"\n')
    deb = os.path.join(box.top, 'meson_1.7.0_all.deb')
    subprocess.run(['dpkg-deb', '-b', tree, deb], check=True,
                   stdout=subprocess.DEVNULL)
    asked = box.fake_apt({}, meson=deb)
    old = box.meson('1.0.1')
    box.configure(PYTHONPATH=old).fine()
    path = box.path('build/tools/meson/usr/lib/python3/dist-packages')
    assert f'PYTHONPATH {path}\n' in box.read('build/qemu/configure.log')
    assert box.read('build/qemu/pyvenv/lib/python3/site-packages/'
                    'pulsar-meson.pth').strip() == path
    count = box.read(asked).count('download')
    box.configure(PYTHONPATH=old).fine()
    assert count == 1 == box.read(asked).count('download')


def test_meson_wheel(box):
    """an old meson and a source that brings its own: nothing is fetched"""
    asked = box.fake_apt({})
    wheel = os.path.join(box.source, 'python/wheels/meson-1.5.0-py3.whl')
    box.write(wheel, 'wheel')
    box.write(os.path.join(box.source, 'python/scripts/vendor.py'),
              digest(wheel) + '\n')
    box.configure(PYTHONPATH=box.meson('1.0.1')).fine()
    assert not os.path.exists(asked)
    box.make('distclean').fine()
    box.write(wheel, 'another wheel')
    box.configure(PYTHONPATH=box.meson('1.0.1')).refused('meson is 1.0.1')


def test_compiler(box):
    """make shows what the compiler says, and what meson says if it fails"""
    box.configure().fine()

    def rule(command, description='x'):
        box.write('build/qemu/build.ninja', f'''
rule cc
  command = {command}
  description = {description}
build qemu-system-i386: cc | always
build always: phony
''')
        return box.make('build/qemu-system-i386')

    result = rule('echo warning: beware; touch $out').fine()
    assert 'warning: beware\n' in result.out and '[1/1]' not in result.out
    result = rule('echo error: no; exit 1')
    assert result.code == 2 and 'error: no\n' in result.out, result.text
    result = rule('echo talk; touch $out', 'Regenerating build files.').fine()
    assert 'talk' not in result.out
    result = rule('echo talk; exit 1', 'Regenerating build files.')
    assert result.code == 2 and 'talk\n' in result.out, result.text


def test_unconfigured(box):
    """make without configure says so"""
    box.make().refused('./configure')
    box.make('install').refused('./configure')


def test_fresh_check(box):
    """make check-tool in a fresh clone configures by itself, from apt"""
    box.stub('id', 'echo 1000')
    for name in ('build', 'full', 'check', 'tool'):
        box.write(f'build-aux/packages/{name}', 'make\n')
    box.fake_apt({'trixie': '10.0.99'})
    box.write('tests/tool/check', '#!/bin/sh\necho "ok - tool: x"\n', 0o755)
    box.write('tools/x.c', 'int main(void) { return 0; }\n')
    box.make('check-tool', 'SERIES=9.2').refused("'9.2'", '10.0')
    result = box.make('check-tool').fine()
    assert result.out.endswith('1 passed, 0 failed\n'), result.out


def test_install(box):
    """make install puts everything below DESTDIR"""
    box.write('tools/x.c', '#include <stdio.h>\n'
              'int main(void) { puts(PULSAR_VERSION); return 0; }\n')
    box.write('docs/man/pulsar.1', '.TH x\nIt is in /run/pulsar.\n'
              '"/usr/local/libexec/pulsar/qemu-system-i386"\n')
    box.write('tools/completion/pulsar', '')
    box.write('packaging/tmpfiles.d/pulsar.conf', 'd /run/pulsar 0755 - -\n')
    for name in ('xapi/qemu-wrapper', 'xapi/plugin', 'xapi/pulsar.conf',
                 'systemd/pulsar-rrd.service'):
        box.copy('packaging/' + name)
    box.configure('--prefix=/usr', '--libexecdir=/usr/lib/x',
                  '--runstatedir=/srv/run').fine()
    dest = os.path.join(box.top, 'dest')
    box.make('install', f'DESTDIR={dest}').fine()
    found = sorted(os.path.relpath(os.path.join(where, name), dest)
                   for where, _, names in os.walk(dest) for name in names)
    assert found == ['usr/bin/pulsar', 'usr/lib/tmpfiles.d/pulsar.conf',
                     'usr/lib/x/pulsar/qemu-system-i386',
                     'usr/lib/x/pulsar/qemu-wrapper',
                     'usr/share/bash-completion/completions/pulsar',
                     'usr/share/man/man1/pulsar.1',
                     'usr/share/pulsar/keymaps/en-us'], found
    printed = box.run(os.path.join(dest, 'usr/bin/pulsar')).fine().out
    assert printed == box.read('VERSION'), printed
    page = box.read(os.path.join(dest, 'usr/share/man/man1/pulsar.1'))
    assert page == ('.TH x\nIt is in /srv/run/pulsar.\n'
                    '"/usr/lib/x/pulsar/qemu-system-i386"\n'), page
    folder = box.read(os.path.join(dest, 'usr/lib/tmpfiles.d/pulsar.conf'))
    assert folder == 'd /srv/run/pulsar 0755 - -\n', folder
    box.make('install-xapi', f'DESTDIR={dest}').fine()
    for path, line in (
            ('etc/xenopsd.conf.d/pulsar.conf',
             'upstream-compat-qemu-dm-wrapper=/usr/lib/x/pulsar/qemu-wrapper'),
            ('etc/xapi.d/plugins/pulsar',
             "WRAPPER = '/usr/lib/x/pulsar/qemu-wrapper'"),
            ('usr/lib/systemd/system/pulsar-rrd.service',
             'ExecStart=/usr/bin/pulsar rrd')):
        lines = box.read(os.path.join(dest, path)).splitlines()
        assert line in lines, f'{line!r} is not in {path}'
    for path in 'lib/x/pulsar/qemu-wrapper', '../etc/xapi.d/plugins/pulsar':
        assert os.access(os.path.join(dest, 'usr', path), os.X_OK), path


DIRS = '''#include <stdio.h>
int main(void) { puts(PULSAR_SYSCONFDIR); puts(PULSAR_RUNDIR); return 0; }
'''


def test_folders(box):
    """the device model and the command look in the same configured folders"""
    box.write('tools/x.c', DIRS)
    box.copy('tools/rules.mk')
    box.write('tools/rules.mk', box.read('tools/rules.mk') +
              'TOOL_SOURCES := tools/x.c\nTOOL_PACKAGES :=\n')
    for args, sysconfdir, rundir in (
            ((), '/usr/local/etc', '/run'),
            (('--prefix=/usr', '--sysconfdir=/etc/x y',
              '--localstatedir=/var'), '/etc/x y', '/run'),
            (('--localstatedir=/srv/var', '--sysconfdir=/srv/etc'),
             '/srv/etc', '/srv/var/run'),
            (('--localstatedir=/srv', '--runstatedir=/tmp/run/'),
             '/usr/local/etc', '/tmp/run')):
        box.configure(*args).fine()
        box.make('tool').fine()
        printed = box.run('build/pulsar').fine().out.splitlines()
        assert printed == [sysconfdir, rundir + '/pulsar'], printed
        made = box.read('build/qemu/pulsar-dirs.h').splitlines()
        assert made == [f'#define PULSAR_SYSCONFDIR "{sysconfdir}"',
                        f'#define PULSAR_RUNDIR "{rundir}/pulsar"'], made
    box.configure('--runstatedir=run').refused('--runstatedir', 'absolute')


def test_dist(box):
    """make dist gives the same bytes twice, also from what it packed"""
    box.commit()
    box.write('untracked', 'x')
    name = f'build/pulsar-{box.read("VERSION").strip()}'
    box.make('dist').fine()
    first = digest(box.path(name + '.tar.xz'))
    box.make('dist').fine()
    assert digest(box.path(name + '.tar.xz')) == first
    box.run('tar', '-x', '-f', box.path(name + '.tar.xz'), cwd=box.top).fine()
    inside = os.path.join(box.top, name[6:])
    assert not os.path.exists(os.path.join(inside, 'untracked'))
    box.run('make', 'dist', cwd=inside).fine()
    assert digest(os.path.join(inside, name + '.tar.xz')) == first
    box.make('dist', SOURCE_DATE_EPOCH='1000000000').fine()
    listed = box.run('tar', '--utc', '-t', '-v', '-f',
                     box.path(name + '.tar.xz')).fine().out
    assert all('2001-09-09 01:46' in line for line in listed.splitlines())
    box.run('./configure', f'--qemu-source={box.source}', '--allow-unpinned',
            cwd=inside).fine()
    box.run('make', 'build/qemu-system-i386', cwd=inside).fine()


def test_clean(box):
    """make clean keeps the configuration, distclean removes all"""
    box.configure().fine()
    box.make('build/qemu-system-i386').fine()
    box.make('clean').fine()
    assert not os.path.exists(box.path('build/qemu/qemu-system-i386'))
    box.make('build/qemu-system-i386').fine()
    box.make('distclean').fine()
    assert not os.path.exists(box.path('build'))
