# SPDX-License-Identifier: GPL-2.0-or-later
"""The command with real device models, of which the stand-in plays the
guests."""

import ast
import concurrent.futures
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time

from harness import case, check, equal, TOP
from cases.top import switches, Watch

STANDIN = os.path.join(TOP, 'tests', 'standin')
IDE_STATUS = 0x1f7
WATCHED_SECONDS = 60


def load(name, path):
    """A module of the stand-in's; its package "cases" has our name too."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


standin = load('standin', os.path.join(STANDIN, 'standin.py'))
usb_hc = load('usb_hc', os.path.join(STANDIN, 'cases', 'usb_hc.py'))


class Hall:
    """A host with a xenstored and device models that really are ones."""

    def __init__(self, host):
        standin.require(standin.QEMU, 'run make')
        self.host = host
        self.world = standin.World()
        host.env['XENSTORED_PATH'] = self.world.xenstored.path

    def machine(self, **more):
        return standin.Machine(self.world, standin.QEMU,
                               standin.xl_command(**more), memory=32,
                               env={'PULSAR_RUNDIR': self.host.rundir})

    def machines(self, n):
        """Many at once; there are not enough ports for as many displays."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(
                lambda _: self.machine(vnc='unix:{folder}/vnc'), range(n)))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.world.close()


@contextlib.contextmanager
def again_and_again(action, pause):
    """Plays ACTION with a pause in between for as long as the block runs."""
    end = threading.Event()

    def play():
        while not end.wait(pause):
            action()

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@case(alone=True)
def hundred_device_models_and_who_wakes_them(host):
    with Hall(host) as hall, contextlib.ExitStack() as stack:
        machines = hall.machines(100)
        polled, usb, chatty, viewed, *idle = machines
        controller = usb_hc.Uhci(usb)
        controller.tablet()
        viewer = viewed.view()
        stack.callback(viewer.close)
        viewer.request(incremental=False)
        viewer.update()
        node = f'/local/domain/0/backend/qdisk/{chatty.domid}'
        for m in machines:
            check(m.alive(), f'domain {m.domid} ended with '
                  f'{m.process.returncode}: {m.output()}')
        standin.settle([m.pid for m in idle])
        before = {m.domid: switches(m.pid) for m in idle}

        with again_and_again(lambda: polled.guest.inb(IDE_STATUS), 0.03), \
                again_and_again(lambda: chatty.xenstore.write(node, ''), 0.1):
            vms = {vm['domid']: vm for vm in host.run(
                'top', '--json', '--once', '--interval', 5,
                '--no-stock').jsons()}
            equal(len(vms), 100, 'VMs')
            # By name: the wakes of these three have one cause.
            for m, pattern in ((polled, 'pio-read:ide'),
                               (usb, 'timer:uhci_frame_timer'),
                               (chatty, 'xenstore:.*'),
                               (viewed, 'timer:gui_update|vnc:.*')):
                vm = vms[m.domid]
                check(re.fullmatch(pattern, vm['top_cause'] or ''),
                      f'top cause {vm["top_cause"]}, wanted {pattern}: '
                      f'{vm["causes"]}')
            awake = [vm for vm in vms.values() if vm['wakes']]
            equal({vm['domid'] for vm in awake},
                  {m.domid for m in (polled, usb, chatty, viewed)},
                  'who is awake')
            check(all(vm['switches'] == 0 for vm in vms.values()
                      if vm not in awake), 'a sleeper has switched')
            for vm in awake:
                named = sum(c['wakes'] for c in vm['causes'])
                equal(named, vm['wakes'], f'wakes by cause of {vm["name"]}')
                unnamed = sum(c['wakes'] for c in vm['causes'] if re.match(
                    'unclaimed|overflow|.*:0x', c['cause']))
                check(unnamed <= vm['wakes'] / 100, vm['causes'])

        # Watched for a minute, and let alone after that.
        host.run('top', '--batch', '-i', WATCHED_SECONDS, '-d', 1, '-n')
        after = {m.domid: switches(m.pid) for m in idle}
        equal(after, before, f'context switches of the {len(idle)} that '
              f'sleep, watched for {WATCHED_SECONDS} s')
        print(f'# {len(idle)} of 100 device models slept through '
              f'{WATCHED_SECONDS} s of being watched')


class UsbGuest:
    """Starts a USB controller that it finds, and lets it run."""

    def __init__(self, machine):
        with contextlib.suppress(standin.Failure):
            usb_hc.Uhci(machine).tablet()

    def act(self):
        pass


class SerialGuest:
    """Writes to the serial port all the time, if there is one."""

    def __init__(self, machine):
        self.guest = machine.guest

    def act(self):
        self.guest.outb(0x3f8, 0x2e)


class DvdGuest:
    """Asks the drive on the second IDE channel for its status, if it finds
    one there."""

    def __init__(self, machine):
        self.guest = machine.guest
        self.guest.outb(0x176, 0xa0)
        self.guest.outb(0x172, 0x55)
        self.there = self.guest.inb(0x172) == 0x55

    def act(self):
        if self.there:
            self.guest.inb(0x177)


@case
def doctor_cures_as_it_says(host):
    """The line that is printed, put into the command line, ends the wakes."""
    def find(vm, kind):
        guest = kind(vm)
        standin.settle([vm.pid])
        with again_and_again(guest.act, 0.05):
            return host.run('doctor', vm.domid, '-n', '--json', '-d', 2, '-t',
                            'xl').json()

    with Hall(host) as hall:
        for kind, cause in ((UsbGuest, 'timer:uhci_frame_timer'),
                            (SerialGuest, 'pio-write:isa-serial'),
                            (DvdGuest, 'pio-read:ide')):
            m = hall.machine()
            found = find(m, kind)['findings']
            equal(found[0]['cause'], cause, 'first cause')
            line = [line for line in found[0]['lines']
                    if line.startswith('device_model_args_hvm')][0]
            args = ast.literal_eval(line.split(' = ')[1])
            m.restart(standin.QEMU, standin.xl_command(extra=args))
            options = host.run('show', m.domid, '--json').json()['options']
            equal(options[found[0]['cure']],
                  {'value': found[0]['value'], 'source': 'command line'},
                  'option in force')
            after = find(m, kind)
            check(after['asleep'], f'{line}: {after["findings"]}')
            print(f'# {cause} ends by {" ".join(args)}')
            m.close()


@case
def top_agrees_with_strace(host):
    """Wakes and strace's count of polls that slept, in one window."""
    with Hall(host) as hall:
        m = hall.machine()
        standin.settle([m.pid])
        log = os.path.join(host.dir, 'strace')
        with Watch(host, 2, 5, ('-D', str(m.domid), '-n')) as top:
            top.look(1)
            strace = subprocess.Popen(
                ['strace', '-e', 'trace=ppoll', '-o', log, '-p', str(m.pid)],
                stderr=subprocess.PIPE, text=True)
            attached = strace.stderr.readline()
            check('attached' in attached, f'strace: {attached}')
            for n in range(400):
                m.guest.inb(IDE_STATUS)
                if n % 4 == 0:
                    m.guest.buffered(0x3c4, n & 0xff)
                time.sleep(0.002)
            strace.terminate()
            strace.communicate()
            vm = top.look(1)[m.domid]
        with open(log, encoding='ascii') as f:
            polls = re.findall(r'^ppoll\(.*?(NULL|\{tv_sec=\d+, tv_nsec=\d+\})'
                               r', NULL, \d+\) *= (\d+)', f.read(), re.M)
        slept = [p for p in polls
                 if p[0] != '{tv_sec=0, tv_nsec=0}']
        print(f'# top: {vm["main_loop_wakes"]} wakes, strace: {len(slept)} '
              f'polls that could sleep, of {len(polls)}')
        check(len(slept) >= 400, 'the test itself')
        off = abs(vm['main_loop_wakes'] - len(slept))
        check(off <= max(1, len(slept) // 100), f'{off} apart')


@case
def table_of_a_real_guest(host):
    """The rows tell what the guest did, and nothing while it sleeps."""
    with Hall(host) as hall:
        m = hall.machine()
        standin.settle([m.pid])
        table = host.run('table', m.domid, '--json').json()
        start = table['total']
        threads = {t['tid']: t for t in table['threads']}
        check(threads[m.pid]['voluntary'] > 0, f'threads: {threads}')
        for n in range(30):
            m.guest.inb(IDE_STATUS)
        for n in range(20):
            m.guest.outb(0x3ff, n)
        for n in range(10):
            m.guest.buffered(0x3c4, n)
            m.guest.inb(IDE_STATUS)
        end = host.run('table', m.domid, '--json').json()['total']
        equal({k: end[k] - start[k] for k in ('timer', 'read', 'write',
                                              'buffered')},
              {'timer': 0, 'read': 40, 'write': 30, 'buffered': 10},
              'what the guest did')
        standin.settle([m.pid])
        before = host.run('table', m.domid, '--json').json()['total']
        time.sleep(3)           # the window in which nothing may happen
        equal(host.run('table', m.domid, '--json').json()['total'], before,
              'while it slept')
        # Killed, the page stays; ended well, it goes.
        m.stop()
        equal(host.run('table', m.domid, '--json').json()['state'],
              'crashed', 'state')
        host.run('clean')
        equal(os.listdir(host.rundir), [], 'pages')
        m.restart(standin.QEMU, standin.xl_command())
        equal(json.loads(host.run('table', m.domid, '-j').out)['state'],
              'running', 'state')
        m.qmp().execute('quit')
        m.process.wait()
        equal(os.listdir(host.rundir), [], 'pages after a clean exit')


@case
def names_that_xenstore_knows(host):
    """A VM that was renamed is found; a UUID that no page has is shown."""
    uuid = '12345678-9abc-def0-1234-56789abcdef0'
    with Hall(host) as hall:
        m = hall.machine()
        home = f'/local/domain/{m.domid}'
        m.xenstore.write(home + '/name', 'new-name')
        m.xenstore.write(home + '/vm', f'/vm/{uuid}')
        for what in 'new-name', uuid:
            equal(host.run('table', what, '--json').json()['domid'], m.domid,
                  what)
        vm = host.run('top', '-jn', '-d', 0.1).json()
        equal((vm['name'], vm['uuid']), ('new-name', uuid), 'in top')
        m.xenstore.write(home + '/vm', f'/vm/{uuid}-1')
        vm = host.run('top', '-jn', '-d', 0.1).json()
        equal(vm['uuid'], uuid, 'migrated to its own host')


@case
def a_page_that_cannot_be_put_in_place(host):
    """The guest comes first: the device model runs and counts unseen."""
    with Hall(host) as hall:
        os.makedirs(os.path.join(host.path(hall.world.domid + 1), 'x'))
        m = hall.machine()
        check('wakes are not shown to others' in m.output() and
              host.path(m.domid) in m.output(), m.output())
        before = m.qmp().execute('query-wakeups')['total']['read']
        for _ in range(5):
            m.guest.inb(IDE_STATUS)
        after = m.qmp().execute('query-wakeups')['total']['read']
        equal(after - before, 5, 'reads counted')
        equal(os.listdir(host.rundir), [f'{m.domid}.ledger'], 'files left')
        vms = host.run('top', '-j', '-d', 0.1).jsons()
        equal([vm['kind'] for vm in vms if vm['pid'] == m.pid], ['stock'],
              'kind, as far as others can tell')


@case(sanitised=True)
def set_changes_a_running_vm(host):
    """What can be changed at once is, and the rest is said to be later."""
    conf = os.path.join(host.dir, 'pulsar.conf')
    with Hall(host) as hall:
        m = hall.machine()

        def change(*words):
            return host.run('set', '-t', 'xl', '-f', conf,
                            f'standin-{m.domid}', *words).out

        def value(key):
            return {o['key']: o['value'] for o in
                    m.qmp().execute('query-pulsar-options')}[key]

        out = change('vnc_idle=30', 'usb=false', '--later')
        check('now' not in out, out)
        equal(value('vnc_idle'), 'off', '--later')
        # The toolstack keeps its own socket busy; there is another.
        out = change('vnc_idle=30', 'usb=false')
        check(f'standin-{m.domid} (domain {m.domid}): vnc_idle=30 now' in out,
              out)
        check('usb=false not now: ' in out and 'next start' in out, out)
        equal((value('vnc_idle'), value('usb')), ('30', 'given'), 'options')
        m.qmp().execute('stop')
        out = change('usb_tablet=viewer')
        check('usb_tablet=viewer now' in out, out)
        equal(value('usb_tablet'), 'viewer', 'usb_tablet')


@case
def set_of_a_vm_that_does_not_answer(host):
    """No socket, or one that says nothing: what was kept stays kept."""
    conf = os.path.join(host.dir, 'pulsar.conf')
    dm = host.dm(31005, name='web')
    for serve in None, os.path.join(host.dir, 'qmp-silent'):
        if serve:
            dm.say(f'serve {serve}')
        out = host.run('set', '-t', 'xl', '-f', conf, 'web',
                       'vnc_idle=30').out
        check('not now: no QMP socket of process' in out, out)
    with open(conf, encoding='ascii') as f:
        check('vnc_idle=30' in f.read(), 'the file')
