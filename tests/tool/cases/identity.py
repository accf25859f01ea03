# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a page and a process are: as xenstore and the file's name say, and not
as the device model says, which may have been broken into."""

import json
import os
import re
import socket
import subprocess

from harness import case, check, equal, NO_SUCH_VM
from cases.hostile import field
from cases.set import conf, groups, Xapi, xl

UUIDS = ('11111111-1111-4111-8111-111111111111',
         '22222222-2222-4222-8222-222222222222')
LONG = 'a-name-of-more-than-sixty-three-bytes-' + 'x' * 90


class Monitor:
    """A QMP server of this process, that greets and notes what it is told."""

    def __init__(self, path):
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def told(self, child):
        """What a command says to it, which then ends."""
        said = b''
        self.listener.settimeout(0.05)
        while child.poll() is None:
            try:
                client, _ = self.listener.accept()
            except socket.timeout:
                continue
            with client:
                client.settimeout(5)
                try:
                    client.sendall(b'{"QMP": {"version": {}}}\n')
                    said += client.recv(4096)
                except (socket.timeout, ConnectionError):
                    pass
        return said


@case(sanitised=True)
def a_page_that_says_it_is_another(host):
    """A device model writes another VM's name, UUID and domain into its own
    page; who names a VM gets that one."""
    first = host.dm(1, f'uuid {UUIDS[0]}', name='first')
    second = host.dm(2, f'uuid {UUIDS[1]}', name='second')
    second.claim('name first', f'uuid {UUIDS[0]}', f'poke {field("domid")} 1',
                 f'poke {field("pid")} {first.pid}')
    for what, domid in (('first', 1), ('second', 2), (1, 1), (2, 2),
                        (UUIDS[0], 1), (UUIDS[1], 2),
                        (second.path, 2)):
        for command in 'table', 'show':
            vm = host.run(command, what, '--json').json()
            equal((vm['domid'], vm['name'], vm['uuid']),
                  (domid, ('first', 'second')[domid - 1], UUIDS[domid - 1]),
                  f'{command} {what}')
    vms = host.run('top', '-jn', '-d', 0.1, '-s', 'domid').jsons()
    equal([(vm['domid'], vm['name'], vm['uuid'], vm['pid']) for vm in vms],
          [(1, 'first', UUIDS[0], first.pid),
           (2, 'second', UUIDS[1], second.pid)], 'top')
    xl(host, 'set', '2', 'usb=false')
    equal(groups(conf(host)), {'vm second': {'usb': 'false'}}, 'set 2')
    xapi = Xapi(host)
    vms = xapi.vms()
    for n, uuid in enumerate(UUIDS):
        vms[uuid] = dict(vms['u-2'], **{'name-label': f'v{n}', 'platform': {}})
    xapi.write(vms)
    xapi.run('set', '2', 'usb=false')
    equal([xapi.platforms()[u] for u in UUIDS], [{}, {'usb': 'false'}],
          'set 2 by xapi')


@case(sanitised=True)
def a_socket_that_is_somebody_elses(host):
    """Where a device model is said to listen another process does: nothing
    is sent there (SO_PEERCRED)."""
    path = os.path.join(host.dir, 'qmp-libxl-5')
    host.dm(5, f'serve {path}', name='web')
    monitor = Monitor(path)         # at the same place in the folder
    child = host.start('set', '-t', 'xl', '-f', conf(host), 'web',
                       'vnc_idle=30')
    equal(monitor.told(child), b'', 'what the other was told')
    out = child.communicate()[0].decode()
    check('not now: no QMP socket of process' in out, out)


@case
def set_keeps_away_from_xenopsds_socket(host):
    """It holds qmp-event-N for ever, with a queue for one: who waits there
    waits for ever, and keeps xenopsd out when it comes again."""
    event = os.path.join(host.dir, 'qmp-event-5')
    dm = host.dm(5, f'serve {event}', name='web')
    with socket.socket(socket.AF_UNIX) as xenopsd:
        xenopsd.connect(event)
        dm.say('accept')
        for _ in range(5):
            out = xl(host, 'set', '5', 'vnc_idle=30').out
            check('not now: no QMP socket of process' in out, out)
        # Nobody waits in the queue.
        with socket.socket(socket.AF_UNIX) as again:
            again.setblocking(False)
            again.connect(event)
            with socket.socket(socket.AF_UNIX) as third:
                third.setblocking(False)
                third.connect(event)


@case
def set_does_not_wait_in_a_full_queue(host):
    """A server that has a client and as many more waiting as it lets."""
    path = os.path.join(host.dir, 'qmp-libxl-5')
    host.dm(5, f'serve {path}', name='web')
    waiting = []
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(path)
        except BlockingIOError:
            break
        waiting.append(s)
    out = xl(host, 'set', '5', 'vnc_idle=30').out
    check('not now: no QMP socket of process' in out, out)


@case(sanitised=True)
def without_xenstore_nobody_is_sure(host):
    """Shown is what the page says, but nothing is changed by it."""
    env = {'XENSTORED_PATH': '/nowhere'}
    path = os.path.join(host.dir, 'qmp-libxl-5')
    dm = host.dm(5, f'serve {path}')
    dm.claim('name web')
    equal(host.run('table', 'web', '--json', env=env).json()['name'], 'web',
          'shown')
    host.fails(NO_SUCH_VM, 'set', '-t', 'xl', '-f', conf(host), '5',
               'vnc_idle=30', env=env, says=('xenstored', 'name'))
    out = xl(host, 'set', 'web', 'vnc_idle=30', env=env).out
    check('now' not in out.replace('now on', ''), out)


@case(sanitised=True)
def names_longer_than_the_page_has_room_for(host):
    host.dm(5, name=LONG)
    for args in ('table', LONG, '-j'), ('show', LONG, '-j'), \
            ('top', '-jn', '-d', 0.1, '-D', LONG), \
            ('doctor', LONG, '-jn', '-d', 0.1):
        equal(host.run(*args).json()['name'], LONG, args[0])
    for what in '5', LONG:
        xl(host, 'set', what, 'usb=false')
        equal(groups(conf(host)), {f'vm {LONG}': {'usb': 'false'}}, what)


@case(sanitised=True)
def names_are_those_of_now(host):
    """xl rename while the VM runs."""
    host.dm(5, name='before')
    host.xenstored.name(5, b'after')
    for args in ('table', 'after', '-j'), ('show', 'after', '-j'), \
            ('top', '-jn', '-d', 0.1, '-D', 'after'), \
            ('doctor', 'after', '-jn', '-d', 0.1):
        equal(host.run(*args).json()['name'], 'after', args[0])
    host.fails(NO_SUCH_VM, 'table', 'before', says=('before',))
    for what in '5', 'after':
        xl(host, 'set', what, 'usb=false')
        equal(groups(conf(host)), {'vm after': {'usb': 'false'}}, what)


@case(sanitised=True)
def pages_of_those_that_ended_well(host):
    """A restricted device model cannot remove its page; it says that it has
    ended, and nobody calls it crashed."""
    ended = host.dm(5, 'state exited', name='ended')
    ended.crash()
    host.dm(6, name='crashed').crash()
    host.dm(7, name='alive')
    host.dm(8, 'state exited', name='ending')       # lives still
    vms = host.run('top', '-jn', '-d', 0.1, '-s', 'domid').jsons()
    equal([(vm['domid'], vm['state']) for vm in vms],
          [(6, 'crashed'), (7, 'running'), (8, 'exited')], 'top')
    out = host.run('top', '--once', '-n', '-d', 0.1).out
    check('1 crashed' in out and 'ended' not in out, out)
    out = host.run('top', '-n', '-p', '-').out
    check('domain="ended"' not in out, out)
    out = host.run('doctor', '-n', '-d', 0.1).out
    check('ended' not in out, out)
    equal(host.run('table', 5, '-j').json()['state'], 'exited', 'table')
    out = host.run('clean').out
    check(ended.path in out and host.path(6) in out, out)
    equal(sorted(os.listdir(host.rundir)), ['7.ledger', '8.ledger'], 'pages')


def series(text):
    return [line.rsplit(' ', 1)[0] for line in text.splitlines()
            if not line.startswith('#')]


@case(sanitised=True)
def one_series_for_each_domain(host):
    """Two pages or processes for one domain: as when a device model is
    exchanged, or one that ended badly has left its page."""
    host.dm(31007, 'at 0', 'wake timer:x 5', name='twice')
    host.stock(31007, name='twice')
    host.stock(31008, name='stocks')
    host.stock(31008, name='stocks')
    host.dm(31009, name='back').crash()
    host.stock(31009, name='back')
    path = os.path.join(host.dir, 'elsewhere')
    host.dm(31010, name='away')
    # One that claims another's domain and is the busier of the two.
    host.process(31010, 'away', path, start=95).say('at 0', 'wake timer:z 99')
    out = host.run('top', '-p', '-').out
    have = series(out)
    equal(sorted(set(have)), sorted(have), 'series')
    up = dict(re.findall(r'xen_dm_up\{.*domid="(31\d+)".*\} (\d)', out))
    equal({d: up[d] for d in ('31007', '31008', '31009', '31010')},
          dict.fromkeys(('31007', '31008', '31009', '31010'), '1'), 'up')
    check('domid="31007",uuid="",kind="pulsar"' in out and
          'domid="31009",uuid="",kind="stock"' in out, out)
    check('timer:z' not in out, out)


@case(sanitised=True)
def one_series_for_causes_of_one_name(host):
    dm = host.dm(5, 'at 0', 'wake timer:x 5', 'wake timer:y 7')
    with open(dm.path, 'rb') as f:
        offset = f.read().index(b'timer:y')
    dm.say(f'fill {offset + 6} 1 {ord("x")}')
    check(field('seq'), 'the test itself')
    out = host.run('top', '-n', '-p', '-').out
    have = series(out)
    equal(sorted(set(have)), sorted(have), 'series')
    check(re.search(r'cause="timer:x"\} 12$', out, re.M), out)


@case(sanitised=True)
def set_says_what_becomes_of_a_saved_state(host):
    """Changed hardware is from the next start on: what is saved before is
    refused after (xl save, xl restore)."""
    host.dm(5, 'option usb=given default', 'option dvd=none command line',
            'option vnc_idle=off default', name='web')
    out = xl(host, 'set', 'web', 'usb=false').out
    check('web (domain 5) runs with usb=given' in out and
          'refused with usb=false' in out, out)
    for args in ('web', 'usb=true'), ('web', 'dvd=ahci'), \
            ('web', 'vnc_idle=9'), ('other', 'usb=false'):
        out = xl(host, 'set', *args).out
        check('refused' not in out, f'{args}: {out}')
    for args in ('web', '--later'), ('--all',), ('--all', '-n'):
        out = xl(host, 'set', *args, 'usb=no').out
        check('refused with usb=false' in out, f'{args}: {out}')


def doctors_line(host, dm, *args, env=()):
    child = host.start('doctor', str(dm.domid), '-jn', '-d', 0.4, *args,
                       env=env)
    while child.poll() is None:
        dm.say('now', 'wake timer:uhci_frame_timer 5')
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
    lines = json.loads(child.communicate()[0])['findings'][0]['lines']
    return [line for line in lines if line.startswith('pulsar set ')]


@case
def what_doctor_prints_works_as_printed(host):
    """Through a shell, for names that pulsar.conf or a command line cannot
    have, too."""
    for n, name in enumerate((
            'Büro', 'a[b', 'a]b', 'a=b', '-n', '--all', ' web', 'web ', '31',
            'a/b', "it's", 'a  b', 'a$b`c', r'a\x1bb', r'a\x5cb', 'usb',
            '東京', '#x', ';x', '')):
        domid = 100 + n
        uuid = f'{n:08x}-1111-4111-8111-111111111111'
        dm = host.dm(domid, f'uuid {uuid}', name=name)
        for env in {}, {'LC_ALL': 'C'}:
            line, = doctors_line(host, dm, '-t', 'xl', env=env)
            path = conf(host, '')
            words = line.replace('pulsar set', f'{host.tool} set -t xl -f '
                                 f'{path} -l', 1)
            r = subprocess.run(['sh', '-c', words], env={**host.env, **env},
                               capture_output=True, check=False)
            equal(r.returncode, 0, f'{line}: {r.stderr!r}')
            group, = groups(path)
            check(group in (f'vm {name}', f'vm {uuid}'), f'{line}: {group}')
        dm.close()
        os.unlink(dm.path)
