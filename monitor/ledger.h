/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger's core: counting by cause, 30-second rows, and reading a
 * page that somebody else writes. Pure C, no QEMU header.
 *
 * Writers: any thread; the page's sequence number doubles as the lock, which
 * is held for some ten instructions. Readers never write to the page.
 */
#ifndef PULSAR_LEDGER_H
#define PULSAR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

#include "ledger-page.h"

/**
 * struct PulsarLedger: a page being written
 * @page: the mapped page, PULSAR_LEDGER_TOTAL_SIZE bytes, owned by the caller
 * @now_ns: time of the current pass of the main loop (CLOCK_MONOTONIC)
 * @awake_since_ns: when the main loop last returned from sleep
 * @awake: the main loop has woken and not gone to sleep since
 * @weight: of the wake, see pulsar_ledger_woken()
 * @wake_cause: cause of the wake, or -1 while nobody has claimed it
 * @weak_cause: cause of the wake if nobody does, or -1
 */
typedef struct PulsarLedger {
    void *page;
    uint64_t now_ns;
    uint64_t awake_since_ns;
    bool awake;
    uint32_t weight;
    int wake_cause;
    int weak_cause;
} PulsarLedger;

/* Causes that every page has; more are added as they occur. */
enum {
    PULSAR_LEDGER_UNCLAIMED = 0, /* woken, but nothing was dispatched */
    PULSAR_LEDGER_OVERFLOW  = 1, /* of a kind that has no room of its own */
};

/**
 * pulsar_ledger_init: make an empty page
 * @l: to be filled in; may be on the caller's stack as long as it is used
 * @page: zeroed memory of PULSAR_LEDGER_TOTAL_SIZE bytes, 8-byte aligned;
 *        stays the caller's and must outlive @l
 * @now_ns: CLOCK_MONOTONIC; rows are counted from here
 *
 * The state is STARTING; the caller fills in the identity fields of the
 * header and then sets the state with pulsar_ledger_set_state().
 */
void pulsar_ledger_init(PulsarLedger *l, void *page, uint64_t now_ns);

/** pulsar_ledger_set_state: publish @state in the page. */
void pulsar_ledger_set_state(PulsarLedger *l, PulsarLedgerState state);

/**
 * pulsar_ledger_set_text: publish the effective options
 * @l: the ledger
 * @text: as ledger-page.h says; longer than the page has room for is cut
 */
void pulsar_ledger_set_text(PulsarLedger *l, const char *text);

/**
 * pulsar_ledger_move: continue in another page
 * @l: the ledger
 * @page: zeroed memory of PULSAR_LEDGER_TOTAL_SIZE bytes, 8-byte aligned
 *
 * Copies all that was counted; used when the file behind the page is opened
 * after counting began. Other threads may count meanwhile. The old page stays
 * readable and writable, or one of them may trip over it; its memory may be
 * given back.
 */
void pulsar_ledger_move(PulsarLedger *l, void *page);

/**
 * pulsar_ledger_cause: the number of a cause, adding it when new
 * @l: the ledger
 * @class_: what it is
 * @name: its name, as shown to people; longer than
 *        PULSAR_LEDGER_CAUSE_NAME - 1 bytes is cut
 *
 * The name's part before the colon is its kind. Each kind has a share of the
 * table that no other can take; from the last of its places on its causes are
 * one, "KIND:more". So names that somebody outside has a hand in cannot push
 * the others out.
 *
 * Linear in the number of causes: callers cache the result.
 *
 * Returns: 0 … PULSAR_LEDGER_CAUSES - 1; PULSAR_LEDGER_OVERFLOW for kinds
 * without a share when theirs, a common one, is used up. Safe from any thread.
 */
int pulsar_ledger_cause(PulsarLedger *l, PulsarCauseClass class_,
                        const char *name);

/**
 * pulsar_ledger_woken: the main loop's poll has returned
 * @l: the ledger
 * @now_ns: CLOCK_MONOTONIC
 * @slept: the poll was allowed to block, so this counts as a wake
 * @weight: how many wakes this one stands for when its time is charged; 0 when
 *          it is not measured. Reading the clock costs more than counting, so
 *          of wakes that come densely only some are measured.
 *
 * Main loop thread only.
 */
void pulsar_ledger_woken(PulsarLedger *l, uint64_t now_ns, bool slept,
                         uint32_t weight);

/**
 * pulsar_ledger_sleep: the main loop is about to block
 * @l: the ledger
 * @now_ns: CLOCK_MONOTONIC; not looked at for a wake of weight 0
 *
 * Closes the wake: the time since it, by its weight, is charged to its cause,
 * and a wake that nobody claimed is charged to PULSAR_LEDGER_UNCLAIMED. Main
 * loop thread only.
 */
void pulsar_ledger_sleep(PulsarLedger *l, uint64_t now_ns);

/** Whether an event is the cause of the wake that it belongs to. */
typedef enum PulsarClaim {
    PULSAR_CLAIM_NONE,  /* it came in another thread */
    PULSAR_CLAIM,       /* it is, when it is the first that can be */
    PULSAR_CLAIM_WEAK,  /* it only passes on what woke us: it is when nothing
                         * else claims the wake */
} PulsarClaim;

/**
 * pulsar_ledger_event: something was dispatched
 * @l: the ledger
 * @cause: from pulsar_ledger_cause()
 * @times: how often; a whole drained ring is one call
 * @claim: anything but PULSAR_CLAIM_NONE in the main loop's thread only
 */
void pulsar_ledger_event(PulsarLedger *l, int cause, uint32_t times,
                         PulsarClaim claim);

/**
 * pulsar_ledger_set_threads: publish how often the threads were switched to
 * @l: the ledger
 * @threads: one entry each
 * @total: how many there are; those beyond PULSAR_LEDGER_THREADS are counted
 *         only, and not looked for in @threads
 * @now_ns: CLOCK_MONOTONIC
 */
void pulsar_ledger_set_threads(PulsarLedger *l,
                               const PulsarLedgerThread *threads,
                               size_t total, uint64_t now_ns);

/** Why a page cannot be read. */
typedef enum PulsarLedgerError {
    PULSAR_LEDGER_OK,
    PULSAR_LEDGER_SHORT,    /* fewer bytes than the header says */
    PULSAR_LEDGER_FOREIGN,  /* the magic is another */
    PULSAR_LEDGER_NEWER,    /* a major version this program does not know */
    PULSAR_LEDGER_CORRUPT,  /* offsets or sizes that make no sense */
    PULSAR_LEDGER_BUSY,     /* never at rest while it was tried */
} PulsarLedgerError;

/**
 * PulsarLedgerRead: fetch a part of a page
 * @opaque: as given to pulsar_ledger_read()
 * @ret: receives @size bytes
 * @offset: where they are in the page
 * @size: how many
 *
 * Calls are made in an order that matters and must not be reordered: a
 * system call or a fenced copy will do.
 *
 * Returns: false when the page ends before, or cannot be read.
 */
typedef bool PulsarLedgerRead(void *opaque, void *ret, size_t offset,
                              size_t size);

/**
 * pulsar_ledger_read: copy a page that may be written meanwhile
 * @read: fetches parts of the page
 * @opaque: passed to @read
 * @size: how long the page is, in bytes
 * @dead: the writer is known to be gone, so a page it left in the middle of
 *        a change is as good as it will get
 * @ret: PULSAR_LEDGER_TOTAL_SIZE bytes of the caller's, of use only on
 *       success; causes beyond header.cause_count and threads beyond
 *       header.thread_count are not written
 *
 * Never writes to the page and never makes the writer wait.
 *
 * Returns: PULSAR_LEDGER_OK, or why not.
 */
PulsarLedgerError pulsar_ledger_read(PulsarLedgerRead *read, void *opaque,
                                     size_t size, bool dead, void *ret);

/**
 * pulsar_ledger_snapshot: pulsar_ledger_read() of a page in memory
 * @page: the mapped page
 * @size: how much is mapped
 * @ret: as for pulsar_ledger_read()
 */
PulsarLedgerError pulsar_ledger_snapshot(const void *page, size_t size,
                                         void *ret);

/** pulsar_ledger_strerror: @err as a part of a sentence, never NULL. */
const char *pulsar_ledger_strerror(PulsarLedgerError err);

/**
 * pulsar_ledger_row: a 30-second row of a snapshot
 * @page: a snapshot
 * @index: number of the row, 1 for the first 30 seconds
 * @ret: its counts; all zero for a row in which nothing happened
 *
 * Returns: false when the row is older than the page remembers.
 */
bool pulsar_ledger_row(const void *page, uint64_t index,
                       PulsarLedgerCounts *ret);

/** pulsar_ledger_header: the header of a page or snapshot. */
static inline PulsarLedgerHeader *pulsar_ledger_header(const void *page)
{
    return (PulsarLedgerHeader *)page;
}

/** pulsar_ledger_causes: the table of causes of a page or snapshot. */
static inline PulsarLedgerCause *pulsar_ledger_causes(const void *page)
{
    return (PulsarLedgerCause *)((char *)page + PULSAR_LEDGER_CAUSE_OFFSET);
}

/** pulsar_ledger_threads: the table of threads of a page or snapshot. */
static inline PulsarLedgerThread *pulsar_ledger_threads(const void *page)
{
    return (PulsarLedgerThread *)((char *)page + PULSAR_LEDGER_THREAD_OFFSET);
}

/** pulsar_ledger_rows: the ring of rows of a page or snapshot. */
static inline PulsarLedgerRow *pulsar_ledger_rows(const void *page)
{
    return (PulsarLedgerRow *)((char *)page + PULSAR_LEDGER_ROW_OFFSET);
}

#endif /* PULSAR_LEDGER_H */
