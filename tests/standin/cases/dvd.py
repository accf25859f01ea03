# SPDX-License-Identifier: GPL-2.0-or-later
"""dvd=notify: a drive that tells its guest of a new or ejected disc."""

import os
import time

from standin import Count, Failure, expect, settle, xl_command

from . import group, ours
from .ahci import (Ahci, BAR, CAP, CAP_SSNTF, CI, CMD, CMD_FRE, EJECT_REQUEST,
                   ERR, FB, GHC, IE, IS, MEDIA_PRESENT, MEDIA_REMOVAL,
                   NEW_MEDIA, NO_CHANGE, PACKET, PORT_IS, RX_SDB, SDBS, TFD,
                   TRAY_OPEN)
from .gates import not_restored
from .launchers import add_fd, xenopsd
from .state import save

ENABLE, DISABLE, NOTIFICATION = 0x10, 0x90, 5
DRIVE = 'ide-5632'


def command(option='dvd=notify', loaded=None, **more):
    """libxl's command line; with a disc in the drive, the file loaded."""
    extra = ['-pulsar', option]
    if loaded:
        extra += ['-drive', f'if=none,readonly=on,id={DRIVE},format=raw,'
                            f'file={loaded}',
                  '-device', f'ide-cd,bus=ide.1,unit=0,drive={DRIVE},'
                             f'id={DRIVE}']
    return xl_command(vnc='none', serial=None, usb=(), cd=not loaded,
                      extra=extra, **more)


def disc(machine, name='disc', size=2):
    """A disc of some MB."""
    path = machine.path(name)
    with open(path, 'wb') as f:
        f.truncate(size << 20)
    return path


def insert(machine, name='disc', size=2):
    """As libxl's cdrom_insert: out with what is in, then in."""
    eject(machine)
    machine.qmp().execute('blockdev-change-medium', device=DRIVE,
                          filename=disc(machine, name, size), format='raw')


def eject(machine, force=True):
    machine.qmp().execute('eject', device=DRIVE, force=force)


def enabled(machine):
    """A guest's driver that has asked to be notified, and has asked for what
    the drive had to tell so far."""
    drive = Ahci(machine)
    drive.start()
    expect(drive.set_features(ENABLE, NOTIFICATION), 'it cannot be enabled')
    drive.all_events()
    drive.acknowledge()
    return drive


def words(drive):
    identity = drive.identify()
    return identity[78] >> 5 & 1, identity[79] >> 5 & 1


@group(alone=False)
@ours
def dvd_notify(b):
    with b.machine(command()) as m:
        drive = Ahci(m)
        drive.start()
        with b.report.case('dvd=notify: the drive says that it can, and that '
                           'it does', 'fails', m):
            expect(not drive.read(CAP) & CAP_SSNTF, 'CAP.SSNTF is set')
            expect(drive.identify()[76] not in (0, 0xffff), 'not for SATA')
            expect(words(drive) == (1, 0), words(drive))
            for feature, is_on in ((ENABLE, 1), (DISABLE, 0), (DISABLE, 0),
                                   (ENABLE, 1), (ENABLE, 1)):
                expect(drive.set_features(feature, NOTIFICATION), 'refused')
                expect(words(drive) == (1, is_on), words(drive))
        with b.report.case('dvd=notify: a command that asks for something '
                           'else is aborted', 'fails', m):
            for feature, count in ((ENABLE, 0), (ENABLE, 4), (ENABLE, 6),
                                   (ENABLE, 0xff), (DISABLE, 2), (0x11, 5),
                                   (0x90 ^ 0x80 ^ 1, 5), (0xff, 5)):
                expect(not drive.set_features(feature, count),
                       f'SET FEATURES {feature:#x} {count} was taken')
            expect(words(drive) == (1, 1), words(drive))
        with b.report.case('dvd=notify: a disc comes, is changed, and goes: '
                           'told each time, one event a question', 'fails', m):
            drive.all_events()
            drive.acknowledge()
            insert(m)
            drive.wait_notified()
            expect(drive.media_event() == (NEW_MEDIA, MEDIA_PRESENT), '')
            expect(drive.media_event() == (NO_CHANGE, MEDIA_PRESENT), '')
            expect(not drive.notified(), 'told again')
            insert(m, 'another', 3)
            drive.wait_notified()
            expect(drive.media_event() == (MEDIA_REMOVAL, MEDIA_PRESENT), '')
            expect(drive.notified(), 'not told that there is more')
            expect(drive.media_event() == (NEW_MEDIA, MEDIA_PRESENT), '')
            expect(drive.media_event() == (NO_CHANGE, MEDIA_PRESENT), '')
            expect(not drive.notified(), 'told again')
            eject(m)
            drive.wait_notified()
            expect(drive.media_event() == (MEDIA_REMOVAL, TRAY_OPEN), '')
            expect(drive.media_event() == (NO_CHANGE, TRAY_OPEN), '')
        with b.report.case('dvd=notify: what is gone before the guest asks '
                           'was never there', 'fails', m):
            insert(m)
            eject(m)
            drive.wait_notified()
            expect(drive.all_events() == ([], TRAY_OPEN), '')
            insert(m)
            insert(m)
            insert(m)
            drive.wait_notified()
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: the guest reads the disc by DMA and '
                           'is not told of anything', 'fails', m):
            # Not ready, then unit attention, as upstream tells of a change.
            expect([drive.packet((0, 0, 0, 0, 0, 0)) for _ in range(3)] ==
                   [2, 6, b''], 'TEST UNIT READY')
            sector = drive.packet((0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0), 2048,
                                  dma=True)
            expect(sector == bytes(2048), f'{sector!r:.60}')
            expect(not drive.get(PORT_IS) & SDBS, 'told')
        with b.report.case('dvd=notify: as Windows\' class driver asks, by '
                           'DMA', 'fails', m):
            expect(drive.event(classes=0, dma=True)[:4] ==
                   bytes((0, 2, 0x80, 0x10)), 'no class of events')
            insert(m)
            drive.wait_notified()
            expect(drive.all_events(dma=True) ==
                   ([MEDIA_REMOVAL, NEW_MEDIA], MEDIA_PRESENT), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: who asks for the header only does not '
                           'lose the event', 'fails', m):
            insert(m)
            drive.wait_notified()
            expect(drive.event(length=4) == bytes((0, 6, 4, 0x10)), '')
            expect(drive.all_events()[0] == [MEDIA_REMOVAL, NEW_MEDIA], '')
            drive.acknowledge()


@group(alone=False)
@ours
def dvd_notify_tray(b):
    """The guest has a hand in it."""
    with b.machine(command()) as m:
        insert(m)
        drive = enabled(m)
        with b.report.case('dvd=notify: a locked disc: the guest is asked to '
                           'eject it, and does', 'fails', m):
            expect(drive.lock(1) == b'', 'it cannot be locked')
            try:
                eject(m, force=False)
                raise AssertionError('it was ejected')
            except Failure as e:
                expect('is locked' in str(e), str(e))
            drive.wait_notified()
            expect(drive.all_events() == ([EJECT_REQUEST], MEDIA_PRESENT),
                   '')
            expect(drive.lock(0) == b'', 'it cannot be unlocked')
            expect(drive.start_stop(eject=True) == b'', 'it does not open')
            expect(drive.notified(), 'not told that the disc is out')
            expect(drive.all_events() == ([MEDIA_REMOVAL], TRAY_OPEN), '')
            expect(drive.start_stop(eject=False) == b'', 'it does not close')
            expect(drive.notified(), 'not told that the disc is in')
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
        with b.report.case('dvd=notify: a locked disc that is taken by force '
                           'is gone, and nothing else', 'fails', m):
            expect(drive.lock(1) == b'', 'it cannot be locked')
            eject(m)
            drive.wait_notified()
            expect(drive.all_events() == ([MEDIA_REMOVAL], TRAY_OPEN), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: PxIE.SDBE clear: told in PxIS, '
                           'without an interrupt', 'fails', m):
            drive.set(IE, drive.get(IE) & ~SDBS)
            insert(m)
            expect(drive.get(PORT_IS) & SDBS, 'not told')
            expect(not drive.read(IS), 'an interrupt')
            drive.set(IE, drive.get(IE) | SDBS)
            drive.wait_notified()
            expect(drive.all_events()[0] == [NEW_MEDIA], '')
        with b.report.case('dvd=notify: FIS reception off: told when it is on '
                           'again', 'fails', m):
            drive.set(CMD, drive.get(CMD) & ~CMD_FRE)
            eject(m)
            expect(not drive.get(PORT_IS) & SDBS, 'told without a FIS')
            drive.set(CMD, drive.get(CMD) | CMD_FRE)
            drive.packet((0, 0, 0, 0, 0, 0))
            expect(drive.notified(), 'not told')
            expect(drive.all_events()[0] == [MEDIA_REMOVAL], '')
        with b.report.case('dvd=notify: FISes into registers instead of '
                           'memory', 'fails', m):
            drive.set(CMD, drive.get(CMD) & ~CMD_FRE)
            # There, a FIS would be a reset of the controller.
            drive.set(FB, BAR + GHC - RX_SDB)
            drive.set(CMD, drive.get(CMD) | CMD_FRE)
            insert(m)
            drive.wait_interrupt()
            expect(drive.get(PORT_IS) == SDBS, f'{drive.get(PORT_IS):#x}')
            drive.acknowledge()
            expect(words(drive) == (1, 1), words(drive))
            expect(m.alive(), 'it is gone')


@group(alone=False)
@ours
def dvd_notify_error(b):
    with b.machine(command()) as m, \
            b.report.case('dvd=notify: told between a command that failed and '
                          'the guest\'s look at why: it sees why', 'fails', m):
        drive = enabled(m)
        drive.ram.write(drive.table, bytes((0x27, 0x80, PACKET)).ljust(128,
                                                                       b'\0'))
        drive.ram.put(drive.list, 5 | 1 << 5, 0, drive.table, 0)
        drive.set(CI, 1)                # TEST UNIT READY, without a disc
        drive.wait_interrupt()
        drive.acknowledge()
        task = drive.get(TFD)
        expect(task & ERR, f'PxTFD {task:#x} is no error')
        insert(m)
        drive.wait_interrupt()
        expect(drive.get(PORT_IS) == SDBS, f'PxIS {drive.get(PORT_IS):#x}')
        expect(drive.get(TFD) == task, f'{drive.get(TFD):#x}, not {task:#x}')
        expect(not drive.ram.bytes(drive.received + RX_SDB, 4)[2] & ERR,
               'the FIS tells of an error')


def throttle(machine, rate):
    """So many bytes a second can be read from the disc; 0 is no limit."""
    told = machine.qmp().hmp(f'block_set_io_throttle {DRIVE} 0 {rate} 0 0 0 0')
    expect(not told, told)


@group(alone=False)
@ours
def dvd_notify_busy(b):
    with b.machine(command()) as m, \
            b.report.case('dvd=notify: what happens while a command runs is '
                          'told when it is done', 'fails', m):
        insert(m)
        drive = enabled(m)
        for _ in range(3):
            drive.packet((0, 0, 0, 0, 0, 0))
        read = (0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0)
        throttle(m, 1)
        expect(drive.packet(read, 2048, dma=True) == bytes(2048), '')
        # That one is paid for in half an hour, and the next waits for it.
        drive.lay_out(bytes((0x27, 0x80, PACKET, 1, 0, 0, 8, 0xa0)),
                      bytes(read), 2048)
        drive.set(CI, 1)
        m.qmp().execute('blockdev-open-tray', id=DRIVE)
        expect(drive.get(CI) == 1 and not drive.get(PORT_IS),
               f'PxCI {drive.get(CI):#x}, PxIS {drive.get(PORT_IS):#x}')
        throttle(m, 0)
        drive.wait_interrupt()
        expect(not drive.get(CI), 'the command is not done')
        expect(drive.notified(), f'PxIS {drive.get(PORT_IS):#x}')
        expect(drive.all_events() == ([MEDIA_REMOVAL], TRAY_OPEN), '')


@group(alone=False)
@ours
def dvd_notify_others(b):
    """Any other drive is upstream's."""
    with b.machine(command('dvd=ahci')) as m, \
            b.report.case('dvd=ahci: the drive does not notify, and does not '
                          'say so', 'either', m):
        drive = Ahci(m)
        drive.start()
        expect(words(drive) == (0, 0), words(drive))
        expect(not drive.set_features(ENABLE, NOTIFICATION), 'taken')
        expect(words(drive) == (0, 0), words(drive))
        drive.acknowledge()
        insert(m)
        expect(not drive.get(PORT_IS), f'PxIS {drive.get(PORT_IS):#x}')
        expect(drive.event()[:5] == bytes((0, 4, 4, 0x10, NEW_MEDIA)), '')


@group(alone=False)
@ours
def dvd_notify_reset(b):
    def software(drive):
        for control in (4, 0):      # ahci_do_softreset()
            drive.ram.write(drive.table, bytes(
                (0x27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, control)))
            drive.ram.put(drive.list, 5 | (0x500 if control else 0), 0,
                          drive.table, 0)
            drive.set(CI, 1)
        drive.set(CMD, drive.get(CMD) & ~1)
        drive.set(CMD, drive.get(CMD) | 1)

    def controller(drive):
        drive.reset_controller()
        drive.start_port()

    def machine(drive):
        drive.machine.qmp().execute('system_reset')
        drive.machine.qmp().wait_event('RESET')
        drive.guest.config_write(drive.bdf, 0x24, BAR)
        drive.guest.config_write(drive.bdf, 4, 6, 2)
        drive.start()

    for name, reset in (('COMRESET', Ahci.comreset),
                        ('a software reset', software),
                        ('a reset of the controller', controller),
                        ('a reset of the machine', machine)):
        with b.machine(command()) as m, \
                b.report.case(f'dvd=notify: {name} switches it off', 'fails',
                              m):
            drive = enabled(m)
            expect(words(drive) == (1, 1), words(drive))
            reset(drive)
            expect(words(drive) == (1, 0), words(drive))
            drive.acknowledge()
            insert(m)
            expect(not drive.get(PORT_IS) & SDBS, 'told')
            # What happened meanwhile is told to who switches it on again.
            expect(drive.set_features(ENABLE, NOTIFICATION), 'refused')
            expect(drive.notified(), 'not told')
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
            # A disc that was there before is a new one after a reset.
            reset(drive)
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')


@group(alone=False)
@ours
def dvd_notify_idle(b):
    with b.machine(command()) as m, \
            b.report.case('dvd=notify: a disc in the drive, and no wake',
                          'fails', m):
        drive = enabled(m)
        insert(m)
        drive.wait_notified()
        drive.all_events()
        drive.acknowledge()
        settle([m.pid])
        count = Count(m.pid)
        time.sleep(5)
        expect(not count.total(), f'threads ran: {count.threads()}')


@group(alone=False)
@ours
def dvd_notify_state(b):
    with b.machine(command()) as m:
        drive = enabled(m)
        with b.report.case('dvd=notify: saved and restored: it goes on '
                           'telling', 'fails', m):
            path = save(m)
            m.restart(b.binary, command(incoming=path))
            expect(words(drive) == (1, 1), words(drive))
            insert(m)
            drive.wait_notified()
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: restored without the disc: told',
                           'fails', m):
            path = save(m)
            m.restart(b.binary, command(incoming=path))
            drive.wait_notified()
            expect(drive.all_events() == ([MEDIA_REMOVAL], 0), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: what was not asked for before is told '
                           'once more after', 'fails', m):
            insert(m)
            drive.wait_notified()
            path = save(m)
            m.restart(b.binary, command(incoming=path,
                                    loaded=m.path('disc')))
            drive.wait_notified()
            expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
            drive.acknowledge()
        with b.report.case('dvd=notify: a state that says what cannot be: '
                           'refused', 'fails', m):
            eject(m)
            drive.wait_notified()
            drive.all_events()
            drive.acknowledge()
            path = save(m)
            with open(path, 'rb') as f:
                state = bytearray(f.read())
            # version_id, then the one byte of the section
            at = state.index(b'pulsar-notify-cd') + 16 + 8
            expect(state[at] == 1, f'{state[at]:#x} is not what it was')
            for wrong in 0x09, 0xff:
                state[at] = wrong
                with open(path, 'wb') as f:
                    f.write(state)
                told = not_restored(b, m, command(incoming=path))
                expect('pulsar-notify-cd' in told, told)
            state[at] = 1
            with open(path, 'wb') as f:
                f.write(state)
            m.restart(b.binary, command(incoming=path))
            expect(words(drive) == (1, 1), words(drive))
        with b.report.case('dvd=notify: changed while the machine stands: '
                           'told when it goes on', 'fails', m):
            insert(m)
            drive.wait_notified()
            drive.all_events()
            m.qmp().execute('stop')
            eject(m)
            expect(not drive.ram.get(drive.received + 0x58),
                   'a FIS while it stood')
            m.qmp().execute('cont')
            drive.wait_notified()
            expect(drive.all_events() == ([MEDIA_REMOVAL], TRAY_OPEN), '')


@group(alone=False)
@ours
def dvd_notify_xapi(b):
    """xenopsd's command line with a platform key, and its commands."""
    with b.machine(command=None) as m, \
            b.report.case('dvd=notify under xapi: its drive on the IDE bus is '
                          'moved, and it goes on using it', 'fails', m):
        m.xenstore.write(f'/local/domain/{m.domid}/platform/dvd', 'notify')
        m.start(xenopsd('compat'))
        m.qmp().execute('cont')
        drive = enabled(m)
        expect(words(drive) == (1, 1), words(drive))
        m.qmp().execute('blockdev-change-medium', device='ide1-cd1',
                        filename=add_fd(m, disc(m), os.O_RDONLY),
                        format='raw')
        drive.wait_notified()
        expect(drive.all_events() == ([NEW_MEDIA], MEDIA_PRESENT), '')
        drive.acknowledge()
        m.qmp().execute('eject', device='ide1-cd1', force=True)
        drive.wait_notified()
        expect(drive.all_events() == ([MEDIA_REMOVAL], TRAY_OPEN), '')
