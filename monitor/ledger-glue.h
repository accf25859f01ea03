/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device model's own ledger: for our code inside QEMU that counts
 * something or wants to know what was counted.
 */
#ifndef PULSAR_LEDGER_GLUE_H
#define PULSAR_LEDGER_GLUE_H

#include "ledger.h"

/* The table from callbacks to causes: how many fit, and bytes of each. */
#define PULSAR_LEDGER_SLOTS      512
#define PULSAR_LEDGER_SLOT_SIZE  16

/**
 * pulsar_ledger_self: the ledger of this process
 *
 * Counting works from the first instruction on, in memory of the process;
 * pulsar_ledger_open() moves it into a file.
 *
 * Returns: never NULL.
 */
PulsarLedger *pulsar_ledger_self(void);

/**
 * pulsar_ledger_count: count something that has no callback
 * @cause: from pulsar_ledger_cause()
 * @times: how often
 *
 * Any thread. In the main loop's thread it is also the cause of the wake,
 * when nothing was counted since the wake.
 */
void pulsar_ledger_count(int cause, uint32_t times);

/**
 * pulsar_ledger_count_named: count something that is known by name
 * @kind: what it is; a constant string
 * @name: which one it is
 *
 * Counts once under "kind:name", as an event. Threads as for
 * pulsar_ledger_count().
 */
void pulsar_ledger_count_named(const char *kind, const char *name);

/**
 * pulsar_ledger_note_threads: look how often our threads were switched to
 *
 * The main loop does so in the first wake of each row. Without a /proc, as in
 * the empty root folder of a restricted device model, only the main loop's own
 * thread is known. Any thread.
 */
void pulsar_ledger_note_threads(void);

/** struct PulsarLedgerOwner: whose page it is; strings may be NULL */
typedef struct PulsarLedgerOwner {
    int domid;
    const char *name;
    const char *uuid;
    const char *version;
    const char *options; /* effective options, see ledger-page.h */
    bool (*gone)(int domid); /* prune the folder of pages, see page-file.h */
} PulsarLedgerOwner;

/**
 * pulsar_ledger_open: keep the ledger where others can read it
 * @path: the file, absolute; its folder is made when missing. A file left by another
 *        process is replaced, never written to.
 * @owner: whose it is; copied
 * @ret_why: why not, to be freed by the caller; written only on failure
 *
 * Must run in the process that serves the guest, before its privileges end.
 * No descriptor stays open: the mapping keeps the file and its lock (flock)
 * for as long as this process lives.
 *
 * Returns: false with *@ret_why set; counting goes on in memory then.
 */
bool pulsar_ledger_open(const char *path, const PulsarLedgerOwner *owner,
                        char **ret_why);

/**
 * pulsar_ledger_path: the file behind the page
 *
 * Returns: NULL when the ledger is in memory only; owned by the ledger.
 */
const char *pulsar_ledger_path(void);

#endif /* PULSAR_LEDGER_GLUE_H */
