# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy of the build system with a QEMU small enough to build in no time.

The fake QEMU has a configure that writes a build.ninja of one rule (the
"binary" is one source file copied) and one file for patches to change. apt,
dpkg and id can be replaced by programs that play a part; meson is one that is
new enough, whatever the system has.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

FAKE = {
    'VERSION': '10.0.99\n',
    'configure': '''#!/bin/sh
src=$(dirname "$0")
for arg; do echo "argument $arg"; done
echo "PYTHONPATH $PYTHONPATH"
if grep -q broken "$src/pc.c"; then
    echo "ERROR: pc.c is broken"
    exit 1
fi
mkdir -p pyvenv/lib/python3/site-packages qemu-bundle
cat >build.ninja <<END
rule copy
  command = cp \\$in \\$out
build qemu-system-i386: copy $src/pc.c
END
''',
    'qemu-options.hx': '',
    'pythondeps.toml':
        '[meson]\nmeson = { accepted = ">=1.5.0", installed = "1.5.0" }\n',
    'pc.c': ''.join(f'line {n}\n' for n in range(1, 41)),
    'configs/devices/i386-softmmu/default.mak': '',
    'hw/xen/xen.c': 'int xen;\n',
    'ui/vnc.c': 'int vnc;\n',
    'monitor/hmp.c': 'int hmp;\n',
    'pc-bios/keymaps/en-us': 'map\n',
    'python/scripts/vendor.py': 'packages = {}\n',
    'roms/big.bin': 'firmware\n',
}

# All that the build system sees of the environment it is tested in: a CC, a
# CFLAGS, a SECONDS or a PULSAR_BUILD of the caller's decides nothing.
KEPT = ('HOME', 'USER', 'LOGNAME', 'TMPDIR', 'http_proxy', 'https_proxy',
        'no_proxy')

HEADER = '''Description: Make the board fit for tests
 Without it there is nothing to test.
Author: The Pulsar authors
Forwarded: not-needed
Last-Update: 2026-01-31

'''


def hunk(start, old, new, lines=40):
    """A hunk for pc.c with a line of context on either side."""
    before = [f' line {start - 1}'] if start > 1 else []
    after = [f' line {start + len(old)}'] if start + len(old) <= lines else []
    body = before + ['-' + line for line in old] + \
        ['+' + line for line in new] + after
    size = len(before) + len(after)
    at = start - len(before)
    return '\n'.join([f'@@ -{at},{size + len(old)} +{at},{size + len(new)} @@',
                      *body]) + '\n'


def patch(*hunks, header=HEADER, name='pc.c'):
    return header + f'--- a/{name}\n+++ b/{name}\n' + ''.join(hunks)


class Skip(Exception):
    """The test cannot run here, and why."""


class Result:
    def __init__(self, done):
        self.failure = 2 if done.args[0] == 'make' else 1
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.text = done.stdout + done.stderr

    def refused(self, *words):
        """It ended with 1 and one sentence that holds these words."""
        assert self.code == self.failure, f'exit {self.code}: {self.text}'
        last = [line for line in self.text.splitlines()
                if not re.match(r'make(\[\d+\])?: \*\*\*', line)][-1]
        for word in words:
            assert word in last, f'"{word}" is not in "{last}"'
        return self

    def fine(self):
        assert self.code == 0, f'exit {self.code}: {self.text}'
        return self


class Sandbox:
    def __init__(self, parent):
        self.top = tempfile.mkdtemp(dir=parent)
        self.root = os.path.join(self.top, 'pulsar')
        self.source = os.path.join(self.top, 'qemu-10.0.99')
        self.bin = os.path.join(self.top, 'bin')
        os.makedirs(self.bin)
        for name in ('configure', 'Makefile', 'VERSION', 'LICENSE'):
            self.copy(name)
        shutil.copytree(os.path.join(ROOT, 'build-aux'), self.path('build-aux'))
        self.copy('tests/run')
        self.write('hw/pulsar-devices.mak', 'CONFIG_PC=y\n')
        self.write('hw/pulsar-devices-full.mak', 'include pulsar.mak\n')
        for folder in ('xen', 'ui', 'monitor'):
            self.write(f'{folder}/meson.build', '')
        self.write('xen/pulsar-hooks.h', 'void pulsar_line(int n);\n')
        for name, text in FAKE.items():
            self.write(os.path.join(self.source, name), text)
        os.chmod(os.path.join(self.source, 'configure'), 0o755)
        self.write('patches/upstream.pin',
                   'series 10.0 trixie bookworm-backports\n'
                   'version 10.0.50\n'
                   'tarball test qemu-10.0.50.tar.xz 1 ' + '0' * 64 + '\n')
        self.patches({'build/ten.patch': patch(hunk(10, ['line 10'], ['ten'])),
                      'hooks/hook.patch': patch(
                          hunk(20, [], ['pulsar_line(20);']))})
        self.env = dict({name: os.environ[name] for name in KEPT
                         if name in os.environ}, LC_ALL='C',
                        PATH=self.bin + ':' + os.environ['PATH'],
                        PYTHONPATH=self.meson('1.7.0'))

    def path(self, name):
        return os.path.join(self.root, name)

    def copy(self, name):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        shutil.copy(os.path.join(ROOT, name), self.path(name))

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(path, mode)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as file:
            return file.read()

    def patches(self, patches, series=None):
        """Have exactly these patches, listed in their order."""
        for role in ('build', 'hooks'):
            shutil.rmtree(self.path(f'patches/{role}'), ignore_errors=True)
        for name, text in patches.items():
            self.write(f'patches/{name}', text)
        if series is None:
            series = list(patches)
        self.write('patches/series', ''.join(f'{name}\n' for name in series))

    def stub(self, name, script):
        """Put a program before the system's own of that name."""
        self.write(os.path.join(self.bin, name), '#!/bin/sh\n' + script, 0o755)

    def meson(self, version):
        """A PYTHONPATH on which this version of meson comes first."""
        path = os.path.join(self.top, 'meson-' + version)
        self.write(os.path.join(path, 'mesonbuild/__init__.py'), '')
        self.write(os.path.join(path, 'mesonbuild/coredata.py'),
                   f'version = "{version}"\n')
        return path

    def commit(self):
        """All there is becomes a repository's first commit."""
        for command in (('init', '-q'), ('add', '.'),
                        ('-c', 'user.name=x', '-c', 'user.email=x@example.org',
                         'commit', '-q', '-m', 'x')):
            self.run('git', *command).fine()

    def run(self, *command, cwd=None, **env):
        return Result(subprocess.run(
            command, cwd=cwd or self.root, env=dict(self.env, **env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, check=False))

    def configure(self, *args, source=None, **env):
        return self.run('./configure', f'--qemu-source={source or self.source}',
                        '--allow-unpinned', *args, **env)

    def make(self, *args, **env):
        return self.run('make', *args, **env)

    def tarball(self, name):
        """The fake source as a tarball; its path and SHA-256."""
        path = os.path.join(self.top, name)
        subprocess.run(['tar', '-c', '-f', path, '-C', self.top,
                        os.path.basename(self.source)], check=True)
        with open(path, 'rb') as file:
            return path, hashlib.sha256(file.read()).hexdigest()

    def fake_apt(self, versions, meson=None):
        """An apt whose suites hold these QEMU versions (none: unreachable).

        What it is asked to do is written to the file "asked".
        """
        cases = ''
        for suite, version in versions.items():
            path, digest = self.tarball(f'qemu_{version}+ds.orig.tar.xz')
            size = os.path.getsize(path)
            cases += (f'*" {suite} main"*) echo "\'copy:{path}\' '
                      f'{os.path.basename(path)} {size} SHA256:{digest}" ;;\n')
        suites = '|'.join(f'*" {suite} main"*' for suite in versions) or 'none'
        if meson:
            suites += '|*" bookworm-backports main"*'
        asked = os.path.join(self.top, 'asked')
        self.stub('apt-get', f'''
list=
[ -z "$APT_CONFIG" ] || list=" $(cat "$(dirname "$APT_CONFIG")/etc/sources.list") "
echo "$* @$list" >>{asked}
case "$*" in
indextargets*)
    echo 'Third|Party|main|http://third.test/debian/|/nowhere:1'
    echo 'Debian|Debian-Security|main|http://mirror.test/debian-security/|/nowhere:1'
    echo 'Debian|Debian|main|http://mirror.test/debian/|/nowhere:1' ;;
update*)
    case "$list" in
    {suites}) ;;
    *) echo "E: mirror.test cannot be reached"; exit 100 ;;
    esac ;;
*print-uris*)
    case "$list" in
    {cases}
    *) exit 100 ;;
    esac ;;
*download*meson*) cp {meson or '/nowhere'} . ;;
esac
''')
        return asked
