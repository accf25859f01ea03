# SPDX-License-Identifier: GPL-2.0-or-later
"""PV disks whose back end is in the device model, and one that comes from
another device model while its guest has it."""

import time

from pvdisk import PvDisk, XVDA
from standin import TIMEOUT, Machine, expect, xl_command

from . import group, ours


def hand_over(*numbers):
    """A device model that goes on with disks; its guest waits."""
    disks = ':'.join(str(n) for n in numbers)
    return xl_command(vnc=None, paused=True, extra=(
        '-device', f'pulsar-pv-rings,disks={disks}'))


NUMBER = 0x7700


def carries_out(m, disk, wanted, answered=3, asked=3):
    """Connects with a ring that was used: so many of its old requests are
    carried out then."""
    disk.wait(2)
    disk.used_ring(answered, asked, NUMBER)
    disk.tell()
    disk.wait(4)
    end = time.monotonic() + TIMEOUT
    # Until the event that a new port begins with has been served, and what
    # that began is done.
    while (m.guest.stat()['channels'][disk.channel]['state'] != 1 or
           disk.answers(NUMBER) != wanted) and time.monotonic() < end:
        time.sleep(0.01)    # the device model tells nobody
    return disk.answers(NUMBER) == wanted


def machine(b, count, orders=(0, 0)):
    m = Machine(b.world, b.binary, None, vcpus=4, memory=32)
    return m, [PvDisk(m, i, orders[i]) for i in range(count)]


@group(alone=False)
def pv_disks(b):
    m, disks = machine(b, 2, (0, 2))
    with m, b.report.case('PV disks are served', machine=m):
        m.start(xl_command(vnc=None))
        for disk in disks:
            disk.connect()
        for disk in disks:
            figures = disk.work(2000)
            expect(figures['answered'] == figures['index'] >= 2000, figures)
            disk.close_front()
            disk.connect()
            disk.work(500)
            disk.close()


@group(alone=False)
@ours
def pv_disks_that_come(b):
    m, (disk, other) = machine(b, 2)
    with m, b.report.case('a PV disk goes on with its next device model',
                          machine=m):
        m.start(xl_command(vnc=None))
        disk.connect()
        before = disk.work(1000)
        m.reset()
        disk.reset()
        m.start(hand_over(disk.number))
        disk.wait(4)
        told = m.guest.stat()['channels'][disk.channel]['to_guest']
        expect(told >= 1, 'the front end was not told to look')
        after = disk.work(1000)
        expect(after['index'] >= before['index'] + 1000, f'{before}, {after}')
        disk.close()

    m, (disk, other) = machine(b, 2)
    with m, b.report.case('one that was not handed over begins at zero, and '
                          'so does the next front end of one that was',
                          machine=m):
        m.start(hand_over(disk.number))
        carries_out(m, disk, 0)
        expect(carries_out(m, other, 3), 'it does not begin at zero')
        expect(disk.answers(NUMBER) == 0, 'old requests are carried out')
        disk.close_front()
        expect(carries_out(m, disk, 3), 'it goes on a second time')

    m, (disk,) = machine(b, 1)
    with m, b.report.case('once the guest runs, whoever connects begins',
                          machine=m):
        m.start(hand_over(disk.number))
        m.qmp().execute('cont')
        expect(carries_out(m, disk, 3), 'it goes on')

    m, (disk, other) = machine(b, 2)
    with m, b.report.case('a ring with more requests than it holds is not '
                          'taken up', machine=m):
        m.start(hand_over(disk.number, other.number))
        disk.wait(2)
        disk.used_ring(0xfffffff0, 17, NUMBER)
        disk.tell()
        expect(carries_out(m, other, 32, 0xfffffff0, 16), 'a full ring')
        expect(disk.state() == '2' and disk.answers(NUMBER) == 0,
               'it is taken up')
        expect(f'disk {XVDA}: its front end has 33 requests in a ring for 32'
               in m.output(), m.complaint())
        disk.write(disk.front, {'state': 6})
        disk.wait(6)
        disk.write(disk.front, {'state': 1})
        disk.connect()
        disk.work(200)
        disk.close()

    for words, said in ((('disks=xvda',), "'xvda' is no number of a PV disk"),
                        (('disks=1', 'disks=2'), 'can be given once')):
        m = Machine(b.world, b.binary)
        with m, b.report.case(f'pulsar-pv-rings with {words}'):
            m.start(xl_command(vnc=None, extra=[
                word for w in words
                for word in ('-device', f'pulsar-pv-rings,{w}')]), wait=False)
            expect(m.wait_exit() == 1, 'it started')
            expect(said in m.output(), m.complaint())
