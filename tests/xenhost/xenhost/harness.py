# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the harness itself that need no boot: a stand-in for the emulator
plays what an emulated host can do wrong."""

import os
import sys
import tempfile

from . import cpio, elf, host
from .paths import WORK, Trouble

# Takes both serial ports like the emulator, then does what it is told.
ACTOR = '''
import re, socket, sys, time
ports = []
for word in sys.argv:
    found = re.match(r'socket,id=.*,fd=(.*)', word)
    if found:
        ports.append(socket.socket(fileno=int(found[1])))
console, channel = ports
'''
FOREVER = 'time.sleep(600)\n'


def _play(part, timeout=1, memory=(100, 50), **limits):
    """What host.run says of an emulator that plays part, and its output."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        script = os.path.join(folder, 'actor.py')
        with open(script, 'w', encoding='utf-8') as f:
            f.write(ACTOR + part)
        limits['LOCK'] = os.path.join(folder, 'lock')
        limits['say'] = lambda text: None
        saved = {name: getattr(host, name) for name in limits}
        command = host.emulator.command
        host.emulator.command = lambda: [sys.executable, script]
        lines = []
        try:
            for name, value in limits.items():
                setattr(host, name, value)
            code = host.run(script, timeout=timeout,
                            out=os.path.join(folder, 'out'),
                            output=lines.append, memory=memory)
            return code, lines
        except Trouble as e:
            return str(e), lines
        finally:
            host.emulator.command = command
            for name, value in saved.items():
                setattr(host, name, value)


def frozen_boot_is_repeated_then_told():
    """A boot that prints nothing."""
    said, _ = _play(FOREVER, SILENT_SECONDS=0.3, BOOTS=2)
    return 'froze in 2 boots' in said, said


def frozen_boot_is_repeated_and_works():
    """The first boot freezes, the second runs the script."""
    with tempfile.NamedTemporaryFile(dir=WORK) as f:
        said = _play(f'''
import os
first = os.path.getsize({f.name!r}) == 0
open({f.name!r}, 'w').write('x')
if not first:
    channel.send(b'\\1ready\\nhello\\n\\1exit 5\\n')
''' + FOREVER, SILENT_SECONDS=1)
    return said == (5, ['hello']), str(said)


def deadline_ends_a_script():
    """A script that goes on and on is ended, not repeated."""
    said, _ = _play(r'''
channel.send(b'\1ready\n')
while True:
    channel.send(b'\1beat\n')
    time.sleep(0.05)
''')
    return said.startswith('the script did not end within 1 s;'), said


def frozen_script_is_told():
    """No beat after the script began."""
    said, _ = _play(r"channel.send(b'\1ready\n');" + FOREVER,
                    BEAT_SECONDS=0.3)
    return said.startswith('no sign of life for 0.3 s;'), said


def frozen_script_is_nudged():
    """One that goes on with the next interrupt gets one."""
    said = _play(r"""
channel.send(b'\1ready\n')
console.recv(1)
channel.send(b'awake\n\1exit 3\n')
""" + FOREVER, NUDGE_SECONDS=0.3, BEAT_SECONDS=20, timeout=20)
    return said == (3, ['awake']), str(said)


def frozen_boot_is_nudged():
    """The same before dom0 is up."""
    said = _play(r"""
console.recv(1)
channel.send(b'\1ready\n\1exit 4\n')
""" + FOREVER, NUDGE_SECONDS=0.3, SILENT_SECONDS=20)
    return said == (4, []), str(said)


def memory_is_as_asked():
    """The host's and dom0's."""
    said = _play(r"""
channel.send(b'\1ready\n')
words = dict(zip(sys.argv, sys.argv[1:]))
dom0 = re.search('dom0_mem=.*', words['-append'])[0]
channel.send(f"{words['-m']} {dom0}\n\1exit 0\n".encode())
""" + FOREVER, memory=(3000, 700))
    return said == (0, ['3000 dom0_mem=700M,max:700M']), str(said)


def beat_tells_that_dom0_is_up():
    """The line that says so itself did not come."""
    said = _play(r"""
channel.send(b'\1beat\n')
time.sleep(1)
channel.send(b'\1exit 6\n')
""" + FOREVER, timeout=20, BOOT_SECONDS=0.5, BOOTS=1)
    return said == (6, []), str(said)


def host_that_goes_down_is_told():
    """The emulator ends under the script."""
    said, _ = _play(r"channel.send(b'\1ready\n'); sys.exit('out of luck')")
    return ('went down' in said and 'out of luck' in said), said


def emulator_that_ends_is_told():
    """No use in starting that again."""
    said, _ = _play("sys.exit('no such machine')")
    return ('went down' in said and 'no such machine' in said), said


def refused_start_is_told():
    """dom0 says what it cannot do."""
    said, _ = _play(r"channel.send(b'\1fail modprobe\n');" + FOREVER)
    return said.startswith('dom0 cannot start: modprobe;'), said


def missing_source_is_told():
    """No source, no emulator of our own; and no exception either."""
    def resolve(label, names, suite=None):
        raise Trouble(f'{names[0]} of {suite} is away')

    saved = host.emulator.packages.resolve
    host.emulator.packages.resolve = resolve
    try:
        said = host.emulator.build()
    finally:
        host.emulator.packages.resolve = saved
    return said == 'qemu of bookworm:deb-src is away', str(said)


def libraries_are_found():
    """Every library of this interpreter, as the loader would find it."""
    found = elf.closure([os.path.realpath('/usr/bin/python3')])
    return 'libc.so.6' in found, ' '.join(sorted(found))


def archive_is_well_formed():
    """Lengths and padding of a cpio entry, by hand."""
    with tempfile.NamedTemporaryFile(dir=WORK) as f:
        with cpio.Cpio(f.name) as archive:
            archive.data('a/b', b'12345')
        data = f.read()
    entry = data[data.index(b'a/b\0') - 110:]
    good = (len(data) % 512 == 0 and data.startswith(b'070701')
            and entry[54:62] == b'%08X' % 5
            and entry[116:121] == b'12345' and b'TRAILER!!!' in data)
    return good, repr(data[:256])


TESTS = {
    'harness: a frozen boot is started again, and told':
        frozen_boot_is_repeated_then_told,
    'harness: the boot after a frozen one counts':
        frozen_boot_is_repeated_and_works,
    'harness: the deadline ends a script': deadline_ends_a_script,
    'harness: a host that freezes under a script is told':
        frozen_script_is_told,
    'harness: a host that lost its timer is nudged': frozen_script_is_nudged,
    'harness: so is one that lost it while it boots': frozen_boot_is_nudged,
    'harness: the memory is what was asked for': memory_is_as_asked,
    'harness: a beat alone tells that dom0 is up': beat_tells_that_dom0_is_up,
    'harness: a host that goes down is told': host_that_goes_down_is_told,
    'harness: an emulator that cannot start is told':
        emulator_that_ends_is_told,
    'harness: dom0 that cannot start is told': refused_start_is_told,
    'harness: an emulator that cannot be built is told':
        missing_source_is_told,
    'harness: libraries are found': libraries_are_found,
    'harness: archives are well-formed': archive_is_well_formed,
}


def run(result):
    """Run all; result is called with the lines of each test."""
    for name, test in TESTS.items():
        good, said = test()
        if not good:
            result(f'# {said}')
        result(f"{'ok' if good else 'not ok'} - xenhost: {name}")
