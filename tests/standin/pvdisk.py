# SPDX-License-Identifier: GPL-2.0-or-later
"""A PV disk that the device model serves, and the front end in its guest,
which guest.c plays. What stands in xenstore is what libxl 4.17 writes for a
disk with backendtype=qdisk (libxl_disk.c, device_disk_add) and what Linux
answers (drivers/block/xen-blkfront.c, talk_to_blkback)."""

import os
import struct

from standin import SI_FIRST_PORT, Guest

SECTOR = 512
XVDA = 51712            # and 16 more for each that follows
SLOTS = 64              # bytes before a ring's slots (xen/io/ring.h)
SLOT = 112              # bytes of each of them (blkif_request_t)


class PvDisk:
    """The I-th of a machine whose device model is told of one vCPU only: the
    others' event channels are the disks'."""

    def __init__(self, machine, index=0, order=0, sectors=2048, image='raw',
                 made=None):
        self.machine, self.order, self.sectors = machine, order, sectors
        self.number = XVDA + 16 * index
        self.channel = 2 + index
        self.frame = 0x200 + 0x800 * index      # the ring, then what it moves
        machine.vcpus = 1
        self.guest = None
        self.path = machine.path(f'disk{index}')
        if made:
            made(machine, self.path, sectors * SECTOR)
        else:
            with open(self.path, 'wb') as f:
                f.truncate(sectors * SECTOR)
            os.chmod(self.path, 0o666)
        self.back = f'/local/domain/0/backend/qdisk/{machine.domid}/' \
                    f'{self.number}'
        self.front = f'/local/domain/{machine.domid}/device/vbd/{self.number}'
        letter = chr(ord('a') + index)
        self.write(self.front, {
            'backend': self.back, 'backend-id': 0, 'state': 1,
            'virtual-device': self.number, 'device-type': 'disk'})
        self.write(self.back, {
            'frontend': self.front, 'frontend-id': machine.domid,
            'params': f'{"aio" if image == "raw" else image}:{self.path}',
            'online': 1, 'removable': 0, 'bootable': 1,
            'dev': f'xvd{letter}', 'type': 'qdisk', 'mode': 'w',
            'device-type': 'disk', 'discard-enable': 1, 'state': 1})

    def write(self, home, values):
        for name, value in values.items():
            self.machine.xenstore.write(f'{home}/{name}', value)

    def state(self, which='back'):
        return self.machine.xenstore.read(f'{getattr(self, which)}/state')

    def wait(self, state):
        self.machine.xenstore.wait_value(f'{self.back}/state', str(state),
                                         self.machine.process)

    def begin(self, seed=1):
        """An empty ring, and all that the back end has to know of it."""
        if not self.guest:
            self.guest = Guest(self.machine.folder)
        self.guest.run('disk', self.channel, self.frame, self.order,
                       self.frame + 16, self.sectors, seed)
        self.tell()

    def tell(self):
        names = {'ring-ref': self.frame} if not self.order else {
            'ring-page-order': self.order,
            **{f'ring-ref{i}': self.frame + i for i in range(1 << self.order)}}
        self.write(self.front, {
            **names, 'event-channel': SI_FIRST_PORT + self.channel,
            'protocol': 'x86_64-abi', 'state': 3})

    def connect(self, seed=1):
        self.wait(2)
        self.begin(seed)
        self.wait(4)
        self.write(self.front, {'state': 4})

    def used_ring(self, answered, asked, number):
        """A ring of one page in which so much was done. The request in each
        slot asks for nothing and has a number; carried out, it is answered."""
        slot = struct.pack('<BBHIQ', 0, 0, 0, 0xffffffff, number)
        self.machine.guest.poke(
            self.frame * 4096, struct.pack('<IIII', asked, asked + 1, answered,
                                           answered + 1).ljust(SLOTS, b'\0') +
            slot.ljust(SLOT, b'\0') * 32)

    def answers(self, number):
        """How many of those requests were carried out."""
        ring = self.machine.guest.peek(self.frame * 4096, SLOTS + 32 * SLOT)
        return sum(struct.unpack_from('<Q', ring, SLOTS + i * SLOT)[0] ==
                   number for i in range(32))

    def reset(self):
        """As the toolstack has a back end begin anew; the front end stays."""
        self.write(self.back, {'state': 1})

    def close_front(self):
        """As a driver does that is unloaded, and another that comes."""
        self.write(self.front, {'state': 5})
        self.wait(5)
        self.write(self.front, {'state': 6})
        self.wait(6)
        self.write(self.front, {'state': 1})
        self.wait(2)

    def work(self, requests, stop=0):
        """So many, then all of the disk is compared."""
        return self.guest.figures('disk-work', requests, stop)

    def close(self):
        if self.guest:
            self.guest.close()
            self.guest = None
