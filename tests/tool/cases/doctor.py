# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar doctor: what it says of whom."""

import ast
import json
import os
import re
import shlex
import socket
import subprocess

from harness import (BUILD, case, check, equal, NO_SUCH_VM, NO_VM, TOP,
                     USAGE)

UUID = '12345678-9abc-def0-1234-56789abcdef0'


def doctor(host, dms, *lines, args=()):
    """What it finds when LINES happen while it looks on: {domid: object}."""
    # It has looked once when it has read every page; the second look comes
    # with the end of the interval. The same screenful of lines is played for
    # as long as it runs.
    child = host.start('doctor', '--json', '-n', '-d', 0.5, *args)
    while child.poll() is None:
        for dm in dms:
            dm.say('now', *lines)
        try:
            child.wait(0.02)
        except Exception:               # pylint: disable=broad-except
            pass
    out, err = child.communicate()
    equal(child.returncode, 0, f'exit ({err!r})')
    return {vm['domid']: vm for vm in map(json.loads, out.splitlines())}


def costs():
    """{option: what the guest loses}, from the table of options."""
    with open(os.path.join(TOP, 'xen/options.c'), encoding='utf-8') as f:
        rows = re.findall(r'\.name = "(\w+)",(.*?)\n    \},', f.read(), re.S)
    return {name: ''.join(re.findall(r'"([^"]*)"',
                                     row.split('.cost =')[1]))
            for name, row in rows if '.cost =' in row}


@case(sanitised=True)
def doctor_names_the_cure(host):
    causes = {
        'timer:uhci_frame_timer': ('usb', 'false'),
        'pio-read:piix3-ide': ('dvd', 'none'),
        'pio-write:isa-serial': ('serial', 'none'),
        'pio-read:isa-parallel': ('parallel', 'none'),
        'timer:gui_update': ('vnc_idle', '10'),
    }
    dm = host.dm(5, 'uuid ' + UUID, 'option usb=given default', name='web')
    lines = [f'wake {cause} 3 1000' for cause in causes]
    vm = doctor(host, [dm], *lines, args=('web', '-t', 'xl'))[5]
    equal({f['cause']: (f['cure'], f['value']) for f in vm['findings']},
          causes, 'cures')
    equal(vm['asleep'], False, 'asleep')
    keys = {'serial': 'hvm_serial'}
    for f in vm['findings']:
        equal(f['takes_away'], costs()[f['cure']], 'what it takes away')
        check(f['wakes_per_hour'] > 0 and f['cpu_seconds_per_hour'] > 0,
              f'costs of {f["cause"]}')
        xl = [line for line in f['lines'] if line.startswith('device_model')]
        equal(ast.literal_eval(xl[0].split(' = ')[1]),
              ['-pulsar', f'{f["cure"]}={f["value"]}'], 'line in xl.cfg')
    vm = doctor(host, [dm], *lines, args=('5', '--toolstack=xapi'))[5]
    for f in vm['findings']:
        key = keys.get(f['cure'], f['cure'])
        equal(shlex.split(f['lines'][0]),
              ['xe', 'vm-param-set', f'uuid={UUID}',
               f'platform:{key}={f["value"]}'], 'line for xapi')


@case
def doctor_in_words(host):
    dm = host.dm(5, 'option usb=false command line', name='web')
    host.dm(6, name='mail')
    host.dm(7, name='db').crash()
    child = host.start('doctor', '5', '6', '7', '-n', '-d', 0.5, '-t', 'xl')
    while child.poll() is None:
        dm.say('now', 'wake pio-read:piix3-ide 200', 'wake timer:a 1',
               'wake timer:uhci_frame_timer 9')
        try:
            child.wait(0.02)
        except Exception:               # pylint: disable=broad-except
            pass
    text = child.communicate()[0].decode()
    flat = ' '.join(text.split())
    for words in ('web (domain 5): wakes ', 'mail (domain 6): asleep\n',
                  'db (domain 7): its device model is gone',
                  "'pulsar table 7'", 'DVD drive',
                  'Cure, from the VM\'s next start on: dvd=none\n',
                  'device_model_args_hvm = [ "-pulsar", "dvd=none" ]\n',
                  'It takes from the guest its CD and DVD drives.',
                  'usb=false is in force', '1 more cause, each below 1 %'):
        check(words in text or words in flat, f'"{words}" is not in:\n{text}')
    check(max(map(len, text.splitlines())) < 80, 'wider than 79 columns')


@case
def doctor_of_stock(host):
    dm = host.stock(31007, name='old')
    child = host.start('doctor', '--json', 'old', '-d', 0.3)
    while child.poll() is None:
        dm.say('sleep 10')
    vm = json.loads(child.communicate()[0])
    equal((vm['kind'], vm['findings'][0]['cause'], vm['findings'][0]['cure']),
          ('stock', 'unknown (stock)', None), 'finding')
    check('device_model_override' in vm['findings'][0]['otherwise'], vm)


@case
def doctor_finds_jemalloc(host):
    dm = host.dm(5)
    dm.say('thread jemalloc_bg_thd 1')
    child = host.start('doctor', '--json', '-n', '5', '-d', 0.4)
    while child.poll() is None:
        dm.say('thread jemalloc_bg_thd 20')
    vm = json.loads(child.communicate()[0])
    found = vm['findings'][0]
    equal(found['cause'], 'thread:jemalloc_bg_thd', 'cause')
    check('background_thread:false' in found['otherwise'], found)


@case
def doctor_finds_who_reads_the_console(host):
    dm = host.dm(5, 'pty')
    slaves = []
    for fd in os.listdir(f'/proc/{dm.pid}/fdinfo'):
        with open(f'/proc/{dm.pid}/fdinfo/{fd}', encoding='ascii') as f:
            slaves += re.findall(r'tty-index:\s*(\d+)', f.read())
    equal(len(slaves), 1, 'the test itself: ptys')
    args = ('5',)
    vm = doctor(host, [dm], 'wake pio-write:isa-serial 3', args=args)[5]
    equal(vm['findings'][0]['outside'], [], 'when nobody reads')
    fd = os.open(f'/dev/pts/{slaves[0]}', os.O_RDWR | os.O_NOCTTY)
    try:
        vm = doctor(host, [dm], 'wake pio-write:isa-serial 3', args=args)[5]
    finally:
        os.close(fd)
    equal(len(vm['findings'][0]['outside']), 1, 'readers')
    check(f'(process {os.getpid()})' in vm['findings'][0]['outside'][0],
          vm['findings'][0]['outside'])


def connected(host, dm, where, cause):
    """What doctor finds outside, with this test connected to WHERE."""
    dm.say(f'serve {where}')
    family = socket.AF_INET if isinstance(where, int) else socket.AF_UNIX
    with socket.socket(family) as s:
        s.connect(('127.0.0.1', where) if isinstance(where, int) else where)
        dm.say('accept')
        vm = doctor(host, [dm], f'wake {cause} 3', args=('5',))[5]
        return vm['findings'][0]['outside']


@case
def doctor_finds_the_viewer(host):
    dm = host.dm(5)
    me = f'(process {os.getpid()})'
    out = connected(host, dm, os.path.join(host.dir, 'vnc-5'),
                    'timer:gui_update')
    check(len(out) == 1 and me in out[0], out)
    dm.close()
    os.unlink(dm.path)
    dm = host.dm(5)
    for port in range(6099, 5900, -1):
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
            break
    out = connected(host, dm, port, 'timer:gui_update')
    check(len(out) == 1 and me in out[0], out)


@case
def doctor_finds_who_polls_the_monitor(host):
    dm = host.dm(5)
    out = connected(host, dm, os.path.join(host.dir, 'qmp-libxl-5'),
                    'fd:chardev-tcp-server-libxl-cmd')
    check(len(out) == 1 and f'(process {os.getpid()})' in out[0], out)


@case
def doctor_says_what_is_wrong(host):
    host.dm(5, name='web')
    host.fails(NO_SUCH_VM, 'doctor', 'nix', says=('nix',))
    host.fails(USAGE, 'doctor', 'web', '--all', says=('--all',))
    host.fails(USAGE, 'doctor', '-t', 'libvirt', says=('libvirt', 'xapi'))
    host.fails(USAGE, 'doctor', '-d', '0', says=('--interval',))
    host.dms[0].leave()
    host.fails(NO_VM, 'doctor', '--no-stock', says=(host.rundir,))


@case(sanitised=True)
def doctor_of_hostile_names(host):
    dm = host.dm(5, r'option usb=\x1b[2J x', name=r'\x1b[31mevil')
    child = host.start('doctor', '-n', '5', '-d', 0.4)
    while child.poll() is None:
        dm.say('now', r'wake timer:\x1b[2Jx 5', r'wake pio-read:ide\x9b 5')
        try:
            child.wait(0.02)
        except Exception:               # pylint: disable=broad-except
            pass
    text = child.communicate()[0].decode()
    equal(child.returncode, 0, 'exit')
    check(all(c.isprintable() or c == '\n' for c in text), text)
    check(r'timer:\x1b[2Jx' in text, text)


def words_of(host, causes):
    """{cause: what doctor says of it}"""
    ret = {}
    # Less than 1 % is not spoken of; a page tells 31 of a kind apart.
    for n in range(0, len(causes), 60):
        dm = host.dm(5)
        lines = [f'wake {cause} 3' for cause in causes[n:n + 60]]
        vm = doctor(host, [dm], *lines, args=('5',))[5]
        ret.update((f['cause'], f['words']) for f in vm['findings'])
        dm.close()
        os.unlink(dm.path)
    return ret


@case
def doctor_has_words_for_every_device(host):
    """As the ledger names what the guest does to the devices of the build,
    and to what is behind a board's ports."""
    qemu = os.path.join(BUILD, 'qemu', 'qemu-system-i386')
    out = subprocess.run([qemu, '-device', 'help'], capture_output=True,
                         text=True, check=True).stdout
    devices = {d for d in re.findall(r'^name "([^"]+)"', out, re.M)
               if not d.endswith('-cpu')}
    check(len(devices) > 50, f'devices: {devices}')
    devices |= {'i8042', 'i8257', 'isa-pic', 'port92', 'fw_cfg_io', 'vmport',
                'PIIX3', 'i440FX-pcihost', 'isa-pit', 'kvm-ioapic', 'pcspk'}
    causes = [('pio-read:', 'mmio-write:')[n % 2] + d
              for n, d in enumerate(sorted(devices))]
    words = words_of(host, causes)
    equal(sorted(words), sorted(causes), 'findings')
    silent = [c for c, text in words.items() if 'Nothing more' in text]
    equal(silent, [], 'without words')
    words = words_of(host, ['pio-read:i8042', 'pio-write:virtio-serial-pci'])
    check('keyboard' in words['pio-read:i8042'], words)
    check('virtio' in words['pio-write:virtio-serial-pci'], words)
