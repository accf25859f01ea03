# SPDX-License-Identifier: GPL-2.0-or-later
"""A SPICE client: no ticket, no compression; sees grey and presses keys."""

import hashlib
import select
import socket
import struct
import time

from standin import TIMEOUT, Failure, recv_exactly

MAIN, DISPLAY, INPUTS = 1, 2, 3

# Common capabilities: choose the authentication, SPICE's own, mini headers.
CAPS = 1 << 0 | 1 << 1 | 1 << 3


def mask(seed, size):
    """MGF1 of PKCS #1, with SHA-1."""
    out = b''.join(hashlib.sha1(seed + struct.pack('>I', i)).digest()
                   for i in range(size // 20 + 1))
    return out[:size]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def encrypt(key, data):
    """RSAES-OAEP by a 1024 bit key, given as SubjectPublicKeyInfo. It hides
    nothing here, so its seed is fixed."""
    modulus = int.from_bytes(key[29:157], 'big')
    exponent = int.from_bytes(key[159:162], 'big')
    seed = bytes(20)
    block = hashlib.sha1().digest()
    block += bytes(107 - len(block) - len(data) - 1) + b'\1' + data
    block = xor(block, mask(seed, len(block)))
    seed = xor(seed, mask(block, 20))
    message = int.from_bytes(seed + block, 'big')
    return pow(message, exponent, modulus).to_bytes(128, 'big')


class Channel:
    """One connection; link() makes it a channel."""

    SET_ACK, PING = 3, 4
    ACK_SYNC, ACK, PONG = 1, 2, 3

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(TIMEOUT)
        self.window = self.unacknowledged = 0

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        self.sock.close()

    def link(self, kind, session=0):
        self.sock.sendall(
            b'REDQ' + struct.pack('<III', 2, 2, 22) +
            struct.pack('<IBBIIII', session, kind, 0, 1, 0, 18, CAPS))
        magic, _, _, size = struct.unpack('<4sIII',
                                          recv_exactly(self.sock, 16))
        body = recv_exactly(self.sock, size)
        if magic != b'REDQ' or body[:4] != bytes(4):
            raise Failure('the SPICE server does not link')
        self.sock.sendall(struct.pack('<I', 1) +
                          encrypt(body[4:166], b'\0'))
        if recv_exactly(self.sock, 4) != bytes(4):
            raise Failure('the SPICE server refused')

    def send(self, kind, body=b''):
        self.sock.sendall(struct.pack('<HI', kind, len(body)) + body)

    def receive(self):
        """The next message: (type, body). Answers what has to be answered."""
        kind, size = struct.unpack('<HI', recv_exactly(self.sock, 6))
        body = recv_exactly(self.sock, size)
        if kind == self.SET_ACK:
            self.window = struct.unpack_from('<I', body, 4)[0]
            self.unacknowledged = 0
            self.send(self.ACK_SYNC, body[:4])
        elif self.window:
            self.unacknowledged += 1
            if self.unacknowledged == self.window:
                self.unacknowledged = 0
                self.send(self.ACK)
        if kind == self.PING:
            self.send(self.PONG, body[:12])
        return kind, body


class Spice:
    """A client with all that somebody has who looks and types."""

    MAIN_INIT = 103
    DISPLAY_INIT = KEY_DOWN = 101
    KEY_UP = 102

    def __init__(self, path):
        self.channels = [Channel(path)]
        self.channels[0].link(MAIN)
        kind = None
        while kind != self.MAIN_INIT:
            kind, body = self.channels[0].receive()
        session = struct.unpack_from('<I', body)[0]
        for channel in DISPLAY, INPUTS:
            self.channels.append(Channel(path))
            self.channels[-1].link(channel, session)
        self.channels[1].send(self.DISPLAY_INIT,
                              struct.pack('<BqBi', 1, 1 << 20, 1, 1 << 20))

    def close(self):
        for channel in reversed(self.channels):
            channel.close()

    def press(self):
        """A and up again."""
        self.channels[2].send(self.KEY_DOWN, struct.pack('<I', 0x1e))
        self.channels[2].send(self.KEY_UP, struct.pack('<I', 0x9e))

    def wait_grey(self, value, timeout=TIMEOUT):
        """Take messages until grey pixels are drawn; the time it took."""
        start = time.monotonic()
        pixels = bytes([value, value, value])
        while True:
            left = start + timeout - time.monotonic()
            ready, _, _ = select.select(self.channels, [], [], max(0, left))
            if not ready:
                raise Failure(f'{value:#x} is not drawn within {timeout} s')
            for channel in ready:
                _, body = channel.receive()
                if channel is self.channels[1] and len(body) > 256 and \
                        (pixels in body[-64:]):
                    return time.monotonic() - start
