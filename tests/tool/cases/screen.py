# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen of pulsar top, in a real terminal."""

import os
import re
import signal
import time

from harness import case, check, equal, OK, SYSTEM
from terminal import Terminal
from cases.top import switches


def top(host, *args, **more):
    return Terminal(host, host.tool, 'top', '--no-stock', '-d', 0.3, *args,
                    **more)


def rows(lines):
    """{name: columns} of the VMs on the screen, in order."""
    ret = {}
    for line in lines:
        match = re.match(r' *(\d+) (\S+) +(.*)', line)
        if match and ' under Pulsar, ' not in line:
            ret[match.group(2)] = match.group(3).split()
    return ret


def cause(name, want):
    """A condition: that is the last column of NAME's row."""
    return lambda lines: rows(lines).get(name, [''])[-1] == want


def order(*names):
    return lambda lines: list(rows(lines)) == list(names)


@case(sanitised=True)
def screen_follows(host):
    web = host.dm(1, name='web')
    host.dm(2, name='mail')
    with top(host) as t:
        t.wait(cause('web', 'asleep'), 'web asleep')
        check('2 VMs (2 under Pulsar, 0 stock)' in t.screen()[1], 'summary')
        web.say('now', 'wake timer:uhci_frame_timer 100')
        t.wait(cause('web', 'timer:uhci_frame_timer'), 'what woke it')
        t.wait(cause('web', 'asleep'), 'web asleep again')
        host.dm(3, name='late')
        t.wait(cause('late', 'asleep'), 'a VM that was started')
        web.leave()
        t.wait(lambda lines: 'web' not in rows(lines), 'web gone')
        host.dms[1].crash()
        t.wait(cause('mail', '(crashed)'), 'mail crashed')
        t.keys('q')
        equal(t.ended(), OK, 'exit')


@case
def screen_unfolds_a_vm(host):
    web = host.dm(1, name='web')
    host.dm(2, name='mail')
    with top(host, '-s', 'domid') as t:
        t.wait(cause('web', 'asleep'), 'web')
        t.keys('Enter')
        t.wait_text('nothing woke it')
        t.keys('Space')
        t.wait_text('FROZEN')
        t.keys('Space')
        web.say('now', 'wake timer:gui_update 30', 'wake pio-read:ide 60 5000')
        lines = t.wait(lambda lines: any('pio-read:ide  ' in line
                                         for line in lines) and lines,
                       'its causes')
        at = [n for n, line in enumerate(lines) if 'pio-read:ide  ' in line][0]
        check(re.search(r'pio-read:ide +[\d.]+ wakes/s +[\d.]+ events/s +'
                        r'[\d.]+ us/s', lines[at]), lines[at])
        check('timer:gui_update' in lines[at + 1], lines[at + 1])
        check(rows(lines[at + 2:]).get('mail'), 'the next VM below')
        t.wait_text('nothing woke it')
        t.keys('x')
        t.wait(lambda lines: 'nothing woke it' not in '\n'.join(lines),
               'folded again')
        t.keys('Down', 'x')
        t.wait_text('nothing woke it')
        t.keys('X')
        t.wait(lambda lines: 'nothing woke it' not in '\n'.join(lines),
               'all folded')


@case
def screen_sorts(host):
    host.dm(1, name='b')
    host.dm(2, name='c')
    host.dm(3, 'thread w 1', name='a')
    with top(host) as t:
        t.wait_text('by wakes')
        t.wait(order('b', 'c', 'a'), 'equals by domain id')
        t.keys('<')
        t.wait_text('by name')
        t.wait(order('a', 'b', 'c'), 'by name')
        t.keys('o')
        t.wait_text('by name reversed')
        t.wait(order('c', 'b', 'a'), 'by name reversed')
        t.keys('o', 'Left')
        t.wait_text('by domid')
        t.keys('<', '<')
        t.wait(order('b', 'c', 'a'), 'by domain id')
        t.keys(*['Right'] * 9)
        t.wait_text('by threads')
        t.wait(order('a', 'b', 'c'), 'by threads')
        t.keys('>', '>', '>')
        t.wait_text('by cause')


@case
def screen_filters(host):
    web = host.dm(1, name='web-1')
    host.dm(2, name='mail')
    host.dm(3, name='web-2')
    with top(host) as t:
        t.wait(order('web-1', 'mail', 'web-2'), 'all')
        t.keys('f')
        t.wait_text('Regular expression for names: _')
        t.type('^WEBx')
        t.keys('BSpace', 'Enter')
        t.wait(order('web-1', 'web-2'), 'filtered')
        t.wait_text('names like ^WEB')
        t.keys('f')
        t.type('(')
        t.keys('Enter')
        t.wait_text('missing')
        t.wait(order('web-1', 'web-2'), 'the filter before')
        t.keys('f')
        t.type('nix')
        t.keys('Escape')
        t.wait_text('h help')
        t.wait(order('web-1', 'web-2'), 'the filter before')
        t.keys('c')
        t.wait(order('web-1', 'mail', 'web-2'), 'all again')
        t.keys('f')
        t.type('nix')
        t.keys('Enter')
        t.wait_text('No VM fits')
        t.keys('c', 'a')
        t.wait_text('only those awake')
        t.wait(order(), 'nobody is awake')
        web.say('now', 'wake timer:x 9')
        t.wait(order('web-1'), 'one is awake')
        t.keys('c')
        t.wait(order('web-1', 'mail', 'web-2'), 'all once more')


@case
def screen_freezes(host):
    """Frozen, it neither changes nor wakes."""
    web = host.dm(1, name='web')
    with top(host) as t:
        t.wait(cause('web', 'asleep'), 'web')
        t.keys('p')
        t.wait_text('FROZEN')
        pid = t.pid_of('pulsar')
        before, screen = switches(pid), t.screen()
        web.say('now', 'wake timer:x 100')
        time.sleep(1)           # the window in which nothing may happen
        equal(switches(pid), before, 'context switches')
        equal(t.screen(), screen, 'screen')
        t.keys('p')
        t.wait(cause('web', 'timer:x'), 'what happened meanwhile')


@case
def screen_takes_another_interval(host):
    host.dm(1, name='web')
    with top(host) as t:
        t.wait_text('every 0.3 s')
        for bad in '0', '5x', '99999', 'nan':
            t.keys('s')
            t.wait_text('Seconds between two looks: _')
            t.type(bad)
            t.keys('Enter')
            t.wait_text(f"'{bad}' is no interval; accepted is a number from "
                        f"0.1 to 3600")
        t.wait_text('every 0.3 s')
        t.keys('s')
        t.type('0.5')
        t.keys('Enter')
        t.wait_text('every 0.5 s')


@case
def screen_scrolls_and_keeps_the_choice(host):
    for n in range(1, 41):
        host.dm(n, name=f'vm-{n:02}')
    with top(host, '-s', 'domid', height=14) as t:
        t.wait(lambda lines: list(rows(lines))[:1] == ['vm-01'] and
               len(rows(lines)) == 10, 'the first ten')
        t.keys('End')
        t.wait(lambda lines: list(rows(lines))[-1:] == ['vm-40'], 'the last')
        t.keys('Home')
        t.wait(lambda lines: list(rows(lines))[:1] == ['vm-01'], 'the first')
        t.keys('NPage', 'NPage')
        t.wait(lambda lines: 'vm-19' in rows(lines), 'two pages down')
        t.keys('PPage', 'PPage', 'Up', 'k', 'j', 'Down', 'Enter')
        t.wait(lambda lines: any('vm-03' in a and 'nothing woke' in b
                                 for a, b in zip(lines, lines[1:])), 'vm-03')
        # Who is chosen stays chosen when the order turns.
        t.keys('x')
        t.keys('Home', 'Down', 'Enter')
        t.wait_text('nothing woke it')
        t.keys('o')
        t.wait(lambda lines: 'vm-02' in rows(lines), 'the chosen one in view')
        lines = t.screen()
        at = [n for n, line in enumerate(lines) if 'vm-02' in line][0]
        check('nothing woke it' in lines[at + 1], 'unfolded still')


@case(sanitised=True)
def screen_stands_any_size(host):
    for n in range(1, 31):
        host.dm(n, name=f'vm-{n}')
    with top(host) as t:
        t.wait(lambda lines: len(rows(lines)) == 20, 'twenty rows')
        for width, height in (40, 10), (20, 4), (10, 3), (5, 2), (2, 1), \
                             (1, 1), (200, 50):
            t.resize(width, height)
            host.dms[0].say('now', 'wake timer:x 5')
            t.keys('Down', 'h', 'Space', 'x', 's', 'Escape')
        t.keys('X')
        t.wait(lambda lines: len(rows(lines)) == 30, 'all rows')
        t.wait_text('h help')
        t.resize(60, 12)
        lines = t.wait(lambda lines: len(rows(lines)) == 8 and lines,
                       'eight rows')
        check(max(map(len, lines)) <= 60, 'wider than the terminal')
        t.keys('q')
        equal(t.ended(), OK, 'exit')


@case
def screen_helps(host):
    with top(host) as t:
        t.wait_text('No VM is running here. This waits for one.')
        t.keys('h')
        for words in 'unfold a VM', 'freeze the figures', 'leave':
            t.wait_text(words)
        t.keys('h')
        t.wait_text('No VM is running here')
        t.keys('?')
        t.wait_text('freeze the figures')
        t.keys('Escape', '%')
        t.wait_text("No such key; 'h' tells them.")


@case(sanitised=True)
def screen_of_foreign_text(host):
    dm = host.dm(1, name=r'\x1b[2Jx\x07\x9b5m')
    host.dm(2, name='Zürich-東京')
    with top(host) as t:
        t.wait_text(r'\x1b[2Jx\x07\x9b5m')
        t.wait_text('Zürich-東京')
        t.keys('Enter')
        dm.say('now', r'wake timer:\x1b[31mred 5')
        t.wait_text(r'timer:\x1b[31mred')
    with top(host, env={'LC_ALL': 'C'}) as t:
        t.wait_text(r'Z\xc3\xbcrich')


@case
def screen_without_colours(host):
    dm = host.dm(1, name='web')
    colour = re.compile('\x1b\\[[0-9;]*3[0-7]m')
    for env, want in (({}, True), ({'NO_COLOR': '1'}, False),
                      ({'TERM': 'vt100'}, False)):
        with top(host, env=env) as t:
            t.wait(cause('web', 'asleep'), f'web, {env}')
            dm.say('now', 'wake timer:x 9')
            t.wait(cause('web', 'timer:x'), f'awake, {env}')
            have = bool(colour.search('\n'.join(t.screen(colours=True))))
            equal(have, want, f'colours with {env}')


@case
def screen_needs_a_known_terminal(host):
    with top(host, env={'TERM': 'no-such-terminal'}) as t:
        equal(t.ended(), SYSTEM, 'exit')
        t.wait_text("TERM='no-such-terminal'")


@case
def screen_says_that_it_cannot_place_the_cursor(host):
    with top(host, env={'TERM': 'dumb'}) as t:
        equal(t.ended(), SYSTEM, 'exit')
        t.wait_text("TERM='dumb'")
        t.wait_text('--once')


@case
def screen_leaves_the_terminal_as_it_was(host):
    host.dm(1, name='web')
    for sig in signal.SIGTERM, signal.SIGINT:
        for frozen in False, True:
            with top(host) as t:
                t.wait(cause('web', 'asleep'), 'web')
                if frozen:
                    t.keys('p')
                    t.wait_text('FROZEN')
                # Ctrl-C would end the shell around it as well.
                os.kill(t.pid_of('pulsar'), sig)
                equal(t.ended(), 128 + sig, f'exit by {sig.name}')
                echo = t.tmux('display-message', '-p', '#{alternate_on}')
                equal(echo.strip(), '0', 'alternate screen')
            os.unlink(os.path.join(host.dir, 'status'))


@case(sanitised=True)
def screen_of_80_columns_tells_the_cause(host):
    """What tells least makes room; what they are sorted by stays."""
    dm = host.dm(1, name='web')
    with top(host, width=80) as t:
        for width in 80, 64:
            t.resize(width, 24)
            t.wait(cause('web', 'asleep'), f'asleep, in {width} columns')
            dm.say('now', 'wake timer:uhci_frame_timer 100')
            t.wait(cause('web', 'timer:uhci_frame_timer'), f'cause in {width}')
            titles = t.screen()[2]
            for title in 'NAME', 'WAKES/s', 'TOP CAUSE':
                check(title in titles, f'{title} in {titles}')
            check('THR' not in titles, titles)
        t.resize(80, 24)
        t.keys('<', '<', '<', *['>'] * 9)
        t.wait_text('by threads')
        check('THR' in t.screen()[2] and 'TOP CAUSE' in t.screen()[2],
              t.screen()[2])
        t.resize(110, 24)
        t.wait_text('PRIVATE')


@case
def screen_ends_with_its_terminal(host):
    host.dm(1, name='web')
    with top(host) as t:
        t.wait(cause('web', 'asleep'), 'web')
        pid = t.pid_of('pulsar')
        handle = os.pidfd_open(pid)
        t.tmux('kill-server')
        import select
        ready, _, _ = select.select([handle], [], [], 30)
        os.close(handle)
        check(ready, 'it still runs')


@case(alone=True)
def screen_of_five_hundred_vms_is_cheap(host):
    dms = [host.dm(n, 'at 0', 'wake timer:x', name=f'guest-{n}', start=60)
           for n in range(1, 501)]
    with Terminal(host, host.tool, 'top', '-d', 0.2, height=50) as t:
        t.wait_text('500 under Pulsar')
        pid = t.pid_of('pulsar')
        begin, used = time.monotonic(), processor(pid)
        while time.monotonic() < begin + 5:
            for dm in dms[::10]:
                dm.say('now', 'wake pio-read:ide 3')
            t.wait_text('awake')
        looks = (time.monotonic() - begin) / 0.2
        each = (processor(pid) - used) / looks
    print(f'# the screen of 500 VMs: {each * 1000:.2f} ms of a processor a '
          f'refresh ({each * 100:.2f} % at 1 s)')
    check(each < 0.02, f'{each * 1000:.1f} ms a refresh')


def processor(pid):
    """Processor time that a process has used, in seconds."""
    with open(f'/proc/{pid}/schedstat', encoding='ascii') as f:
        return int(f.read().split()[0]) / 1e9
