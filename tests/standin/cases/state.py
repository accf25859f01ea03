# SPDX-License-Identifier: GPL-2.0-or-later
"""A saved state goes from one build to the other and back."""

import os
import re

from standin import (
    OTHER, QEMU, STOCK, Machine, expect, require, settle, xenopsd_command,
    xl_command)

from . import group

SCRATCH = 0x3ff


def prepare(m):
    """Leave something in every device that the stand-in can look at."""
    g = m.guest
    g.graphics()
    g.draw(0xa5, lines=480)
    g.outb(SCRATCH, 0xc3)
    g.outb(0x3f9, 0x05)
    g.config_write(g.find_pci(0x030000), 0x3c, 0x0b, 1)
    g.buffered(0xa0200, 0x5ac35ac3, 2, 1)
    g.load(0xa0200)


def look(m):
    """What prepare() left, as far as it is still there."""
    g = m.guest
    viewer = m.view()
    viewer.request(incremental=False)
    viewer.update()
    pixel = viewer.pixel(639, 479)
    viewer.close()
    bdf = g.find_pci(0x030000)
    return {
        'scratch': g.inb(SCRATCH),
        'interrupt enable': g.inb(0x3f9),
        'VGA base': g.config_read(bdf, 0x10) & ~15,
        'VGA line': g.config_read(bdf, 0x3c, 1),
        'window': g.load(0xa0200),
        'pixel': pixel,
        'xen-platform': g.config_read(g.find_pci(0xff8000), 0),
    }


def save(m):
    """As xl does: stop, then have the device state written to a file."""
    path = m.path('state')
    m.qmp().execute('stop')
    if os.path.exists(path):
        os.unlink(path)
    m.qmp().execute('xen-save-devices-state', filename=path, live=False)
    return path


def journey(b, binaries, command, name, held=False):
    """From each binary to the next; held: the toolstack says when to run."""
    with Machine(b.world, binaries[0], command()) as m, \
            b.report.case(name, machine=m):
        if held:
            m.qmp().execute('cont')
        prepare(m)
        expected = look(m)
        expect(expected['scratch'] == 0xc3 and expected['pixel'] == 0xa5,
               f'the guest could not be prepared: {expected}')
        for binary in binaries[1:]:
            path = save(m)
            m.restart(binary, command(incoming=path))
            if held:
                m.qmp().execute('cont')
            found = look(m)
            expect(found == expected, f'{found} instead of {expected}')
            expect(m.guest.figures('isolated', 4, 1000)['n'] == 4, '')
            m.guest.outb(0x3f9, expected['interrupt enable'])
        if binaries[-1] != STOCK and not b.report.stock:
            expect(settle([m.pid], 3, 9), 'the restored one is not idle')


@group(alone=False)
def states(b):
    journey(b, [b.binary] * 3, xl_command, 'saved and restored twice')
    variants = [
        ('', xl_command),
        (' with cirrus, rtl8139 and no serial port',
         lambda **o: xl_command(vga='cirrus-vga', nic='rtl8139', **o)),
    ]
    for suffix, command in variants:
        name = f'stock to Pulsar to stock{suffix}'
        if not os.access(STOCK, os.X_OK):
            b.report.skip(name, 'no stock build; run make stock')
        elif b.report.stock:
            b.report.skip(name, 'it needs both builds')
        elif suffix:
            cirrus_journey(b, command, name)
        else:
            journey(b, [STOCK, QEMU, STOCK, QEMU], command, name)


def cirrus_journey(b, command, name):
    """The same without the standard VGA's modes."""
    with Machine(b.world, STOCK, command()) as m, \
            b.report.case(name, machine=m):
        m.guest.outb(SCRATCH, 0x3d)
        for binary in (QEMU, STOCK, QEMU):
            path = save(m)
            m.restart(binary, command(incoming=path))
            expect(m.guest.inb(SCRATCH) == 0x3d, 'the UART forgot')
            nic = m.guest.find_pci(0x020000)
            expect(m.guest.config_read(nic, 0) == 0x813910ec,
                   'the NIC is gone')


def properties(b, machine):
    """What one of a binary's machines sets for devices, in its order."""
    with b.machine(xl_command(vnc='none')) as m:
        known = {found['name']: found for found in m.qmp().execute(
            'query-machines', **{'compat-props': True})}
    expect(machine in known, f'it knows no {machine}')
    return [(row['qom-type'], row['property'], row['value'])
            for row in known[machine]['compat-props']]


@group(alone=False)
def machine_properties(b):
    """xapi's saved guests have what upstream's pc-i440fx-2.10 gave them."""
    with open(os.path.join(os.path.dirname(os.path.dirname(__file__)), 'data',
                           'pc-i440fx-2.10.tsv'), encoding='ascii') as file:
        told = [tuple((line.rstrip('\n') + '\t').split('\t')[:3])
                for line in file if not line.startswith('#')]
    for machine, more, stock in (
            ('pc-i440fx-2.10', [], 'either'),
            ('pc-0.10', [('pci-device', 'romfile', '')], 'fails')):
        with b.report.case(f'{machine} has the properties that upstream '
                           f'gave to pc-i440fx-2.10', stock):
            # A newer QEMU begins with what it has changed since.
            found = properties(b, machine)
            expect(found[-len(told + more):] == told + more,
                   f'missing: {set(told + more) - set(found)}, '
                   f'else in another order')


def hardware(m):
    """HMP's tree of devices: each one's path, and its properties."""
    found, path = {}, []
    for line in m.qmp().hmp('info qtree').splitlines():
        indent, text = len(line) - len(line.lstrip()), line.strip()
        if text.startswith(('bus: ', 'dev: ')):
            path = [step for step in path if step[0] < indent]
            path.append((indent, text))
            key = ' / '.join(text for _, text in path)
            # Several of a kind are told apart by what they are below, or not.
            while key in found:
                key += "'"
            found[key] = {}
        elif path:
            name, sign, value = text.partition(' = ')
            found[key][name if sign else text] = value
    return found


def on(machine):
    """xenopsd's command line with one of its machines, like xl_command()."""
    def command(incoming=None):
        more = ('-incoming', f'file:{incoming}') if incoming else ()

        def words(m):
            return [re.sub('^pc-i440fx-2.10,', f'{machine},', word)
                    for word in xenopsd_command(extra=more)(m)]
        return words
    return command


@group(alone=False)
def other_series(b):
    """A guest goes to Pulsar on another series of QEMU, and back."""
    if not OTHER or b.report.stock:
        return
    require(OTHER, 'PULSAR_OTHER names no program')
    for name, command in (('xenfv', xl_command), ('pc-0.10', on('pc-0.10')),
                          ('pc-i440fx-2.10', on('pc-i440fx-2.10'))):
        trees = []
        for binary in (OTHER, QEMU):
            with Machine(b.world, binary, command()) as m:
                trees.append(hardware(m))
        with b.report.case(f'{name}: the same devices on both series'):
            expect(trees[0].keys() == trees[1].keys(),
                   f'not on both: {sorted(trees[0].keys() ^ trees[1].keys())}')
        with b.report.case(f'{name}: their properties are the same'):
            others = [f'{device}: {key} = {value}, not {trees[1][device][key]}'
                      for device, here in trees[0].items()
                      for key, value in here.items()
                      if trees[1].get(device, {}).get(key, value) != value]
            expect(not others, '\n'.join(others))
        journey(b, [OTHER, QEMU, OTHER, QEMU], command,
                f'{name}: from one series to the other and back',
                held=command is not xl_command)
