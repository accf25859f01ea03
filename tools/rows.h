/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 30-second table of a ledger page.
 */
#ifndef PULSAR_ROWS_H
#define PULSAR_ROWS_H

#include "lookup.h"

#define ROWS_COLUMNS 6

/** rows_column_names: ROWS_COLUMNS names, in the order they are shown. */
extern const char *const rows_column_names[ROWS_COLUMNS];

/** rows_column: one of the columns of @n. */
guint64 rows_column(const PulsarLedgerCounts *n, guint column);

/** struct Rows: the last rows of a page, up to now or its owner's end */
typedef struct Rows {
    uint64_t first;         /* index of n[0]; people count from one less */
    guint len;
    PulsarLedgerCounts n[PULSAR_LEDGER_ROWS];
    PulsarLedgerCounts sum; /* of those rows */
    double seconds;         /* since the page was made */
    gboolean unfinished;    /* the last row is not over yet */
} Rows;

/** rows_end: when the table of a page ends: now, or with its owner. */
uint64_t rows_end(const PulsarLedgerHeader *h, gboolean owned,
                  uint64_t now_ns);

/** rows_index: the row in which the time @ns falls. */
uint64_t rows_index(const PulsarLedgerHeader *h, uint64_t ns);

/** rows_read: at most the @max last rows of @vm's page. */
void rows_read(Rows *ret, const VmPage *vm, guint max);

/** rows_row_seconds: how long row n[@i] is, or has lasted so far. */
double rows_row_seconds(const Rows *rows, guint i);

#endif /* PULSAR_ROWS_H */
