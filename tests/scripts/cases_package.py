# SPDX-License-Identifier: GPL-2.0-or-later
"""make deb, make rpm: what goes into the packages, and what is refused."""
# pylint: disable=missing-function-docstring

import fnmatch
import glob
import os
import re
import shutil

from sandbox import ROOT

# What a Debian system that builds packages has: build-essential.
ESSENTIAL = {'gcc', 'libc6-dev', 'make', 'patch', 'xz-utils'}


def paragraphs(text):
    """The paragraphs of a control file, each as a dictionary."""
    for paragraph in re.split(r'\n{2,}', text.strip()):
        fields = {}
        for line in paragraph.splitlines():
            if line[0].isspace():
                fields[name] += '\n' + line.strip()
            else:
                name, value = line.split(':', 1)
                fields[name] = value.strip()
        yield fields


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


def lists(box):
    """The packages' lists of files: {package: patterns}."""
    found = {}
    for path in glob.glob(box.path('packaging/debian/*.install')):
        package = os.path.basename(path)[:-8]
        for line in read(path).splitlines():
            source, *where = line.split()
            if where:
                source = f'{where[0]}/{os.path.basename(source)}'
            found.setdefault(package, []).append(source)
    return found


def holders(file, found):
    """The packages that hold a file: by name, by pattern, by its folder."""
    return [package for package, patterns in sorted(found.items())
            if any(fnmatch.fnmatch(file, pattern) or
                   file.startswith(pattern + '/') for pattern in patterns)]


def test_package_files(box):
    """all that make install puts is in one package"""
    for name in ('docs/man', 'packaging', 'tools/completion'):
        shutil.copytree(os.path.join(ROOT, name), box.path(name),
                        dirs_exist_ok=True)
    box.write('tools/x.c', 'int main(void) { return 0; }\n')
    box.configure('--prefix=/usr', '--sysconfdir=/etc',
                  '--localstatedir=/var').fine()
    dest = os.path.join(box.top, 'dest')
    box.make('install', f'DESTDIR={dest}').fine()
    files = [os.path.relpath(os.path.join(where, name), dest)
             for where, _, names in os.walk(dest) for name in names]
    assert len(files) > 7, files
    files.append('etc/pulsar.conf')
    found = lists(box)
    for file in files:
        held = holders(file, found)
        assert len(held) == 1, f'{file} is in these packages: {held}'
    assert sorted(found) == ['pulsar-dm', 'pulsar-tools'], found
    for package, patterns in found.items():
        for pattern in patterns:
            assert any(holders(file, {package: [pattern]})
                       for file in files), f'{pattern} holds nothing'


def test_package_needs(box):
    """the packages' build needs what need-packages installs, and no more"""
    source, dm, tools = paragraphs(read('packaging/debian/control'))
    needed = {name.split()[0].split('(')[0]
              for name in source['Build-Depends'].split(',')}
    listed = set()
    for name in 'build', 'full':
        listed |= {line.split()[0] for line in box.read(
            f'build-aux/packages/{name}').splitlines()
            if line.strip() and line[0] != '#'}
    assert needed - listed == {'debhelper-compat'}, needed - listed
    assert listed - needed == ESSENTIAL, listed - needed
    assert (dm['Package'], tools['Package']) == ('pulsar-dm', 'pulsar-tools')
    assert 'pulsar-dm' not in tools['Depends'], tools['Depends']


def test_package_version(box):
    """the packages' changelog begins with the version of VERSION"""
    version = read('VERSION').strip()
    entry = re.match(r'pulsar \((.*)-\d+\) ', read(
        'packaging/debian/changelog'))[1]
    assert entry == version, (entry, version)
    packager(box)
    box.write('VERSION', version + '.1\n')
    box.make('deb').refused('packaging/debian/changelog', version + '.1')


def packager(box):
    """A repository that is configured from a tarball, and what builds
    packages of it, played: it says what it got."""
    shutil.copytree(os.path.join(ROOT, 'packaging'), box.path('packaging'))
    for name in 'build', 'full', 'deb':
        box.write(f'build-aux/packages/{name}', 'make\n')
    box.commit()
    box.stub('dpkg-buildpackage', f'''
{{ echo "$*"; pwd; env; find . -type f | sort; }} >{box.top}/got''')
    box.stub('lintian', '')
    path, _ = box.tarball('qemu-10.0.99.tar.xz')
    box.configure(source=path).fine()


def faults_end_it(box, target, *programs):
    """What looks at the packages, then what makes them, finds something."""
    for program, words in zip(programs, ('has found faults', 'failed')):
        box.stub(program, f'echo {program} is unhappy; exit 2')
        result = box.make(target)
        assert f'{program} is unhappy\n' in result.err, result.text
        result.refused(f'{program} {words}')


def test_make_deb(box):
    """make deb gives dpkg-buildpackage both sources, and nothing of ours"""
    packager(box)
    box.make('deb', CFLAGS='-O7', V='1', PULSAR_BUILD='build').fine()
    got = box.read(os.path.join(box.top, 'got'))
    words, where, *rest = got.splitlines()
    version = box.read('VERSION').strip()
    assert '--build=full' in words, words
    assert where == box.path(f'build/deb/pulsar-{version}'), where
    for file in './debian/rules', './qemu/pc.c', './VERSION':
        assert file in rest, file
    for line in rest:
        assert not re.match('(CFLAGS|V|PULSAR_BUILD|MAKEFLAGS)=', line), line
    assert sorted(os.listdir(box.path('build/deb'))) == [
        'lintian', 'log', f'pulsar-{version}', f'pulsar_{version}.orig-qemu.tar.xz',
        f'pulsar_{version}.orig.tar.xz']
    faults_end_it(box, 'deb', 'lintian', 'dpkg-buildpackage')


# rpm's names of folders, as its macros are set everywhere.
MACROS = {'_bindir': 'usr/bin', '_datadir': 'usr/share', '_libexecdir':
          'usr/libexec', '_mandir': 'usr/share/man', '_sysconfdir': 'etc',
          '_tmpfilesdir': 'usr/lib/tmpfiles.d'}


def test_rpm_files(box):
    """the RPM packages hold what the Debian packages hold, and xapi's"""
    spec = read('packaging/rpm/pulsar.spec')
    held = {}
    for package, text in re.findall(r'^%files (\w+)\n(.*?)(?=^%files|\Z)', spec,
                                    re.M | re.S):
        lines = [line.split()[-1] for line in text.splitlines()
                 if line and not line.startswith(('%license', '%doc'))]
        held[f'pulsar-{package}'] = sorted(
            re.sub(r'%\{(\w+)\}', lambda found: MACROS.get(
                found[1], found[0]), line).rstrip('*') for line in lines)
    xapi = held.pop('pulsar-xapi')
    shutil.copytree(os.path.join(ROOT, 'packaging'), box.path('packaging'))
    wanted = {package: sorted(patterns)
              for package, patterns in lists(box).items()}
    assert held == wanted, (held, wanted)
    # What "make install-xapi" puts besides.
    recipe = re.search(r'^install-xapi:.*?\n\n', read('Makefile'), re.M | re.S)
    assert len(xapi) == len(re.findall('install -D', recipe[0])), xapi


def test_make_rpm(box):
    """make rpm gives rpmbuild both sources and a spec that names them"""
    packager(box)
    box.write('build-aux/packages/rpm', 'make\n')
    box.commit()
    box.stub('rpmbuild', f'''
{{ echo "$*"; env; ls SOURCES; cat SPECS/pulsar.spec; }} >{box.top}/got''')
    box.stub('rpmlint', '')
    box.make('rpm', CFLAGS='-O7', V='1', PULSAR_BUILD='build').fine()
    words, *rest = box.read(os.path.join(box.top, 'got')).splitlines()
    version = box.read('VERSION').strip()
    assert '-ba' in words and box.path('build/rpm') in words, words
    for line in (f'pulsar-{version}.tar.xz', 'qemu-10.0.99.tar.xz',
                 f'Version:        {version}',
                 'Source1:        qemu-10.0.99.tar.xz'):
        assert line in rest, line
    for line in rest:
        assert not re.match('(CFLAGS|V|PULSAR_BUILD|MAKEFLAGS)=', line), line
    faults_end_it(box, 'rpm', 'rpmlint', 'rpmbuild')
    box.run('build-aux/make-rpm', '--x').refused('--x', '--help')


def test_package_source(box):
    """packages are made from a tarball of QEMU only, and say so"""
    packager(box)
    box.configure().fine()
    box.make('deb').refused('tarball', '--qemu-source=TARBALL')
    box.run('build-aux/make-deb', '--x').refused('--x', '--help')
    box.make('distclean').fine()
    box.run('build-aux/make-deb').refused('./configure')
