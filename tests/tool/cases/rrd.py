# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar rrd: the file that xcp-rrdd maps, read as it reads it."""

import configparser
import json
import mmap
import os
import shlex
import signal
import struct
import time
import zlib

from harness import case, check, equal, Failure, SYSTEM, TOP, USAGE
from cases.top import switches

UUIDS = ('11111111-1111-4111-8111-111111111111',
         '22222222-2222-4222-8222-222222222222')
FIELDS = {'description', 'owner', 'value_type', 'type', 'default', 'units',
          'min', 'max'}


def parse(data):
    """(time, {(owner, name): value}), or what is wrong with it."""
    equal(data[:11], b'DATASOURCES', 'magic')
    data_crc, meta_crc, n = struct.unpack_from('>LLL', data, 11)
    equal(data_crc, zlib.crc32(data[23:31 + 8 * n]), 'CRC of time and values')
    length, = struct.unpack_from('>L', data, 31 + 8 * n)
    meta = data[35 + 8 * n:35 + 8 * n + length]
    equal(meta_crc, zlib.crc32(meta), 'CRC of the JSON')
    when, = struct.unpack_from('>d', data, 23)
    # The same name for several VMs is one key several times.
    pairs = json.loads(meta, object_pairs_hook=list)
    equal([key for key, _ in pairs], ['datasources'], 'keys')
    sources = [(name, dict(fields)) for name, fields in pairs[0][1]]
    equal(len(sources), n, 'descriptions')
    values = {}
    for i, (name, fields) in enumerate(sources):
        equal(set(fields), FIELDS, name)
        check(float(fields['min']) == 0 and fields['default'] == 'true' and
              fields['type'] == 'derive' and float(fields['max']) > 1, fields)
        form = {'int64': '>q', 'float': '>d'}[fields['value_type']]
        key = fields['owner'], name
        check(key not in values, f'{key} twice')
        values[key], = struct.unpack_from(form, data, 31 + 8 * i)
    return when, values


class Reader:
    """Maps the file once, as soon as it has its name."""

    def __init__(self, path, child):
        while not os.path.exists(path):
            check(child.poll() is None, 'it has ended')
            time.sleep(0.01)
        with open(path, 'rb') as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.first = parse(self.map[:])
        self.last = self.first

    def next(self, done=lambda values: True):
        """The values when they have changed and are so."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                when, values = parse(self.map[:])
            except Failure:
                continue            # written just now; the sums tell
            if when != self.last[0] and done(values):
                self.last = when, values
                return values
            time.sleep(0.01)
        raise Failure(f'not published: {self.last}')


def wakes(uuid):
    return f'vm {uuid}', 'dm_wakes'


@case(sanitised=True)
def rrd_as_xcp_rrdd_reads_it(host):
    path = os.path.join(host.dir, 'metrics')
    first = host.dm(1, f'uuid {UUIDS[0]}', 'at 0', 'wake timer:x 7')
    host.dm(3, name='nobody knows its UUID')
    child = host.start('rrd', '--file', path, '-d', 0.2)
    reader = Reader(path, child)
    size = os.path.getsize(path)
    equal(os.stat(path).st_mode & 0o777, 0o644, 'mode')
    when, values = reader.first
    check(abs(when - time.time()) < 60, f'time {when}')
    equal(set(values), {(f'vm {UUIDS[0]}', n) for n in ('dm_wakes',
                                                        'dm_cpu')}, 'sources')
    equal(values[wakes(UUIDS[0])], 7, 'wakes')
    first.say('now', 'wake timer:x 5', 'spin 50')
    values = reader.next(lambda v: v[wakes(UUIDS[0])] >= 12 and
                         v[f'vm {UUIDS[0]}', 'dm_cpu'] >= 0.05)
    second = host.dm(2, f'uuid {UUIDS[1]}')
    reader.next(lambda v: wakes(UUIDS[1]) in v)
    second.crash()
    values = reader.next(lambda v: wakes(UUIDS[1]) not in v)
    check(wakes(UUIDS[0]) in values, values)
    first.leave()
    equal(reader.next(lambda v: not v), {}, 'nobody')
    equal((os.path.getsize(path), os.listdir(host.dir).count('metrics.tmp')),
          (size, 0), 'size and what is left')
    # Only one publishes there.
    host.fails(SYSTEM, 'rrd', '-f', path, says=(path, 'another'))
    child.send_signal(signal.SIGTERM)
    equal(child.wait(), 0, 'exit')
    check(not os.path.exists(path), 'the file is left')


@case
def rrd_wakes_nobody(host):
    dm = host.dm(1, f'uuid {UUIDS[0]}')
    path = os.path.join(host.dir, 'metrics')
    child = host.start('rrd', '-f', path, '-d', 0.1)
    reader = Reader(path, child)
    before = switches(dm.pid)
    for _ in range(20):
        reader.next()
    equal(switches(dm.pid), before, 'switches of a device model')
    used = switches(child.pid)
    for _ in range(20):
        reader.next()
    woken = switches(child.pid)[0] - used[0]
    check(woken <= 60, f'{woken} wakes for 20 looks')
    child.kill()
    child.wait()
    # What a killed one left is nobody's.
    child = host.start('rrd', '-f', path, '-d', 0.1)
    with open(path, 'rb') as f:
        old = os.fstat(f.fileno()).st_ino
        while os.path.exists(path) and os.stat(path).st_ino == old:
            check(child.poll() is None, 'it has ended')
    child.terminate()
    equal(child.wait(), 0, 'exit')


@case
def rrd_of_many_vms(host):
    """All of them in one file."""
    for n in range(1, 301):
        host.dm(n, f'uuid {n:08x}-1111-4111-8111-111111111111')
    path = os.path.join(host.dir, 'metrics')
    child = host.start('rrd', '-f', path, '-d', 0.2)
    reader = Reader(path, child)
    equal(len(reader.first[1]), 600, 'values')
    child.terminate()
    child.communicate()


@case
def rrd_says_what_is_wrong(host):
    host.fails(SYSTEM, 'rrd', '-f', '/nowhere/metrics',
               says=('/nowhere/metrics',))
    host.fails(USAGE, 'rrd', 'web', says=('no VM',))


@case
def rrd_service_runs_it(host):
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(os.path.join(TOP, 'packaging/systemd/pulsar-rrd.service'))
    program, command = shlex.split(unit['Service']['ExecStart'])
    equal(os.path.basename(program), 'pulsar', 'program')
    check(f'  {command} ' in host.run('--help').out, command)
