/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger's core: what is counted where, and what a reader sees.
 */
/* SOURCES: monitor/ledger.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/ledger.h"

#define SECOND 1000000000ULL
#define START  (1000 * SECOND)
#define ROW    (PULSAR_LEDGER_ROW_SECONDS * SECOND)

typedef struct Fixture {
    PulsarLedger l;
    void *page;
    void *copy;
} Fixture;

static int setup(void **state)
{
    Fixture *f = calloc(1, sizeof(*f));

    f->page = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);
    f->copy = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);
    pulsar_ledger_init(&f->l, f->page, START);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    free(f->copy);
    free(f->page);
    free(f);
    return 0;
}

static PulsarLedgerHeader *header(Fixture *f)
{
    return pulsar_ledger_header(f->page);
}

static PulsarLedgerCause *cause(Fixture *f, int number)
{
    return &pulsar_ledger_causes(f->page)[number];
}

static PulsarLedgerCounts row(Fixture *f, uint64_t index)
{
    PulsarLedgerCounts n;

    assert_true(pulsar_ledger_row(f->page, index, &n));
    return n;
}

static void assert_counts(PulsarLedgerCounts n, int wakes, int timer,
                          int read, int write, int buffered, int event)
{
    assert_int_equal(n.wakes, wakes);
    assert_int_equal(n.timer, timer);
    assert_int_equal(n.read, read);
    assert_int_equal(n.write, write);
    assert_int_equal(n.buffered, buffered);
    assert_int_equal(n.event, event);
}

/* One wake at @second that @number alone began. */
static void wake(Fixture *f, double second, int number)
{
    uint64_t ns = START + (uint64_t)(second * SECOND);

    pulsar_ledger_woken(&f->l, ns, true, 1);
    if (number >= 0) {
        pulsar_ledger_event(&f->l, number, 1, true);
    }
    pulsar_ledger_sleep(&f->l, ns + 1000);
}

static void test_new_page(void **state)
{
    Fixture *f = *state;

    assert_int_equal(pulsar_ledger_snapshot(f->page, PULSAR_LEDGER_TOTAL_SIZE,
                                            f->copy), PULSAR_LEDGER_OK);
    assert_int_equal(header(f)->state, PULSAR_LEDGER_STARTING);
    assert_int_equal(header(f)->start_ns, START);
    assert_int_equal(header(f)->row_last, 0);
    assert_counts(header(f)->total, 0, 0, 0, 0, 0, 0);
    assert_string_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->name, "unclaimed");
    assert_string_equal(cause(f, PULSAR_LEDGER_OVERFLOW)->name, "overflow");
    pulsar_ledger_set_state(&f->l, PULSAR_LEDGER_RUNNING);
    assert_int_equal(header(f)->state, PULSAR_LEDGER_RUNNING);
    assert_int_equal(header(f)->seq & 1, 0);
}

/* Each class adds to its column, and only there. */
static void test_columns(void **state)
{
    static const struct {
        PulsarCauseClass class_;
        int timer, read, write, buffered, event;
    } want[PULSAR_CAUSE__MAX] = {
        { PULSAR_CAUSE_TIMER, 3, 0, 0, 0, 0 },
        { PULSAR_CAUSE_PIO_READ, 0, 3, 0, 0, 0 },
        { PULSAR_CAUSE_PIO_WRITE, 0, 0, 3, 0, 0 },
        { PULSAR_CAUSE_MMIO_READ, 0, 3, 0, 0, 0 },
        { PULSAR_CAUSE_MMIO_WRITE, 0, 0, 3, 0, 0 },
        { PULSAR_CAUSE_CONFIG_READ, 0, 3, 0, 0, 0 },
        { PULSAR_CAUSE_CONFIG_WRITE, 0, 0, 3, 0, 0 },
        { PULSAR_CAUSE_BUFIOREQ, 0, 0, 3, 3, 0 },
        { PULSAR_CAUSE_FD, 0, 0, 0, 0, 3 },
        { PULSAR_CAUSE_BH, 0, 0, 0, 0, 3 },
        { PULSAR_CAUSE_OTHER, 0, 0, 0, 0, 3 },
    };
    PulsarLedgerCounts before, after;
    Fixture *f = *state;
    char name[24];
    int i, c;

    for (i = 0; i < PULSAR_CAUSE__MAX; i++) {
        snprintf(name, sizeof(name), "class %d", i);
        c = pulsar_ledger_cause(&f->l, want[i].class_, name);
        before = header(f)->total;
        pulsar_ledger_woken(&f->l, START + i * ROW, true, 1);
        pulsar_ledger_event(&f->l, c, 3, true);
        pulsar_ledger_sleep(&f->l, START + i * ROW);
        after = header(f)->total;

        assert_int_equal(cause(f, c)->events, 3);
        assert_int_equal(cause(f, c)->wakes, 1);
        assert_int_equal(cause(f, c)->class_, want[i].class_);
        assert_counts(row(f, i + 1), 1, want[i].timer, want[i].read,
                      want[i].write, want[i].buffered, want[i].event);
        assert_int_equal(after.wakes - before.wakes, 1);
        assert_int_equal(after.timer - before.timer, want[i].timer);
        assert_int_equal(after.read - before.read, want[i].read);
        assert_int_equal(after.write - before.write, want[i].write);
        assert_int_equal(after.buffered - before.buffered, want[i].buffered);
        assert_int_equal(after.event - before.event, want[i].event);
    }
}

static void test_first_event_is_the_cause(void **state)
{
    Fixture *f = *state;
    int a = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_PIO_READ, "pio-read:ide");
    int b = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_BH, "bh:ide_restart");

    pulsar_ledger_woken(&f->l, START + 5, true, 1);
    pulsar_ledger_event(&f->l, a, 1, true);
    pulsar_ledger_event(&f->l, b, 1, true);
    pulsar_ledger_event(&f->l, b, 1, true);
    pulsar_ledger_sleep(&f->l, START + 105);

    assert_int_equal(cause(f, a)->wakes, 1);
    assert_int_equal(cause(f, a)->busy_ns, 100);
    assert_int_equal(cause(f, a)->last_ns, START); /* whole ms */
    assert_int_equal(cause(f, b)->wakes, 0);
    assert_int_equal(cause(f, b)->events, 2);
    assert_int_equal(cause(f, b)->busy_ns, 0);
    assert_int_equal(header(f)->total.wakes, 1);
}

static void test_unclaimed_wake(void **state)
{
    Fixture *f = *state;

    wake(f, 1, -1);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->wakes, 1);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->events, 1);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->busy_ns, 1000);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->last_ns,
                     START + SECOND);
    assert_counts(header(f)->total, 1, 0, 0, 0, 0, 0);
}

/* A poll that was not allowed to block is no wake; events still count. */
static void test_poll_without_sleep(void **state)
{
    Fixture *f = *state;
    int t = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");

    pulsar_ledger_woken(&f->l, START + 1, false, 1);
    pulsar_ledger_event(&f->l, t, 1, true);
    pulsar_ledger_sleep(&f->l, START + 2);
    assert_counts(header(f)->total, 0, 1, 0, 0, 0, 0);
    assert_int_equal(cause(f, t)->wakes, 0);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->wakes, 0);

    /* … and leaves the wake before it open. */
    pulsar_ledger_woken(&f->l, START + 10, true, 1);
    pulsar_ledger_woken(&f->l, START + 20, false, 1);
    pulsar_ledger_event(&f->l, t, 1, true);
    pulsar_ledger_sleep(&f->l, START + 40);
    assert_int_equal(cause(f, t)->wakes, 1);
    assert_int_equal(cause(f, t)->busy_ns, 30);
}

static void test_other_thread_does_not_claim(void **state)
{
    Fixture *f = *state;
    int a = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, "fd:worker");
    int b = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, "fd:main");

    pulsar_ledger_woken(&f->l, START + 1, true, 1);
    pulsar_ledger_event(&f->l, a, 1, false);
    pulsar_ledger_event(&f->l, b, 1, true);
    pulsar_ledger_sleep(&f->l, START + 2);
    assert_int_equal(cause(f, a)->wakes, 0);
    assert_int_equal(cause(f, a)->events, 1);
    assert_int_equal(cause(f, b)->wakes, 1);
}

static void test_rows(void **state)
{
    Fixture *f = *state;
    int t = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");
    PulsarLedgerCounts n;

    wake(f, 0, t);
    wake(f, 29.999, t);
    wake(f, 30, t);
    wake(f, 100, t);
    assert_int_equal(header(f)->row_last, 4);
    assert_counts(row(f, 1), 2, 2, 0, 0, 0, 0);
    assert_counts(row(f, 2), 1, 1, 0, 0, 0, 0);
    assert_counts(row(f, 3), 0, 0, 0, 0, 0, 0);
    assert_counts(row(f, 4), 1, 1, 0, 0, 0, 0);
    assert_counts(row(f, 5), 0, 0, 0, 0, 0, 0);
    assert_false(pulsar_ledger_row(f->page, 0, &n));
}

/* The ring comes round: rows that were overwritten are said to be gone. */
static void test_rows_come_round(void **state)
{
    Fixture *f = *state;
    int t = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");
    uint64_t last = 2 * PULSAR_LEDGER_ROWS + 7;
    PulsarLedgerCounts n;
    uint64_t i;

    for (i = 1; i <= last; i++) {
        if (i % 2) {
            wake(f, (i - 1) * PULSAR_LEDGER_ROW_SECONDS, t);
        }
    }
    assert_int_equal(header(f)->row_last, last);
    for (i = last; i > last - PULSAR_LEDGER_ROWS; i--) {
        n = row(f, i);
        assert_int_equal(n.timer, i % 2);
    }
    assert_false(pulsar_ledger_row(f->page, last - PULSAR_LEDGER_ROWS, &n));
    assert_false(pulsar_ledger_row(f->page, 1, &n));
    assert_counts(row(f, last + PULSAR_LEDGER_ROWS), 0, 0, 0, 0, 0, 0);
}

/* Another thread's clock was read before the newest row began. */
static void test_late_clock(void **state)
{
    Fixture *f = *state;
    int t = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");

    wake(f, 61, t);
    wake(f, 59, t);
    assert_int_equal(header(f)->row_last, 3);
    assert_int_equal(row(f, 3).timer, 2);
    assert_int_equal(header(f)->last_ns, START + 61 * SECOND);
}

static void test_clock_before_start(void **state)
{
    Fixture *f = *state;

    pulsar_ledger_woken(&f->l, START - SECOND, true, 1);
    pulsar_ledger_sleep(&f->l, START - 2 * SECOND);
    assert_int_equal(row(f, 1).wakes, 1);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->busy_ns, 0);
}

static void test_cause_names(void **state)
{
    Fixture *f = *state;
    char name[2 * PULSAR_LEDGER_CAUSE_NAME];
    int a, b;

    a = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");
    b = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:y");
    assert_int_not_equal(a, b);
    assert_int_equal(pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x"),
                     a);

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    a = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, name);
    assert_int_equal(strlen(cause(f, a)->name), PULSAR_LEDGER_CAUSE_NAME - 1);
    assert_int_equal(pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, name), a);
}

/* Has as many causes of a kind as fit; returns what the next one gets. */
static int exhaust(Fixture *f, const char *kind, int *ret_places)
{
    uint32_t before = header(f)->cause_count, n;
    char name[32];
    int i, c = -1;

    for (i = 0; i < 2 * PULSAR_LEDGER_CAUSES; i++) {
        snprintf(name, sizeof(name), "%s:%d", kind, i);
        n = header(f)->cause_count;
        c = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_OTHER, name);
        if (header(f)->cause_count > n) {
            assert_int_equal(c, n);
        }
    }
    *ret_places = header(f)->cause_count - before;
    return c;
}

/* Whoever has a hand in names of one kind takes nothing from the others. */
static void test_each_kind_has_its_share(void **state)
{
    static const char *const kinds[] = {
        "timer", "pio-read", "pio-write", "mmio-read", "mmio-write",
        "config-read", "config-write", "fd", "bh", "evtchn", "xenstore",
        "block", "tap", "chardev", "chardev-listener", "qmp",
    };
    Fixture *f = *state;
    char name[80];
    int places, c;
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        c = exhaust(f, kinds[i], &places);
        snprintf(name, sizeof(name), "%s:more", kinds[i]);
        assert_string_equal(cause(f, c)->name, name);
        assert_int_not_equal(c, PULSAR_LEDGER_OVERFLOW);
        assert_true(places >= 10);
        /* Those that were there are found as ever. */
        snprintf(name, sizeof(name), "%s:0", kinds[i]);
        c = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_OTHER, name);
        assert_string_equal(cause(f, c)->name, name);
    }
    wake(f, 1, c);
    assert_int_equal(cause(f, c)->wakes, 1);

    /* Kinds of which there are few members have one in common. */
    for (i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "kind%zu:x", i);
        c = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_OTHER, name);
        assert_string_equal(cause(f, c)->name, name);
    }
    assert_int_equal(exhaust(f, "unheard-of", &places),
                     PULSAR_LEDGER_OVERFLOW);
    assert_string_equal(cause(f, PULSAR_LEDGER_OVERFLOW)->name, "overflow");
    assert_in_range(header(f)->cause_count, 1, PULSAR_LEDGER_CAUSES);
}

/* Not to the microsecond when a key was typed. */
static void test_times_are_coarse(void **state)
{
    Fixture *f = *state;
    int c = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");

    pulsar_ledger_woken(&f->l, START + 2 * SECOND + 1234567, true, 1);
    pulsar_ledger_event(&f->l, c, 1, PULSAR_CLAIM);
    pulsar_ledger_sleep(&f->l, START + 2 * SECOND + 1239567);
    assert_int_equal(cause(f, c)->last_ns, START + 2 * SECOND + 1000000);
    assert_int_equal(header(f)->last_ns, START + 2 * SECOND + 1000000);
    assert_int_equal(cause(f, c)->busy_ns, 5000);
    /* Nor before the page was begun. */
    pulsar_ledger_woken(&f->l, START + 999, true, 1);
    pulsar_ledger_sleep(&f->l, START + 999);
    assert_int_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->last_ns, START);
    /* Another thread looks at the clock itself. */
    pulsar_ledger_event(&f->l, c, 1, PULSAR_CLAIM_NONE);
    assert_int_equal((cause(f, c)->last_ns - START) % 1000000, 0);
}

static void test_move(void **state)
{
    Fixture *f = *state;
    int t = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");
    void *page = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);

    wake(f, 1, t);
    pulsar_ledger_move(&f->l, page);
    free(f->page);
    f->page = page;
    wake(f, 2, t);
    assert_int_equal(cause(f, t)->wakes, 2);
    assert_int_equal(header(f)->total.timer, 2);
    assert_int_equal(header(f)->seq & 1, 0);
    assert_int_equal(pulsar_ledger_snapshot(f->page, PULSAR_LEDGER_TOTAL_SIZE,
                                            f->copy), PULSAR_LEDGER_OK);
}

static void test_threads(void **state)
{
    Fixture *f = *state;
    PulsarLedgerThread threads[PULSAR_LEDGER_THREADS + 1], *have;
    size_t i;

    memset(threads, 0, sizeof(threads));
    for (i = 0; i <= PULSAR_LEDGER_THREADS; i++) {
        threads[i].tid = 100 + i;
        threads[i].voluntary = i;
        memset(threads[i].name, 'x', sizeof(threads[i].name));
    }
    pulsar_ledger_set_threads(&f->l, threads, 2, START + 5);
    assert_int_equal(header(f)->seq & 1, 0);
    assert_int_equal(pulsar_ledger_snapshot(f->page, PULSAR_LEDGER_TOTAL_SIZE,
                                            f->copy), PULSAR_LEDGER_OK);
    assert_int_equal(pulsar_ledger_header(f->copy)->thread_count, 2);
    assert_int_equal(pulsar_ledger_header(f->copy)->thread_total, 2);
    assert_int_equal(pulsar_ledger_header(f->copy)->thread_ns, START + 5);
    have = pulsar_ledger_threads(f->copy);
    assert_int_equal(have[1].tid, 101);
    assert_int_equal(have[1].voluntary, 1);
    /* A name without its NUL gets one. */
    assert_int_equal(strlen(have[1].name), sizeof(have[1].name) - 1);

    /* More than there is room for are counted. */
    pulsar_ledger_set_threads(&f->l, threads, PULSAR_LEDGER_THREADS + 1,
                              START + 6);
    assert_int_equal(header(f)->thread_count, PULSAR_LEDGER_THREADS);
    assert_int_equal(header(f)->thread_total, PULSAR_LEDGER_THREADS + 1);
    assert_string_equal(cause(f, PULSAR_LEDGER_UNCLAIMED)->name, "unclaimed");

    /* They go along into another page. */
    have = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);
    pulsar_ledger_move(&f->l, have);
    free(f->page);
    f->page = have;
    assert_int_equal(pulsar_ledger_threads(f->page)[31].tid, 131);
}

/* Version 1.0 had no threads, whatever stands in the reserved bytes. */
static void test_older_minor_version(void **state)
{
    Fixture *f = *state;

    header(f)->minor = 0;
    header(f)->thread_offset = 0;
    header(f)->thread_size = 0;
    header(f)->thread_max = 0;
    header(f)->thread_count = 77;
    assert_int_equal(pulsar_ledger_snapshot(f->page, PULSAR_LEDGER_TOTAL_SIZE,
                                            f->copy), PULSAR_LEDGER_OK);
    assert_int_equal(pulsar_ledger_header(f->copy)->thread_count, 0);

    header(f)->minor = PULSAR_LEDGER_MINOR;
    assert_int_equal(pulsar_ledger_snapshot(f->page, PULSAR_LEDGER_TOTAL_SIZE,
                                            f->copy), PULSAR_LEDGER_CORRUPT);
}

static PulsarLedgerError snapshot(Fixture *f, size_t size)
{
    return pulsar_ledger_snapshot(f->page, size, f->copy);
}

static void test_short_page(void **state)
{
    Fixture *f = *state;
    size_t size[] = {
        0, 7, sizeof(PulsarLedgerHeader) - 1, sizeof(PulsarLedgerHeader),
        PULSAR_LEDGER_HEADER_SIZE, PULSAR_LEDGER_TOTAL_SIZE - 1
    };
    size_t i;

    for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        assert_int_equal(snapshot(f, size[i]), PULSAR_LEDGER_SHORT);
    }
    header(f)->total_size = PULSAR_LEDGER_TOTAL_SIZE + 4096;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_SHORT);
}

static void test_other_versions(void **state)
{
    Fixture *f = *state;

    header(f)->minor = PULSAR_LEDGER_MINOR + 7;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE), PULSAR_LEDGER_OK);
    header(f)->major = PULSAR_LEDGER_MAJOR + 1;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_NEWER);
    header(f)->magic[3] ^= 1;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_FOREIGN);
}

/* No number of the header is believed that this program does not expect. */
static void test_corrupt_header(void **state)
{
    Fixture *f = *state;
    PulsarLedgerHeader *h = header(f);
    uint32_t *field[] = {
        &h->cause_offset, &h->cause_size, &h->cause_max, &h->row_offset,
        &h->row_size, &h->row_max, &h->row_seconds, &h->text_offset,
        &h->text_size
    };
    uint32_t value[] = { 0, 1, UINT32_MAX, 1u << 31 };
    uint32_t saved;
    size_t i, k;

    for (i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
        for (k = 0; k < sizeof(value) / sizeof(value[0]); k++) {
            saved = *field[i];
            *field[i] = value[k];
            assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                             PULSAR_LEDGER_CORRUPT);
            *field[i] = saved;
        }
    }
    h->cause_count = PULSAR_LEDGER_CAUSES + 1;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_CORRUPT);
    h->cause_count = 2;
    h->total_size = PULSAR_LEDGER_TOTAL_SIZE - 1;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_CORRUPT);
}

static void test_strings_are_ended(void **state)
{
    Fixture *f = *state;

    memset(header(f)->name, 'a', sizeof(header(f)->name));
    memset(header(f)->uuid, 'b', sizeof(header(f)->uuid));
    memset(header(f)->version, 'c', sizeof(header(f)->version));
    memset(cause(f, 1)->name, 'd', sizeof(cause(f, 1)->name));
    memset((char *)f->page + PULSAR_LEDGER_TEXT_OFFSET, 'e',
           PULSAR_LEDGER_TEXT_SIZE);
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE), PULSAR_LEDGER_OK);
    free(f->page);
    f->page = f->copy;
    f->copy = NULL;
    assert_int_equal(strlen(header(f)->name), sizeof(header(f)->name) - 1);
    assert_int_equal(strlen(header(f)->uuid), sizeof(header(f)->uuid) - 1);
    assert_int_equal(strlen(header(f)->version),
                     sizeof(header(f)->version) - 1);
    assert_int_equal(strlen(cause(f, 1)->name), PULSAR_LEDGER_CAUSE_NAME - 1);
    assert_int_equal(strlen((char *)f->page + PULSAR_LEDGER_TEXT_OFFSET),
                     PULSAR_LEDGER_TEXT_SIZE - 1);
}

/* Parts of a page, with one of the calls refused. */
typedef struct Source {
    const char *page;
    int fail_at;
    int calls;
} Source;

static bool source_read(void *opaque, void *ret, size_t offset, size_t size)
{
    Source *s = opaque;

    if (++s->calls == s->fail_at) {
        return false;
    }
    memcpy(ret, s->page + offset, size);
    return true;
}

static void test_every_read_may_fail(void **state)
{
    Fixture *f = *state;
    PulsarLedgerError err;
    Source s = { f->page, 0, 0 };
    int i;

    for (i = 1;; i++) {
        s.fail_at = i;
        s.calls = 0;
        err = pulsar_ledger_read(source_read, &s, PULSAR_LEDGER_TOTAL_SIZE,
                                 false, f->copy);
        if (err == PULSAR_LEDGER_OK) {
            break;
        }
        assert_int_equal(err, PULSAR_LEDGER_SHORT);
        assert_true(s.calls == i || s.calls == i + 1);
    }
    assert_true(i > 4);
}

static void test_writer_died_while_writing(void **state)
{
    Fixture *f = *state;
    Source s = { f->page, 0, 0 };

    header(f)->seq |= 1;
    assert_int_equal(snapshot(f, PULSAR_LEDGER_TOTAL_SIZE),
                     PULSAR_LEDGER_BUSY);
    assert_int_equal(pulsar_ledger_read(source_read, &s,
                                        PULSAR_LEDGER_TOTAL_SIZE, true,
                                        f->copy), PULSAR_LEDGER_OK);
}

static void test_every_error_has_words(void **state)
{
    int err;

    for (err = PULSAR_LEDGER_OK; err <= PULSAR_LEDGER_BUSY; err++) {
        assert_string_not_equal(pulsar_ledger_strerror(err), "unreadable");
    }
    assert_string_equal(pulsar_ledger_strerror(err), "unreadable");
}

typedef struct Writers {
    PulsarLedger *l;
    int cause[2];
    int rounds;
    bool stop;
} Writers;

/* Counts both causes alike, in one change each time. */
static void *write_until_stopped(void *opaque)
{
    Writers *w = opaque;
    uint64_t now = START;
    int i;

    while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
        pulsar_ledger_woken(w->l, now, true, 1);
        pulsar_ledger_event(w->l, w->cause[0], 1, true);
        pulsar_ledger_event(w->l, w->cause[1], 2, true);
        pulsar_ledger_sleep(w->l, now + 10);
        now += SECOND / 100;
        for (i = 0; i < 20000; i++) {
            __asm__ volatile("");
        }
    }
    return NULL;
}

/* Whatever moment a snapshot catches, its sums agree with each other. */
/* The writer may be off its processor in the middle of a write. */
static void snapshot_when_at_rest(Fixture *f)
{
    PulsarLedgerError err = PULSAR_LEDGER_BUSY;
    int tries;

    for (tries = 0; err == PULSAR_LEDGER_BUSY && tries < 1000; tries++) {
        err = snapshot(f, PULSAR_LEDGER_TOTAL_SIZE);
    }
    assert_int_equal(err, PULSAR_LEDGER_OK);
}

static void test_no_torn_reads(void **state)
{
    Fixture *f = *state;
    Writers w = { .l = &f->l };
    PulsarLedgerCause *causes;
    PulsarLedgerCounts sum, n;
    PulsarLedgerHeader *h;
    uint64_t i, first, different = 0, last_seen = 0;
    pthread_t thread;
    int k;

    w.cause[0] = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:x");
    w.cause[1] = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_PIO_READ, "pio:x");
    assert_int_equal(pthread_create(&thread, NULL, write_until_stopped, &w),
                     0);
    for (k = 0; k < 2000 || different < 100; k++) {
        snapshot_when_at_rest(f);
        h = pulsar_ledger_header(f->copy);
        causes = pulsar_ledger_causes(f->copy);
        assert_int_equal(h->total.timer, causes[w.cause[0]].events);
        assert_int_equal(h->total.read, causes[w.cause[1]].events);
        assert_true(h->total.wakes - causes[w.cause[0]].wakes <= 1);

        memset(&sum, 0, sizeof(sum));
        first = h->row_last < PULSAR_LEDGER_ROWS
                ? 1 : h->row_last - PULSAR_LEDGER_ROWS + 1;
        for (i = first; i <= h->row_last; i++) {
            assert_true(pulsar_ledger_row(f->copy, i, &n));
            sum.timer += n.timer;
            sum.read += n.read;
        }
        if (first == 1) {
            assert_int_equal(sum.timer, h->total.timer);
            assert_int_equal(sum.read, h->total.read);
        }
        different += h->total.timer != last_seen;
        last_seen = h->total.timer;
    }
    __atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_int_equal(header(f)->seq & 1, 0);
}

static void *write_rounds(void *opaque)
{
    Writers *w = opaque;
    int i;

    for (i = 0; i < w->rounds; i++) {
        pulsar_ledger_event(w->l, w->cause[0], 1, false);
    }
    return NULL;
}

static void test_two_writers_lose_nothing(void **state)
{
    Fixture *f = *state;
    Writers w = { .l = &f->l, .rounds = 50000 };
    pthread_t thread;

    w.cause[0] = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, "fd:x");
    assert_int_equal(pthread_create(&thread, NULL, write_rounds, &w), 0);
    write_rounds(&w);
    pthread_join(thread, NULL);
    assert_int_equal(cause(f, w.cause[0])->events, 2 * w.rounds);
    assert_int_equal(header(f)->total.event, 2 * w.rounds);
}

/* Into another page while somebody counts: all of it arrives there. */
static void test_move_while_counting(void **state)
{
    Fixture *f = *state;
    Writers w = { .l = &f->l, .rounds = 50000 };
    void *page[8], *first = f->page;
    pthread_t thread;
    size_t i;

    w.cause[0] = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_FD, "fd:x");
    assert_int_equal(pthread_create(&thread, NULL, write_rounds, &w), 0);
    for (i = 0; i < 8; i++) {
        page[i] = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);
        pulsar_ledger_move(&f->l, page[i]);
    }
    pthread_join(thread, NULL);
    f->page = page[7];
    assert_int_equal(cause(f, w.cause[0])->events, w.rounds);
    for (i = 0; i < 7; i++) {
        free(page[i]);
    }
    free(first);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

/* Of dense wakes only some are timed, and stand for the others. */
static void test_time_is_charged_by_weight(void **state)
{
    Fixture *f = *state;
    int c = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_TIMER, "timer:t");
    PulsarLedgerCause *causes = pulsar_ledger_causes(f->page);

    pulsar_ledger_woken(&f->l, START + 10, true, 8);
    pulsar_ledger_event(&f->l, c, 1, PULSAR_CLAIM);
    pulsar_ledger_sleep(&f->l, START + 13);
    assert_int_equal(causes[c].busy_ns, 24);
    pulsar_ledger_woken(&f->l, START + 20, true, 0);
    pulsar_ledger_event(&f->l, c, 1, PULSAR_CLAIM);
    pulsar_ledger_sleep(&f->l, 0);
    pulsar_ledger_woken(&f->l, START + 30, true, 0);
    pulsar_ledger_sleep(&f->l, 0);
    assert_int_equal(causes[c].busy_ns, 24);
    assert_int_equal(causes[c].wakes, 2);
    assert_int_equal(causes[PULSAR_LEDGER_UNCLAIMED].wakes, 1);
    assert_int_equal(causes[PULSAR_LEDGER_UNCLAIMED].busy_ns, 0);
}

/* What passes an event on is the cause only when it leads to nothing. */
static void test_a_weak_claim_gives_way(void **state)
{
    Fixture *f = *state;
    int weak = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_BH, "bh:weak");
    int real = pulsar_ledger_cause(&f->l, PULSAR_CAUSE_OTHER, "qmp:real");
    PulsarLedgerCause *causes = pulsar_ledger_causes(f->page);

    pulsar_ledger_woken(&f->l, START + 1, true, 1);
    pulsar_ledger_event(&f->l, weak, 1, PULSAR_CLAIM_WEAK);
    pulsar_ledger_event(&f->l, real, 1, PULSAR_CLAIM);
    pulsar_ledger_sleep(&f->l, START + 2);
    assert_int_equal(causes[weak].wakes, 0);
    assert_int_equal(causes[real].wakes, 1);

    pulsar_ledger_woken(&f->l, START + 3, true, 1);
    pulsar_ledger_event(&f->l, weak, 1, PULSAR_CLAIM_WEAK);
    pulsar_ledger_sleep(&f->l, START + 9);
    assert_int_equal(causes[weak].wakes, 1);
    assert_int_equal(causes[weak].busy_ns, 6);
    assert_int_equal(causes[PULSAR_LEDGER_UNCLAIMED].wakes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_page),
        TEST(columns),
        TEST(first_event_is_the_cause),
        TEST(unclaimed_wake),
        TEST(poll_without_sleep),
        TEST(other_thread_does_not_claim),
        TEST(a_weak_claim_gives_way),
        TEST(time_is_charged_by_weight),
        TEST(rows),
        TEST(rows_come_round),
        TEST(late_clock),
        TEST(clock_before_start),
        TEST(cause_names),
        TEST(each_kind_has_its_share),
        TEST(times_are_coarse),
        TEST(move),
        TEST(threads),
        TEST(older_minor_version),
        TEST(short_page),
        TEST(other_versions),
        TEST(corrupt_header),
        TEST(strings_are_ended),
        TEST(every_read_may_fail),
        TEST(writer_died_while_writing),
        TEST(every_error_has_words),
        TEST(no_torn_reads),
        TEST(two_writers_lose_nothing),
        TEST(move_while_counting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
