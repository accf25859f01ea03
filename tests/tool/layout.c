/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints where the compiler puts each field of the ledger page, for tests
 * that change a page by hand and for the one that reads the documentation.
 */
#include <stddef.h>
#include <stdio.h>

#include "monitor/ledger-page.h"

#define FIELD(type, field) \
    printf(#type " " #field " %zu %zu\n", offsetof(type, field), \
           sizeof(((type *)0)->field))

int main(void)
{
    FIELD(PulsarLedgerHeader, magic);
    FIELD(PulsarLedgerHeader, major);
    FIELD(PulsarLedgerHeader, minor);
    FIELD(PulsarLedgerHeader, header_size);
    FIELD(PulsarLedgerHeader, total_size);
    FIELD(PulsarLedgerHeader, cause_offset);
    FIELD(PulsarLedgerHeader, cause_size);
    FIELD(PulsarLedgerHeader, cause_max);
    FIELD(PulsarLedgerHeader, row_offset);
    FIELD(PulsarLedgerHeader, row_size);
    FIELD(PulsarLedgerHeader, row_max);
    FIELD(PulsarLedgerHeader, row_seconds);
    FIELD(PulsarLedgerHeader, text_offset);
    FIELD(PulsarLedgerHeader, text_size);
    FIELD(PulsarLedgerHeader, domid);
    FIELD(PulsarLedgerHeader, pid);
    FIELD(PulsarLedgerHeader, reserved0);
    FIELD(PulsarLedgerHeader, start_ns);
    FIELD(PulsarLedgerHeader, start_real_ns);
    FIELD(PulsarLedgerHeader, name);
    FIELD(PulsarLedgerHeader, uuid);
    FIELD(PulsarLedgerHeader, version);
    FIELD(PulsarLedgerHeader, state);
    FIELD(PulsarLedgerHeader, seq);
    FIELD(PulsarLedgerHeader, cause_count);
    FIELD(PulsarLedgerHeader, reserved1);
    FIELD(PulsarLedgerHeader, last_ns);
    FIELD(PulsarLedgerHeader, row_last);
    FIELD(PulsarLedgerHeader, total);
    FIELD(PulsarLedgerHeader, thread_offset);
    FIELD(PulsarLedgerHeader, thread_size);
    FIELD(PulsarLedgerHeader, thread_max);
    FIELD(PulsarLedgerHeader, thread_count);
    FIELD(PulsarLedgerHeader, thread_total);
    FIELD(PulsarLedgerHeader, reserved2);
    FIELD(PulsarLedgerHeader, thread_ns);
    FIELD(PulsarLedgerCounts, wakes);
    FIELD(PulsarLedgerCounts, timer);
    FIELD(PulsarLedgerCounts, read);
    FIELD(PulsarLedgerCounts, write);
    FIELD(PulsarLedgerCounts, buffered);
    FIELD(PulsarLedgerCounts, event);
    FIELD(PulsarLedgerThread, name);
    FIELD(PulsarLedgerThread, tid);
    FIELD(PulsarLedgerThread, reserved0);
    FIELD(PulsarLedgerThread, voluntary);
    FIELD(PulsarLedgerThread, involuntary);
    FIELD(PulsarLedgerThread, reserved1);
    FIELD(PulsarLedgerCause, name);
    FIELD(PulsarLedgerCause, class_);
    FIELD(PulsarLedgerCause, reserved0);
    FIELD(PulsarLedgerCause, wakes);
    FIELD(PulsarLedgerCause, events);
    FIELD(PulsarLedgerCause, last_ns);
    FIELD(PulsarLedgerCause, busy_ns);
    FIELD(PulsarLedgerCause, reserved1);
    FIELD(PulsarLedgerRow, index);
    FIELD(PulsarLedgerRow, n);
    FIELD(PulsarLedgerRow, reserved);
    printf("sizes PulsarLedgerHeader 0 %zu\n", sizeof(PulsarLedgerHeader));
    printf("sizes PulsarLedgerThread 0 %zu\n", sizeof(PulsarLedgerThread));
    printf("sizes PulsarLedgerCause 0 %zu\n", sizeof(PulsarLedgerCause));
    printf("sizes PulsarLedgerRow 0 %zu\n", sizeof(PulsarLedgerRow));
    return 0;
}
