# SPDX-License-Identifier: GPL-2.0-or-later
"""private-apt, the source that comes through apt, and need-packages."""
# pylint: disable=missing-function-docstring

import glob
import hashlib
import os
import shutil

from sandbox import Skip, ROOT


def test_apt_source(box):
    """the source comes through apt, and the second time from the first"""
    asked = box.fake_apt({'trixie': '10.0.99'})
    result = box.run('./configure').fine()
    assert 'newer than the pinned 10.0.50' in result.err, result.err
    os.unlink(asked)
    box.run('./configure').fine()
    assert not os.path.exists(asked), box.read(asked)
    box.make('build/qemu-system-i386').fine()


def test_apt_fallback(box):
    """a suite whose QEMU is not 10.0.N, or is away, is passed over"""
    box.fake_apt({'trixie': '11.0.1', 'bookworm-backports': '10.0.99'})
    err = box.run('./configure').fine().err
    assert 'trixie has QEMU 11.0.1, which is not 10.0.N' in err, err
    box.make('distclean').fine()
    box.fake_apt({'bookworm-backports': '10.0.99'})
    err = box.run('./configure').fine().err
    assert 'suite trixie of the system\'s mirror gives no source' in err, err


def test_apt_none(box):
    """no suite has it: configure says how to give the source by hand"""
    box.fake_apt({})
    box.run('./configure').refused('10.0.N', '--qemu-source=')
    box.configure().fine()


def test_apt_wrong(box):
    """a tarball that is not what apt promised is not used"""
    box.fake_apt({'trixie': '10.0.99'})
    path = os.path.join(box.top, 'qemu_10.0.99+ds.orig.tar.xz')
    with open(path, 'ab') as file:
        file.write(b'x')
    result = box.run('./configure').refused('10.0.N', '--qemu-source=')
    assert 'cannot be fetched' in result.err, result.err
    assert not glob.glob(box.path('build/upstream/qemu-*'))


def test_apt_pool(box):
    """a series that no suite has comes from the mirror's pool, by its hash"""
    box.write(os.path.join(box.source, 'VERSION'), '10.2.9\n')
    path, value = box.tarball('qemu_10.2.9+ds.orig.tar.xz')
    pool = os.path.join(box.top, 'debian/pool/main/q/qemu')
    os.makedirs(pool)
    os.rename(path, os.path.join(pool, os.path.basename(path)))
    box.stub('apt-get', f'echo "Debian|Debian|main|copy:{box.top}/debian/|x:1"')
    pin = box.read('patches/upstream.pin')
    for right, listed in ((False, '0' * 64), (True, value)):
        box.write('patches/upstream.pin', pin + 'series 10.2 pool\n'
                  'version 10.2.9\n'
                  f'tarball debian {os.path.basename(path)} 1 {listed}\n')
        result = box.run('./configure', '--qemu-series=10.2')
        if not right:
            result.refused('10.2.N', '--qemu-source=')
            assert 'cannot be fetched' in result.err, result.err
            assert not glob.glob(box.path('build/upstream/qemu-*'))
    assert 'NOTE' not in result.fine().err, result.err
    box.make('build/qemu-system-i386').fine()
    shutil.rmtree(pool)
    box.run('./configure', '--qemu-series=10.2').fine()


def test_private_mirror(box):
    """private-apt derives the mirror from the system's own Debian sources"""
    box.fake_apt({'trixie': '10.0.99'})
    box.run('build-aux/private-apt', 'trixie:deb-src', '.', 'true').fine()
    line = box.read('build/apt/trixie-deb-src/etc/sources.list').split()
    assert line[0] == 'deb-src' and line[-3:] == [
        'http://mirror.test/debian/', 'trixie', 'main'], line
    out = box.run('build-aux/private-apt', 'trixie:deb-src', box.top, 'sh',
                  '-c', 'echo $APT_CONFIG; pwd').fine().out.split()
    assert out == [box.path('build/apt/trixie-deb-src/apt.conf'), box.top]


def test_private_keys(box):
    """private-apt takes the keys that the system's sources name"""
    keys = os.path.join(box.top, 'keys.gpg')
    box.write(keys, '')
    for name, text in (('x.sources', f'Types: deb\nSigned-By: {keys}\n'),
                       ('x.list', f'deb [arch=amd64 signed-by={keys}] '
                                  f'http://mirror.test/debian x main\n')):
        entry = os.path.join(box.top, name)
        box.write(entry, text)
        box.stub('apt-get', f'[ "$1" != indextargets ] || echo "Debian|Debian|'
                            f'main|http://mirror.test/debian/|{entry}:1"')
        box.run('build-aux/private-apt', 'trixie', '.', 'true').fine()
        made = box.read('build/apt/trixie-deb/etc/sources.list')
        assert f'[signed-by={keys}]' in made, made


def test_private_fresh(box):
    """private-apt works where apt-get update was never run"""
    box.stub('apt-get', '''[ "$1" != indextargets ] ||
echo '$(ORIGIN)|$(LABEL)|main|http://mirror.test/debian/|/nowhere:1' ''')
    box.run('build-aux/private-apt', 'trixie', '.', 'true').fine()


def test_private_errors(box):
    """private-apt refuses what it does not know, and says what failed"""
    box.fake_apt({})
    tool = 'build-aux/private-apt'
    box.run(tool, 'Tri xie', '.', 'true').refused('Tri xie', 'trixie')
    box.run(tool, 'trixie:rpm', '.', 'true').refused('rpm', 'deb-src')
    box.run(tool, 'trixie', '/nowhere', 'true').refused('/nowhere')
    box.run(tool, 'trixie', '.', 'true').refused('trixie', 'cannot be reached')
    box.stub('apt-get', '')
    box.run(tool, 'trixie', '.', 'true').refused('no Debian mirror')


def digests(*patterns):
    made = {}
    for pattern in patterns:
        for path in glob.glob(pattern, recursive=True):
            if os.path.isfile(path):
                with open(path, 'rb') as file:
                    made[path] = hashlib.sha256(file.read()).digest()
    return made


def test_private_real(box):
    """private-apt reaches another suite and leaves the system as it was"""
    system = ('/etc/apt/**', '/var/lib/apt/lists/*')
    before = digests(*system)
    if not before:
        raise Skip('this system has no apt')
    system_apt = {name: os.environ[name] for name in ('APT_CONFIG',)
                  if name in os.environ}
    result = box.run(os.path.join(ROOT, 'build-aux/private-apt'),
                     'trixie:deb-src', '.', 'apt-cache', 'showsrc', 'qemu',
                     **system_apt)
    if 'cannot be fetched' in result.err or 'no Debian' in result.err:
        raise Skip('the mirror cannot be reached')
    assert 'Package: qemu\n' in result.fine().out, result.out
    assert digests(*system) == before


def dpkg(box):
    """A system where only one and what provides virtual are installed."""
    box.stub('dpkg-query', '''
echo 'installed one '
echo 'installed other virtual (= 1), another'
echo 'config-files gone ' ''')


def test_packages(box):
    """need-packages installs what is missing, and only that"""
    dpkg(box)
    box.stub('id', 'echo 0')
    log = os.path.join(box.top, 'log')
    box.stub('apt-get', f'echo "$*" >>{log}')
    box.write('build-aux/packages/x', '# why\none\nvirtual\n')
    box.write('build-aux/packages/y', '\ntwo   # for something\ngone\n')
    box.run('build-aux/need-packages', 'x').fine()
    assert not os.path.exists(log)
    box.run('build-aux/need-packages', 'x', 'y').fine()
    assert box.read(log).split()[-2:] == ['two', 'gone'], box.read(log)


def test_packages_any(box):
    """need-packages takes any one of several names, else the first known"""
    dpkg(box)
    box.stub('id', 'echo 1000')
    box.stub('apt-cache', '[ "$2" != new ] || echo Package: new')
    box.write('build-aux/packages/x', 'none | other\n')
    box.run('build-aux/need-packages', 'x').fine()
    box.write('build-aux/packages/x', 'old | new | newer\n')
    assert box.run('build-aux/need-packages', 'x').err.endswith(' new\n')


def test_packages_user(box):
    """need-packages tells an ordinary user the command, and installs nothing"""
    dpkg(box)
    box.stub('id', 'echo 1000')
    log = os.path.join(box.top, 'log')
    box.stub('apt-get', f'echo "$*" >>{log}')
    box.write('build-aux/packages/y', 'two\ngone\n')
    box.run('build-aux/need-packages', 'y').refused(
        'apt-get install --no-install-recommends two gone')
    box.stub('id', 'echo 0')
    box.run('build-aux/need-packages', '--check', 'y').refused('two gone')
    assert not os.path.exists(log)


def test_packages_update(box):
    """need-packages fetches apt's lists when they are missing or old"""
    dpkg(box)
    box.stub('apt-cache', 'echo Package: two')
    box.stub('id', 'echo 0')
    flag = os.path.join(box.top, 'flag')
    box.stub('apt-get', f'''
case "$1" in
update) touch {flag} ;;
install) [ -e {flag} ] ;;
esac''')
    box.write('build-aux/packages/y', 'two\n')
    box.run('build-aux/need-packages', 'y').fine()
    box.stub('apt-get', 'exit 100')
    box.run('build-aux/need-packages', 'y').refused('could not install two')


def test_packages_errors(box):
    """need-packages refuses a set that it does not know"""
    box.run('build-aux/need-packages', 'nonsense').refused('nonsense', 'build')
    box.run('build-aux/need-packages').refused('no set', 'build')
    box.run('build-aux/need-packages', '--x').refused('--x', '--check')
