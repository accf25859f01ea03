# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb commands beside QEMU's own: qemu wakeups, qemu bufioreq, qemu pulsar.

Load scripts/qemu-gdb.py of the patched tree first (it defines the prefix
"qemu"), then this file; "make gdb DOMID=N" does both. They work on a live
process and on a core file: the ledger's page is a shared file mapping, which
the kernel leaves out of a core by default, so that it is read from the file
when the core does not have it.
"""

import struct

import gdb

HEADER_SIZE = 4096
THREAD_SIZE = 64
CAUSES, CAUSE_SIZE, CAUSE_NAME = 512, 128, 72
ROWS, ROW_SIZE, ROW_SECONDS = 128, 64, 30
CAUSE_OFFSET = HEADER_SIZE
ROW_OFFSET = CAUSE_OFFSET + CAUSES * CAUSE_SIZE
TEXT_OFFSET = ROW_OFFSET + ROWS * ROW_SIZE
TEXT_SIZE = 4096
TOTAL_SIZE = TEXT_OFFSET + TEXT_SIZE


def static(file, name):
    """A static variable of ours."""
    return gdb.parse_and_eval(f"'{file}'::{name}")


def text(raw):
    return bytes(raw).split(b'\0', 1)[0].decode('ascii', 'backslashreplace')


def ledger_page():
    """The bytes of the ledger's page."""
    address = int(static('ledger-glue.c', 'ledger')['page'])
    try:
        return bytes(gdb.selected_inferior().read_memory(address, TOTAL_SIZE))
    except gdb.MemoryError:
        path = static('ledger-glue.c', 'page_path')
        if not int(path):
            raise gdb.GdbError('the ledger is in memory that the core file '
                               'does not have') from None
        path = path.string()
        try:
            with open(path, 'rb') as f:
                page = f.read(TOTAL_SIZE)
        except OSError as e:
            raise gdb.GdbError(f'the core file does not have the ledger, '
                               f'and {path}: {e.strerror}') from None
        if len(page) != TOTAL_SIZE or page[:8] != b'PULSARLG':
            raise gdb.GdbError(f'{path} is not a ledger page') from None
        return page


def header_field(page, name):
    kind = gdb.lookup_type('PulsarLedgerHeader')
    for field in kind.fields():
        if field.name == name:
            size, offset = field.type.sizeof, field.bitpos // 8
            return page[offset:offset + size]
    raise gdb.GdbError(f'the header has no field {name}')


def number(raw):
    return int.from_bytes(raw, 'little')


class WakeupsCommand(gdb.Command):
    """Show who woke the device model: rows, totals, causes, threads."""

    def __init__(self):
        gdb.Command.__init__(self, 'qemu wakeups', gdb.COMMAND_DATA,
                             gdb.COMPLETE_NONE)

    def invoke(self, arg, from_tty):
        page = ledger_page()
        names = ('wakes', 'timer', 'read', 'write', 'buffered', 'event')
        total = struct.unpack('<6Q', header_field(page, 'total'))
        last = number(header_field(page, 'row_last'))

        gdb.write(f'{"second":>10}' +
                  ''.join(f'{name:>10}' for name in names) + '\n')
        for index in range(max(1, last - 9), last + 1):
            at = ROW_OFFSET + index % ROWS * ROW_SIZE
            row = struct.unpack_from('<7Q', page, at)
            counts = row[1:] if row[0] == index else (0,) * 6
            gdb.write(f'{(index - 1) * ROW_SECONDS:>10}' +
                      ''.join(f'{n:>10}' for n in counts) + '\n')
        gdb.write(f'{"total":>10}' +
                  ''.join(f'{n:>10}' for n in total) + '\n\n')

        causes = []
        for i in range(number(header_field(page, 'cause_count'))):
            at = CAUSE_OFFSET + i * CAUSE_SIZE
            wakes, events, _, busy = struct.unpack_from(
                '<4Q', page, at + CAUSE_NAME + 8)
            if wakes or events:
                causes.append((wakes, events, busy // 1000,
                               text(page[at:at + CAUSE_NAME])))
        gdb.write(f'{"wakes":>10}{"events":>10}{"busy us":>12}  cause\n')
        for wakes, events, busy, name in sorted(causes, reverse=True):
            gdb.write(f'{wakes:>10}{events:>10}{busy:>12}  {name}\n')

        gdb.write(f'\n{"switches":>10}{"involuntary":>12}  thread\n')
        at = number(header_field(page, 'thread_offset'))
        for _ in range(number(header_field(page, 'thread_count'))):
            name, tid, voluntary, forced = struct.unpack_from(
                '<32sixxxxQQ', page, at)
            gdb.write(f'{voluntary + forced:>10}{forced:>12}  '
                      f'{text(name)} ({tid})\n')
            at += THREAD_SIZE


class BufioreqCommand(gdb.Command):
    """Show the buffered ioreq ring and how it is waited for."""

    def __init__(self):
        gdb.Command.__init__(self, 'qemu bufioreq', gdb.COMMAND_DATA,
                             gdb.COMPLETE_NONE)

    def invoke(self, arg, from_tty):
        ring = static('bufioreq.c', 'ring')
        state = ring['state']
        pace = ring['pace']

        if not int(state):
            gdb.write('no event of the buffered ring has come yet\n')
            return
        if bool(ring['broken']):
            waits = 'not at all: its pointers could not be put right'
        elif bool(pace['polling']):
            waits = (f'polled, next at '
                     f'{int(ring["tick"]["expire_time"])} ns; '
                     f'{int(pace["drained"])} writes since the last time')
        else:
            waits = f'by its event channel; {int(pace["dense"])} close events'
        gdb.write(f'port {int(state["bufioreq_local_port"])}, waited for '
                  f'{waits}\n')

        page = state['buffered_io_page']
        if not int(page):
            gdb.write('the server has no buffered ring\n')
            return
        try:
            read = int(page['read_pointer'])
            filled = (int(page['write_pointer']) - read) & 0xffffffff
            gdb.write(f'read pointer {read}, {filled} slots filled\n')
            for i in range(min(filled, 511)):
                slot = page['buf_ioreq'][(read + i) % 511]
                gdb.write(f'  type {int(slot["type"])} '
                          f'dir {int(slot["dir"])} '
                          f'size {1 << int(slot["size"])} '
                          f'addr {int(slot["addr"]):#x} '
                          f'data {int(slot["data"]):#x}\n')
        except gdb.MemoryError:
            gdb.write('the ring itself is Xen\'s memory, which the core file '
                      'does not have\n')


class PulsarCommand(gdb.Command):
    """Show Pulsar's effective options and where each came from."""

    def __init__(self):
        gdb.Command.__init__(self, 'qemu pulsar', gdb.COMMAND_DATA,
                             gdb.COMPLETE_NONE)

    def invoke(self, arg, from_tty):
        page = ledger_page()
        gdb.write(f'domain {struct.unpack("<i", header_field(page, "domid"))[0]}'
                  f' "{text(header_field(page, "name"))}",'
                  f' {text(header_field(page, "version"))}\n')
        options = text(page[TEXT_OFFSET:TEXT_OFFSET + TEXT_SIZE])
        for line in options.splitlines():
            setting, _, source = line.partition('\t')
            gdb.write(f'  {setting:<24} {source}\n')
        if not options:
            gdb.write('  no options are kept: no page was opened\n')


WakeupsCommand()
BufioreqCommand()
PulsarCommand()
