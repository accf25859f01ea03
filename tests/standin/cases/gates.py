# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates: each option, from each source, against each way of asking."""

import contextlib
import ctypes
import itertools
import os
import re
import socket
import struct
import stat
import subprocess
import threading
import uuid

import standin
from standin import Failure, expect

from . import group, ours
from .state import save

VM_UUID = str(uuid.uuid4())
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18


def plain(extra=(), nodefaults=True, nographic=False, qmp=True):
    """A command line with nothing in it but what a case is about."""
    def command(machine):
        args = ['-xen-domid', str(machine.domid), '-no-shutdown',
                '-no-user-config', '-name', f'standin-{machine.domid}',
                '-machine', 'xenfv,suppress-vmdesc=on', '-net', 'none',
                '-m', str(machine.memory)]
        if qmp:
            sock = machine.listen('qmp')
            args += ['-chardev', f'socket,id=libxl-cmd,fd={sock.fileno()},'
                                 'server=on,wait=off',
                     '-mon', 'chardev=libxl-cmd,mode=control']
        if nodefaults:
            args.append('-nodefaults')
        args += ['-nographic'] if nographic else \
            ['-vnc', 'none', '-display', 'none']
        return args + [a.replace('{folder}', machine.folder) for a in extra]
    return command


# ---- where an option comes from -----------------------------------------

def from_command_line(machine, row, value):
    return ['-pulsar', f'{row.name}={value}']


def from_xenstore(machine, row, value):
    machine.xenstore.write(
        f'/local/domain/{machine.domid}/platform/{row.key}', value)
    return []


def from_conf(section):
    def source(machine, row, value):
        machine.xenstore.write(f'/local/domain/{machine.domid}/vm',
                               f'/vm/{VM_UUID}')
        with open(machine.path('conf'), 'w', encoding='ascii') as f:
            f.write(f'[{section.format(domid=machine.domid)}]\n'
                    f'{row.name} = {value}\n')
        return ['-pulsar', f'config={machine.path("conf")}']
    return source


SOURCES = {
    'the command line': (from_command_line, 'command line'),
    'xenstore': (from_xenstore, 'xenstore /local/domain/'),
    'pulsar.conf [vm UUID]': (from_conf(f'vm {VM_UUID}'), f'[vm {VM_UUID}]'),
    'pulsar.conf [vm NAME]': (from_conf('vm standin-{domid}'),
                              '[vm standin-'),
    'pulsar.conf [defaults]': (from_conf('defaults'), '[defaults]'),
}


class Row:
    """An option, the values that close it, and the ways to ask for what it
    closes: name -> (arguments, devices in the tree)."""

    def __init__(self, name, key, value, ways, kinds=()):
        self.name = name
        self.key = key
        self.value = value
        self.ways = ways
        self.kinds = kinds      # (base type, pattern): what it keeps away


def ways(*rows):
    return {row[0]: row[1:] for row in rows}


CHARDEV = ('-chardev', 'null,id=back')
UHCI = ('-device', 'piix3-usb-uhci,id=uhci')
CD = ('-drive', 'if=none,id=cd,readonly=on,file={folder}/cd.iso,format=raw')
NODEFAULTS = {'nodefaults': False}
NOGRAPHIC = {'nodefaults': False, 'nographic': True}


class ReadConfig(list):
    """Arguments that read a file, which the machine's folder gets."""

    def __init__(self, *lines):
        super().__init__(['-readconfig', '{folder}/readconfig'])
        self.text = '\n'.join(lines) + '\n'


ROWS = (
    Row('serial', 'hvm_serial', 'none', ways(
        ('-serial null', ['-serial', 'null'], 'isa-serial'),
        ('-serial pty', ['-serial', 'pty'], 'isa-serial'),
        ('two -serial', ['-serial', 'null', '-serial', 'null'], 'isa-serial'),
        ('-serial chardev:', [*CHARDEV, '-serial', 'chardev:back'],
         'isa-serial'),
        ('-serial mon:', ['-serial', 'mon:null'], 'isa-serial'),
        ('-nographic', [], 'isa-serial', NOGRAPHIC),
        ('the default', [], 'isa-serial', NODEFAULTS),
        ('-device isa-serial', [*CHARDEV, '-device',
                                'isa-serial,chardev=back'], 'isa-serial'),
        ('-device in JSON',
         [*CHARDEV, '-device', '{"driver": "isa-serial", "chardev": "back"}'],
         'isa-serial'),
        ('-device pci-serial', [*CHARDEV, '-device',
                                'pci-serial,chardev=back'], 'pci-serial'),
        ('-device usb-serial', [*CHARDEV, *UHCI, '-device',
                                'usb-serial,chardev=back'], 'usb-serial'),
        ('-readconfig', ReadConfig(
            '[chardev "back"]', '  backend = "null"',
            '[device]', '  driver = "isa-serial"', '  chardev = "back"'),
         'isa-serial'),
    ), (('isa-serial', ''), ('pci-device', 'pci-serial'),
        ('usb-serial-dev', ''))),
    Row('parallel', 'parallel', 'none', ways(
        ('-parallel null', ['-parallel', 'null'], 'isa-parallel'),
        ('-parallel chardev:', [*CHARDEV, '-parallel', 'chardev:back'],
         'isa-parallel'),
        ('-nographic', [], 'isa-parallel', NOGRAPHIC),
        ('the default', [], 'isa-parallel', NODEFAULTS),
        ('-device isa-parallel', [*CHARDEV, '-device',
                                  'isa-parallel,chardev=back'],
         'isa-parallel'),
        ('-device in JSON',
         [*CHARDEV, '-device',
          '{"driver": "isa-parallel", "chardev": "back"}'], 'isa-parallel'),
        ('-readconfig', ReadConfig(
            '[chardev "back"]', '  backend = "null"',
            '[device]', '  driver = "isa-parallel"', '  chardev = "back"'),
         'isa-parallel'),
    ), (('isa-parallel', ''),)),
    Row('usb', 'usb', 'false', ways(
        ('-usb', ['-usb'], 'piix3-usb-uhci'),
        ('-machine usb=on', ['-machine', 'usb=on'], 'piix3-usb-uhci'),
        ('-usbdevice tablet', ['-usbdevice', 'tablet'],
         'piix3-usb-uhci usb-tablet'),
        ('-usbdevice mouse', ['-usb', '-usbdevice', 'mouse'],
         'piix3-usb-uhci usb-mouse'),
        ('-device uhci with a keyboard', [*UHCI, '-device', 'usb-kbd'],
         'piix3-usb-uhci usb-kbd'),
        ('usbversion=2', [
            '-device', 'ich9-usb-ehci1,id=usb,addr=0x1d.0x7,multifunction=on',
            '-device', 'ich9-usb-uhci1,masterbus=usb.0,firstport=0,'
                       'addr=0x1d.0,multifunction=on',
            '-device', 'ich9-usb-uhci2,masterbus=usb.0,firstport=2,'
                       'addr=0x1d.0x1,multifunction=on'],
         'ich9-usb-ehci1 ich9-usb-uhci1 ich9-usb-uhci2'),
        ('usbversion=3', ['-device', 'nec-usb-xhci,id=usb',
                          '-device', 'usb-tablet,bus=usb.0'],
         'nec-usb-xhci usb-tablet'),
        ('-device qemu-xhci', ['-device', 'qemu-xhci'], 'qemu-xhci'),
        ('-device usb-ehci', ['-device', 'usb-ehci'], 'usb-ehci'),
        ('-device in JSON', ['-device', '{"driver": "usb-ehci", "id": "e"}',
                             '-device', '{"driver": "usb-mouse",'
                             ' "bus": "e.0"}'], 'usb-ehci usb-mouse'),
        ('a disk on a hub', [
            *UHCI, '-device', 'usb-hub,bus=uhci.0,port=1', '-device',
            'usb-bot,id=bot', '-drive', 'if=none,id=d,file={folder}/cd.iso,'
            'format=raw,readonly=on', '-device', 'scsi-hd,bus=bot.0,drive=d'],
         'usb-hub usb-bot scsi-hd'),
        ('a disk that names no bus', [
            *UHCI, '-device', 'usb-bot', '-drive',
            'if=none,id=d,file={folder}/cd.iso,format=raw,readonly=on',
            '-device', 'scsi-hd,drive=d'], 'usb-bot scsi-hd'),
        ('a disk on the bus of one without a name', [
            *UHCI, '-device', 'usb-bot', '-drive',
            'if=none,id=d,file={folder}/cd.iso,format=raw,readonly=on',
            '-device', 'scsi-hd,bus=scsi.0,drive=d'], 'usb-bot scsi-hd'),
        ('-readconfig', ReadConfig(
            '[machine]', '  usb = "on"',
            '[device "k"]', '  driver = "usb-kbd"'),
         'piix3-usb-uhci usb-kbd'),
    ), (('usb-device', ''), ('pci-device', '[ueox]hci|usb'))),
    Row('usb_tablet', 'usb_tablet', 'false', ways(
        ('-usbdevice tablet', ['-usbdevice', 'tablet'], 'usb-tablet'),
        ('-device usb-tablet', ['-usb', '-device', 'usb-tablet,port=2'],
         'usb-tablet'),
        ('-device in JSON', [*UHCI, '-device',
                             '{"driver": "usb-tablet", "bus": "uhci.0"}'],
         'usb-tablet'),
        ('-readconfig', ReadConfig(
            '[machine]', '  usb = "on"',
            '[device "t"]', '  driver = "usb-tablet"'), 'usb-tablet'),
    ), (('usb-device', 'tablet'),)),
    Row('dvd', 'dvd', 'none', ways(
        ('-cdrom', ['-cdrom', '{folder}/cd.iso'], 'ide-cd'),
        ('-drive media=cdrom', ['-drive', 'media=cdrom,id=cd'], 'ide-cd'),
        ('-drive if=ide', [
            '-drive', 'if=ide,index=1,media=cdrom,file={folder}/cd.iso'],
         'ide-cd'),
        ('-hdc with media=cdrom',
         ['-drive', 'if=ide,index=2,media=cdrom,readonly=on'], 'ide-cd'),
        ('-device ide-cd', [*CD, '-device', 'ide-cd,bus=ide.1,unit=0,'
                            'drive=cd,id=cd'], 'ide-cd'),
        ('an empty ide-cd', ['-device', 'ide-cd,bus=ide.0,unit=1'], 'ide-cd'),
        ('-device in JSON',
         [*CD, '-device', '{"driver": "ide-cd", "drive": "cd"}'], 'ide-cd'),
        ('-device scsi-cd', [*CD, '-device', 'lsi53c895a', '-device',
                             'scsi-cd,drive=cd'], 'scsi-cd'),
        ('a CD on USB', [
            '-usb', '-drive', 'if=none,id=cd,media=cdrom,'
            'file={folder}/cd.iso', '-device', 'usb-storage,drive=cd'],
         'usb-storage scsi-cd'),
        ('a CD on AHCI', [*CD, '-device', 'ahci,id=ahci0', '-device',
                          'ide-cd,bus=ahci0.0,drive=cd'], 'ide-cd'),
        ('the default', [], 'ide-cd', NODEFAULTS),
        ('-readconfig', ReadConfig(
            '[drive "cd"]', '  if = "none"', '  media = "cdrom"',
            '[device]', '  driver = "ide-cd"', '  drive = "cd"'), 'ide-cd'),
    ), (('ide-cd', ''), ('scsi-cd', ''))),
)


def start(machine, row=None, source=None, value=None, arguments=(),
          options=None, tree=True):
    """Start with an option set; returns what the device tree looks like."""
    if isinstance(arguments, ReadConfig):
        with open(machine.path('readconfig'), 'w', encoding='ascii') as f:
            f.write(arguments.text.replace('{folder}', machine.folder))
    with open(machine.path('cd.iso'), 'wb') as f:
        f.truncate(1 << 20)
    extra = list(arguments)
    if source:
        extra += source(machine, row, value)
    machine.start(plain(extra, **(options or {})))
    return machine.qmp().hmp('info qtree') if tree else None


def drivers(tree):
    """The drivers of a device tree, for messages."""
    return re.findall(r'dev: ([^,]*), ', tree)


def count(tree, driver):
    return len(re.findall(rf'dev: {re.escape(driver)}, ', tree))


def way_of(row, way):
    arguments, devices, *rest = row.ways[way]
    return arguments, devices.split(), (rest[0] if rest else {})


def check_way(b, row, way):
    """Open it is there; closed from any source it is not."""
    arguments, devices, options = way_of(row, way)
    with b.report.case(f'{row.name}={row.value} holds against {way}',
                       'fails'):
        with b.machine(command=None, memory=16) as m:
            tree = start(m, arguments=arguments, options=options)
            for device in devices:
                expect(count(tree, device), f'{device} is not there when '
                                            f'nobody closed it')
        for name, (source, text) in SOURCES.items():
            with b.machine(command=None, memory=16) as m:
                try:
                    tree = start(m, row, source, row.value, arguments,
                                 options)
                except Failure as e:
                    raise Failure(f'closed by {name} it does not start: '
                                  f'{e}') from None
                for device in devices:
                    expect(not count(tree, device),
                           f'closed by {name}, {device} is there')
                left = {c['label'] for c in
                        m.qmp().execute('query-chardev')} - {'libxl-cmd'}
                expect(not left & {'back', 'serial0', 'serial1', 'parallel0'}
                       or row.name not in ('serial', 'parallel') or
                       options, f'closed by {name}, {left} are open')
                expect(re.search(rf'is left out: {row.name}={row.value} '
                                 rf'\(.*{re.escape(text)}', m.output()),
                       f'closed by {name}, the log has no reason: '
                       f'{m.output()}')


def one_way(row, way):
    def run(b):
        check_way(b, row, way)
    run.__name__ = 'gate_' + re.sub(r'\W+', '_', f'{row.name} {way}').lower()
    return run


for _row in ROWS:
    for _way in _row.ways:
        group(alone=False, busy=True)(one_way(_row, _way))


# ---- a machine that runs --------------------------------------------------

def refusal(machine, command, **arguments):
    """The error that QMP answers with."""
    try:
        answer = machine.qmp().execute(command, **arguments)
    except Failure as e:
        return str(e)
    raise Failure(f'{command} {arguments} was done, it answered {answer!r}')


def all_kinds(machine, row):
    """Every type of device of this build that the option keeps away."""
    found = []
    for base, pattern in row.kinds:
        for kind in machine.qmp().execute('qom-list-types', implements=base,
                                          abstract=False):
            if re.search(pattern, kind['name']):
                found.append(kind['name'])
    expect(found, 'this build has none')
    return sorted(set(found))


def hotplug_refused(b, row):
    """device_add of each kind, by QMP and by HMP."""
    with b.report.case(f'{row.name}={row.value} holds against device_add of '
                       'every kind', 'fails'), \
            b.machine(command=None) as m:
        start(m, row, from_xenstore, row.value,
              UHCI if row.name in ('usb_tablet', 'serial') else ())
        q = m.qmp()
        before = q.hmp('info qtree')
        kinds = all_kinds(m, row)
        b.report.say(f'{row.name}: {" ".join(kinds)}')
        reason = f'cannot be added to this VM: {row.name}={row.value} (xenst'
        for driver in kinds:
            told = refusal(m, 'device_add', driver=driver, id='late')
            expect(reason in told, f'QMP says {told!r} to {driver}')
            told = q.hmp(f'device_add {driver},id=late')
            expect(reason in told, f'HMP says {told!r} to {driver}')
        expect(q.hmp('info qtree') == before, 'something has changed')


def back_ends_refused(b):
    """The same with a back end that the running machine was given."""
    serial, dvd = (next(r for r in ROWS if r.name == name)
                   for name in ('serial', 'dvd'))
    with b.report.case('serial=none holds against chardev-add and '
                       'device_add', 'fails'), b.machine(command=None) as m:
        start(m, serial, from_xenstore, 'none', UHCI)
        q = m.qmp()
        q.execute('chardev-add', id='late0',
                  backend={'type': 'null', 'data': {}})
        told = q.hmp('chardev-add null,id=late1')
        expect(not told, f'HMP says {told!r}')
        for driver in ('pci-serial', 'usb-serial'):
            for i in range(2):
                told = refusal(m, 'device_add', driver=driver,
                               chardev=f'late{i}', id='late')
                expect('serial=none (xenstore ' in told, told)
                told = q.hmp(f'device_add {driver},chardev=late{i},id=late')
                expect('serial=none (xenstore ' in told, told)
    with b.report.case('dvd=none holds against drive_add and device_add',
                       'fails'), b.machine(command=None) as m:
        start(m, dvd, from_xenstore, 'none', UHCI)
        q = m.qmp()
        told = q.hmp('drive_add 0 if=none,id=late,media=cdrom,file=' +
                     m.path('cd.iso'))
        expect('OK' in told, told)
        told = refusal(m, 'device_add', driver='usb-storage', drive='late',
                       id='stick')
        expect('dvd=none (xenstore ' in told, told)
        told = q.hmp('device_add usb-storage,drive=late,id=stick')
        expect('dvd=none (xenstore ' in told, told)


def start_refused(b, row):
    """Each kind on the command line is left out, and the start goes on."""
    with b.machine(command=None) as m:
        start(m)
        kinds = all_kinds(m, row)
    for way, arguments in (
            ('-device', [w for k in kinds for w in ('-device', k)]),
            ('-device in JSON', [
                w for k in kinds for w in
                ('-device', f'{{"driver": "{k}"}}')]),
            ('-readconfig', ReadConfig(*(
                line for i, k in enumerate(kinds) for line in
                (f'[device "d{i}"]', f'  driver = "{k}"'))))):
        with b.report.case(f'{row.name}={row.value} holds against {way} of '
                           'every kind', 'fails'), \
                b.machine(command=None) as m:
            tree = start(m, row, from_xenstore, row.value, arguments)
            for driver in kinds:
                expect(not count(tree, driver), f'{driver} is there')
                expect(re.search(rf': {re.escape(driver)}( \'d\d+\')? is left '
                                 rf'out: {row.name}={row.value} ',
                                 m.output()),
                       f'the log does not say why {driver} is left out')


@group(alone=False, busy=True)
def gates_hotplug(b):
    for row in ROWS:
        hotplug_refused(b, row)
        start_refused(b, row)
    back_ends_refused(b)
    # The same is possible where nothing is closed.
    with b.report.case('device_add works where nothing is closed'), \
            b.machine(command=None) as m:
        start(m, arguments=UHCI)
        m.qmp().execute('device_add', driver='usb-tablet', id='t')
        m.qmp().execute('device_add', driver='usb-ehci', id='e')
        tree = m.qmp().hmp('info qtree')
        expect(count(tree, 'usb-tablet') and count(tree, 'usb-ehci'),
               drivers(tree))
    with b.report.case('device_add works where a controller was replaced',
                       'fails'), b.machine(command=None) as m:
        m.start(plain(['-usb', '-pulsar', 'usb=xhci']))
        m.qmp().execute('device_add', driver='usb-kbd', id='k')
        tree = m.qmp().hmp('info qtree')
        expect(count(tree, 'usb-kbd') == 1, drivers(tree))
        told = refusal(m, 'device_add', driver='ich9-usb-uhci1',
                       masterbus='usb-bus.0', id='c')
        expect('usb=xhci' in told, told)
    with b.report.case('dvd=ahci: a drive for a machine that runs is refused',
                       'either'), b.machine(command=None) as m:
        m.start(plain(['-pulsar', 'dvd=ahci']))
        told = refusal(m, 'device_add', driver='ide-cd', id='late')
        expect('hotplug' in told, told)


@group(alone=False, busy=True)
@ours
def gates_preconfig(b):
    """-preconfig: the devices come when QMP says so, gates and all."""
    with b.report.case('usb=false, usb=xhci and -preconfig: left out and '
                       'replaced as ever', 'fails'):
        for option, wanted in (('usb=false', 0), ('usb=xhci', 1)):
            with b.machine(command=None) as m:
                m.start(plain(['-preconfig', '-usb', '-device', 'usb-tablet',
                               '-pulsar', option]), wait=False)
                q = m.qmp()
                q.execute('x-exit-preconfig')
                tree = q.hmp('info qtree')
                expect(count(tree, 'usb-tablet') == wanted and
                       count(tree, 'nec-usb-xhci') == wanted and
                       not count(tree, 'piix3-usb-uhci'), drivers(tree))


@group(alone=False, busy=True)
@ours
def gates_pv_usb(b):
    """A PV USB back end with a port in use, as xl's usbdev writes it."""
    for option in ('usb=false', 'usb=xhci'):
        with b.report.case(f'{option} and a qusb back end that has a port: '
                           'the start goes on', 'fails'), \
                b.machine(command=None) as m:
            back = f'/local/domain/0/backend/qusb/{m.domid}/0'
            front = f'/local/domain/{m.domid}/device/vusb/0'
            for path, value in (
                    (f'{front}/backend', back), (f'{front}/state', '1'),
                    (f'{front}/backend-id', '0'),
                    (f'{back}/frontend', front), (f'{back}/online', '1'),
                    (f'{back}/frontend-id', m.domid), (f'{back}/state', '1'),
                    (f'{back}/usb-ver', '2'), (f'{back}/num-ports', '4'),
                    (f'{back}/type', 'QEMU'), (f'{back}/port/1', '1-1')):
                m.xenstore.write(path, value)
            m.start(plain(['-pulsar', option]))
            expect(m.guest.inb(0x64) is not None, 'it does not answer')
            expect('cannot be added to this VM: usb=false' in m.output() or
                   option != 'usb=false', m.output())


@group(alone=False, busy=True)
def gates_drive_commands(b):
    for value, arguments in (
            ('none', (*CD, '-device', 'ide-cd,bus=ide.1,drive=cd,id=cd')),
            ('loaded', ('-drive', 'if=none,id=cd,readonly=on', '-device',
                        'ide-cd,bus=ide.1,drive=cd,id=cd'))):
        row = next(r for r in ROWS if r.name == 'dvd')
        with b.report.case(f'dvd={value}: commands for the drive are told '
                           'why it is not there', 'fails'), \
                b.machine(command=None) as m:
            start(m, row, from_xenstore, value, list(arguments))
            for command, arguments in (
                    ('eject', {'device': 'cd'}),
                    ('eject', {'id': 'cd'}),
                    ('blockdev-change-medium',
                     {'device': 'cd', 'filename': m.path('cd.iso')}),
                    ('blockdev-open-tray', {'id': 'cd'}),
                    ('blockdev-remove-medium', {'id': 'cd'}),
                    ('blockdev-insert-medium', {'id': 'cd',
                                                'node-name': 'x'})):
                told = refusal(m, command, **arguments)
                expect(f"no drive 'cd': dvd={value} (xenstore " in told, told)
            for line in 'eject cd', 'change cd /x':
                told = m.qmp().hmp(line)
                expect(f'dvd={value} (xenstore ' in told, told)
            told = refusal(m, 'eject', device='another')
            expect("'another' not found" in told, told)


# ---- what is closed is not even opened -----------------------------------

@group(alone=False, busy=True)
def gates_nothing_opened(b):
    for option, arguments in (
            ('serial=none', ['-serial', '/nonexistent']),
            ('serial=none', ['-serial', 'file:/nonexistent/file']),
            ('serial=none', ['-chardev', 'file,id=f,path=/nonexistent/file',
                             '-serial', 'chardev:f']),
            ('serial=none', ['-chardev', 'file,id=f,path=/nonexistent/file',
                             '-device', 'pci-serial,chardev=f']),
            ('serial=none', ['-chardev', 'file,id=f,path=/nonexistent/file',
                             '-device', '{"driver": "isa-serial", '
                             '"chardev": "f"}']),
            ('dvd=none', ['-drive', 'if=none,id=cd,file=/nonexistent',
                          '-device', '{"driver": "ide-cd", "drive": "cd"}']),
            ('parallel=none', ['-parallel', '/dev/parport9']),
            ('parallel=none', ['-chardev', 'file,id=f,path=/nonexistent/file',
                               '-parallel', 'chardev:f']),
            ('monitor=qmp', ['-monitor', 'unix:/nonexistent/s,server=on,'
                                         'wait=off']),
            ('dvd=none', ['-cdrom', '/nonexistent']),
            ('dvd=none', ['-drive', 'if=none,id=cd,file=/nonexistent',
                          '-device', 'ide-cd,drive=cd'])):
        with b.report.case(f'{option}: not opened is {" ".join(arguments)}',
                           'fails'), b.machine(command=None) as m:
            m.start(plain([*arguments, '-pulsar', option]))
            m.qmp()
    # A monitor and a port may share a back end, and then one is left.
    mux = ['-chardev', 'socket,mux=on,id=m,path={folder}/hmp,server=on,'
           'wait=off', '-mon', 'chardev=m', '-serial', 'chardev:m']
    with b.report.case('monitor=qmp leaves the port that shares its back '
                       'end', 'fails'), b.machine(command=None) as m:
        m.start(plain([*mux, '-pulsar', 'monitor=qmp']))
        expect(count(m.qmp().hmp('info qtree'), 'isa-serial') == 1,
               'the port is not there')
        expect(not mux_answers(m), 'the monitor is there')
    with b.report.case('serial=none leaves the monitor that shares its back '
                       'end', 'fails'), b.machine(command=None) as m:
        m.start(plain([*mux, '-pulsar', 'serial=none']))
        expect(not count(m.qmp().hmp('info qtree'), 'isa-serial'),
               'the port is there')
        expect(prompt(m, 'hmp'), 'the monitor is not there')


# ---- every value from every source ---------------------------------------

VALUES = {
    'monitor': ('monitor', ('full', 'qmp', 'none')),
    'serial': ('hvm_serial', ('given', 'none')),
    'parallel': ('parallel', ('given', 'none')),
    'usb': ('usb', ('given', 'false', 'uhci', 'ehci', 'xhci')),
    'usb_tablet': ('usb_tablet', ('given', 'true', 'false', 'viewer')),
    'dvd': ('dvd', ('given', 'none', 'loaded', 'ahci', 'notify')),
    'vnc_idle': ('vnc_idle', ('off', '30', '86400')),
    'ledger': (None, ('auto', 'off', '/{folder}/page')),
}


@group(alone=False, busy=True)
def gates_sources(b):
    for name, (source, text) in SOURCES.items():
        with b.report.case(f'every value of every option from {name}',
                           'fails'):
            for i in range(max(len(v) for _, v in VALUES.values())):
                every_option(b, source, text, i)


def every_option(b, source, text, turn):
    """Start with each option at its value of this turn."""
    with b.machine(command=None, memory=16) as m:
        wanted, extra, conf = [], [], ''
        for name, (key, values) in VALUES.items():
            value = values[turn % len(values)].replace('/{folder}', m.folder)
            if source is from_xenstore and not key:
                continue
            extra = source(m, Row(name, key, None, {}), value) + (
                extra if source is from_command_line else [])
            if 'config=' in ''.join(extra):
                with open(m.path('conf'), encoding='ascii') as f:
                    head, line = f.read().splitlines()
                conf = conf or head + '\n'
                conf += line + '\n'
            wanted.append((name, value))
        if conf:
            with open(m.path('conf'), 'w', encoding='ascii') as f:
                f.write(conf)
        m.start(plain(['-usb', '-serial', 'null', *extra]))
        told = re.search(r'info: options: (.*)', m.output())[1]
        if ('usb', 'false') in wanted:      # takes the tablet with it
            wanted = [w for w in wanted if w[0] != 'usb_tablet']
            expect('usb_tablet=false (' in told, told)
        for name, value in wanted:
            expect(re.search(rf'(^|, ){name}={re.escape(value)} '
                             rf'\([^,]*{re.escape(text)}', told),
                   f'{name}={value} is not in: {told}')


@group(alone=False, busy=True)
def gates_platform_words(b):
    for key, word, value in (('true', 'xhci', 'xhci'),
                             ('false', 'xhci', 'false')):
        with b.report.case(f'platform keys usb={key}, pulsar_usb={word}',
                           'fails'), b.machine(command=None) as m:
            from_xenstore(m, Row('usb', 'usb', None, {}), key)
            from_xenstore(m, Row('usb', 'pulsar_usb', None, {}), word)
            m.start(plain(['-usb']))
            tree = m.qmp().hmp('info qtree')
            expect(count(tree, 'nec-usb-xhci') == (value == 'xhci') and
                   not count(tree, 'piix3-usb-uhci'), drivers(tree))
            expect(f'usb={value} (xenstore ' in m.output(), m.output())


@group(alone=False, busy=True)
def gates_conf_of_the_host(b):
    """pulsar.conf where configure says, for the command and for VMs."""
    name = 'pulsar set writes the file that a device model reads'
    build = os.path.dirname(standin.QEMU)
    folder = ''
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(build, 'config.mk'), encoding='utf-8') as f:
        folder = re.search(r'^sysconfdir := (.*)$', f.read(), re.M)[1]
    tool = os.environ.get('PULSAR_TOOL') or os.path.join(build, 'pulsar')
    if not os.path.isdir(folder) or not os.access(tool, os.X_OK):
        b.report.skip(name, f'no folder {folder}, or no command pulsar')
        return
    with b.machine(command=None) as m:
        os.mkdir(m.path('etc'))
        # Looked up before the fork: other threads may be at it then.
        libc = ctypes.CDLL(None, use_errno=True)
        unshare, mount = libc.unshare, libc.mount
        ours, theirs = m.path('etc').encode(), folder.encode()

        def elsewhere():
            """The system's folder is ours, for this process alone."""
            if unshare(CLONE_NEWNS) or \
                    mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None) or \
                    mount(ours, theirs, None, MS_BIND, None):
                raise OSError(ctypes.get_errno(), 'mount')
        try:
            subprocess.run(['true'], preexec_fn=elsewhere, check=True)
        except subprocess.SubprocessError:
            b.report.skip(name, 'no mount namespaces here')
            return
        with b.report.case(name, 'fails', m):
            r = subprocess.run(
                [tool, 'set', '--toolstack', 'xl', '--all', 'serial=none'],
                preexec_fn=elsewhere, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False)
            expect(r.returncode == 0, r.stdout)
            with open(m.path('etc/pulsar.conf'), encoding='ascii') as f:
                expect('serial=none' in f.read(), 'it is elsewhere')
            m.start(plain(['-serial', 'null']), preexec=elsewhere)
            expect(f'serial=none ({folder}/pulsar.conf [defaults])' in
                   m.output(), m.output())


# ---- wrong input ----------------------------------------------------------

WRONG = [
    # source, key, value, what the sentence has to name
    ('-pulsar', 'usb', 'blue', ["'blue'", 'usb takes given, true, false']),
    ('-pulsar', 'usbb', 'false', ["'usbb'", 'the options are monitor, ']),
    ('-pulsar', 'hvm_serial', 'none', ['here it is called serial']),
    ('-pulsar', 'vnc_idle', '-3', ["'-3'", 'seconds from 1 to 86400']),
    ('-pulsar', 'usb', '\x1b[2J', ["'\\x1b[2J'"]),
    ('-pulsar', 'usb', 'x' * 2000, ['2000 bytes', 'at most 1023']),
    ('-pulsar', 'config', '/nonexistent', ['/nonexistent', 'No such file']),
    ('-pulsar', 'ledger', '/proc/no/file', ['/proc/no']),
    ('xenstore', 'usb', 'blue', ['/platform/usb', "'blue'", 'usb takes']),
    ('xenstore', 'parallel', '/dev/sda', ['/platform/parallel', '/dev/sda']),
    ('xenstore', 'hvm_serial', '', ['/platform/hvm_serial', "''"]),
    ('xenstore', 'dvd', 'a\nb', ["'a\\x0ab'", 'not printable']),
    ('xenstore', 'usb', 'x' * 3000, ['3000 bytes', 'at most 1023']),
    ('conf', 'usb', 'blue', ['[vm ', "'blue'", 'usb takes']),
    ('conf', 'usbb', 'false', ['[vm ', "'usbb'"]),
    ('conf', 'config', '/x', ['only on the command line']),
    ('conf', '[desk', '', ['cannot be read']),
]


@group(alone=False, busy=True)
def gates_wrong_input(b):
    for source, key, value, parts in WRONG:
        shown = f'{key}={value}'.encode('unicode_escape').decode()[:40]
        with b.report.case(f'{source} {shown}: one sentence and exit 1',
                           'fails'), b.machine(command=None) as m:
            extra = []
            if source == '-pulsar':
                extra = ['-pulsar', f'{key}={value}']
            elif source == 'xenstore':
                m.xenstore.write(f'/local/domain/{m.domid}/platform/{key}',
                                 value)
            else:
                with open(m.path('conf'), 'w', encoding='ascii') as f:
                    f.write(f'[vm standin-{m.domid}]\n{key}={value}\n')
                extra = ['-pulsar', f'config={m.path("conf")}']
            m.start(plain(extra), wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            lines = [line for line in m.output().splitlines()
                     if ': info: ' not in line]
            expect(len(lines) == 1, f'it said {lines}')
            for part in parts:
                expect(part in lines[0], f'no {part!r} in {lines[0]!r}')
            expect(not m.guest.calls('xendevicemodel_create_ioreq_server'),
                   'the domain has seen an ioreq server')


@group(alone=False, busy=True)
@ours
def gates_bad_defaults(b):
    """One slip in what holds for all VMs of a host stops none of them."""
    with b.report.case('pulsar.conf: what is wrong in [defaults] is passed '
                       'over, the rest counts', 'fails'), \
            b.machine(command=None) as m:
        with open(m.path('conf'), 'w', encoding='ascii') as f:
            f.write('[defaults]\nusb=blue\nserial=none\nusbb=1\n'
                    '[everything]\ndvd=none\n')
        m.start(plain(['-pulsar', f'config={m.path("conf")}']))
        for part in ("the value 'blue' of usb is not accepted",
                     "there is no option 'usbb'",
                     'the group [everything] is not accepted'):
            expect(re.search(f'warning: .*{re.escape(part)}.*; passed over',
                             m.output()), m.output())
        values = {o['key']: o['value'] for o in
                  m.qmp().execute('query-pulsar-options')}
        expect((values['usb'], values['serial'], values['dvd']) ==
               ('given', 'none', 'given'), values)


@group(alone=False, busy=True)
def gates_xenstore_refuses(b):
    with b.report.case('xenstore that cannot be reached: one sentence and '
                       'exit 1', 'fails'), b.machine(command=None) as m:
        m.env = dict(m.env, XENSTORED_PATH=m.path('nobody'))
        m.start(plain(), wait=False)
        expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
        expect('xenstore cannot be reached' in m.output(), m.output())


class Refusing:
    """A xenstore that has nothing, and refuses to read some nodes."""

    ERROR = 16      # XS_ERROR of its protocol

    def __init__(self, path, node):
        self.node = node.encode()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client, client.makefile('rb') as stream:
                    self.answer(client, stream)

    def answer(self, client, stream):
        while len(head := stream.read(16)) == 16:
            _, request, transaction, length = struct.unpack('=4I', head)
            path = stream.read(length).rstrip(b'\0')
            error = b'EACCES\0' if path.endswith(self.node) else b'ENOENT\0'
            client.sendall(struct.pack('=4I', self.ERROR, request,
                                       transaction, len(error)) + error)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@group(alone=False, busy=True)
def gates_xenstore_denies(b):
    for node in ('/platform/monitor', '/platform/hvm_serial',
                 '/platform/vnc_idle', '/name', '/vm'):
        with b.report.case(f'xenstore that refuses {node}: one sentence and '
                           'exit 1', 'fails'), b.machine(command=None) as m, \
                contextlib.closing(Refusing(m.path('xs'), node)):
            m.env = dict(m.env, XENSTORED_PATH=m.path('xs'))
            m.start(plain(), wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            expect(re.fullmatch(
                r'[^\n]*: xenstore /local/domain/\d+' + node +
                ' cannot be read: Permission denied\n', m.output()),
                m.output())


@group(alone=False, busy=True)
def gates_help(b):
    with b.report.case('-pulsar help lists every option', 'fails'):
        r = subprocess.run([b.binary, '-pulsar', 'help'], text=True,
                           stdout=subprocess.PIPE, check=False)
        expect(r.returncode == 0, f'exit code {r.returncode}')
        for name in ('monitor', 'serial', 'parallel', 'usb', 'usb_tablet',
                     'dvd', 'vnc_idle', 'ledger', 'config'):
            expect(re.search(rf'^{name}  ', r.stdout, re.M), r.stdout)
    with b.report.case('docs/options.md has every option and value of '
                       '-pulsar help', 'fails'):
        with open(os.path.join(standin.ROOT, 'docs/options.md'),
                  encoding='utf-8') as f:
            table = f.read().partition('### Where')[0]
        rows = dict(re.findall(r'^\| `(\w+)` \| (.*)$', table, re.M))
        sections = re.split(r'\n\n(?=\w)', r.stdout)[1:]
        expect(sections, 'no option in the help')
        for section in sections:
            name, *words = re.findall(r'^(?: {4})?(\w+)  ', section, re.M)
            for word in words:
                expect(f'`{word}`' in rows.get(name, ''),
                       f'{name}={word} is not in the table')
            key = re.search(r'platform key (\w+)', section)
            if key:
                expect(f'`{key[1]}`' in rows.get(name, ''),
                       f'{key[1]} is not there')
            default = re.search(r'^ {4}(\w+) .*\(default\)', section, re.M)
            expect(f'`{default[1]}` (default)' in rows[name],
                   f'the default of {name} is not there')


@group(alone=False, busy=True)
def gates_strength(b):
    with b.report.case('the command line is stronger than xenstore, that '
                       'than pulsar.conf', 'fails'), \
            b.machine(command=None) as m:
        row = Row('usb', 'usb', None, {})
        from_xenstore(m, row, 'ehci')
        from_xenstore(m, Row('dvd', 'dvd', None, {}), 'none')
        with open(m.path('conf'), 'w', encoding='ascii') as f:
            f.write('[defaults]\nusb=uhci\ndvd=ahci\nparallel=none\n'
                    f'[vm standin-{m.domid}]\nserial=none\n')
        m.start(plain(['-usb', '-pulsar', f'usb=xhci,config={m.path("conf")}',
                       '-cdrom', '', '-serial', 'null', '-parallel', 'null']))
        tree = m.qmp().hmp('info qtree')
        expect(count(tree, 'nec-usb-xhci') == 1, drivers(tree))
        for driver in ('usb-ehci', 'piix3-usb-uhci', 'ide-cd', 'ich9-ahci',
                       'isa-serial', 'isa-parallel'):
            expect(not count(tree, driver), f'{driver} is there')
        told = {o['key']: (o['value'], o['source']) for o in
                m.qmp().execute('query-pulsar-options')}
        expect(told['usb'] == ('xhci', 'command line'), told)
        expect(told['dvd'] == (
            'none', f'xenstore /local/domain/{m.domid}/platform/dvd'), told)
        expect(told['serial'][0] == 'none' and
               told['serial'][1].endswith(f'[vm standin-{m.domid}]'), told)
        expect(told['parallel'][1].endswith('[defaults]'), told)
        expect(told['monitor'] == ('full', 'default'), told)


# ---- hardware that moves ----------------------------------------------------

CONTROLLERS = {'uhci': 'piix3-usb-uhci', 'ehci': 'usb-ehci',
               'xhci': 'nec-usb-xhci'}
ICH9 = ['-device', 'ich9-usb-ehci1,id=usb,addr=0x1d.0x7,multifunction=on'] + [
    word for i in (1, 2, 3) for word in (
        '-device', f'ich9-usb-uhci{i},masterbus=usb.0,firstport={2 * (i - 1)},'
                   f'addr=0x1d.{i - 1:#x},multifunction=on')]
ASKED = {
    # how a controller is asked for, of which kind it is, its driver
    '-usb -usbdevice tablet': (['-usb', '-usbdevice', 'tablet'], 'uhci',
                               'piix3-usb-uhci'),
    '-usb -device usb-tablet,port=2': (
        ['-usb', '-device', 'usb-tablet,port=2'], 'uhci', 'piix3-usb-uhci'),
    'usbversion=1': (['-device', 'piix3-usb-uhci,id=usb', '-device',
                      'usb-tablet,bus=usb.0'], 'uhci', 'piix3-usb-uhci'),
    'usbversion=2': ([*ICH9, '-device', 'usb-tablet,bus=usb.0'], 'ehci',
                     'ich9-usb-ehci1'),
    'usbversion=3': (['-device', 'nec-usb-xhci,id=usb', '-device',
                      'usb-tablet,bus=usb.0'], 'xhci', 'nec-usb-xhci'),
    'JSON': (['-device', '{"driver": "usb-ehci", "id": "usb"}', '-device',
              '{"driver": "usb-tablet", "bus": "usb.0"}'], 'ehci',
             'usb-ehci'),
}
ALL_CONTROLLERS = ('piix3-usb-uhci', 'usb-ehci', 'nec-usb-xhci', 'qemu-xhci',
                   'ich9-usb-ehci1', 'ich9-usb-uhci1')


def nic_slots(machine):
    """Where the guest finds its network cards and its display."""
    slots = []
    for bus in machine.qmp().execute('query-pci'):
        for device in bus['devices']:
            if device['class_info']['class'] in (0x200, 0x300):
                slots.append((device['slot'], device['function']))
    return slots


@group(alone=False, busy=True)
def gates_usb_controller(b):
    row = next(r for r in ROWS if r.name == 'usb')
    others = ['-device', 'rtl8139', '-device', 'VGA']
    for asked, (arguments, kind, driver) in ASKED.items():
        with b.machine(command=None, memory=16) as m:
            start(m, arguments=arguments + others)
            slots = nic_slots(m)
        for value, wanted in CONTROLLERS.items():
            if value == kind:
                wanted = driver
            with b.report.case(f'usb={value} in place of {asked}', 'either'), \
                    b.machine(command=None, memory=16) as m:
                tree = start(m, row, from_xenstore, value, arguments + others)
                there = {d for d in ALL_CONTROLLERS if count(tree, d)}
                expected = {wanted}
                if wanted == 'ich9-usb-ehci1':
                    expected.add('ich9-usb-uhci1')
                expect(there == expected, f'{there} instead of {expected}')
                expect(count(tree, 'usb-tablet') == 1, 'no tablet')
                after = re.search(rf'dev: {wanted}, .*?dev: usb-tablet, ',
                                  tree, re.S)
                expect(after, f'the tablet is not on it: {drivers(tree)}')
                expect(nic_slots(m) == slots,
                       f'others moved: {slots} to {nic_slots(m)}')
                settled(m)


def settled(machine):
    machine.qmp().execute('query-status')
    expect(machine.alive(), 'the device model is gone')


@group(alone=False, busy=True)
def gates_usb_nothing_asked(b):
    """A controller takes the place of another; it does not add one."""
    row = next(r for r in ROWS if r.name == 'usb')
    for value in ('uhci', 'ehci', 'xhci'):
        with b.report.case(f'usb={value} adds no controller by itself',
                           'either'), b.machine(command=None) as m:
            tree = start(m, row, from_xenstore, value)
            there = [d for d in ALL_CONTROLLERS if count(tree, d)]
            expect(not there, f'{there} are there')
    for value in ('true', 'viewer'):
        for usb, driver in (('given', 'piix3-usb-uhci'),
                            ('xhci', 'nec-usb-xhci')):
            with b.report.case(f'usb={usb},usb_tablet={value} brings a '
                               'controller and a tablet', 'fails'), \
                    b.machine(command=None) as m:
                m.start(plain(['-pulsar',
                               f'usb={usb},usb_tablet={value}']))
                tree = m.qmp().hmp('info qtree')
                expect(count(tree, driver) == 1 and
                       count(tree, 'usb-tablet') == 1, drivers(tree))
    with b.report.case('usb_tablet=true adds no second tablet', 'fails'), \
            b.machine(command=None) as m:
        m.start(plain(['-usb', '-usbdevice', 'tablet', '-pulsar',
                       'usb_tablet=true']))
        expect(count(m.qmp().hmp('info qtree'), 'usb-tablet') == 1, '')
    with b.report.case('usb=false takes usb_tablet=true with it', 'fails'), \
            b.machine(command=None) as m:
        m.start(plain(['-usb', '-pulsar', 'usb=false,usb_tablet=true']))
        tree = m.qmp().hmp('info qtree')
        expect(not count(tree, 'usb-tablet'), drivers(tree))
        expect('usb_tablet=false (implied by usb=false)' in m.output(),
               m.output())


DVD_DRIVERS = {'ahci': 'ide-cd', 'notify': 'pulsar-notify-cd'}


@group(alone=False, busy=True)
def gates_dvd_ahci(b):
    row = next(r for r in ROWS if r.name == 'dvd')
    asked = {
        'libxl': [*CD, '-device', 'ide-cd,bus=ide.1,unit=0,drive=cd,id=cd'],
        'libxl, no medium': ['-drive', 'if=none,id=cd,readonly=on', '-device',
                             'ide-cd,bus=ide.1,unit=0,drive=cd,id=cd'],
        '-drive if=ide': ['-drive', 'if=ide,index=2,media=cdrom,id=cd,'
                          'file={folder}/cd.iso,format=raw'],
        'JSON': [*CD, '-device', '{"driver": "ide-cd", "bus": "ide.1",'
                 ' "drive": "cd", "id": "cd"}'],
        'hdtype=ahci': ['-device', 'ahci,id=ahci0', *CD, '-device',
                        'ide-cd,bus=ide.1,unit=0,drive=cd,id=cd'],
    }
    for value, name in itertools.product(DVD_DRIVERS, asked):
        driver = DVD_DRIVERS[value]
        with b.report.case(f'dvd={value} moves the drive: {name}', 'fails'), \
                b.machine(command=None) as m:
            tree = start(m, row, from_xenstore, value, asked[name] +
                         ['-device', 'VGA'])
            expect(sum(count(tree, d) for d in DVD_DRIVERS.values()) == 1,
                   drivers(tree))
            expect(re.search(r'dev: ich9-ahci, id "pulsar-dvd".*?bus: '
                             rf'pulsar-dvd\.0\s+type IDE\s+dev: {driver}, ',
                             tree, re.S), drivers(tree))
            drives = {d['device']: d for d in
                      m.qmp().execute('query-block')}
            loaded = 'no medium' not in name
            expect(('inserted' in drives['cd']) == loaded, drives['cd'])
            # The toolstack goes on using it as it did.
            if loaded:
                m.qmp().execute('eject', device='cd')
            m.qmp().execute('blockdev-change-medium', device='cd',
                            filename=m.path('cd.iso'), format='raw')
            drives = {d['device']: d for d in
                      m.qmp().execute('query-block')}
            expect('inserted' in drives['cd'], drives['cd'])
    for value in DVD_DRIVERS:
        with b.report.case(f'dvd={value} adds nothing where there is no drive',
                           'either'), b.machine(command=None) as m:
            expect(not count(start(m, row, from_xenstore, value),
                             'ich9-ahci'), 'an AHCI controller was added')
        with b.report.case(f'dvd={value}: seven drives are too many, in a '
                           'sentence', 'fails'), b.machine(command=None) as m:
            m.start(plain(['-pulsar', f'dvd={value}'] + [
                word for i in range(7) for word in
                ('-device', f'ide-cd,bus=ide.{i % 2}')]), wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            expect('room for 6 drives' in m.output(), m.output())
    for value, driver in DVD_DRIVERS.items():
        with b.report.case(f'dvd={value}: a drive that stands on AHCI already '
                           'stays where it is', 'fails'), \
                b.machine(command=None) as m:
            tree = start(m, row, from_xenstore, value, [
                '-device', 'ahci,id=ahci0', *CD, '-device',
                'ide-cd,bus=ahci0.2,drive=cd'])
            expect(count(tree, 'ich9-ahci') == 1 and
                   re.search(rf'bus: ahci0\.2\s+type IDE\s+dev: {driver}, ',
                             tree), drivers(tree))
    for option, bus in (('dvd=ahci', 'ahci0.0'), ('dvd=given', 'ide.1'),
                        ('dvd=given', 'ahci0.0')):
        with b.report.case(f'{option}: a drive that notifies cannot be asked '
                           f'for, on {bus}', 'fails'), \
                b.machine(command=None) as m:
            m.start(plain(['-pulsar', option, '-device', 'ahci,id=ahci0',
                           '-device', f'pulsar-notify-cd,bus={bus}']),
                    wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            expect('what dvd=notify makes of an ide-cd' in m.output(),
                   m.output())


@group(alone=False, busy=True)
def gates_dvd_loaded(b):
    row = next(r for r in ROWS if r.name == 'dvd')
    for name, loaded, arguments in (
            ('libxl, no medium', False, [
                '-drive', 'if=none,id=cd,readonly=on', '-device',
                'ide-cd,bus=ide.1,unit=0,drive=cd,id=cd']),
            ('libxl with a medium', True, [
                *CD, '-device', 'ide-cd,bus=ide.1,unit=0,drive=cd,id=cd']),
            ('-cdrom', True, ['-cdrom', '{folder}/cd.iso']),
            ('-drive without a file', False, [
                '-drive', 'if=ide,index=2,media=cdrom']),
            ('-device without a drive', False, ['-device', 'ide-cd'])):
        with b.report.case(f'dvd=loaded: {name}', 'either'), \
                b.machine(command=None) as m:
            tree = start(m, row, from_xenstore, 'loaded', arguments)
            expect(count(tree, 'ide-cd') == loaded, drivers(tree))


# ---- the tablet comes and goes ----------------------------------------------

UHCI_BASE = 0xc140
UHCI_CLASS = 0x0c0300


def plugged(machine):
    """Is there something on one of the ports, as the guest sees it?"""
    g = machine.guest
    bdf = g.find_pci(UHCI_CLASS)
    g.config_write(bdf, 0x20, UHCI_BASE)
    g.config_write(bdf, 4, 5, 2)
    return any(g.inb(UHCI_BASE + port, 2) & 1 for port in (0x10, 0x12))


def look(machine):
    """A viewer that has seen a picture."""
    viewer = machine.view()
    viewer.request(incremental=False)
    viewer.update()
    return viewer


def leave(machine, viewer):
    viewer.close()
    machine.qmp().wait_event('VNC_DISCONNECTED')


@group(alone=False)
@ours
def gates_tablet_viewer(b):
    command = standin.xl_command(vnc='unix:{folder}/vnc',
                                 extra=('-pulsar', 'usb_tablet=viewer'))
    with b.machine(command) as m:
        with b.report.case('usb_tablet=viewer: unplugged while nobody looks',
                           'fails', m):
            expect(not plugged(m), 'it is plugged in')
        with b.report.case('usb_tablet=viewer: plugged in for a viewer',
                           'fails', m):
            first = look(m)
            expect(plugged(m), 'it is not plugged in')
            second = look(m)
            leave(m, first)
            expect(plugged(m), 'it went with the first of two viewers')
            leave(m, second)
            expect(not plugged(m), 'it stayed when the last one left')
        with b.report.case('usb_tablet=viewer: who only connects is no '
                           'viewer', 'fails', m):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(m.path('vnc'))
                s.settimeout(standin.TIMEOUT)
                expect(s.recv(12)[:4] == b'RFB ', 'no RFB server')
                expect(not plugged(m), 'it is plugged in')
        with b.report.case('usb_tablet=viewer: idle after that', 'fails', m):
            expect(standin.settle([m.pid], 3, 9), 'it is not idle')
        with b.report.case('usb_tablet=viewer goes through save and restore',
                           'fails', m):
            viewer = look(m)
            expect(plugged(m), 'it is not plugged in')
            path = save(m)
            viewer.close()
            m.restart(b.binary, standin.xl_command(
                vnc='unix:{folder}/vnc', incoming=path,
                extra=('-pulsar', 'usb_tablet=viewer')))
            m.qmp()
            expect(not plugged(m), 'plugged in with no viewer')
            viewer = look(m)
            expect(plugged(m), 'not plugged in for a viewer')
            leave(m, viewer)


@group(alone=False, busy=True)
def gates_change_while_running(b):
    with b.machine(standin.xl_command(vnc='unix:{folder}/vnc')) as m:
        def change(key, value):
            return m.qmp().execute('pulsar-set', key=key, value=value)

        with b.report.case('pulsar-set usb_tablet: every value at once',
                           'fails', m):
            expect(plugged(m), 'not there at start')
            change('usb_tablet', 'false')
            expect(not plugged(m), 'false: still there')
            expect('info: options: usb_tablet=false (running)' in m.output(),
                   m.output())
            # What a viewer does goes to the mouse that the guest still has.
            expect(not [mouse for mouse in m.qmp().execute('query-mice')
                        if mouse['absolute']], 'the tablet takes the input')
            change('usb_tablet', 'true')
            expect(plugged(m), 'true: not there')
            change('usb_tablet', 'viewer')
            expect(not plugged(m), 'viewer: still there')
            viewer = look(m)
            expect(plugged(m), 'viewer: not there for a viewer')
            change('usb_tablet', 'off')
            expect(not plugged(m), 'off: there for a viewer')
            leave(m, viewer)
            change('usb_tablet', 'given')
            expect(plugged(m), 'given: not there')
        with b.report.case('pulsar-set: what cannot change says so', 'fails',
                           m):
            for key, value in (('serial', 'none'), ('usb', 'xhci'),
                               ('monitor', 'none'), ('dvd', 'ahci'),
                               ('dvd', 'notify')):
                told = refusal(m, 'pulsar-set', key=key, value=value)
                expect(f'{key}={value} takes effect at the next start only'
                       in told, told)
            before = m.qmp().execute('query-pulsar-options')
            change('serial', 'given')
            expect(m.qmp().execute('query-pulsar-options') == before,
                   'what it is already has changed something')
            told = refusal(m, 'pulsar-set', key='usb_tablet', value='blue')
            expect('usb_tablet takes given, true, false or viewer' in told,
                   told)
            told = refusal(m, 'pulsar-set', key='tablet', value='true')
            expect("no option 'tablet'" in told, told)
        with b.report.case('pulsar-set dvd=none ejects the medium', 'fails',
                           m):
            with open(m.path('cd.iso'), 'wb') as f:
                f.truncate(1 << 20)
            m.qmp().execute('blockdev-change-medium', device='ide-5632',
                            filename=m.path('cd.iso'), format='raw')
            answer = change('dvd', 'none')
            expect(not answer['changed'] and 'next start' in answer['note'],
                   answer)
            drive = m.qmp().execute('query-block')[0]
            expect('inserted' not in drive, drive)
            expect('info: options: dvd=none while the guest runs: 1 of the CD '
                   'drives had a medium' in m.output(), m.output())
        with b.report.case('pulsar-set vnc_idle is taken and told', 'fails',
                           m):
            change('vnc_idle', '30')
            told = {o['key']: (o['value'], o['source']) for o in
                    m.qmp().execute('query-pulsar-options')}
            expect(told['vnc_idle'] == ('30', 'running'), told)
    with b.machine(command=None) as m, \
            b.report.case('pulsar-set usb_tablet=true where there is no USB '
                          'is refused, and nothing changes', 'fails', m):
        start(m)
        refusal(m, 'pulsar-set', key='usb_tablet', value='true')
        told = {o['key']: (o['value'], o['source']) for o in
                m.qmp().execute('query-pulsar-options')}
        expect(told['usb_tablet'] == ('given', 'default'), told)
    with b.machine(command=None) as m, \
            b.report.case('pulsar-set usb_tablet=true plugs in a new one',
                          'fails', m):
        start(m, arguments=UHCI)
        told = m.qmp().execute('pulsar-set', key='usb_tablet', value='given')
        expect(told['note'] == 'there is no tablet', told)
        m.qmp().execute('pulsar-set', key='usb_tablet', value='true')
        expect(plugged(m), 'it is not there')


# ---- a viewer who looks at a still screen ------------------------------------

IDLE_SECONDS = 8


def seen(m, viewer, value, act=None):
    """The seconds until the viewer sees what the guest draws by itself."""
    m.guest.draw(value, lines=480)
    if act:
        act()
    return viewer.wait_pixel(1, 1, value, 3 * IDLE_SECONDS)


@contextlib.contextmanager
def rarely_looked_at(b):
    """A machine whose viewer sees nothing new until it is left alone."""
    command = standin.xl_command(
        vnc='unix:{folder}/vnc', usb=(), serial=None,
        extra=('-pulsar', f'vnc_idle={IDLE_SECONDS}'))
    with b.machine(command) as m:
        m.guest.graphics()
        m.guest.draw(0)
        viewer = look(m)
        viewer.request()
        # Without the option nothing is ever quiet for more than 3 s.
        expect(standin.settle([m.pid], IDLE_SECONDS - 3, 40),
               'it is not left alone')
        yield m, viewer


@group(alone=False, early=True)
@ours
def gates_vnc_idle(b):
    with rarely_looked_at(b) as (m, viewer), \
            b.report.case('vnc_idle: what the guest draws is seen in the '
                          'end', 'fails', m):
        took = seen(m, viewer, 0x31)
        b.report.say(f'seen after {took:.1f} s')
        expect(took < IDLE_SECONDS + 4, f'seen after {took:.1f} s')


def ends_at_once(b, name, act):
    with rarely_looked_at(b) as (m, viewer), \
            b.report.case(f'vnc_idle: {name} ends it at once', 'fails', m):
        took = seen(m, viewer, 0x32, lambda: act(m, viewer))
        b.report.say(f'seen after {took * 1000:.0f} ms')
        expect(took < 1, f'seen after {took:.1f} s')


@group(alone=False, early=True)
@ours
def gates_vnc_idle_pointer(b):
    ends_at_once(b, 'the pointer', lambda m, viewer: viewer.pointer(5, 5))


@group(alone=False, early=True)
@ours
def gates_vnc_idle_access(b):
    ends_at_once(b, 'a display access',
                 lambda m, viewer: m.guest.outb(0x3d4, 0x0e))


@group(alone=False, early=True)
@ours
def gates_vnc_idle_off(b):
    with rarely_looked_at(b) as (m, _), \
            b.report.case('vnc_idle: switched off, it is looked at every 3 s '
                          'again', 'fails', m):
        m.qmp().execute('pulsar-set', key='vnc_idle', value='off')
        expect(not standin.settle([m.pid], IDLE_SECONDS - 3,
                                  IDLE_SECONDS + 5), 'it is still left alone')


@group(alone=False, early=True)
@ours
def gates_vnc_idle_leaves(b):
    with rarely_looked_at(b) as (m, viewer), \
            b.report.case('vnc_idle: the last viewer leaves: silence', 'fails',
                          m):
        m.qmp().execute('pulsar-set', key='vnc_idle', value='1')
        expect(not standin.settle([m.pid], 4, 8), 'it is not looked at')
        leave(m, viewer)
        expect(standin.settle([m.pid], 5, 15), 'it is not silent')


# ---- monitors ---------------------------------------------------------------

def prompt(machine, name):
    """Does a human monitor answer on this socket?"""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(standin.TIMEOUT)
        try:
            s.connect(machine.path(name))
            text = b''
            while b'(qemu)' not in text:
                part = s.recv(4096)
                if not part:
                    return False
                text += part
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False


MONITORS = {
    # how a human monitor is asked for
    '-monitor': ['-monitor', 'unix:{folder}/hmp,server=on,wait=off'],
    '-mon': ['-chardev', 'socket,id=h,path={folder}/hmp,server=on,wait=off',
             '-mon', 'chardev=h,mode=readline'],
    '-mon without a mode': [
        '-chardev', 'socket,id=h,path={folder}/hmp,server=on,wait=off',
        '-mon', 'h'],
    '-serial mon:': ['-serial', 'mon:unix:{folder}/hmp,server=on,wait=off'],
    '-parallel mon:': ['-parallel',
                       'mon:unix:{folder}/hmp,server=on,wait=off'],
    '-debugcon mon:': ['-debugcon',
                       'mon:unix:{folder}/hmp,server=on,wait=off'],
    '-readconfig': ReadConfig(
        '[chardev "h"]', '  backend = "socket"', '  path = "{folder}/hmp"',
        '  server = "on"', '  wait = "off"',
        '[mon]', '  chardev = "h"', '  mode = "readline"'),
}


@group(alone=False)
def gates_monitor(b):
    row = Row('monitor', 'monitor', 'qmp', {})
    for way in ('-monitor', '-mon', '-mon without a mode', '-readconfig'):
        arguments = MONITORS[way]
        with b.report.case(f'monitor=qmp holds against {way}', 'fails'):
            with b.machine(command=None) as m:
                start(m, arguments=arguments)
                expect(prompt(m, 'hmp'), 'it is not there when nobody '
                                         'closed it')
            for name, (source, _) in SOURCES.items():
                with b.machine(command=None) as m:
                    start(m, row, source, 'qmp', arguments)
                    expect(not prompt(m, 'hmp'), f'closed by {name}, it '
                                                 'answers')
                    expect(not os.path.exists(m.path('hmp')),
                           'its chardev was opened')
                    expect('the human monitor on' in m.output() and
                           'is left out: monitor=qmp' in m.output(),
                           m.output())
    for way in ('-serial mon:', '-parallel mon:', '-debugcon mon:'):
        arguments = MONITORS[way]
        with b.report.case(f'monitor=qmp holds against {way}', 'fails'):
            with b.machine(command=None) as m:
                start(m, arguments=arguments)
                expect(mux_answers(m), 'it is not there when nobody closed '
                                       'it')
            for name, (source, _) in SOURCES.items():
                with b.machine(command=None) as m:
                    start(m, row, source, 'qmp', arguments)
                    expect(not mux_answers(m), f'closed by {name}, it '
                                               'answers')
    with b.report.case('monitor=qmp holds against -nographic', 'fails'):
        for options, there in (([], True), (['-pulsar', 'monitor=qmp'],
                                            False)):
            with b.machine(command=None) as m:
                m.start(plain(options + ['-serial', 'none'], qmp=False,
                              **NOGRAPHIC))
                expect(('monitor - type' in m.output()) == there,
                       m.output())
    with b.report.case('monitor=none: no QMP either', 'fails'), \
            b.machine(command=None) as m:
        m.start(standin.xl_command(vnc='none', extra=('-pulsar',
                                                      'monitor=none')))
        for name in ('qmp', 'xenstat'):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(standin.TIMEOUT)
                try:
                    s.connect(m.path(name))
                    raise Failure(f'somebody listens on {name}')
                except (FileNotFoundError, ConnectionRefusedError):
                    pass
        for name in ('libxl-cmd', 'libxenstat-cmd'):
            expect(f"the QMP monitor on '{name}' is left out: monitor=none"
                   in m.output(), m.output())
        expect(standin.settle([m.pid], 3, 9), 'it is not idle')


def answers(machine, name):
    """Does anything listen on this socket?"""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(standin.TIMEOUT)
        try:
            s.connect(machine.path(name))
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False


NO_MONITORS = {
    # how a monitor is asked for at a socket "mon", and what it is
    '-qmp': (['-qmp', 'unix:{folder}/mon,server=on,wait=off'], 'QMP'),
    '-qmp-pretty': (['-qmp-pretty', 'unix:{folder}/mon,server=on,wait=off'],
                    'QMP'),
    '-mon mode=control': (['-chardev', 'socket,id=h,path={folder}/mon,'
                           'server=on,wait=off', '-mon',
                           'chardev=h,mode=control'], 'QMP'),
    '-monitor': (['-monitor', 'unix:{folder}/mon,server=on,wait=off'],
                 'human'),
    '-readconfig': (ReadConfig(
        '[chardev "h"]', '  backend = "socket"', '  path = "{folder}/mon"',
        '  server = "on"', '  wait = "off"',
        '[mon]', '  chardev = "h"', '  mode = "control"'), 'QMP'),
}


@group(alone=False, busy=True)
def gates_monitor_none(b):
    row = Row('monitor', 'monitor', 'none', {})
    for way, (arguments, what) in NO_MONITORS.items():
        with b.report.case(f'monitor=none holds against {way}', 'fails'):
            with b.machine(command=None, memory=16) as m:
                start(m, arguments=arguments)
                expect(answers(m, 'mon'), 'it is not there when nobody '
                                          'closed it')
            for name, (source, text) in SOURCES.items():
                with b.machine(command=None, memory=16) as m:
                    start(m, row, source, 'none', arguments, tree=False)
                    expect(not answers(m, 'mon') and not answers(m, 'qmp'),
                           f'closed by {name}, it answers')
                    expect(re.search(
                        rf'the {what} monitor on .* is left out: '
                        rf'monitor=none \(.*{re.escape(text)}', m.output()),
                        m.output())
                    expect("the QMP monitor on 'libxl-cmd' is left out" in
                           m.output(), m.output())


def on_console(machine):
    """Is there a human monitor on a virtual console?"""
    return {c['label']: c['frontend-open'] for c in
            machine.qmp().execute('query-chardev')}.get('compat_monitor0')


@group(alone=False, busy=True)
def gates_monitor_console(b):
    row = Row('monitor', 'monitor', 'qmp', {})
    arguments = ['-monitor', 'vc', '-device', 'VGA']
    with b.machine(command=None, memory=16) as m:
        with b.report.case('monitor=qmp holds against -monitor vc', 'fails'):
            for name, (source, _) in SOURCES.items():
                with b.machine(command=None, memory=16) as closed:
                    start(closed, row, source, 'qmp', arguments)
                    expect(on_console(closed) is None, f'closed by {name}, '
                                                       'it is there')
        with b.report.case('pulsar-set monitor=qmp and back, on a console',
                           'fails', m):
            start(m, arguments=arguments)
            expect(on_console(m), 'not there at start')
            m.qmp().execute('pulsar-set', key='monitor', value='qmp')
            expect(on_console(m) is False, 'still there')
            expect('info: options: monitor=qmp (running)' in m.output(),
                   m.output())
            m.qmp().execute('pulsar-set', key='monitor', value='full')
            expect(on_console(m), 'not there again')


def mux_answers(machine):
    """Type the mux's escape (C-a c) and look for the prompt."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(standin.TIMEOUT)
        s.connect(machine.path('hmp'))
        s.sendall(b'\x01c\r')
        # Whatever it had to say came before the answer to this.
        machine.qmp().execute('query-status')
        machine.qmp().execute('query-status')
        s.setblocking(False)
        try:
            return b'(qemu)' in s.recv(4096)
        except BlockingIOError:
            return False


def silent(machine, name):
    """Is a socket open, and nobody there who answers?"""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(machine.path(name))
        s.sendall(b'info status\n')
        machine.qmp().execute('query-status')
        s.setblocking(False)
        try:
            return not s.recv(100)
        except BlockingIOError:
            return True


@group(alone=False, busy=True)
def gates_monitor_running(b):
    hmp = MONITORS['-monitor']
    with b.machine(command=None) as m, \
            b.report.case('pulsar-set monitor=qmp and back', 'fails', m):
        start(m, arguments=hmp)
        expect(prompt(m, 'hmp'), 'not there at start')
        m.qmp().execute('pulsar-set', key='monitor', value='qmp')
        expect(silent(m, 'hmp'), 'it answers')
        m.qmp().execute('pulsar-set', key='monitor', value='full')
        expect(prompt(m, 'hmp'), 'not there again')
    with b.machine(command=None) as m, \
            b.report.case('pulsar-set monitor=full opens one that was closed '
                          'from the start', 'fails', m):
        start(m, arguments=[*hmp, '-pulsar', 'monitor=qmp'])
        expect(not prompt(m, 'hmp'), 'there at start')
        m.qmp().execute('pulsar-set', key='monitor', value='full')
        expect(prompt(m, 'hmp'), 'not there')
    with b.machine(command=None) as m, \
            b.report.case('pulsar-set monitor=full that cannot open one opens '
                          'none', 'fails', m):
        start(m, arguments=[*hmp, '-monitor', 'unix:{folder}/no/hmp,server=on,'
                            'wait=off', '-pulsar', 'monitor=qmp'])
        for _ in range(2):
            told = refusal(m, 'pulsar-set', key='monitor', value='full')
            expect("'compat_monitor1' cannot be opened" in told, told)
            told = {o['key']: o['value'] for o in
                    m.qmp().execute('query-pulsar-options')}
            expect(told['monitor'] == 'qmp', told)
            expect(silent(m, 'hmp'), 'the other one is there')
        os.mkdir(m.path('no'))
        m.qmp().execute('pulsar-set', key='monitor', value='full')
        expect(prompt(m, 'hmp') and prompt(m, 'no/hmp'), 'not there')


# ---- saved and restored -----------------------------------------------------

def xl(option=None, incoming=None, **more):
    extra = ['-parallel', 'null']
    if option:
        extra += ['-pulsar', option]
    return standin.xl_command(vnc='none', extra=extra, incoming=incoming,
                              **more)


@group(alone=False, busy=True)
@ours
def gates_state(b):
    for option in ('serial=none', 'parallel=none', 'usb=false', 'usb=xhci',
                   'dvd=none', 'dvd=loaded', 'dvd=ahci', 'dvd=notify'):
        key = option.split('=')[0]
        with b.machine(xl(option)) as m:
            with b.report.case(f'saved and restored with {option}', 'fails',
                               m):
                path = save(m)
                m.restart(b.binary, xl(option, path))
                expect(m.guest.inb(0x3ff) is not None, 'it does not answer')
                path = save(m)
            with b.report.case(f'saved with {option}, restored without: the '
                               'option is named', 'fails'):
                told = not_restored(b, m, xl(None, path))
                expect(f'was saved with {option} and cannot be restored with '
                       f'{key}=given (default)' in told, told)
        if option == 'dvd=loaded':      # gates_state_loaded
            continue
        with b.machine(xl()) as m, \
                b.report.case(f'saved without {option}, restored with it: '
                              'the option is named', 'fails'):
            path = save(m)
            told = not_restored(b, m, xl(option, path))
            expect(f'was saved with {key} as it was given and cannot be '
                   f'restored with {option} (command line)' in told, told)
    for saved, option in (('usb=xhci', 'usb=ehci'), ('usb=xhci', 'usb=false'),
                          ('usb=false', 'usb=uhci'), ('dvd=ahci', 'dvd=none'),
                          ('dvd=none', 'dvd=ahci'),
                          ('dvd=ahci', 'dvd=notify'),
                          ('dvd=notify', 'dvd=ahci'),
                          ('dvd=loaded', 'dvd=none')):
        with b.machine(xl(saved)) as m, \
                b.report.case(f'saved with {saved}, restored with {option}: '
                              'the option is named', 'fails'):
            told = not_restored(b, m, xl(option, save(m)))
            expect(f'was saved with {saved} and cannot be restored with '
                   f'{option} (command line)' in told, told)
    for option, more in (('usb=false', dict(usb=())),
                         ('usb=xhci', dict(usb=())),
                         ('usb_tablet=false', dict(usb=('-usb',))),
                         ('serial=none', dict(serial=None))):
        with b.machine(standin.xl_command(vnc='none')) as m, \
                b.report.case(f'{option}, and what it closes is not asked for '
                              'any more: it is named as well', 'fails'):
            told = not_restored(b, m, standin.xl_command(
                vnc='none', incoming=save(m), extra=('-pulsar', option),
                **more))
            expect('hardware that it does not have here' in told and
                   f'cannot be restored with {option} (command line)' in told,
                   told)
    # What closes nothing does not make the state another.
    quiet = 'serial=none,usb=false,parallel=none,vnc_idle=30,monitor=qmp'
    name = 'options that change nothing leave the state as stock knows it'
    if not os.access(standin.STOCK, os.X_OK):
        b.report.skip(name, 'no stock build; run make stock')
        return
    with b.machine(standin.xl_command(
            vnc='none', serial=None, usb=(), extra=(
            '-pulsar', quiet))) as m, b.report.case(name, 'fails', m):
        path = save(m)
        m.restart(standin.STOCK, standin.xl_command(
            vnc='none', serial=None, usb=(), incoming=path))
        path = save(m)
        m.restart(b.binary, standin.xl_command(
            vnc='none', serial=None, usb=(), incoming=path,
            extra=('-pulsar', quiet)))


def cd_drives(machine):
    return [d['device'] for d in machine.qmp().execute('query-block')]


@group(alone=False, busy=True)
@ours
def gates_state_loaded(b):
    """dvd=loaded decides when a guest is started, not when it is restored."""
    def with_cd(machine):
        with open(machine.path('cd.iso'), 'wb') as f:
            f.truncate(1 << 20)
        return xl('dvd=loaded', cd=False, usb=(
            '-drive', f'if=none,readonly=on,id=ide-5632,format=raw,'
                      f'file={machine.path("cd.iso")}',
            '-device', 'ide-cd,bus=ide.1,unit=0,drive=ide-5632,id=ide-5632')
            )(machine)

    empty = dict(usb=())
    with b.machine(with_cd) as m, \
            b.report.case('dvd=loaded: ejected, saved and restored, the drive '
                          'is still there', 'fails', m):
        m.qmp().execute('eject', device='ide-5632')
        path = save(m)
        m.restart(b.binary, xl('dvd=loaded', path, **empty))
        m.qmp().execute('blockdev-change-medium', device='ide-5632',
                        filename=m.path('cd.iso'), format='raw')
        path = save(m)
        m.restart(b.binary, xl('dvd=loaded', path, **empty))
        expect(cd_drives(m) == ['ide-5632'], cd_drives(m))
        expect(identify(m) == 0xeb14, 'the guest sees none')
    with b.machine(xl('dvd=loaded', **empty)) as m, \
            b.report.case('dvd=loaded: left out, saved and restored with a '
                          'medium, it is still not there', 'fails', m):
        for _ in range(2):
            path = save(m)
            m.restart(b.binary, lambda m, path=path: with_cd(m) + [
                '-incoming', f'file:{path}'])
            expect(not cd_drives(m), cd_drives(m))
            expect(not count(m.qmp().hmp('info qtree'), 'ide-cd'),
                   'it is there')
            expect(identify(m) != 0xeb14, 'the guest sees one')
            told = refusal(m, 'eject', device='ide-5632')
            expect('dvd=loaded (' in told, told)
            expect("the CD drive 'ide-5632', as when it was saved, is left "
                   'out: dvd=loaded' in m.output(), m.output())
    with b.machine(xl(**empty)) as m, \
            b.report.case('saved without dvd=loaded, restored with it: an '
                          'empty drive stays', 'fails', m):
        path = save(m)
        m.restart(b.binary, xl('dvd=loaded', path, **empty))
        expect(cd_drives(m) == ['ide-5632'], cd_drives(m))
        path = save(m)
        m.restart(b.binary, xl(None, path, **empty))


@group(alone=False, busy=True)
@ours
def gates_state_long(b):
    """Drives whose names, as an admin gives them, take more than 255 bytes."""
    def empty(machine):
        return [w for i in range(3) for w in (
            '-drive', f'if=none,id=d{i},readonly=on', '-device',
            f'ide-cd,bus=ide.{i // 2},unit={i % 2},drive=d{i},'
            f'id={chr(97 + i) * 120}')]

    with b.machine(command=None) as m, \
            b.report.case('dvd=loaded: names of 360 bytes are saved and '
                          'restored', 'fails', m):
        m.start(lambda m: xl('dvd=loaded', cd=False, usb=empty(m))(m))
        path = save(m)
        m.restart(b.binary, lambda m: xl('dvd=loaded', path, cd=False,
                                         usb=empty(m))(m))
        expect(not cd_drives(m), cd_drives(m))


@group(alone=False, busy=True)
@ours
def gates_optical_passed_through(b):
    """The host's own optical drive as a SCSI device is a CD drive too."""
    name = 'dvd=none: scsi-block with a drive of the host\'s is left out'
    with b.machine(command=None) as m:
        node = m.path('sr')
        try:
            os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(11, 250))
        except PermissionError:
            b.report.skip(name, 'no device nodes can be made here')
            return
        with b.report.case(name, 'fails', m):
            m.start(plain(['-drive', f'if=none,id=sr,format=raw,file={node}',
                           '-device', 'lsi53c895a', '-device',
                           'scsi-block,drive=sr', '-pulsar', 'dvd=none']))
            expect("scsi-block is left out: dvd=none" in m.output(),
                   m.output())


def identify(machine):
    """The signature of the secondary master, as after a reset."""
    g = machine.guest
    g.outb(0x176, 0xa0)
    g.outb(0x376, 4)
    g.outb(0x376, 0)
    return g.inb(0x174) | g.inb(0x175) << 8


@group(alone=False, busy=True)
@ours
def gates_state_tablet(b):
    """usb_tablet changed while the guest runs, then saved."""
    def change(machine, value):
        machine.qmp().execute('pulsar-set', key='usb_tablet', value=value)

    def value(machine):
        return next(o['value'] for o in machine.qmp().execute(
            'query-pulsar-options') if o['key'] == 'usb_tablet')

    with b.machine(xl()) as m:
        with b.report.case('usb_tablet set to false, saved: restored so',
                           'fails', m):
            change(m, 'false')
            path = save(m)
            m.restart(b.binary, xl('usb_tablet=false', path))
            expect(not plugged(m), 'it is there')
            path = save(m)
        with b.report.case('usb_tablet set to false, saved: restored with '
                           'what the VM is started with, it stays away',
                           'fails', m):
            m.restart(b.binary, xl(None, path))
            expect(not plugged(m), 'it is there')
            expect(value(m) == 'false', value(m))
            m.restart(b.binary, xl(None, save(m)))
            expect(not plugged(m), 'it is there')
        with b.report.case('usb_tablet set back: as if it had never changed',
                           'fails', m):
            m.restart(b.binary, xl('usb_tablet=false', path))
            change(m, 'true')
            expect(plugged(m), 'it is not there')
            path = save(m)
            if os.access(standin.STOCK, os.X_OK):
                m.restart(standin.STOCK, xl(None, path))
                path = save(m)
            m.restart(b.binary, xl(None, path))
            expect(plugged(m), 'it is not there')
    hub = dict(usb=('-usb',))
    with b.machine(xl(**hub)) as m:
        with b.report.case('usb_tablet set to true where there was none, '
                           'saved: restored so', 'fails', m):
            change(m, 'viewer')
            change(m, 'true')
            expect(plugged(m), 'it is not there')
            path = save(m)
            m.restart(b.binary, xl('usb_tablet=viewer', path, **hub))
            expect(not plugged(m), 'it is there and nobody looks')
            change(m, 'true')
            path = save(m)
        with b.report.case('usb_tablet set to true where there was none, '
                           'saved: restored with what the VM is started with, '
                           'it is there', 'fails', m):
            m.restart(b.binary, xl(None, path, **hub))
            expect(plugged(m), 'it is not there')
            expect(value(m) == 'true', value(m))
        with b.report.case('usb_tablet set to true and back to false: as if '
                           'it had never changed', 'fails', m):
            m.restart(b.binary, xl('usb_tablet=true', path, **hub))
            change(m, 'false')
            m.restart(b.binary, xl(None, save(m), **hub))
    with b.machine(xl()) as m, \
            b.report.case('saved with the tablet, restored where an option '
                          'has closed it since: it is there until the next '
                          'start', 'fails', m):
        m.restart(b.binary, xl('usb_tablet=false', save(m)))
        expect(plugged(m), 'it is not there')
        expect(value(m) == 'given', value(m))
    with b.machine(xl('usb_tablet=false')) as m, \
            b.report.case('saved without the tablet, restored where no option '
                          'closes it any more: it stays away until the next '
                          'start', 'fails', m):
        m.restart(b.binary, xl(None, save(m)))
        expect(not plugged(m), 'it is there')


@group(alone=False, busy=True)
def gates_tablet_comes_back(b):
    """usb_tablet=false and back leaves it where and what it was."""
    first = ('-device', 'usb-kbd')
    for name, arguments in (
            ('-usbdevice', ['-usb', '-usbdevice', 'tablet']),
            ('-device', ['-usb', *first, '-device',
                         'usb-tablet,id=t,port=2,usb_version=1']),
            ('JSON', [*UHCI, '-device', '{"driver": "usb-tablet", "id": "t", '
                      '"bus": "uhci.0", "port": "2", "usb_version": 1}']),
            ('on a hub', [*UHCI, '-device', 'usb-hub,bus=uhci.0,port=1',
                          '-device', 'usb-tablet,port=1.3,id=t']),
            ('two of them', [*UHCI, '-device', 'usb-tablet,id=t', '-device',
                             'usb-wacom-tablet,id=w'])):
        with b.report.case(f'usb_tablet=false and back: {name}', 'fails'), \
                b.machine(command=None) as m:
            tree = start(m, arguments=arguments)
            q = m.qmp()
            wanted = sorted(q.hmp('info usb').splitlines())
            for value in ('false', 'viewer', 'true', 'false', 'given'):
                q.execute('pulsar-set', key='usb_tablet', value=value)
                told = q.hmp('info usb')
                expect(('Tablet' in told) == (value != 'false'),
                       f'{value}: {told}')
            expect(sorted(told.splitlines()) == wanted,
                   f'{told} in place of {wanted}')
            expect(sorted(re.findall(r'usb_version = .*', tree)) == sorted(
                re.findall(r'usb_version = .*', q.hmp('info qtree'))),
                'its properties are others')
    with b.report.case('a tablet that usb_tablet=true added and device_del '
                       'took: usb_tablet goes on working', 'fails'), \
            b.machine(command=None) as m:
        m.start(plain(['-usb']))
        q = m.qmp()
        q.execute('pulsar-set', key='usb_tablet', value='true')
        anon = '/machine/peripheral-anon'
        for item in q.execute('qom-list', path=anon):
            if item['type'] == 'child<usb-tablet>':
                q.execute('device_del', id=f'{anon}/{item["name"]}')
        expect('Tablet' not in q.hmp('info usb'), q.hmp('info usb'))
        for value in ('false', 'true'):
            q.execute('pulsar-set', key='usb_tablet', value=value)
            expect(('Tablet' in q.hmp('info usb')) == (value == 'true'),
                   f'{value}: {q.hmp("info usb")}')
    with b.report.case('usb_tablet=false from the start, then true: where the '
                       'command line has it', 'fails'), \
            b.machine(command=None) as m:
        m.start(plain(['-usb', '-device', 'usb-tablet,id=t,port=2',
                       '-pulsar', 'usb_tablet=false']))
        m.qmp().execute('pulsar-set', key='usb_tablet', value='true')
        told = m.qmp().hmp('info usb')
        expect('Port 2, ' in told and 'ID: t' in told, told)


@group(alone=False, busy=True)
@ours
def gates_state_stock(b):
    name = 'a state with altered hardware: stock refuses it by a section'
    if not os.access(standin.STOCK, os.X_OK):
        b.report.skip(name, 'no stock build; run make stock')
        return
    with b.machine(xl('usb=xhci')) as m, b.report.case(name, 'fails', m):
        path = save(m)
        begin = len(m.output())
        try:
            m.restart(standin.STOCK, xl(None, path))
            raise AssertionError('stock has restored it')
        except Failure:
            expect('pulsar-gates' in m.output()[begin:], m.output()[begin:])


def not_restored(b, machine, command):
    """What it says when it exits instead."""
    begin = len(machine.output())
    try:
        machine.restart(b.binary, command)
    except Failure:
        expect(machine.wait_exit() == 1,
               f'exit code {machine.process.returncode}')
        return machine.output()[begin:]
    raise Failure('it was restored')
