# SPDX-License-Identifier: GPL-2.0-or-later
"""A device model without Xen: start one, play its guest, watch it sleep.

Everything waits for events: xenstore watches, QMP greetings and replies,
futexes (in the guest helper), process descriptors.  What sleeps is only a
measurement's window.
"""

import atexit
import contextlib
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import tty
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def _env_path(name, default):
    return os.path.join(ROOT, os.environ.get(name) or default)


BUILD = _env_path('PULSAR_BUILD', 'build')
QEMU = _env_path('PULSAR_QEMU', os.path.join(BUILD, 'qemu-system-i386'))
STOCK = _env_path('PULSAR_STOCK',
                  os.path.join(BUILD, 'stock', 'qemu-system-i386'))
# Another Pulsar, made from another series of QEMU; none by default.
OTHER = os.environ.get('PULSAR_OTHER') and _env_path('PULSAR_OTHER', '')
TOOL = _env_path('PULSAR_TOOL', os.path.join(BUILD, 'pulsar'))
HELPERS = os.path.join(BUILD, 'standin')
DATA = ('/usr/share/seabios', '/usr/share/qemu', '/usr/lib/ipxe/qemu')
XENSTORED = (sorted(glob.glob('/usr/lib/xen-*/bin/xenstored')) or
             ['/usr/lib/xen-4.17/bin/xenstored'])[-1]
TIMEOUT = 10.0
SI_FIRST_PORT = 11      # shared.h, SI_REMOTE_PORT


class Failure(Exception):
    """A test's finding, or something a test needs that did not happen."""


def build_helpers():
    """Compile the preload libraries and the guest program."""
    r = subprocess.run(['make', '-s', '-C', os.path.dirname(__file__) or '.',
                        'O=' + HELPERS], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    if r.returncode:
        raise Failure('the stand-in does not compile:\n' + r.stdout)


def require(path, remedy):
    """Fail with a sentence if a program that is needed is not there."""
    if not os.access(path, os.X_OK):
        raise Failure(f'{path} is missing; {remedy}')


def recv_exactly(sock, n):
    """n bytes from a socket, whose timeout bounds each wait."""
    parts = []
    while n:
        part = sock.recv(min(n, 1 << 20))
        if not part:
            raise Failure('the connection was closed')
        parts.append(part)
        n -= len(part)
    return b''.join(parts)


# ---- the xenstore -------------------------------------------------------

class Xenstore:
    """A connection to xenstored, speaking its wire protocol."""

    READ, GET_PERMS, WATCH, WRITE, MKDIR, RM = 2, 3, 4, 11, 12, 13
    WATCH_EVENT, ERROR = 15, 16
    DIRECTORY = 1

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        # With a timeout, a queue that is full would be an error at once.
        self.sock.connect(path)
        self.sock.settimeout(TIMEOUT)
        self.request = 0
        self.events = []

    def close(self):
        self.sock.close()

    def fileno(self):
        return self.sock.fileno()

    def _receive(self):
        kind, _, _, size = struct.unpack('<IIII', recv_exactly(self.sock, 16))
        body = recv_exactly(self.sock, size)
        if kind == self.WATCH_EVENT:
            self.events.append(body.split(b'\0')[0].decode())
        return kind, body

    def _ask(self, kind, body):
        self.request += 1
        self.sock.sendall(struct.pack('<IIII', kind, self.request, 0,
                                      len(body)) + body)
        while True:
            got, reply = self._receive()
            if got == self.WATCH_EVENT:
                continue
            if got == self.ERROR:
                raise KeyError(reply.rstrip(b'\0').decode())
            return reply

    def read(self, path):
        """The value of a node, None if it is not there."""
        try:
            return self._ask(self.READ, path.encode() + b'\0').decode()
        except KeyError as e:
            if e.args[0] == 'ENOENT':
                return None
            raise

    def write(self, path, value):
        self._ask(self.WRITE, path.encode() + b'\0' + str(value).encode())

    def remove(self, path):
        with contextlib.suppress(KeyError):
            self._ask(self.RM, path.encode() + b'\0')

    def watch(self, path):
        token = f'standin-{self.request}'
        self._ask(self.WATCH, f'{path}\0{token}\0'.encode())

    def wait_value(self, path, value, process=None, timeout=TIMEOUT):
        """Wait until a node has a value, or any for None, or the process ends
        (False)."""
        end = time.monotonic() + timeout
        self.watch(path)
        pidfd = os.pidfd_open(process.pid) if process else -1
        poll = select.poll()        # select() knows a thousand descriptors
        poll.register(self.sock, select.POLLIN)
        if process:
            poll.register(pidfd, select.POLLIN)
        try:
            while (self.read(path) is None if value is None
                   else self.read(path) != value):
                while not self.events:
                    ready = dict(poll.poll(
                        max(0, end - time.monotonic()) * 1000))
                    if self.sock.fileno() in ready:
                        self._receive()
                    elif pidfd in ready:
                        return False
                    else:
                        raise Failure(f'xenstore {path} is '
                                      f'{self.read(path)!r} after {timeout} '
                                      f's, not {value!r}')
                self.events.clear()
            return True
        finally:
            if process:
                os.close(pidfd)


class Xenstored:
    """The real xenstored, serving a unix socket in a folder."""

    def __init__(self, folder):
        require(XENSTORED, 'run build-aux/need-packages check')
        self.path = os.path.join(folder, 'socket')
        ready, tell = os.pipe()
        env = dict(os.environ, XENSTORED_RUNDIR=folder,
                   XENSTORED_PATH=self.path, STANDIN_READY_FD=str(tell),
                   LD_PRELOAD=os.path.join(HELPERS, 'libxenstored.so'))
        self.log = os.path.join(folder, 'xenstored.log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [XENSTORED, '--no-fork', '--internal-db'], env=env,
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[tell])
        os.close(tell)
        told = os.read(ready, 1)
        os.close(ready)
        if not told:
            with open(self.log, encoding='utf-8', errors='replace') as log:
                raise Failure('xenstored did not start: ' + log.read())

    def connect(self):
        return Xenstore(self.path)

    def close(self):
        self.process.kill()
        self.process.wait()


class World:
    """One xenstored and the folder of everything, for a whole run."""

    def __init__(self):
        build_helpers()
        self.folder = tempfile.mkdtemp(prefix='standin-')
        os.chmod(self.folder, 0o755)
        self.lock = threading.Lock()
        self.domid = 0
        self.machines = set()
        atexit.register(self.close)
        self.xenstored = Xenstored(self.folder)

    def new_domid(self):
        with self.lock:
            self.domid += 1
            return self.domid

    def close(self):
        for machine in list(self.machines):
            machine.close()
        if getattr(self, 'xenstored', None):
            self.xenstored.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)


# ---- the guest ----------------------------------------------------------

class Guest:
    """The guest helper of one domain; methods are what a vCPU may do."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [os.path.join(HELPERS, 'guest'), 'serve', folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()

    def send(self, *words):
        """Begin a command; finish() takes its answer."""
        self.process.stdin.write(' '.join(str(w) for w in words) + '\n')
        self.process.stdin.flush()

    def finish(self):
        line = self.process.stdout.readline().strip()
        if line != 'ok' and not line.startswith('ok '):
            raise Failure('guest: ' + (line[4:] or 'the helper died'))
        return line[3:]

    def run(self, *words):
        self.send(*words)
        return self.finish()

    def figures(self, *words):
        return json.loads(self.run(*words))

    def inb(self, port, size=1, vcpu=0):
        return int(self.run('in', vcpu, size, port), 16)

    def outb(self, port, value, size=1, vcpu=0):
        self.run('out', vcpu, size, port, value)

    def load(self, addr, size=4, vcpu=0):
        return int(self.run('load', vcpu, size, addr), 16)

    def store(self, addr, value, size=4, vcpu=0):
        self.run('store', vcpu, size, addr, value)

    def config_read(self, bdf, register, size=4):
        return int(self.run('config', 0, size, bdf, register), 16)

    def config_write(self, bdf, register, value, size=4):
        self.run('config', 0, size, bdf, register, value)

    def buffered(self, addr, value, log2size=0, kind=0):
        self.run('buffered', kind, log2size, addr, value)

    def poke(self, addr, data):
        self.run('poke', addr, data.hex())

    def fill(self, addr, length, byte):
        self.run('fill', addr, length, byte)

    def peek(self, addr, length):
        return bytes.fromhex(self.run('peek', addr, length))

    def stat(self):
        return json.loads(self.run('stat'))

    def calls(self, name):
        return self.stat()['calls'][name]

    def find_pci(self, device_class):
        """bus/device/function of the first device of a class code."""
        for kind, first, _ in json.loads(self.run('ranges')):
            if kind == 2 and self.config_read(first, 8) >> 8 == device_class:
                return first
        raise Failure(f'no PCI device of class {device_class:#x}')

    def power_off(self):
        """By PM1a control, as an operating system does it."""
        pm = self.find_pci(0x068000)
        self.config_write(pm, 0x40, 0xb001)
        self.config_write(pm, 0x80, 1, 1)
        self.outb(0xb004, 0x2000, 2)    # sleep type 0 with the enable bit: S5
        self.run('wait-shutdown', 1, 5000)

    LFB = 0xf0000000

    def graphics(self, width=640, height=480):
        """Bring the standard VGA to a linear 32 bpp mode."""
        bdf = self.find_pci(0x030000)
        self.config_write(bdf, 0x10, self.LFB)
        self.config_write(bdf, 0x18, self.LFB + (1 << 28))
        self.config_write(bdf, 4, 7, 2)
        for index, value in ((4, 0), (1, width), (2, height), (3, 32),
                             (6, width), (4, 0x41)):
            self.outb(0x1ce, index, 2)
            self.outb(0x1cf, value, 2)
        self.inb(0x3da)
        self.outb(0x3c0, 0x20)

    # What a PC firmware programs for 80 by 25 characters (mode 3).
    TEXT_MODE = (
        (0x3c4, (0x03, 0x00, 0x03, 0x00, 0x02)),
        (0x3ce, (0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff)),
        (0x3d4, (0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f,
                 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x0e, 0x8f, 0x28,
                 0x1f, 0x96, 0xb9, 0xa3, 0xff)),
    )
    ATTRIBUTES = (0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c,
                  0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 8, 0)

    def text(self):
        """Bring the VGA to text mode with its blinking cursor, one solid
        character in its font, and a palette of black and white."""
        self.outb(0x3c2, 0x67)
        # The font is in plane 2, which is reached in a mode of its own.
        for port, index, value in ((0x3c4, 2, 4), (0x3c4, 4, 6),
                                   (0x3ce, 5, 0), (0x3ce, 6, 4),
                                   (0x3ce, 8, 0xff)):
            self.outb(port, index)
            self.outb(port + 1, value)
        for row in range(0, 16, 4):
            self.store(0xa0000 + 0x01 * 32 + row, 0xffffffff)
        for port, values in self.TEXT_MODE:
            for index, value in enumerate(values):
                self.outb(port, index)
                self.outb(port + 1, value)
        self.outb(0x3c8, 0)
        for colour in range(64):
            for _ in range(3):
                self.outb(0x3c9, 63 if colour else 0)
        self.inb(0x3da)
        for index, value in enumerate(self.ATTRIBUTES):
            self.outb(0x3c0, index)
            self.outb(0x3c0, value)
        self.outb(0x3c0, 0x20)
        self.store(0xb8000, 0x0700, 2)      # the cursor has a colour

    def draw(self, value, width=640, y=0, lines=1):
        """Write grey pixels straight into video memory."""
        self.fill(self.LFB + y * width * 4, lines * width * 4, value)


# ---- QMP ----------------------------------------------------------------

class Qmp:
    def __init__(self, path, timeout=TIMEOUT):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(timeout)
        self.buffer = b''
        self.events = []
        self.greeting = self._next()
        if 'QMP' not in self.greeting:
            raise Failure(f'no QMP greeting but {self.greeting}')
        self.execute('qmp_capabilities')

    def close(self):
        self.sock.close()

    def _next(self):
        while b'\n' not in self.buffer:
            part = self.sock.recv(1 << 16)
            if not part:
                raise Failure('QMP was closed')
            self.buffer += part
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def execute(self, command, **arguments):
        request = {'execute': command}
        if arguments:
            request['arguments'] = {k.replace('_', '-'): v
                                    for k, v in arguments.items()}
        self.sock.sendall(json.dumps(request).encode() + b'\n')
        while True:
            reply = self._next()
            if 'event' in reply:
                self.events.append(reply)
            elif 'error' in reply:
                raise Failure(f"{command}: {reply['error']['desc']}")
            else:
                return reply['return']

    def hmp(self, line):
        return self.execute('human-monitor-command', command_line=line)

    def wait_event(self, name):
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name:
                    return self.events.pop(i)
            reply = self._next()
            if 'event' in reply:
                self.events.append(reply)


# ---- VNC ----------------------------------------------------------------

class Rfb:
    """A viewer: RFB 3.8, no authentication, raw rectangles.

    With extended=True it has the Extended Clipboard Pseudo-Encoding, and
    offers and asks as noVNC does (core/rfb.js): a text ends with a NUL.
    """

    CUT_TEXT = 0xc0a1e5ce - (1 << 32)
    TEXT, CAPS = 1, 1 << 24
    REQUEST, NOTIFY, PROVIDE = 1 << 25, 1 << 27, 1 << 28

    def __init__(self, address, timeout=TIMEOUT, extended=False):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.connect(address)
        self.sock.settimeout(timeout)
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if recv_exactly(self.sock, 12)[:4] != b'RFB ':
            raise Failure('no RFB server')
        self.sock.sendall(b'RFB 003.008\n')
        kinds = recv_exactly(self.sock, recv_exactly(self.sock, 1)[0])
        if 1 not in kinds:
            raise Failure('the RFB server wants authentication')
        self.sock.sendall(b'\1')
        if recv_exactly(self.sock, 4) != bytes(4):
            raise Failure('the RFB server refused')
        self.sock.sendall(b'\1')
        self.width, self.height = struct.unpack(
            '>HH', recv_exactly(self.sock, 4))
        recv_exactly(self.sock, 16)
        recv_exactly(self.sock, struct.unpack(
            '>I', recv_exactly(self.sock, 4))[0])
        self.frame = bytearray(self.width * self.height * 4)
        # Raw, and changes of the desktop's size.
        encodings = [0, -223] + [self.CUT_TEXT] * extended
        self.sock.sendall(struct.pack(f'>BxH{len(encodings)}i', 2,
                                      len(encodings), *encodings))
        self.extended = extended
        self.texts = []         # what the server's side has copied
        self.text = None        # what this side offers
        self.updates = 0
        self.arrived = 0.0      # when the last update began to come

    def close(self):
        self.sock.close()

    def request(self, incremental=True, x=0, y=0, width=None, height=None):
        self.sock.sendall(struct.pack(
            '>BBHHHH', 3, incremental, x, y, width or self.width,
            height or self.height))

    def pointer(self, x, y, buttons=0):
        self.sock.sendall(struct.pack('>BBHH', 5, buttons, x, y))

    def key(self, keysym, down):
        self.sock.sendall(struct.pack('>BBxxI', 4, down, keysym))

    def copy(self, text):
        """The viewer's user has copied something."""
        self.text = text
        if self.extended:
            self._extended(self.NOTIFY | self.TEXT)
        else:
            self.sock.sendall(struct.pack('>BxxxI', 6, len(text)) + text)

    def _extended(self, flags, data=b''):
        self.sock.sendall(struct.pack('>BxxxiI', 6, -4 - len(data), flags) +
                          data)

    def _other(self, kind):
        """Takes a message that is no update."""
        if kind != 3:
            if kind != 2:
                raise Failure(f'unknown RFB message {kind}')
            return
        length = struct.unpack('>xxxi', recv_exactly(self.sock, 7))[0]
        data = recv_exactly(self.sock, abs(length))
        if length >= 0:
            self.texts.append(data)
            return
        flags = struct.unpack_from('>I', data)[0]
        if flags & self.CAPS:
            return
        if flags & self.PROVIDE:
            text = zlib.decompressobj().decompress(data[4:])
            self.texts.append(text[4:4 + struct.unpack_from('>I', text)[0]])
        elif flags & self.NOTIFY and flags & self.TEXT:
            self._extended(self.REQUEST | self.TEXT)
        elif flags & self.REQUEST:
            self._extended(self.PROVIDE | self.TEXT, zlib.compress(
                struct.pack('>I', len(self.text) + 1) + self.text + b'\0'))

    def take(self):
        """Take messages, none of them an update, until a text has come."""
        while not self.texts:
            self._other(recv_exactly(self.sock, 1)[0])
        return self.texts.pop(0)

    def answer(self):
        """Take one message, which is no update."""
        self._other(recv_exactly(self.sock, 1)[0])

    def update(self, timeout=TIMEOUT):
        """The next update's rectangles as (x, y, width, height)."""
        self.sock.settimeout(timeout)
        while True:
            try:
                kind = recv_exactly(self.sock, 1)[0]
            except TimeoutError:
                raise Failure(f'no update within {timeout} s') from None
            if kind == 0:
                self.arrived = time.monotonic()
                break
            self._other(kind)
        count = struct.unpack('>xH', recv_exactly(self.sock, 3))[0]
        rectangles = []
        for _ in range(count):
            x, y, w, h, encoding = struct.unpack(
                '>HHHHi', recv_exactly(self.sock, 12))
            if encoding == -223:
                self.width, self.height = w, h
                self.frame = bytearray(w * h * 4)
                continue
            if encoding != 0:
                raise Failure(f'rectangle in encoding {encoding}')
            data = recv_exactly(self.sock, w * h * 4)
            for row in range(h):
                at = ((y + row) * self.width + x) * 4
                self.frame[at:at + w * 4] = data[row * w * 4:
                                                 (row + 1) * w * 4]
            rectangles.append((x, y, w, h))
        self.updates += 1
        return rectangles

    def pixel(self, x, y):
        at = (y * self.width + x) * 4
        return self.frame[at]

    def wait_pixel(self, x, y, value, timeout=TIMEOUT):
        """Take updates until a pixel has a grey value; the time it took."""
        start = time.monotonic()
        while self.pixel(x, y) != value:
            self.update(max(0.001, start + timeout - time.monotonic()))
            self.request()
        return time.monotonic() - start


# ---- counting -----------------------------------------------------------

def switches(pid):
    """{thread: (name, voluntary, involuntary)} of a process, by now."""
    counts = {}
    for status in glob.glob(f'/proc/{pid}/task/*/status'):
        with contextlib.suppress(OSError), open(status,
                                                encoding='utf-8') as f:
            text = f.read()
            fields = dict(re.findall(
                r'^(Name|State|Pid|voluntary_ctxt_switches|'
                r'nonvoluntary_ctxt_switches):\t(.*)$', text, re.M))
            if fields['State'][0] in 'ZX':
                continue
            counts[int(fields['Pid'])] = (
                fields['Name'], int(fields['voluntary_ctxt_switches']),
                int(fields['nonvoluntary_ctxt_switches']))
    if not counts:
        # Who is dead does not wake either; that must not count as silence.
        raise Failure(f'process {pid} is gone')
    return counts


class Count:
    """Context switches between begin and now, by thread."""

    def __init__(self, pid):
        self.pid = pid
        self.before = switches(pid)

    def threads(self):
        """[(name, voluntary, involuntary)] of the threads that ran."""
        ran = []
        for tid, (name, vol, invol) in switches(self.pid).items():
            _, vol0, invol0 = self.before.get(tid, (name, 0, 0))
            if vol != vol0 or invol != invol0:
                ran.append((name, vol - vol0, invol - invol0))
        return ran

    def total(self):
        return sum(v + i for _, v, i in self.threads())

    def voluntary(self):
        return sum(v for _, v, _ in self.threads())


def settle(pids, quiet=1.0, limit=6.0):
    """Wait for a stretch in which none of the processes runs.

    What is not quiet by the limit (stock never is) is counted as it is.
    """
    end = time.monotonic() + limit
    while time.monotonic() < end:
        counts = [Count(pid) for pid in pids]
        time.sleep(quiet)
        if not any(c.total() for c in counts):
            return True
    return False


def private_memory(pid, kinds='Clean|Dirty'):
    """Bytes of memory that only this process has. What is clean are pages
    of files of which it may just be the only user by now."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as f:
        return 1024 * sum(int(n) for n in re.findall(
            rf'^Private_(?:{kinds}):\s+(\d+) kB', f.read(), re.M))


def memory_of(pid):
    """KiB that were written to and are this process' own, by kind."""
    kinds = dict.fromkeys(('heap', 'program', 'libraries', 'other'), 0)
    with open(f'/proc/{pid}/smaps', encoding='utf-8') as f:
        for line in f:
            words = line.split()
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                name = os.path.basename(words[5]) if len(words) > 5 else ''
                kind = ('heap' if name == '[heap]' else
                        'program' if name.startswith('qemu-system') else
                        'libraries' if '.so' in name else 'other')
            elif words[0] == 'Anonymous:':
                kinds[kind] += int(words[1])
    return kinds


def threads(pid):
    return len(os.listdir(f'/proc/{pid}/task'))


def resident_memory(pid):
    """Bytes of memory that this process has, shared ones among them."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as f:
        return 1024 * int(re.search(r'^Rss:\s+(\d+) kB', f.read(),
                                    re.M).group(1))


def shared_libraries(pid):
    """Paths of the libraries and modules a process has, the stand-in's
    own aside."""
    with open(f'/proc/{pid}/maps', encoding='utf-8') as f:
        return {path for path in re.findall(r' (/\S+\.so[.0-9]*)$', f.read(),
                                            re.M)
                if not path.startswith(HELPERS)}


def cpu_seconds(pid):
    """Processor time of all threads that still are there."""
    total = 0
    for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
        with contextlib.suppress(OSError), open(path,
                                                encoding='utf-8') as f:
            total += int(f.read().split()[0])
    return total / 1e9


# ---- a device model -----------------------------------------------------

class Machine:
    """One domain and the device model that serves it.

    command is what xl_command() or xenopsd_command() gave, or None to only
    make the domain.
    """

    def __init__(self, world, binary, command=None, vcpus=2, memory=128,
                 env=None, wait=True, preexec=None):
        self.world = world
        self.binary = binary
        self.vcpus = vcpus
        self.memory = memory
        self.domid = world.new_domid()
        self.folder = os.path.join(world.folder, str(self.domid))
        self.log = os.path.join(self.folder, 'log')
        self.env = env or {}
        self.process = self.guest = self.qmp_connection = None
        self.xenstore = world.xenstored.connect()
        self.ready_ms = None
        self.listeners = []         # what is handed over at the start
        world.machines.add(self)
        subprocess.run([os.path.join(HELPERS, 'guest'), 'create',
                        self.folder, str(self.domid), str(vcpus),
                        str(memory)], check=True)
        self.guest = Guest(self.folder)
        home = f'/local/domain/{self.domid}'
        self.xenstore.write(home + '/domid', self.domid)
        self.xenstore.write(home + '/name', f'standin-{self.domid}')
        if command:
            self.start(command, wait=wait, preexec=preexec)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def listen(self, name):
        """A listening socket to hand over, as libxl does."""
        sock = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))
        sock.bind(self.path(name))
        sock.listen(1)
        self.listeners.append(sock)
        return sock

    def start(self, command, wait=True, preexec=None):
        """Start the device model; returns once it serves its guest."""
        arguments = command(self)
        state = f'/local/domain/0/device-model/{self.domid}/state'
        self.xenstore.remove(state)
        env = dict(os.environ, STANDIN_DIR=self.folder,
                   LD_PRELOAD=os.path.join(HELPERS, 'libxen.so'),
                   XENSTORED_PATH=self.world.xenstored.path)
        env.update(self.env)
        argv = [self.binary]
        for folder in DATA:
            argv += ['-L', folder]
        argv += arguments
        begin = time.monotonic()
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, pass_fds=[s.fileno() for s in self.listeners],
                preexec_fn=preexec)
        for sock in self.listeners:
            sock.close()
        self.listeners = []
        if not wait:
            return
        if '-S' in arguments:
            self.qmp()
        elif not self.xenstore.wait_value(state, 'running', self.process):
            raise Failure(f'{os.path.basename(self.binary)} exited with '
                          f'{self.process.wait()}: {self.output()}')
        self.ready_ms = (time.monotonic() - begin) * 1000

    def stop(self):
        """End the device model, keep the domain (as for a new one)."""
        if self.qmp_connection:
            self.qmp_connection.close()
            self.qmp_connection = None
        if self.process:
            self.process.kill()
            self.process.wait()

    def reset(self):
        """The same, and nothing of it is found by the next but memory."""
        self.stop()
        subprocess.run([os.path.join(HELPERS, 'guest'), 'reset',
                        self.folder], check=True)

    def restart(self, binary, command, **more):
        """Another device model for the same guest memory."""
        self.reset()
        self.binary = binary
        self.start(command, **more)

    def close(self):
        if self not in self.world.machines:
            return
        self.world.machines.discard(self)
        self.stop()
        for sock in self.listeners:
            sock.close()
        if self.guest:
            self.guest.close()
        self.xenstore.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def complaint(self):
        """The end of the log without the register dumps of an abort."""
        lines = [line for line in self.output().splitlines()
                 if line and not re.match(r'[A-Z0-9]+ ?=|CPU #', line)]
        return '\n'.join(lines[-6:])

    def wait_exit(self, timeout=TIMEOUT):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f'still running after {timeout} s') from None

    def qmp(self):
        """The toolstack's QMP connection."""
        while not self.qmp_connection:
            seen = self.guest.stat()['event_seq']
            try:
                self.qmp_connection = Qmp(self.path('qmp'))
            except (FileNotFoundError, ConnectionRefusedError):
                # A socket that the device model has yet to listen on.
                self.guest.run('wait-change', seen, 10000)
        return self.qmp_connection

    def count(self):
        return Count(self.pid)

    def vnc_address(self):
        info = self.qmp().execute('query-vnc')
        if info['family'] == 'unix':
            return info['service']
        return (info['host'], int(info['service']))

    def view(self, **more):
        return Rfb(self.vnc_address(), **more)

    def pty(self, label='serial0'):
        """The other side's name of a chardev that is a pty."""
        for chardev in self.qmp().execute('query-chardev'):
            if chardev['label'] == label:
                return chardev['filename'].removeprefix('pty:')
        raise Failure(f'no chardev {label}')


class Terminal:
    """Somebody attached to a pty, as `xl console` is."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd, termios.TCSANOW)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def type(self, data):
        os.write(self.fd, data)

    def read(self, n, timeout=TIMEOUT):
        """Up to n bytes, what came when the time is over."""
        data = b''
        end = time.monotonic() + timeout
        while len(data) < n:
            ready, _, _ = select.select([self.fd], [], [],
                                        max(0, end - time.monotonic()))
            if not ready:
                break
            data += os.read(self.fd, n - len(data))
        return data


# ---- how toolstacks start a device model --------------------------------

def xl_command(vnc='127.0.0.1:0,to=99', serial='pty', vga='VGA', vgamem=16,
               usb=('-usb', '-usbdevice', 'tablet'), cd=True, nic=None,
               paused=False, extra=(), incoming=None):
    """The command line of libxl 4.17 and later, in its order."""
    def command(machine):
        sock = machine.listen('qmp')
        args = ['-xen-domid', str(machine.domid), '-no-shutdown',
                '-chardev', f'socket,id=libxl-cmd,fd={sock.fileno()},'
                            'server=on,wait=off']
        if paused:
            args.append('-S')
        args += ['-mon', 'chardev=libxl-cmd,mode=control',
                 '-chardev', 'socket,id=libxenstat-cmd,path=' +
                 machine.path('xenstat') + ',server=on,wait=off',
                 '-mon', 'chardev=libxenstat-cmd,mode=control',
                 '-nodefaults', '-no-user-config',
                 '-name', f'standin-{machine.domid}']
        if vnc:
            args += ['-vnc', vnc.replace('{folder}', machine.folder)]
        args += ['-display', 'none']
        if serial:
            args += ['-serial', serial]
        if vga:
            args += ['-device', f'{vga},vgamem_mb={vgamem}']
        args += ['-boot', 'order=cda', *usb,
                 '-smp', f'{machine.vcpus},maxcpus={machine.vcpus}']
        if nic:
            args += ['-device', f'{nic},id=nic0,netdev=net0,'
                                'mac=00:16:3e:00:00:01',
                     '-netdev', 'hubport,id=net0,hubid=0']
        else:
            args += ['-net', 'none']
        args += [*extra, '-machine', 'xenfv,suppress-vmdesc=on',
                 '-m', str(machine.memory)]
        if cd:
            args += ['-drive', 'if=none,readonly=on,id=ide-5632',
                     '-device', 'ide-cd,bus=ide.1,unit=0,drive=ide-5632,'
                                'id=ide-5632']
        if incoming:
            state = open(incoming, 'rb')    # closed once handed over
            machine.listeners.append(state)
            args += ['-incoming', f'fd:{state.fileno()}']
        return args
    return command


def xenopsd_command(serial='pty', usb=('-usb', '-device',
                                       'usb-tablet,port=2'), extra=()):
    """The command line of xapi's xenopsd, without what only its own patch
    queue understands."""
    def command(machine):
        return [
            '-vnc', f'unix:{machine.path("vnc")},lock-key-sync=off',
            '-monitor', 'null', '-pidfile', machine.path('pid'),
            '-xen-domid', str(machine.domid),
            '-m', f'size={machine.memory}', '-boot', 'order=cdn', *usb,
            '-smp', f'{machine.vcpus},maxcpus={machine.vcpus}',
            '-serial', serial, '-display', 'none', '-nodefaults',
            '-trace', 'enable=xen_platform_log',
            '-sandbox', 'on,obsolete=deny,elevateprivileges=allow,'
                        'spawn=deny,resourcecontrol=deny',
            '-S', '-parallel', 'null',
            '-qmp', f'unix:{machine.path("qmp")},server,nowait',
            '-qmp', f'unix:{machine.path("qmp-event")},server,nowait',
            '-device', 'VGA,vgamem_mb=8',
            '-device', 'xen-platform,addr=3', *extra,
            '-machine', 'pc-i440fx-2.10,accel=xen,suppress-vmdesc=on']
    return command


# ---- saying what was found ----------------------------------------------

class Report:
    """Prints TAP lines; in stock mode a case may be required to fail."""

    def __init__(self, suite, stock=False):
        self.suite = suite
        self.stock = stock
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()

    def say(self, text):
        with self.lock:
            for line in str(text).splitlines():
                print('# ' + line, flush=True)

    def _result(self, good, name, detail):
        with self.lock:
            print(('ok' if good else 'not ok') + f' - {self.suite}: {name}',
                  flush=True)
            for line in str(detail).splitlines():
                print('# ' + line, flush=True)
            if good:
                self.passed += 1
            else:
                self.failed += 1

    def skip(self, name, reason):
        with self.lock:
            print(f'ok - {self.suite}: {name} # SKIP {reason}', flush=True)
            self.skipped += 1

    @contextlib.contextmanager
    def case(self, name, stock='passes', machine=None):
        """One test.  stock says what the unpatched binary does with it:
        passes, fails, or either (then it is not judged)."""
        problem = None
        try:
            yield
        except Exception as e:          # pylint: disable=broad-except
            problem = f'{type(e).__name__}: {e}' \
                if not isinstance(e, Failure) else str(e)
            if machine is not None and machine.process and not self.stock:
                problem += '\nlog: ' + machine.complaint()
        if not self.stock:
            self._result(problem is None, name, problem or '')
        elif stock == 'passes':
            self._result(problem is None, name, problem or '')
        elif stock == 'fails':
            self._result(problem is not None, name +
                         ' (stock must fail this)',
                         problem or 'stock passed')
        else:
            self._result(True, name + ' (not judged on stock)',
                         problem or '')


def expect(condition, message):
    """Fail the case with a message unless the condition holds."""
    if not condition:
        raise Failure(message)
