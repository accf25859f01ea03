# SPDX-License-Identifier: GPL-2.0-or-later
"""A display is refreshed only for somebody who looks."""

import errno
import os
import re
import socket
import subprocess
import time

from spice import Channel, Spice
from standin import (Count, Failure, Rfb, expect, private_memory, settle,
                     threads, xl_command)

from . import group, ours
from .gates import plugged

WINDOW = 10.0


def graphics_machine(b):
    m = b.machine()
    m.guest.graphics()
    m.guest.draw(0x10, lines=480)
    # A viewer who came while the mode changes would see it change.
    m.qmp().execute('screendump', filename=os.path.join(m.folder, 'first'))
    return m


def looking(m):
    """A viewer who has the whole picture and asked for what changes."""
    viewer = m.view()
    viewer.request(incremental=False)
    viewer.update()
    viewer.request()
    return viewer


@group()
def first_frame(b):
    with graphics_machine(b) as m:
        settle([m.pid], 0.5, 2)
        with b.report.case('a viewer gets its first full frame at once',
                           'fails', m):
            took = []
            for i in range(9):
                m.guest.draw(0x40 + i, lines=480)
                viewer = m.view()
                start = time.monotonic()
                viewer.request(incremental=False)
                viewer.update()
                took.append((viewer.arrived - start) * 1000)
                shown = viewer.pixel(3, 3)
                viewer.close()
                expect(shown == 0x40 + i,
                       f'the frame shows {shown:#x}, not {0x40 + i:#x}')
                time.sleep(0.05)
            took.sort()
            b.report.say(f'first full frame after median {took[4]:.1f} ms, '
                         f'longest {took[-1]:.1f} ms')
            expect(took[4] < 40, f'median {took[4]:.1f} ms')


@group(alone=False)
def viewer_without_thread(b):
    """Stock ends at its start when it cannot have the thread."""
    with b.machine() as m, \
            b.report.case('no thread for a viewer: he is turned away, the '
                          'guest runs on, the next one is served', 'either', m):
        m.guest.run('fault', 'pthread_create', 0, 1, errno.EAGAIN)
        try:
            m.view()
            raise Failure('he was let in')
        except Failure as e:
            expect('connection was closed' in str(e), str(e))
        expect('no thread can be had' in m.output(), m.complaint())
        m.guest.outb(0x3ff, 0x5a)
        expect(m.guest.inb(0x3ff) == 0x5a, 'no answer')
        looking(m).close()


@group(alone=False)
def viewer_leaves(b):
    with graphics_machine(b) as m:
        one, two = looking(m), looking(m)
        one.close()
        with b.report.case('one of two viewers leaves: the other goes on '
                           'seeing', machine=m):
            m.guest.draw(0x51, lines=480)
            took = two.wait_pixel(2, 2, 0x51, 4.5)
            b.report.say(f'seen after {took * 1000:.0f} ms')
        two.close()
        with b.report.case('the last viewer leaves: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')
        with b.report.case('one who comes then sees at once', machine=m):
            m.guest.draw(0x52, lines=480)
            again = looking(m)
            expect(again.pixel(2, 2) == 0x52, 'the picture is an old one')
            again.close()
        rude = looking(m)
        rude.sock.shutdown(2)
        rude.close()
        with b.report.case('a viewer who vanishes: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


def text_machine(b, command=None):
    m = b.machine(command or xl_command())
    m.guest.text()
    m.qmp().execute('screendump', filename=os.path.join(m.folder, 'first'))
    return m


@group(alone=False)
def text_mode(b):
    with text_machine(b) as m:
        viewer = looking(m)
        backed_off(b, m, 'a still text screen with a blinking cursor')
        for buffered in (False, True):
            how = 'by the ring' if buffered else 'by a request'
            # Each in a cell of its own; both solid white on black.
            cell = 0xb8000 + (80 * 5 + 10 + buffered) * 2
            x, y = (10 + buffered) * 9 + 4, 5 * 16 + 8
            with b.report.case(f'a character written {how} is seen at once',
                               'either', m):
                if buffered:
                    time.sleep(12)
                expect(viewer.pixel(x, y) == 0, 'the screen was not black')
                start = time.monotonic()
                if buffered:
                    m.guest.buffered(cell, 0x0f01, 1, 1)
                else:
                    m.guest.store(cell, 0x0f01, 2)
                while viewer.pixel(x, y) != 0xff:
                    viewer.update(5)
                    viewer.request()
                took = time.monotonic() - start
                b.report.say(f'a character written {how}: seen after '
                             f'{took * 1000:.0f} ms')
                expect(took < 0.6, f'after {took:.2f} s')
        viewer.close()


def grey_of(path, x=2, y=2):
    """The grey value of a pixel of a portable pixmap."""
    with open(path, 'rb') as f:
        magic, size, depth, data = f.read().split(b'\n', 3)
    if magic != b'P6' or depth != b'255':
        raise Failure(f'{path} is no pixmap')
    width = int(size.split()[0])
    return data[(y * width + x) * 3]


@group(alone=False)
def screendump(b):
    with graphics_machine(b) as m:
        path = os.path.join(m.folder, 'screen.ppm')
        settle([m.pid], 1, 4)
        for value in (0x61, 0x62):
            with b.report.case(f'a screendump with no viewer is fresh '
                               f'({value:#x})', machine=m):
                m.guest.draw(value, lines=480)
                m.qmp().execute('screendump', filename=path)
                expect(grey_of(path) == value,
                       f'it shows {grey_of(path):#x}')
        with b.report.case('after a screendump: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


def backed_off(b, m, name):
    """Wait out the twelve seconds; then at most four wakes in ten."""
    time.sleep(12)
    count = Count(m.pid)
    time.sleep(WINDOW)
    with b.report.case(name, 'fails', m):
        # Who has to make room for others was not woken by that.
        wakes = count.voluntary()
        b.report.say(f'{name}: {wakes} wakes in {WINDOW:.0f} s, '
                     f'threads {count.threads()}')
        expect(wakes <= 4, f'{wakes} wakes in {WINDOW:.0f} s: '
                           f'{count.threads()}')


@group(alone=False)
def still_screen(b):
    with graphics_machine(b) as m:
        viewer = looking(m)
        backed_off(b, m, 'a still screen with a viewer is looked at ever '
                         'less')
        with b.report.case('what the guest draws by itself is seen within '
                           '3 s', machine=m):
            m.guest.draw(0x71, lines=480)
            took = viewer.wait_pixel(1, 1, 0x71)
            b.report.say(f'seen after {took * 1000:.0f} ms')
            expect(took < 3.5, f'after {took:.1f} s')
        with b.report.case('a guest that goes on drawing is seen at full '
                           'rate', machine=m):
            seen = 0
            # One change is a clock; what follows is motion.
            for i in range(1000):
                if i == 4:
                    start = time.monotonic()
                elif i > 4 and time.monotonic() > start + 2:
                    break
                m.guest.draw(0x80 + i % 64, lines=480)
                viewer.wait_pixel(1, 1, 0x80 + i % 64)
                seen += i >= 4
            b.report.say(f'{seen / 2:.0f} pictures a second')
            expect(seen >= 20, f'{seen} pictures in 2 s')


def prompt(b, m, viewer, name, act, stock='either'):
    """After backing off, act() must make a drawing visible at once."""
    with b.report.case(name, stock, m):
        time.sleep(12)
        m.guest.draw(0x90, lines=1, y=100)
        start = time.monotonic()
        act()
        # What act() itself may have asked for comes with the picture.
        while viewer.pixel(1, 100) != 0x90:
            viewer.update(5)
            viewer.request()
        took = time.monotonic() - start
        b.report.say(f'{name}: seen after {took * 1000:.0f} ms')
        expect(took < 0.6, f'seen after {took:.2f} s')


def press_key(_, viewer):
    viewer.key(0x61, True)
    viewer.key(0x61, False)


def move_cursor(m, _):
    m.guest.outb(0x3d4, 0x0e)
    m.guest.outb(0x3d5, 0x01)


# name of the group, of the case, what the viewer looks at first, what is done
PROMPTS = [
    ('back_by_input', "a viewer's pointer", 640,
     lambda m, viewer: viewer.pointer(10, 10)),
    ('back_by_key', "a viewer's key", 640, press_key),
    ('back_by_request', "a viewer's new request area", 64,
     lambda m, viewer: viewer.request()),
    ('back_by_access', 'a display access', 640, move_cursor),
]


def prompt_group(name, title, width, act):
    def run(b):
        with graphics_machine(b) as m:
            viewer = m.view()
            viewer.request(incremental=False, width=width)
            viewer.update()
            viewer.request(width=width)
            prompt(b, m, viewer, f'{title} brings back the full rate',
                   lambda: act(m, viewer))
            viewer.close()
    run.__name__ = name
    group(alone=False)(run)


for parameters in PROMPTS:
    prompt_group(*parameters)


@group(alone=False)
def back_by_mode(b):
    with graphics_machine(b) as m:
        viewer = looking(m)
        with b.report.case('a new video mode is shown at once', 'either', m):
            time.sleep(8)
            start = time.monotonic()
            m.guest.graphics(800, 600)
            while (viewer.width, viewer.height) != (800, 600):
                viewer.update(5)
                viewer.request()
            took = time.monotonic() - start
            b.report.say(f'new mode seen after {took * 1000:.0f} ms')
            expect(took < 0.6, f'seen after {took:.2f} s')


CELL, CELL_X, CELL_Y = 0xb8000 + (80 * 5 + 10) * 2, 10 * 9 + 4, 5 * 16 + 8


@group(alone=False)
def given_back(b):
    """What a viewer of a picture needs that the device model draws."""
    for vga, vgamem in ('VGA', 16), ('cirrus-vga', 8):
        with text_machine(b, xl_command(vga=vga, vgamem=vgamem)) as m:
            m.guest.store(CELL, 0x0f01, 2)
            m.qmp().execute('screendump', filename=m.path('before'))
            expect(grey_of(m.path('before'), CELL_X, CELL_Y) == 0xff,
                   'the character is not there')
            settle([m.pid], 4, 10)
            before = private_memory(m.pid, 'Dirty')
            alone = threads(m.pid)
            viewer = looking(m)
            with b.report.case(f'{vga}: a thread encodes pictures only once '
                               'there is a client', 'fails', m):
                expect(threads(m.pid) == alone + 1,
                       f'{alone} threads before, {threads(m.pid)} now')
            viewer.close()
            settle([m.pid], 4, 10)
            with b.report.case(f'{vga}: when the viewer leaves, memory is '
                               'given back', 'fails', m):
                after = private_memory(m.pid, 'Dirty')
                b.report.say(f'{vga}: before {before >> 10} KiB, '
                             f'after {after >> 10} KiB')
                expect(after < before + (256 << 10),
                       f'{after - before >> 10} KiB more than before')
            with b.report.case(f'{vga}: the picture is there again for a '
                               'screendump', 'either', m):
                m.qmp().execute('screendump', filename=m.path('again'))
                with open(m.path('before'), 'rb') as one, \
                        open(m.path('again'), 'rb') as two:
                    expect(one.read() == two.read(), 'it is another')
            viewer = looking(m)
            viewer.close()
            settle([m.pid], 1, 5)
            with b.report.case(f'{vga}: the picture is there again for the '
                               'next viewer', machine=m):
                viewer = looking(m)
                expect(viewer.pixel(CELL_X, CELL_Y) == 0xff, 'it is black')
                viewer.close()


# ---- the rule, for every display back end of the build -----------------

class Vnc:
    """A viewer by VNC."""

    def __init__(self, m):
        self.rfb = looking(m)
        self.close = self.rfb.close

    @staticmethod
    def command(_):
        return xl_command()

    @staticmethod
    def strangers(m):
        """Connections that never ask for a picture: [(how, socket)]."""
        silent = socket.create_connection(m.vnc_address())
        return [('says nothing', silent),
                ('is let in and asks for nothing', Rfb(m.vnc_address()))]

    def press(self):
        press_key(None, self.rfb)

    def wait_grey(self, value, timeout):
        return self.rfb.wait_pixel(2, 2, value, timeout)


class SpiceViewer(Spice):
    """A viewer by SPICE."""

    def __init__(self, m):
        super().__init__(m.path('spice'))

    @staticmethod
    def command(vga, *more):
        def command(m):
            return xl_command(vnc=None, vga=vga, extra=(
                *more, '-spice', f'unix=on,addr={m.path("spice")},'
                'disable-ticketing=on,image-compression=off,'
                'streaming-video=off'))(m)
        return command

    @staticmethod
    def strangers(m):
        silent, main = Channel(m.path('spice')), Channel(m.path('spice'))
        main.link(1)
        return [('says nothing', silent),
                ('is let in and opens no display', main)]


# What the build can show a display with, and how a viewer comes.
BACK_ENDS = {
    'vnc': [('VNC', Vnc, 'VGA')],
    'spice': [('SPICE', SpiceViewer, 'VGA'),
              ('SPICE with QXL', SpiceViewer, 'qxl-vga')],
}

# Seconds after a key at which the guest draws: in the middle of what would be
# the long intervals of a screen that has been still for so long.
INPUT_LOOKS = (5.3, 20)


def watch(b, name, kind, vga):
    """The whole life of a display: nobody, strangers, a viewer, nobody."""
    with b.machine(kind.command(vga)) as m:
        m.guest.graphics()
        m.guest.draw(0x10, lines=480)
        m.qmp().execute('screendump', filename=m.path('first'))
        with b.report.case(f'{name}: nobody looks: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')
        strangers = kind.strangers(m)
        for how, _ in strangers:
            with b.report.case(f'{name}: one who {how}: silence', 'fails', m):
                expect(settle([m.pid], 4, 10), 'it went on running')
        for _, stranger in strangers:
            stranger.close()
        viewer = kind(m)
        m.guest.draw(0x20, lines=480)
        viewer.wait_grey(0x20, 5)
        backed_off(b, m, f'{name}: a still screen is looked at ever less')
        with b.report.case(f'{name}: what the guest draws by itself is seen '
                           'within 3 s', machine=m):
            m.guest.draw(0x30, lines=480)
            took = viewer.wait_grey(0x30, 5)
            b.report.say(f'{name}: seen after {took * 1000:.0f} ms')
            expect(took < 3.5, f'after {took:.1f} s')
        with b.report.case(f'{name}: a key brings back the full rate',
                           'either', m):
            time.sleep(12)
            m.guest.draw(0x40, lines=480)
            viewer.press()
            took = viewer.wait_grey(0x40, 5)
            b.report.say(f'{name}: seen after {took * 1000:.0f} ms')
            expect(took < 0.6, f'after {took:.2f} s')
        with b.report.case(f'{name}: what a key has started is seen within '
                           '1 s', 'either', m):
            for i, wait in enumerate(INPUT_LOOKS):
                viewer.press()
                time.sleep(wait)
                m.guest.draw(0x50 + i, lines=480)
                took = viewer.wait_grey(0x50 + i, 5)
                b.report.say(f'{name}: {wait} s after a key, seen after '
                             f'{took * 1000:.0f} ms')
                expect(took < 1, f'{wait} s after it: seen after {took:.2f} s')
        viewer.close()
        with b.report.case(f'{name}: the viewer leaves: silence', 'fails', m):
            expect(settle([m.pid], 4, 10), 'it went on running')


def back_end_group(name, kind, vga):
    def run(b):
        watch(b, name, kind, vga)
    run.__name__ = 'back_end_' + re.sub(r'\W+', '_', name).lower()
    group(alone=False, early=True)(run)


for parameters in sum(BACK_ENDS.values(), []):
    back_end_group(*parameters)


@group(alone=False)
def qxl_driver(b):
    """What Windows' and Linux' QXL drivers do first: BAR 3, and a mode. The
    worker then takes what they draw out of the guest's memory by itself."""
    with b.machine(SpiceViewer.command('qxl-vga')) as m:
        bdf = m.guest.find_pci(0x030000)
        m.guest.config_write(bdf, 0x10, m.guest.LFB)
        m.guest.config_write(bdf, 0x1c, 0xc200)
        m.guest.config_write(bdf, 4, 7, 2)
        m.guest.outb(0xc200 + 6, 4)
        viewer = SpiceViewer(m)
        time.sleep(1)
        backed_off(b, m, "SPICE with the guest's own QXL driver")
        viewer.close()


@group(alone=False)
@ours
def tablet_by_spice(b):
    with b.machine(SpiceViewer.command('VGA', '-pulsar',
                                       'usb_tablet=viewer')) as m, \
            b.report.case('usb_tablet=viewer: plugged in while a SPICE client '
                          'looks', 'fails', m):
        m.qmp()     # or it would miss events
        strangers = SpiceViewer.strangers(m)
        expect(not plugged(m), 'it is plugged in for who opens no display')
        viewer = SpiceViewer(m)
        m.guest.graphics()
        m.guest.draw(0x20, lines=480)
        viewer.wait_grey(0x20, 5)
        expect(plugged(m), 'it is not plugged in')
        viewer.close()
        for _ in viewer.channels:
            m.qmp().wait_event('SPICE_DISCONNECTED')
        expect(not plugged(m), 'it stayed when the client had left')
        for _, stranger in strangers:
            stranger.close()


@group(alone=False)
def back_ends(b):
    with b.machine() as m:
        commands = {c['name'] for c in m.qmp().execute('query-commands')}
    shown = subprocess.run([b.binary, '-display', 'help'], check=True,
                           capture_output=True, text=True).stdout
    built = {name for name in ('vnc', 'spice') if f'query-{name}' in commands}
    built |= set(re.search(r':\n((?:\S+\n)*)', shown).group(1).split())
    with b.report.case('every display back end of the build is held to the '
                       'rule'):
        expect(not built - {'none'} - set(BACK_ENDS),
               f'the build has {sorted(built)}, cases there are for '
               f'{sorted(BACK_ENDS)}')
