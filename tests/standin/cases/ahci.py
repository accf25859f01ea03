# SPDX-License-Identifier: GPL-2.0-or-later
"""A driver of an AHCI controller with CD drives, as far as the cases need it.

The order of the accesses is Linux' (libahci.c: ahci_reset_controller(),
ahci_start_port(), ahci_qc_prep(), ahci_handle_port_interrupt(); libata-core.c:
ata_dev_configure()) unless a case says otherwise.
"""

import struct

from standin import expect

from .usb_hc import Controller

CLASS = 0x010601
BAR = 0xf2000000

CAP, GHC, IS = 0x00, 0x04, 0x08
CAP_SSNTF = 1 << 29
GHC_AE, GHC_IE, GHC_HR = 1 << 31, 2, 1

CLB, FB, PORT_IS, IE, CMD, TFD, SCTL, SERR, CI = (
    0x00, 0x08, 0x10, 0x14, 0x18, 0x20, 0x2c, 0x30, 0x38)
CMD_ST, CMD_FRE = 1, 1 << 4
SDBS, TFES = 1 << 3, 1 << 30
DEF_PORT_IRQ = 0x7840007f       # Linux', less port multipliers
ERR = 1

RX_SDB = 0x58
SDB, INTERRUPT, NOTIFICATION = 0xa1, 0x40, 0x80

IDENTIFY_PACKET, PACKET, SET_FEATURES = 0xa1, 0xa0, 0xef
NO_CHANGE, EJECT_REQUEST, NEW_MEDIA, MEDIA_REMOVAL = range(4)
TRAY_OPEN, MEDIA_PRESENT = 1, 2


class Ahci(Controller):
    """The first controller, and the drive on one of its ports."""

    def __init__(self, machine, port=0, base=4 << 20):
        super().__init__(machine, CLASS, base)
        self.guest.config_write(self.bdf, 0x24, BAR)
        self.guest.config_write(self.bdf, 4, 6, 2)
        self.port = 0x100 + 0x80 * port
        self.list = self.ram.take(1024, 1024)
        self.received = self.ram.take(256, 256)
        self.table = self.ram.take(256, 128)
        self.buffer = self.ram.take(4096, 4096)

    def read(self, register):
        return self.guest.load(BAR + register)

    def write(self, register, value):
        self.guest.store(BAR + register, value)

    def get(self, register):
        return self.read(self.port + register)

    def set(self, register, value):
        self.write(self.port + register, value)

    # ---- starting it

    def reset_controller(self):
        self.write(GHC, self.read(GHC) | GHC_AE)
        self.write(GHC, self.read(GHC) | GHC_HR)
        expect(not self.read(GHC) & GHC_HR, 'the reset does not end')
        self.write(GHC, self.read(GHC) | GHC_AE)

    def comreset(self):
        self.set(SCTL, 0x301)
        self.set(SCTL, 0x300)
        self.set(SERR, 0xffffffff)

    def start_port(self):
        self.set(CLB, self.list)
        self.set(CLB + 4, 0)
        self.set(FB, self.received)
        self.set(FB + 4, 0)
        self.set(CMD, self.get(CMD) | CMD_FRE)
        self.set(CMD, self.get(CMD) | CMD_ST)
        self.set(PORT_IS, self.get(PORT_IS))
        self.write(IS, self.read(IS))
        self.set(IE, DEF_PORT_IRQ)
        self.write(GHC, self.read(GHC) | GHC_IE)

    def start(self):
        self.reset_controller()
        self.comreset()
        self.start_port()

    # ---- commands, one at a time

    def lay_out(self, fis, packet=b'', length=0):
        """Put a command into memory, for the first slot."""
        self.ram.write(self.table, bytes(fis).ljust(64, b'\0') +
                       bytes(packet).ljust(64, b'\0') +
                       struct.pack('<IIII', self.buffer, 0, 0,
                                   max(length - 1, 0)))
        self.ram.put(self.list, 5 | (1 << 5 if packet else 0) |
                     (1 << 16 if length else 0), 0, self.table, 0)

    def issue(self, fis, packet=b'', length=0):
        """The status and error of a command once it is done; its interrupts
        are acknowledged, but for a notification that came with it."""
        self.lay_out(fis, packet, length)
        self.set(CI, 1)
        self.wait_interrupt()
        self.set(PORT_IS, self.get(PORT_IS) & ~SDBS)
        self.write(IS, self.read(IS))
        task = self.get(TFD)
        if task & ERR:      # ahci_error_handler() has the port start anew
            self.set(CMD, self.get(CMD) & ~CMD_ST)
            self.set(CMD, self.get(CMD) | CMD_ST)
        expect(not self.get(CI), 'the command is not done')
        return task & 0xff, task >> 8 & 0xff

    def ata(self, command, feature=0, count=0, length=0):
        fis = bytes((0x27, 0x80, command, feature, 0, 0, 0, 0xa0,
                     0, 0, 0, 0, count, 0, 0, 0, 0, 0, 0, 0))
        return self.issue(fis, length=length)

    def identify(self):
        status, _ = self.ata(IDENTIFY_PACKET, length=512)
        expect(not status & ERR, 'IDENTIFY PACKET DEVICE failed')
        return struct.unpack('<256H', self.ram.bytes(self.buffer, 512))

    def set_features(self, feature, count):
        """Did it succeed?"""
        status, _ = self.ata(SET_FEATURES, feature, count)
        return not status & ERR

    def packet(self, packet, length=0, dma=False):
        """What it answered, or the sense key as a number, which is asked for
        as atapi_eh_request_sense() does."""
        self.ram.write(self.buffer, bytes(length))
        fis = bytes((0x27, 0x80, PACKET, 1 if dma else 0, 0, length & 0xff,
                     length >> 8, 0xa0)).ljust(20, b'\0')
        status, error = self.issue(fis, bytes(packet).ljust(12, b'\0'),
                                   length)
        if status & ERR:
            expect(packet[0] != 3, 'REQUEST SENSE failed')
            sense = self.packet((3, 0, 0, 0, 18, 0), 18)
            expect(sense[2] == error >> 4, f'{sense[2]} after {error >> 4}')
            return sense[2]
        return self.ram.bytes(self.buffer, length)

    def start_stop(self, eject):
        return self.packet((0x1b, 0, 0, 0, 2 if eject else 3, 0))

    def lock(self, locked):
        return self.packet((0x1e, 0, 0, 0, locked, 0))

    def event(self, classes=0x10, length=8, **how):
        """GET EVENT STATUS NOTIFICATION, as sr_get_events() of Linux does."""
        return self.packet((0x4a, 1, 0, 0, classes, 0, 0, 0, length, 0),
                           length, **how)

    def media_event(self, **how):
        """The code of the next event, and the status of the drive."""
        answer = self.event(**how)
        # GesnDataInterpret() of Windows' sample takes a header that tells of
        # less than four bytes behind its own for a broken drive.
        expect(answer[:4] == bytes((0, 6, 4, 0x10)), f'header {answer[:4]}')
        return answer[4], answer[5]

    def all_events(self, **how):
        """As RequestPostWorkMcnRequest() of Windows' sample: all of them."""
        codes = []
        while len(codes) < 8:
            code, status = self.media_event(**how)
            if code == NO_CHANGE:
                return codes, status
            codes.append(code)
        raise AssertionError(f'there is no end to events: {codes}')

    # ---- being notified

    def acknowledge(self):
        self.set(PORT_IS, self.get(PORT_IS))
        self.write(IS, self.read(IS))

    def notified(self):
        """Is there a notification? It is taken then."""
        if not self.get(PORT_IS) & SDBS:
            return False
        kind, flags = self.ram.bytes(self.received + RX_SDB, 2)
        expect((kind, flags) == (SDB, INTERRUPT | NOTIFICATION),
               f'a FIS {kind:#x} with {flags:#x}')
        self.ram.put(self.received + RX_SDB, 0)
        self.acknowledge()
        return True

    def wait_notified(self):
        self.wait_interrupt()
        expect(self.notified(), f'PxIS {self.get(PORT_IS):#x}')
