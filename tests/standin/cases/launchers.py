# SPDX-License-Identifier: GPL-2.0-or-later
"""Started exactly as libxl of Xen 4.17 to 4.20 and xapi's xenopsd do it."""

import contextlib
import ctypes
import glob
import itertools
import json
import os
import re
import resource
import socket
import struct
import subprocess
import time

import xapi
from standin import (HELPERS, TIMEOUT, Count, Failure, Qmp, Terminal, expect,
                     recv_exactly, settle, threads, xl_command)

from . import group, ours
from .usb_hc import GET_DESCRIPTOR, Uhci, setup_packet

UID, GID = 65542, 997
UNPLUG_LINUX = 3        # of the Xen unplug protocol, port 0x10, as Linux' PV
UNPLUG_WINDOWS = (9, 2) # drivers write it, and XCP-ng's for Windows
TIMEOFFSET = 7
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x20000, 0x8000000, 0x40000000


# ---- the command lines ------------------------------------------------------

def jail(machine):
    """The folder that a device model is locked into: /dev/null and no more."""
    root = machine.path('root')
    os.makedirs(os.path.join(root, 'dev'), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mknod(os.path.join(root, 'dev/null'), 0o020666, os.makedev(1, 3))
    os.chmod(os.path.join(root, 'dev/null'), 0o666)
    return root


def old_libxl(**more):
    """4.17 to 4.19 with dm_restrict=1."""
    def command(machine):
        return xl_command(vnc='unix:{folder}/vnc', paused=True, extra=(
            '-xen-domid-restrict', '-chroot', jail(machine),
            '-runas', f'{UID}:{GID}'), **more)(machine)
    return command


def new_libxl(**more):
    """4.20 with dm_restrict=1."""
    def command(machine):
        return xl_command(vnc='unix:{folder}/vnc', paused=True, extra=(
            '-xen-domid-restrict', '-run-with', f'chroot={jail(machine)}',
            '-run-with', f'user={UID}:{GID}'), **more)(machine)
    return command


XAPI = xapi.argvs()
PROFILES = {'compat': 'a-bios', 'uefi': 'b-uefi'}
RESTRICT = ('-chroot', '{root}', '-runas', f'{UID}:{GID}')

# What stands for a VM of the host it was printed on.
MOVED = (
    (r'/var/run/xen/qmp-libxl-1\b', '{folder}/qmp'),
    (r'/var/run/xen/qmp-event-1\b', '{folder}/qmp-event'),
    (r'/var/run/xen/vnc-1\b', '{folder}/vnc'),
    (r'/var/run/xen/|/disks/|/run/test/', '{folder}/'),
    (r'^tap,id=tapnet(\d+),fd=.*', r'hubport,id=tapnet\1,hubid=\1'),
)


def moved(word):
    for pattern, place in MOVED:
        word = re.sub(pattern, place, word)
    return word


def xenopsd(name, restrict=RESTRICT, incoming=None, extra=()):
    """A VM of xapi-argv.tsv: "compat" is a BIOS guest, "uefi" another."""
    def command(machine):
        args = [moved(word) for word in xapi.wrapped(
            XAPI[PROFILES.get(name, name)], restrict)]
        for option, value in (('-xen-domid', machine.domid),
                              ('-m', f'size={machine.memory}'),
                              ('-smp', f'{machine.vcpus},maxcpus='
                                       f'{machine.vcpus}')):
            args[args.index(option) + 1] = str(value)
        for image in re.findall(r'{folder}/(hd\d|cd|fd)\b', ' '.join(args)):
            with open(machine.path(image), 'wb') as f:
                f.truncate(1440 << 10)
        args += extra
        if incoming:
            state = open(incoming, 'rb')    # closed once handed over
            machine.listeners.append(state)
            args += ['-incoming', f'fd:{state.fileno()}']
        root = jail(machine)
        machine.clipboard, other = socket.socketpair()
        machine.clipboard.settimeout(TIMEOUT)
        machine.listeners.append(other)
        return [a.format(folder=machine.folder, root=root,
                         clipboard=other.fileno()) for a in args]
    return command


# Looked up before the fork: other threads may be at it then.
unshare = ctypes.CDLL(None, use_errno=True).unshare


def confine():
    """What xenopsd's wrapper does between fork and exec."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    if unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'unshare')


# ---- what a restricted one must still do ------------------------------------

def fdset(machine, fd):
    """Hand a descriptor over as toolstacks do; returns its set's number."""
    q = machine.qmp()
    socket.send_fds(q.sock, [json.dumps({'execute': 'add-fd'}).encode()
                             + b'\n'], [fd])
    while True:
        reply = q._next()       # pylint: disable=protected-access
        if 'return' in reply:
            return reply['return']['fdset-id']
        if 'error' in reply:
            raise Failure(reply['error']['desc'])
        q.events.append(reply)


def add_fd(machine, path, flags):
    """Hand a file over so; returns its name for QMP."""
    fd = os.open(path, flags, 0o660)
    try:
        return f'/dev/fdset/{fdset(machine, fd)}'
    finally:
        os.close(fd)


def descriptors(machine):
    return len(os.listdir(f'/proc/{machine.pid}/fd'))


def save(machine):
    """As xenopsd and a libxl with dm_restrict do: into a descriptor."""
    path = machine.path('state')
    name = add_fd(machine, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    machine.qmp().execute('stop')
    machine.qmp().execute('xen-save-devices-state', filename=name)
    return path


def blocked(machine):
    """Why the guest cannot be saved, as QMP says it."""
    try:
        machine.qmp().execute('query-migratable')
    except Failure as e:
        return str(e)
    return ''


def identity(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        status = dict(line.rstrip('\n').split(':\t', 1) for line in f
                      if ':\t' in line)
    return {int(n) for n in status['Uid'].split()}, \
        {int(n) for n in status['Gid'].split()}


def confined(machine):
    uids, gids = identity(machine.pid)
    expect(uids == {UID} and gids == {GID}, f'it runs as {uids}, {gids}')
    root = os.readlink(f'/proc/{machine.pid}/root')
    expect(root == machine.path('root'), f'its root is {root}')


def works(machine, cd):
    """Guest, viewer, serial port and CD, with no privilege left."""
    machine.qmp().execute('cont')
    expect(machine.guest.inb(0x3fd) & 0x60 == 0x60, 'the UART is not there')
    viewer = machine.view()
    viewer.request(incremental=False)
    viewer.update()
    viewer.close()
    machine.qmp().wait_event('VNC_DISCONNECTED')
    machine.guest.outb(0x3f9, 1)
    with Terminal(machine.pty()) as terminal:
        terminal.type(b'x')
        machine.guest.run('wait-irq', 4, 1, 5000)
        expect(machine.guest.inb(0x3f8) == ord('x'), 'not what was typed')
    with open(machine.path('cd.iso'), 'wb') as f:
        f.truncate(1 << 20)
    name = add_fd(machine, machine.path('cd.iso'), os.O_RDONLY)
    machine.qmp().execute('blockdev-change-medium', device=cd, filename=name,
                          format='raw')
    machine.qmp().execute('eject', device=cd, force=True)
    expect(settle([machine.pid], 3, 12), 'it is not idle')


LIBXL = (
    ('libxl 4.17 to 4.19, dm_restrict=1', old_libxl, 'fails'),
    ('libxl 4.20, dm_restrict=1', new_libxl, 'either'),
)


@group(alone=False)
def launch_libxl(b):
    for name, command, stock in LIBXL:
        with b.machine(command=None) as m, \
                b.report.case(f'{name}: starts, works and is idle', stock, m):
            m.start(command())
            confined(m)
            works(m, 'ide-5632')
        with b.machine(command=None) as m, \
                b.report.case(f'{name}: saved and restored, disk and all',
                          stock, m):
            with open(m.path('disk'), 'wb') as f:
                f.truncate(1 << 20)
            disk = ('-drive', f'file={m.path("disk")},if=ide,index=0,'
                              'media=disk,format=raw,cache=writeback')
            m.start(command(usb=disk))
            m.qmp().execute('cont')
            m.guest.outb(0x3ff, 0x5a)
            path = save(m)
            m.restart(b.binary, command(incoming=path, usb=disk))
            confined(m)
            m.qmp().execute('cont')
            expect(m.guest.inb(0x3ff) == 0x5a, 'the scratch register is lost')
    with b.machine(command=None) as m, \
            b.report.case('libxl 4.20, dm_restrict=1, with the PV keyboard '
                          'that libxl adds: starts and is idle', 'fails', m):
        back = f'/local/domain/0/backend/vkbd/{m.domid}/0'
        for key, value in (('frontend-id', m.domid), ('online', 1),
                           ('state', 1), ('frontend',
                            f'/local/domain/{m.domid}/device/vkbd/0')):
            m.xenstore.write(f'{back}/{key}', value)
        m.start(new_libxl())
        m.qmp().execute('cont')
        expect(settle([m.pid], 1, 12), 'it is not idle')
        m.qmp().execute('query-status')


@group(alone=False)
def launch_libxl_options(b):
    with b.machine(command=None) as m, \
            b.report.case('-no-acpi: no power management, as acpi=0 asks',
                          'fails', m):
        m.start(xl_command(vnc='none', usb=('-no-acpi',)))
        tree = m.qmp().hmp('info qtree')
        expect('dev: PIIX4_PM' not in tree, 'PIIX4_PM is there')
        m.restart(b.binary, xl_command(vnc='none', usb=()))
        expect('dev: PIIX4_PM' in m.qmp().hmp('info qtree'), 'it never is')
    for user, uids in ((f'{UID}.{GID}', {UID}), ('nobody', {65534})):
        with b.machine(command=None) as m, \
                b.report.case(f'-runas {user}', 'fails', m):
            m.start(xl_command(vnc='none', extra=('-runas', user)))
            m.qmp()     # it answers when it is what it is to be
            expect(identity(m.pid)[0] == uids, f'{identity(m.pid)}')
    for option, value, parts in (
            ('-runas', 'no-such-user', ["'no-such-user'", 'UID:GID']),
            ('-runas', '1.x', ["'1.x'", 'UID:GID']),
            ('-chroot', '/nonexistent', ['chroot']),
            ('-machine', 'pc-9.9', ['pc-9.9']),
            ('-machine', 'pc,trad_compat=maybe', ['trad-compat', 'maybe'])):
        with b.machine(command=None) as m, \
                b.report.case(f'{option} {value}: an error that says so',
                              'either', m):
            m.start(xl_command(vnc='none', extra=(option, value)),
                    wait=False)
            if option == '-machine':
                # The later -machine of libxl wins; this one is alone.
                m.stop()
                m.start(lambda m: ['-xen-domid', str(m.domid), '-nodefaults',
                                   '-display', 'none', option, value],
                        wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            for part in parts:
                expect(part in m.output(), f'no {part!r} in {m.output()!r}')


ICH9 = ['-device', 'ich9-usb-ehci1,id=usb,addr=0x1d.0x7,multifunction=on']
for _i in (1, 2, 3):
    ICH9 += ['-device', f'ich9-usb-uhci{_i},masterbus=usb.0,firstport='
             f'{2 * (_i - 1)},addr=0x1d.{_i - 1:#x},multifunction=on']
AHCI = ('-device', 'ahci,id=ahci0', '-drive',
        'file=/dev/zero,if=none,id=ahcidisk-0,format=raw,cache=writeback,'
        'readonly=on', '-device', 'ide-cd,bus=ahci0.0,unit=0,'
        'drive=ahcidisk-0')

HIDDEN = {'vnc': 'unix:{folder}/vnc'}

# What xl.cfg has, and what libxl makes of it.
XL_CFG = {
    'usbversion=1': dict(usb=('-device', 'piix3-usb-uhci,id=usb', '-device',
                              'usb-tablet,bus=usb.0')),
    'usbversion=2': dict(usb=(*ICH9, '-device', 'usb-tablet,bus=usb.0')),
    'usbversion=3': dict(usb=('-device', 'nec-usb-xhci,id=usb', '-device',
                              'usb-tablet,bus=usb.0')),
    'usbdevice=tablet and keyboard': dict(usb=(
        '-usb', '-usbdevice', 'tablet', '-usbdevice', 'keyboard')),
    'hdtype=ahci': dict(extra=AHCI),
    'vga=none': dict(vga=None),
    'vga=cirrus': dict(vga='cirrus-vga', vgamem=8),
    'vnc=0': dict(vnc='none'),
    'acpi=0': dict(usb=('-no-acpi',)),
    'serial=[pty, null]': dict(serial='pty', extra=('-serial', 'null')),
}

# What an operator adds.
OPTIONS = ('monitor=qmp', 'serial=none', 'parallel=none', 'usb=false',
           'usb=uhci', 'usb=ehci', 'usb=xhci', 'usb_tablet=false',
           'usb_tablet=true', 'usb_tablet=viewer', 'dvd=none', 'dvd=loaded',
           'dvd=ahci', 'dvd=notify', 'vnc_idle=30', 'ledger=off',
           'monitor=qmp,serial=none,parallel=none,usb=false,dvd=none')


def all_idle(report, machines, seconds):
    """Nothing may run in any of them; {name: machine}."""
    settle([m.pid for m in machines.values()])
    counts = {name: Count(m.pid) for name, m in machines.items()}
    time.sleep(seconds)
    for name, m in machines.items():
        ran = counts[name].threads()
        with report.case(f'{name}: starts and is idle', 'either', m):
            expect(m.alive() and not ran, f'threads ran: {ran}')


@group(alone=False, busy=True, early=True)
@ours
def launch_xl_cfg(b):
    with contextlib.ExitStack() as stack:
        machines = {}
        for name, more in XL_CFG.items():
            machines[name] = stack.enter_context(b.machine(xl_command(
                **dict(HIDDEN, **more))))
        all_idle(b.report, machines, 10)
        for name, m in machines.items():
            more = dict(HIDDEN, **XL_CFG[name])
            with b.report.case(f'{name}: saved and restored', 'either', m):
                m.guest.outb(0x3ff, 0x5a)
                path = save(m)
                m.restart(b.binary, xl_command(incoming=path, **more))
                expect(m.guest.inb(0x3ff) == 0x5a, 'the scratch register is '
                                                   'lost')
        all_idle(b.report, {f'{name}, restored': m
                            for name, m in machines.items()}, 5)


@group(alone=False, busy=True, early=True)
@ours
def launch_options_idle(b):
    with contextlib.ExitStack() as stack:
        machines = {}
        for option in OPTIONS:
            machines[f'-pulsar {option}'] = stack.enter_context(b.machine(
                xl_command(extra=('-pulsar', option), **HIDDEN)))
        all_idle(b.report, machines, 10)


def jemalloc():
    found = sorted(glob.glob('/usr/lib/*/libjemalloc.so.2'))
    return found[0] if found else None


@group(alone=False)
def launch_xenopsd(b):
    for profile in ('compat', 'uefi'):
        name = f'xenopsd, {profile} profile'
        with b.machine(command=None) as m, \
                b.report.case(f'{name}: starts confined, works and is idle',
                              'fails', m):
            m.start(xenopsd(profile), preexec=confine)
            confined(m)
            works(m, 'ide1-cd1')
            with contextlib.closing(Qmp(m.path('qmp-event'))) as events:
                events.execute('query-status')
        with b.machine(command=None) as m, \
                b.report.case(f'{name}: saved and restored', 'fails', m):
            m.start(xenopsd(profile), preexec=confine)
            m.qmp().execute('cont')
            if profile == 'uefi':
                # As in xapi's QEMU it is the guest that makes it possible.
                expect('nvme' in blocked(m), 'NVMe was no obstacle')
                m.guest.outb(0x10, UNPLUG_LINUX, 2)
            m.qmp().execute('query-migratable')
            m.guest.outb(0x3ff, 0x5a)
            path = save(m)
            m.restart(b.binary, xenopsd(profile, incoming=path))
            m.qmp().execute('cont')
            expect(m.guest.inb(0x3ff) == 0x5a, 'the scratch register is lost')
    with b.machine(command=None) as m, \
            b.report.case('xenopsd: the identity it gives to devices',
                          'fails', m):
        m.start(xenopsd('compat'))
        devices = {(d['slot'], d['function']): d for bus in
                   m.qmp().execute('query-pci') for d in bus['devices']}
        for slot, function, what, subsystem in (
                (1, 2, 'UHCI', 1), (2, 0, 'VGA', 1),
                (3, 0, 'xen-platform', 2), (4, 0, 'rtl8139', 1)):
            ids = devices[slot, function]['id']
            expect((ids['subsystem-vendor'], ids['subsystem']) ==
                   (0x5853, subsystem), f'{what}: {ids}')
        platform = devices[3, 0]
        expect(platform['id']['device'] == 2 and
               platform['class_info']['class'] == 0x100, f'{platform}')
        m.qmp().execute('cont')
        expect(m.guest.config_read(3 << 3, 8) == 0x01000002,
               'class and revision, as the guest reads them')
        expect(m.guest.config_read(0x0b, 8, 1) == 1, 'revision of PIIX4_PM')
    with b.machine(command=None) as m, \
            b.report.case('query-migratable names what is in the way',
                          'fails', m):
        m.start(xl_command(vnc='none'))
        m.qmp().execute('query-migratable')
        m.qmp().execute('device_add', driver='nvme', serial='s', id='late')
        expect('nvme' in blocked(m), 'a device that cannot be saved is '
                                        'no obstacle')
    library = jemalloc()
    name = 'xenopsd: with jemalloc preloaded, idle'
    if not library:
        b.report.skip(name, 'libjemalloc2 is not installed')
        return
    with b.machine(command=None, env={
            'LD_PRELOAD': f'{HELPERS}/libxen.so {library}',
            'MALLOC_CONF': 'background_thread:true'}) as m, \
            b.report.case(name, 'fails', m):
        m.start(xenopsd('compat'), preexec=confine)
        m.qmp().execute('cont')
        names = subprocess.run(['cat', *glob.glob(
            f'/proc/{m.pid}/task/*/comm')], stdout=subprocess.PIPE,
            text=True, check=True).stdout
        expect('jemalloc_bg' in names, f'its thread is not there: {names}')
        expect(settle([m.pid], 5, 40), 'it is not idle')


@group(alone=False, busy=True, early=True)
@ours
def launch_xapi_argvs(b):
    """Each VM of the table, restored where xenopsd restores it."""
    with contextlib.ExitStack() as stack:
        machines = {}
        for name, argv in XAPI.items():
            m = stack.enter_context(b.machine(command=None))
            m.start(xenopsd(name), preexec=confine)
            m.qmp().execute('cont')
            if '-loadvm' in argv:
                m.guest.outb(0x10, UNPLUG_LINUX, 2)
                path = save(m)
                m.restart(b.binary, xenopsd(name, incoming=path))
                m.qmp().execute('cont')
            if '-priv' not in argv:
                confined(m)
            machines[f'xenopsd, {name}'] = m
        # The threads that read an image stay for 10 s.
        settle([m.pid for m in machines.values()], 11, 40)
        all_idle(b.report, machines, 10)


def slots(machine):
    return {d['slot'] for bus in machine.qmp().execute('query-pci')
            for d in bus['devices']}


@group(alone=False, busy=True)
def unplugged_nic(b):
    """What was unplugged is known to nobody here: a request that another vCPU
    had under way is answered like one for an empty slot."""
    with b.machine(xl_command(nic='rtl8139')) as m, \
            b.report.case('a configuration access to a NIC that was unplugged '
                          'reads all ones', machine=m):
        nic = m.guest.find_pci(0x020000)
        m.guest.outb(0x10, UNPLUG_LINUX, 2)
        got = m.guest.config_read(nic, 0x2e, 2)
        expect(got == 0xffff, f'{got:#x}')
    with b.machine(xl_command(nic='rtl8139')) as m, \
            b.report.case('NICs are unplugged twice when the platform device '
                          'was ejected', 'fails', m):
        # acpi_pcihp's registers: the bus, and a bit for each slot (QEMU's
        # docs/specs/acpi_pci_hotplug.rst). Its ports outlive the device.
        device = next(bdf for bdf in range(0, 0x100, 8)
                      if m.guest.config_read(bdf, 0, 4) == 0x00015853)
        m.guest.outb(0xae10, 0, 4)
        m.guest.outb(0xae08, 1 << (device >> 3), 4)
        expect(m.guest.config_read(device, 0, 4) == 0xffffffff, 'it is there')
        for _ in range(2):
            m.guest.outb(0x10, 2, 2)
        expect(m.alive(), 'it has ended')


def option_roms(machine):
    """The option ROMs that were read for the guest, by HMP's list."""
    return sorted(set(re.findall(r'name="([^"]+\.rom)"', machine.qmp().hmp(
        'info roms')))) + re.findall(r'\S+\.rom', machine.qmp().hmp(
            'info ramblock'))


@group(alone=False, busy=True)
@ours
def launch_without_option_roms(b):
    """Seven NICs, as xapi allows a VM; each ROM is 256 KiB of its memory."""
    nics = [word for i in range(1, 7) for word in (
        '-device', f'rtl8139,netdev=tapnet{i},mac=72:11:a1:77:59:{i:02x},'
                   f'addr={i + 6:#x}',
        '-netdev', f'hubport,id=tapnet{i},hubid={i}')]
    with b.machine(command=None) as m, \
            b.report.case('xenopsd, BIOS: seven network cards bring no '
                          'option ROM', 'fails', m):
        m.start(xenopsd('compat', extra=nics))
        expect(not option_roms(m), option_roms(m))
        q = m.qmp()
        expect(q.execute('qom-get', path='/machine', property='type') ==
               'pc-0.10-machine', 'the machine is another one')
    with b.machine(command=None) as m, \
            b.report.case('xenopsd, BIOS: a ROM that is asked for is there',
                          'either', m):
        m.start(xenopsd('compat', extra=(
            '-device', 'e1000,netdev=n,addr=8,romfile=efi-e1000.rom',
            '-netdev', 'hubport,id=n,hubid=9')))
        expect(option_roms(m), 'it is not')


@group(alone=False)
def launch_unplug(b):
    for who, writes in (('Linux', (UNPLUG_LINUX,)),
                        ("XCP-ng's Windows drivers", UNPLUG_WINDOWS)):
        for profile in ('compat', 'uefi'):
            with b.machine(command=None) as m, \
                    b.report.case(f'unplug as by {who}, {profile}: disks and '
                                  'NIC go, the platform device stays, images '
                                  'are closed', 'fails', m):
                m.start(xenopsd(profile))
                m.qmp().execute('cont')
                for value in writes:
                    m.guest.outb(0x10, value, 2)
                m.qmp().execute('query-migratable')
                there = slots(m)
                expect(3 in there and not there & {4, 7}, f'slots {there}')
                names = {d['device'] for d in m.qmp().execute('query-block')}
                expect(names == {'ide1-cd1'}, f'drives {names}')
    # OVMF starts a Linux guest from it.
    with b.machine(xl_command(extra=(
            '-drive', 'driver=null-co,if=none,id=own,size=1M',
            '-device', 'nvme,drive=own,serial=1,addr=9'))) as m, \
            b.report.case("unplug as by Linux: an NVMe controller's own drive "
                          'goes with it', 'fails', m):
        expect(9 in slots(m), f'slots {slots(m)}')
        m.guest.outb(0x10, UNPLUG_LINUX, 2)
        m.qmp().execute('query-status')
        expect(9 not in slots(m), f'slots {slots(m)}')
        names = {d['device'] for d in m.qmp().execute('query-block')}
        expect('own' not in names, f'drives {names}')


@group(alone=False)
def launch_xapi_operations(b):
    with b.machine(command=None) as m, \
            b.report.case('save with NVMe: refused, and the guest runs on',
                          'fails', m):
        m.start(xenopsd('uefi'))
        m.qmp().execute('cont')
        try:
            m.qmp().execute('xen-save-devices-state',
                            filename=m.path('state'))
        except Failure as e:
            expect('nvme' in str(e), str(e))
        else:
            raise Failure('it was saved')
        status = m.qmp().execute('query-status')
        expect(status['running'], f'{status}')
    with b.machine(command=None) as m, \
            b.report.case('VBE index 0xb is the frame buffer, as the VGA BIOS '
                          'of xapi reads it', 'fails', m):
        m.start(xenopsd('compat'))
        m.qmp().execute('cont')
        m.guest.graphics()
        m.guest.outb(0x1ce, 0xb, 2)
        expect(m.guest.inb(0x1cf, 2) == m.guest.LFB >> 16, 'another address')
    with b.machine(command=None) as m, \
            b.report.case('the PV drivers say what they are', 'fails', m):
        m.start(xenopsd('compat'))
        m.qmp().execute('cont')
        m.guest.outb(0x12, 3, 2)
        m.guest.outb(0x10, 0xff, 4)
        data = m.qmp().wait_event('XEN_PLATFORM_PV_DRIVER_INFO')['data']
        expect(data == {'product-num': 3, 'build-num': 0xff} == m.qmp()
               .execute('query-xen-platform-pv-driver-info'), f'{data}')
    with b.machine(command=None) as m, \
            b.report.case('device_add takes strings for numbers', 'fails', m):
        m.start(xenopsd('compat'))
        m.qmp().execute('device_add', driver='e1000', id='n',
                        bootindex='3', romfile='')
    with b.machine(command=None) as m, \
            b.report.case('twelve changes of the clock in a burst are twelve '
                          'events; the century is none', 'fails', m):
        m.start(xenopsd('compat'))
        m.qmp().execute('cont')
        m.guest.outb(0x70, 0x32)
        m.guest.outb(0x71, 0x20)
        for i in range(12):
            m.guest.buffered(0, 3600 + i, 3, TIMEOFFSET)
        seen = [m.qmp().wait_event('RTC_CHANGE')['data']['offset']
                for _ in range(12)]
        expect(seen == [3600 + i for i in range(12)], f'{seen}')


def vcpus(machine):
    """Socket to QOM path of each vCPU that is there, as xenopsd asks."""
    return {c['props']['socket-id']: c['qom-path'] for c in
            machine.qmp().execute('query-hotpluggable-cpus')
            if 'qom-path' in c}


def plug_vcpu(machine, devid):
    machine.qmp().execute('device_add', driver='qemu32-i386-cpu',
                          id=f'cpu-{devid}-0-0', **{
                              'socket-id': devid, 'core-id': 0,
                              'thread-id': 0})


PROCESSORS = 0xaf00     # the bitmap that Xen's firmware reads
GPE0 = 0xafe0           # its bit 2 says that the bitmap has changed


def processors(machine):
    """What the firmware's _E02 finds, having been called for it."""
    expect(machine.guest.inb(GPE0) & 4, 'no event for the firmware')
    machine.guest.outb(GPE0, 4)
    return machine.guest.inb(PROCESSORS)


@group(alone=False)
def launch_vcpus(b):
    """As xenopsd does for VCPUs_at_startup and later: all are there at the
    start, and those that are not wanted go by the path QEMU knows them by."""
    for profile in ('compat', 'uefi'):
        with b.machine(command=None, vcpus=4) as m, \
                b.report.case(f'xenopsd, {profile}: vCPUs go and come back, '
                              'and the firmware is told', 'fails', m):
            m.start(xenopsd(profile), preexec=confine)
            m.qmp().execute('cont')
            before = threads(m.pid)
            for devid in (3, 1):
                m.qmp().execute('device_del', id=vcpus(m)[devid])
            expect(sorted(vcpus(m)) == [0, 2], f'there are {vcpus(m)}')
            expect(processors(m) == 0b0101, 'the firmware sees others')
            expect(threads(m.pid) == before, 'a thread stayed behind')
            for _ in range(3):
                plug_vcpu(m, 3)
                expect(processors(m) == 0b1101, 'the firmware sees none')
                m.qmp().execute('device_del', id=vcpus(m)[3])
                expect(processors(m) == 0b0101, 'the firmware sees it')
            expect(settle([m.pid], 2, 12), 'it is not idle')
    with b.machine(command=None) as m, \
            b.report.case('the boot processor stays', 'either', m):
        m.start(xenopsd('compat'))
        try:
            m.qmp().execute('device_del', id=vcpus(m)[0])
        except Failure as e:
            expect('Boot CPU' in str(e), str(e))
        else:
            raise Failure('it was unplugged')
        expect(sorted(vcpus(m)) == [0, 1], f'there are {vcpus(m)}')
    with b.machine(command=None) as m, \
            b.report.case('saved without a vCPU, restored with all as xenopsd '
                          'does', 'fails', m):
        m.start(xenopsd('compat'))
        m.qmp().execute('cont')
        m.qmp().execute('device_del', id=vcpus(m)[1])
        m.guest.outb(0x3ff, 0x5a)
        path = save(m)
        m.restart(b.binary, xenopsd('compat', incoming=path))
        m.qmp().execute('cont')
        expect(m.guest.inb(0x3ff) == 0x5a, 'the scratch register is lost')
        m.qmp().execute('device_del', id=vcpus(m)[1])


class NbdServer:
    """Another device model that serves an image as the export "disk"."""

    def __init__(self, machine):
        image = machine.path('image')
        with open(image, 'wb') as f:
            f.truncate(3 << 20)
        machine.start(xl_command(vnc='none', extra=(
            '-blockdev', f'raw,node-name=disk,file.driver=file,'
                         f'file.filename={image},read-only=on')))
        self.path = machine.path('nbd')
        q = machine.qmp()
        q.execute('nbd-server-start', addr={'type': 'unix', 'data': {
            'path': self.path}})
        q.execute('block-export-add', type='nbd', id='e', **{
            'node-name': 'disk', 'name': 'disk'})

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path)
        return sock


@group(alone=False)
@ours
def launch_nbd_fd(b):
    """A CD whose NBD connection xenopsd made and hands over."""
    with b.machine(command=None) as server, b.machine(command=None) as m, \
            b.machine(command=None) as last:
        nbd = NbdServer(server)
        m.start(xenopsd('compat'), preexec=confine)

        def insert(name):
            m.qmp().execute('blockdev-change-medium', device='ide1-cd1',
                            filename=name, format='raw')

        def inserted():
            return {d['device']: d.get('inserted') for d in
                    m.qmp().execute('query-block')}['ide1-cd1']
        with b.report.case('a CD from nbd:fd:N:exportname=X', 'fails', m):
            m.qmp().execute('cont')
            before = descriptors(m)
            for _ in range(3):
                with nbd.connect() as sock:
                    number = fdset(m, sock.fileno())
                insert(f'nbd:fd:{number}:exportname=disk')
                m.qmp().execute('remove-fd', **{'fdset-id': number})
                expect(not m.qmp().execute('query-fdsets'),
                       'the descriptor set stays')
                size = inserted()['image']['virtual-size']
                expect(size == 3 << 20, f'it has {size} bytes')
                m.qmp().execute('eject', device='ide1-cd1', force=True)
            expect(descriptors(m) == before, 'descriptors stay open')
            expect(settle([m.pid], 2, 12), 'it is not idle')
        with b.report.case('its server dies: the CD is ejected, other '
                           'descriptors are left alone', 'fails', m):
            other = NbdServer(last)
            with other.connect() as sock:
                number = fdset(m, sock.fileno())
            insert(f'nbd:fd:{number}:exportname=disk')
            m.qmp().execute('remove-fd', **{'fdset-id': number})
            last.stop()
            # Who gets the lowest number that is free, here a viewer, is not
            # taken for the server.
            viewer = m.view()
            m.qmp().hmp('qemu-io ide1-cd1 "read 0 512"')
            viewer.request(incremental=False)
            viewer.update()
            m.qmp().execute('eject', device='ide1-cd1', force=True)
            viewer.request(incremental=False)
            viewer.update()
            viewer.close()
        with nbd.connect() as sock, open('/dev/null', 'r+b') as null:
            for what, name, parts in (
                    ('an export that is not there',
                     f'nbd:fd:{fdset(m, sock.fileno())}:exportname=none',
                     ['not available']),
                    ('a descriptor that is no socket',
                     f'nbd:fd:{fdset(m, null.fileno())}:exportname=disk',
                     ['no socket']),
                    ('a set that is not there',
                     'nbd:fd:999:exportname=disk', ['999']),
                    ('no number', 'nbd:fd:x:exportname=disk',
                     ['nbd:fd:x:exportname=disk', 'nbd:fd:N'])):
                with b.report.case(f'nbd:fd with {what}: an error that says '
                                   'so, and nothing stays open', 'either', m):
                    before = descriptors(m)
                    try:
                        insert(name)
                    except Failure as e:
                        for part in parts:
                            expect(part in str(e), f'no {part!r} in {e}')
                    else:
                        raise Failure('it was taken')
                    expect(descriptors(m) == before, 'descriptors stay open')


NICS = 'e1000,netdev=tapnet{},mac=72:11:a1:77:59:b{},addr={},rombar=0'


def with_nics(slots, pvdevice):
    """b-uefi with network cards in these slots and the PV device in one."""
    def command(incoming=None):
        made = xenopsd('uefi', incoming=incoming)

        def words(machine):
            args = made(machine)
            first = next(i for i, a in enumerate(args)
                         if a.startswith('xen-pvdevice')) - 1
            args[first:first + 6] = [
                '-device', f'xen-pvdevice,device-id=0xc000,addr={pvdevice}',
                *(w for i, slot in enumerate(slots) for w in (
                    '-device', NICS.format(i, i, slot),
                    '-netdev', f'hubport,id=tapnet{i},hubid={i}'))]
            return args
        return words
    return command


@group(alone=False)
@ours
def launch_vifs(b):
    """xenopsd gives the slots from 4 on to the network cards that the VM has
    by then, and the next to the PV device."""
    for what, before, after in (
            ('plugged', ([4], 5), ([4, 5], 6)),
            ('unplugged', ([4, 5], 6), ([4], 5))):
        with b.machine(command=None) as m, \
                b.report.case(f'saved and restored after a VIF was {what}: '
                              'the PV device is where it was', 'fails', m):
            m.start(with_nics(*before)())
            m.qmp().execute('cont')
            m.guest.outb(0x10, UNPLUG_LINUX, 2)
            bdf, bar = before[1] << 3, 0xf1800000
            m.guest.config_write(bdf, 0x14, bar)
            m.guest.config_write(bdf, 4, 2, 2)
            known = m.guest.config_read(bdf, 0)
            path = save(m)
            m.restart(b.binary, with_nics(*after)(incoming=path))
            m.qmp().execute('cont')
            expect(m.guest.config_read(bdf, 0) == known == 0xc0005853,
                   f'{known:#x} is {m.guest.config_read(bdf, 0):#x} now')
            expect(m.guest.config_read(bdf, 4, 2) & 2, 'it is switched off')
            # Nothing was plugged that the guest should look for.
            expect(not m.guest.inb(GPE0) & 2, 'an ACPI event')
            there = slots(m)
            other = {after[1]} - {before[1]} - set(after[0])
            expect(before[1] in there and not there & other,
                   f'slots {there}')
            path = save(m)
            m.restart(b.binary, with_nics(*before)(incoming=path))


# ---- what only xapi's own QEMU can do ---------------------------------------

def without_section(state, name, following):
    """A state as it is without a section, and its sections have no footers
    (under Xen)."""
    def begin(section):
        at = state.index(bytes((len(section), )) + section.encode())
        return at - 5           # its kind and number come before the name
    return state[:begin(name)] + state[begin(following):]


@group(alone=False)
def launch_foreign(b):
    for profile in ('compat', 'uefi'):
        with b.machine(command=None) as m, b.report.case(
                f"xenopsd, {profile} profile: a state of xapi's own QEMU is "
                'refused', 'fails', m):
            m.start(xenopsd(profile))
            m.qmp().execute('cont')
            m.guest.outb(0x10, UNPLUG_LINUX, 2)
            path = save(m)
            m.stop()
            with open(path, 'rb') as f:
                state = f.read()
            # Its patch remove-ioapic.patch.
            with open(path, 'wb') as f:
                f.write(without_section(state, 'ioapic', 'hpet'))
            m.restart(b.binary, xenopsd(profile, incoming=path),
                      preexec=confine, wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            expect("saved by xapi's own QEMU" in m.output(), m.output())
    with b.machine(command=None) as m, b.report.case(
            'xenopsd, a VM with an NVIDIA vGPU: an error that says so',
            'fails', m):
        m.start(lambda m: [
            'vgpu' if word.startswith('VGA,') else word
            for word in xenopsd('uefi')(m)], wait=False)
        expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
        expect("an NVIDIA vGPU is there with xapi's own QEMU only" in
               m.output(), m.output())


# ---- the tablet -------------------------------------------------------------

# What Linux asks a new device for, usb_enumerate_device() and
# hid_hw_start(): the requests' values, and for a string the language.
DEVICE, CONFIGURATION, STRING, HID_REPORT = 0x100, 0x200, 0x300, 0x2200
LANGUAGE = 0x409
TABLET_TRAD = {
    DEVICE: '12010001 00000008 27060100 00000302 0101',
    CONFIGURATION: '09022200 010105a0 32 09040000 01030102 07'
                   '09210100 0001224a 00 07058103 08000a',
    HID_REPORT: '05010901a1010901',
}
TABLET_NEW = {
    DEVICE: '12010002 00000008 27060100 00000103 0a01',
    CONFIGURATION: '09022200 010107a0 32 09040000 01030000 00'
                   '09210100 0001224a 00 07058103 08000a',
    HID_REPORT: '05010902a1010901',
}
STRINGS_TRAD = {1: '1-0000:00:01.2-2', 2: 'QEMU USB Tablet', 3: 'QEMU 0.10.2',
                5: 'HID Tablet', 7: 'Endpoint1 Interrupt Pipe'}


@group(alone=False)
def launch_tablet(b):
    for profile, wanted, strings in (('compat', TABLET_TRAD, STRINGS_TRAD),
                                     ('uefi', TABLET_NEW, {})):
        with b.machine(command=None) as m, b.report.case(
                f"xenopsd, {profile} profile: the tablet's descriptors",
                'fails', m):
            m.start(xenopsd(profile))
            m.qmp().execute('cont')
            hc = Uhci(m)
            hc.start()
            hc.configure(port=1)
            for value, text in wanted.items():
                expected = bytes.fromhex(text)
                got = hc.control(1, setup_packet(
                    GET_DESCRIPTOR, value, 0, len(expected),
                    0x81 if value == HID_REPORT else 0x80), len(expected))
                expect(got == expected, f'{value:#x}: {got.hex()}')
            for index, text in strings.items():
                length = 2 + 2 * len(text)
                got = hc.control(1, setup_packet(
                    GET_DESCRIPTOR, STRING | index, LANGUAGE, length, 0x80),
                    length)
                expect(got[2:].decode('utf-16-le') == text, f'{got}')


# ---- the clipboard ----------------------------------------------------------

def put(m, text):
    """What xcp-clipboardd writes when the guest has copied: writeHostClipboard
    () in its xcp-clipboardd.c."""
    m.clipboard.sendall(struct.pack('=I', len(text)))
    m.clipboard.sendall(text)


def get(m):
    """What it reads when somebody else has: guestClipboardHandler()."""
    length = struct.unpack('=I', recv_exactly(m.clipboard, 4))[0]
    return recv_exactly(m.clipboard, length)


def viewers(m, *extended):
    """A VM of xenopsd and its viewers, who have a picture."""
    m.start(xenopsd('compat'), preexec=confine)
    m.qmp().execute('cont')     # a paused one's clipboard rests, from 10.2 on
    found = [m.view(extended=e) for e in extended]
    for viewer in found:
        viewer.request(incremental=False)
        viewer.update()
    return found if len(found) > 1 else found[0]


def lives(m):
    """It serves guest and toolstack, and sleeps."""
    m.qmp().execute('cont')
    m.guest.outb(0x3ff, 0x5a)
    expect(m.guest.inb(0x3ff) == 0x5a, 'it does not serve its guest')
    expect(settle([m.pid], 1, 12), 'it is not idle')


TEXTS = (b'plain', 'caf\u00e9, \u7a97\r\n'.encode(), b'x' * (1 << 20), b'')


@group(alone=False)
def launch_clipboard(b):
    for extended in (False, True):
        kind = 'an extended clipboard' if extended else 'cut text'
        with b.machine(command=None) as m, b.report.case(
                f'clipboard: guest and viewer copy, {kind}', 'fails', m):
            viewer = viewers(m, extended)
            for text in TEXTS[:3]:
                put(m, text)
                expect(viewer.take() == text, 'from the guest')
            for text in TEXTS[:2]:
                viewer.copy(text)
                if extended:
                    viewer.answer()         # the server's request
                expect(get(m) == text, 'from the viewer')
            lives(m)
            expect(' fd:clipboard' in m.qmp().hmp('info wakeups'),
                   'the ledger does not name it')
    with b.machine(command=None) as m, b.report.case(
            'clipboard: what the guest copies goes to all viewers', 'fails',
            m):
        found = viewers(m, False, True, True)
        put(m, b'guest')
        for viewer in found:
            expect(viewer.take() == b'guest', 'from the guest')
        found[1].copy(b'viewer')
        found[1].answer()
        expect(get(m) == b'viewer', 'from the viewer')
    with b.machine(command=None) as m, b.report.case(
            'clipboard: byte by byte, some at once, and nothing', 'fails', m):
        viewer = viewers(m, False)
        for i in struct.pack('=I', 3) + b'abc':
            m.clipboard.sendall(bytes((i, )))
            m.qmp().execute('query-status')
        m.clipboard.sendall(b''.join(struct.pack('=I', len(text)) + text
                                     for text in (b'', b'd', b'ef')))
        for text in b'abc', b'', b'd', b'ef':
            expect(viewer.take() == text, f'{text} has not come')
        viewer.copy(b'')                    # is not handed on
        viewer.copy(b'g')
        expect(get(m) == b'g', 'from the viewer')
    with b.machine(command=None) as m, b.report.case(
            'clipboard: nobody reads what a viewer copies, then somebody does',
            'fails', m):
        viewer = viewers(m, False)
        texts = [bytes((i, )) * (1 << 20) for i in range(1, 9)]
        for text in texts:
            viewer.copy(text)
        viewer.request(incremental=False)
        viewer.update()                     # so it has read them all
        lives(m)
        expect(get(m) == texts[0], 'the first, which was on its way')
        expect(get(m) == texts[-1], 'the last')
        viewer.copy(b'more')
        expect(get(m) == b'more', 'what came then')
    with b.machine(command=None) as m, b.report.case(
            'clipboard: a length of 4 GiB ends it, and nothing else', 'fails',
            m):
        viewer = viewers(m, False)
        m.clipboard.sendall(b'\xff' * 4)
        expect(m.clipboard.recv(1) == b'', 'the socket is still open')
        expect('a text of 4294967295 bytes was announced, and 1048576 are '
               'accepted' in m.output(), m.output())
        viewer.copy(b'nobody')
        lives(m)
    for name, half in (('between two texts', b''), ('in a length', b'\1\0'),
                       ('in a text', struct.pack('=I', 5) + b'ab')):
        with b.machine(command=None) as m, b.report.case(
                f'clipboard: its peer goes {name}', 'fails', m):
            viewer = viewers(m, False)
            viewer.copy(b'x' * (1 << 20))   # some of it is never read
            expect(m.clipboard.recv(4) == struct.pack('=I', 1 << 20), 'length')
            m.clipboard.sendall(half)
            m.clipboard.close()
            viewer.copy(b'nobody')
            viewer.request(incremental=False)
            viewer.update()
            lives(m)
            expect('no clipboard from now on' in m.output(), m.output())
    for fd in '0', '99', 'x', '-1':
        with b.machine(command=None) as m, b.report.case(
                f'-vnc-clipboard-socket-fd {fd}: an error that says so',
                'fails', m):
            m.start(lambda m, fd=fd: [
                fd if before == '-vnc-clipboard-socket-fd' else word
                for before, word in itertools.pairwise(
                    ['', *xenopsd('compat')(m)])], wait=False)
            expect(m.wait_exit() == 1, f'exit code {m.process.returncode}')
            expect(f'-vnc-clipboard-socket-fd {fd} is not the number of an '
                   'open stream socket' in m.output(), m.output())


@group(alone=False)
@ours
def launch_vifs_hostile(b):
    """A state that names a slot of which a part is taken."""
    with b.machine(command=None) as m, \
            b.report.case('a state that has the PV device where it cannot be '
                          'is refused with a sentence', 'fails', m):
        m.start(with_nics([4], 5)())
        m.qmp().execute('cont')
        m.guest.outb(0x10, UNPLUG_LINUX, 2)
        path = save(m)
        with open(path, 'rb') as f:
            state = f.read()
        there, where = (f'0000:00:{slot:02x}.0/xen-pvdevice'.encode()
                        for slot in (5, 9))
        expect(state.count(there) == 1, 'no such section')
        with open(path, 'wb') as f:
            f.write(state.replace(there, where))
        m.reset()

        def command(machine):
            return [*with_nics([4], 5)(incoming=path)(machine),
                    '-device', 'rtl8139,addr=9.1,rombar=0']
        m.start(command, wait=False)
        expect(m.wait_exit() == 1, f'exit {m.process.returncode}')
        expect('slot 9, where it cannot be' in m.output(), m.complaint())
