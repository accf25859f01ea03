/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 30-second table of a ledger page. Rows in which nothing happened are
 * not in the page (writing them would have cost a wake); they are put in
 * here.
 */
#include <string.h>

#include "rows.h"

#define ROW_NS (PULSAR_LEDGER_ROW_SECONDS * 1000000000ULL)

const char *const rows_column_names[ROWS_COLUMNS] = {
    "wakes", "timer", "read", "write", "buffered", "event",
};

guint64 rows_column(const PulsarLedgerCounts *n, guint column)
{
    const uint64_t value[ROWS_COLUMNS] = {
        n->wakes, n->timer, n->read, n->write, n->buffered, n->event,
    };

    return value[column];
}

uint64_t rows_end(const PulsarLedgerHeader *h, gboolean owned,
                  uint64_t now_ns)
{
    if (!owned || now_ns < h->start_ns) {
        now_ns = h->last_ns; /* all that is known of a page without owner */
    }
    return MAX(now_ns, h->start_ns);
}

uint64_t rows_index(const PulsarLedgerHeader *h, uint64_t ns)
{
    return (ns - h->start_ns) / ROW_NS + 1;
}

void rows_read(Rows *ret, const VmPage *vm, guint max)
{
    const PulsarLedgerHeader *h = vmpage_header(vm);
    uint64_t end = rows_end(h, vm->owned, vm->now_ns);
    uint64_t last = MAX(rows_index(h, end), h->row_last);
    guint i, k;

    memset(ret, 0, sizeof(*ret));
    ret->len = MIN(last, MIN(max, PULSAR_LEDGER_ROWS));
    ret->first = last - ret->len + 1;
    ret->seconds = (end - h->start_ns) / 1e9;
    ret->unfinished = vm->owned;
    for (i = 0; i < ret->len; i++) {
        PulsarLedgerCounts *n = &ret->n[i];

        if (!pulsar_ledger_row(vm->snapshot, ret->first + i, n)) {
            memset(n, 0, sizeof(*n));
        }
        for (k = 0; k < sizeof(*n) / sizeof(uint64_t); k++) {
            ((uint64_t *)&ret->sum)[k] += ((uint64_t *)n)[k];
        }
    }
}

double rows_row_seconds(const Rows *rows, guint i)
{
    double begin = (double)(rows->first + i - 1) * PULSAR_LEDGER_ROW_SECONDS;

    return CLAMP(rows->seconds - begin, 0, PULSAR_LEDGER_ROW_SECONDS);
}
