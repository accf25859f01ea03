# SPDX-License-Identifier: GPL-2.0-or-later
"""What an idle device model costs: threads, and memory of its own."""

import json

from standin import (STOCK, Machine, expect, memory_of, settle, threads,
                     xl_command)

from . import group

AHCI = ('-device', 'ahci,id=ahci0')


def memory(machine):
    settle([machine.pid], 1, 3)
    return sum(memory_of(machine.pid).values())


@group(alone=False)
def light_threads(b):
    """The main loop, RCU, the monitor's, one that reads xenstore."""
    for vcpus in 1, 32:
        with b.machine(vcpus=vcpus) as m, \
                b.report.case(f'four threads with {vcpus} vCPUs', 'fails', m):
            settle([m.pid], 1, 3)
            expect(threads(m.pid) <= 4, f'there are {threads(m.pid)}')


@group(alone=False)
def light_memory(b):
    with b.machine(vcpus=1) as m, b.machine(vcpus=32) as many, \
            b.machine(xl_command(extra=AHCI), vcpus=1) as drives, \
            Machine(b.world, STOCK, xl_command(), vcpus=1) as stock:
        alone = memory(m)
        with b.report.case('a megabyte and a half less memory than stock',
                           'fails', m):
            most = memory(stock) - 1664
            b.report.say(f'{alone} KiB, stock {memory(stock)} KiB')
            expect(alone <= most, f'{alone} KiB, not {most}')
        with b.report.case('32 vCPUs cost little above one', 'fails', many):
            more = memory(many) - alone
            b.report.say(f'{more} KiB for 31 vCPUs more')
            expect(more < 480, f'{more} KiB more')
        with b.report.case('places for drives cost little', 'fails', drives):
            more = memory(drives) - alone
            b.report.say(f'{more} KiB for an AHCI controller')
            expect(more < 600, f'{more} KiB more')


def claimed(machine):
    """What it has Xen send it: (kind, first, last), kind 2 a PCI function."""
    return sorted(json.loads(machine.guest.run('ranges')))


@group(alone=False)
def light_map(b):
    """The map of memory and ports, drawn once when the board is complete."""
    command = xl_command(extra=('-parallel', 'null', '-net', 'nic,model=e1000'))
    with b.machine(command) as m, Machine(b.world, STOCK, command) as stock:
        with b.report.case('what is where is what stock has there', machine=m):
            expect(claimed(m) == claimed(stock),
                   f'{claimed(m)}, stock {claimed(stock)}')
        with b.report.case('who looks at it while the board is made sees it',
                           machine=m):
            # The power management function has bits for COM1 and LPT1.
            functions = [first for kind, first, _ in claimed(m) if kind == 2]
            expect(len(functions) > 5, f'{functions}')
            for bdf in functions:
                ours, theirs = ([one.guest.config_read(bdf, register)
                                 for register in range(0, 256, 4)]
                                for one in (m, stock))
                expect(ours == theirs, f'{bdf}: {ours}, stock {theirs}')
        with b.report.case('nothing is claimed and given back', 'fails', m):
            n = m.guest.calls('xendevicemodel_unmap_io_range_from_ioreq_server')
            expect(n == 0, f'{n} ranges')
