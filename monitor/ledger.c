/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger's core. See ledger.h for the contract and ledger-page.h
 * for the format. Compiled into the device model, the `pulsar` command and
 * the unit tests; includes no QEMU header.
 */
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "ledger.h"

#define NS_PER_SECOND  1000000000ULL
#define NS_PER_MS      1000000ULL

/* How often a reader tries again while the writer is busy; writers try on. */
#define SNAPSHOT_TRIES  100000
#define TRIES_PER_YIELD 64

static uint64_t monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

/*
 * The sequence number is the writers' lock: odd means held. Contention is a
 * rare accident (an I/O thread counting while the main loop does). The holder
 * does nothing that can block, but it may be made to leave the processor.
 */
static PulsarLedgerHeader *page_lock(PulsarLedger *l)
{
    PulsarLedgerHeader *h;
    uint32_t seq, tries;

    for (tries = 1; ; tries++) {
        h = pulsar_ledger_header(__atomic_load_n(&l->page, __ATOMIC_ACQUIRE));
        seq = __atomic_load_n(&h->seq, __ATOMIC_RELAXED);
        if (!(seq & 1) &&
            __atomic_compare_exchange_n(&h->seq, &seq, seq + 1, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            if (h == __atomic_load_n(&l->page, __ATOMIC_ACQUIRE)) {
                break;
            }
            __atomic_store_n(&h->seq, seq, __ATOMIC_RELEASE); /* moved */
        }
        if (tries % TRIES_PER_YIELD == 0) {
            sched_yield();
        }
    }
    /* What follows must not be seen before the odd number. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    return h;
}

static void page_unlock(PulsarLedgerHeader *h)
{
    uint32_t seq = __atomic_load_n(&h->seq, __ATOMIC_RELAXED);

    __atomic_store_n(&h->seq, seq + 1, __ATOMIC_RELEASE);
}

/*
 * Who may read the page is told what happened, not when to the microsecond:
 * of keys that are typed that says more than of anything else.
 */
static uint64_t coarse(const PulsarLedgerHeader *h, uint64_t now_ns)
{
    uint64_t since = now_ns > h->start_ns ? now_ns - h->start_ns : 0;

    return h->start_ns + since - since % NS_PER_MS;
}

/* The row of @now_ns, begun anew when its slot still holds an older one. */
static PulsarLedgerRow *current_row(void *page, uint64_t now_ns)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(page);
    uint64_t since = now_ns > h->start_ns ? now_ns - h->start_ns : 0;
    uint64_t index = since / (PULSAR_LEDGER_ROW_SECONDS * NS_PER_SECOND) + 1;
    PulsarLedgerRow *row;

    if (index < h->row_last) {
        index = h->row_last; /* another thread's clock read came late */
    }
    row = &pulsar_ledger_rows(page)[index % PULSAR_LEDGER_ROWS];
    if (row->index != index) {
        memset(row, 0, sizeof(*row));
        row->index = index;
    }
    /* The main loop looks at it without the lock. */
    __atomic_store_n(&h->row_last, index, __ATOMIC_RELAXED);
    now_ns = coarse(h, now_ns);
    if (now_ns > h->last_ns) {
        h->last_ns = now_ns;
    }
    return row;
}

static void add_counts(PulsarLedgerCounts *n, uint32_t class_, uint32_t times)
{
    switch (class_) {
    case PULSAR_CAUSE_TIMER:
        n->timer += times;
        break;
    case PULSAR_CAUSE_PIO_READ:
    case PULSAR_CAUSE_MMIO_READ:
    case PULSAR_CAUSE_CONFIG_READ:
        n->read += times;
        break;
    case PULSAR_CAUSE_BUFIOREQ:
        n->buffered += times;
        n->write += times;
        break;
    case PULSAR_CAUSE_PIO_WRITE:
    case PULSAR_CAUSE_MMIO_WRITE:
    case PULSAR_CAUSE_CONFIG_WRITE:
        n->write += times;
        break;
    default:
        n->event += times;
        break;
    }
}

void pulsar_ledger_init(PulsarLedger *l, void *page, uint64_t now_ns)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(page);

    memset(l, 0, sizeof(*l));
    l->page = page;
    l->now_ns = now_ns;
    l->wake_cause = -1;
    l->weak_cause = -1;

    memcpy(h->magic, PULSAR_LEDGER_MAGIC, sizeof(h->magic));
    h->major = PULSAR_LEDGER_MAJOR;
    h->minor = PULSAR_LEDGER_MINOR;
    h->header_size = PULSAR_LEDGER_HEADER_SIZE;
    h->total_size = PULSAR_LEDGER_TOTAL_SIZE;
    h->cause_offset = PULSAR_LEDGER_CAUSE_OFFSET;
    h->cause_size = sizeof(PulsarLedgerCause);
    h->cause_max = PULSAR_LEDGER_CAUSES;
    h->row_offset = PULSAR_LEDGER_ROW_OFFSET;
    h->row_size = sizeof(PulsarLedgerRow);
    h->row_max = PULSAR_LEDGER_ROWS;
    h->row_seconds = PULSAR_LEDGER_ROW_SECONDS;
    h->text_offset = PULSAR_LEDGER_TEXT_OFFSET;
    h->text_size = PULSAR_LEDGER_TEXT_SIZE;
    h->thread_offset = PULSAR_LEDGER_THREAD_OFFSET;
    h->thread_size = sizeof(PulsarLedgerThread);
    h->thread_max = PULSAR_LEDGER_THREADS;
    h->start_ns = now_ns;
    h->state = PULSAR_LEDGER_STARTING;

    pulsar_ledger_cause(l, PULSAR_CAUSE_OTHER, "unclaimed");
    pulsar_ledger_cause(l, PULSAR_CAUSE_OTHER, "overflow");
}

void pulsar_ledger_set_state(PulsarLedger *l, PulsarLedgerState state)
{
    PulsarLedgerHeader *h = page_lock(l);

    h->state = state;
    page_unlock(h);
}

void pulsar_ledger_set_text(PulsarLedger *l, const char *text)
{
    size_t len = strlen(text);
    PulsarLedgerHeader *h;
    char *to;

    if (len >= PULSAR_LEDGER_TEXT_SIZE) {
        len = PULSAR_LEDGER_TEXT_SIZE - 1;
    }
    h = page_lock(l);
    to = (char *)h + PULSAR_LEDGER_TEXT_OFFSET;
    memcpy(to, text, len);
    memset(to + len, 0, PULSAR_LEDGER_TEXT_SIZE - len);
    page_unlock(h);
}

void pulsar_ledger_set_threads(PulsarLedger *l,
                               const PulsarLedgerThread *threads,
                               size_t total, uint64_t now_ns)
{
    size_t n = total < PULSAR_LEDGER_THREADS ? total : PULSAR_LEDGER_THREADS;
    PulsarLedgerHeader *h = page_lock(l);

    memcpy(pulsar_ledger_threads(h), threads, n * sizeof(*threads));
    h->thread_count = n;
    h->thread_total = total;
    h->thread_ns = now_ns;
    page_unlock(h);
}

void pulsar_ledger_move(PulsarLedger *l, void *page)
{
    PulsarLedgerHeader *old = page_lock(l);

    memcpy(page, old, PULSAR_LEDGER_TOTAL_SIZE);
    __atomic_store_n(&l->page, page, __ATOMIC_RELEASE);
    page_unlock(pulsar_ledger_header(page));
    page_unlock(old);
}

/*
 * How many causes each kind may have. Kinds that are not named here share the
 * places of the last row; together they fit the table, behind the first two.
 */
static const struct {
    const char *kind;
    uint32_t places;
} shares[] = {
    { "timer", 56 },
    { "pio-read", 40 }, { "pio-write", 40 },
    { "mmio-read", 32 }, { "mmio-write", 32 },
    { "config-read", 32 }, { "config-write", 32 },
    { "fd", 48 }, { "bh", 48 },
    { "evtchn", 32 }, { "xenstore", 16 },
    { "block", 32 }, { "tap", 16 },
    { "chardev", 16 }, { "chardev-listener", 16 }, { "qmp", 10 },
    { NULL, 12 },
};

#define N_SHARES  (sizeof(shares) / sizeof(*shares))

/* Which of them a name takes from. */
static size_t share_of(const char *name)
{
    size_t i, len = strcspn(name, ":");

    for (i = 0; i < N_SHARES - 1; i++) {
        if (strlen(shares[i].kind) == len &&
            !strncmp(shares[i].kind, name, len)) {
            break;
        }
    }
    return i;
}

static int find_cause(PulsarLedgerHeader *h, const char *name)
{
    PulsarLedgerCause *causes = pulsar_ledger_causes(h);
    uint32_t i;

    for (i = 0; i < h->cause_count; i++) {
        if (!strcmp(causes[i].name, name)) {
            return i;
        }
    }
    return -1;
}

static uint32_t places_taken(PulsarLedgerHeader *h, size_t share)
{
    PulsarLedgerCause *causes = pulsar_ledger_causes(h);
    uint32_t i, n = 0;

    for (i = PULSAR_LEDGER_OVERFLOW + 1; i < h->cause_count; i++) {
        n += share_of(causes[i].name) == share;
    }
    return n;
}

/* Of a kind that has used up its share, which are counted as one. */
static int find_more(PulsarLedgerHeader *h, size_t share, char *key)
{
    if (!shares[share].kind) {
        return PULSAR_LEDGER_OVERFLOW;
    }
    memset(key, 0, PULSAR_LEDGER_CAUSE_NAME);
    strcpy(key, shares[share].kind);
    strcat(key, ":more");
    return find_cause(h, key);
}

int pulsar_ledger_cause(PulsarLedger *l, PulsarCauseClass class_,
                        const char *name)
{
    char key[PULSAR_LEDGER_CAUSE_NAME] = "";
    size_t len = strlen(name), share;
    PulsarLedgerHeader *h;
    PulsarLedgerCause *new;
    int cause;

    memcpy(key, name, len < sizeof(key) ? len : sizeof(key) - 1);
    h = page_lock(l);
    cause = find_cause(h, key);
    if (cause < 0) {
        share = share_of(key);
        if (places_taken(h, share) + 1 >= shares[share].places) {
            cause = find_more(h, share, key);
        }
    }
    if (cause < 0) {
        cause = h->cause_count++;
        new = &pulsar_ledger_causes(h)[cause];
        memcpy(new->name, key, sizeof(key));
        new->class_ = class_;
    }
    page_unlock(h);
    return cause;
}

void pulsar_ledger_woken(PulsarLedger *l, uint64_t now_ns, bool slept,
                         uint32_t weight)
{
    PulsarLedgerHeader *h;

    l->now_ns = now_ns;
    if (!slept) {
        return;
    }
    l->awake = true;
    l->awake_since_ns = now_ns;
    l->weight = weight;
    l->wake_cause = -1;
    l->weak_cause = -1;

    h = page_lock(l);
    h->total.wakes++;
    current_row(h, now_ns)->n.wakes++;
    page_unlock(h);
}

void pulsar_ledger_sleep(PulsarLedger *l, uint64_t now_ns)
{
    PulsarLedgerCause *cause;
    PulsarLedgerHeader *h;

    if (!l->awake) {
        return;
    }
    l->awake = false;
    if (!l->weight && l->wake_cause >= 0) {
        return;
    }

    h = page_lock(l);
    if (l->wake_cause >= 0) {
        cause = &pulsar_ledger_causes(h)[l->wake_cause];
    } else if (l->weak_cause >= 0) {
        cause = &pulsar_ledger_causes(h)[l->weak_cause];
        cause->wakes++;
    } else {
        cause = &pulsar_ledger_causes(h)[PULSAR_LEDGER_UNCLAIMED];
        cause->wakes++;
        cause->events++;
        cause->last_ns = coarse(h, l->awake_since_ns);
    }
    if (l->weight && now_ns > l->awake_since_ns) {
        cause->busy_ns += (now_ns - l->awake_since_ns) * l->weight;
    }
    page_unlock(h);
}

void pulsar_ledger_event(PulsarLedger *l, int cause, uint32_t times,
                         PulsarClaim claim)
{
    uint64_t now_ns = claim != PULSAR_CLAIM_NONE ? l->now_ns : monotonic_ns();
    PulsarLedgerHeader *h = page_lock(l);
    PulsarLedgerCause *c = &pulsar_ledger_causes(h)[cause];

    c->events += times;
    c->last_ns = coarse(h, now_ns);
    if (claim == PULSAR_CLAIM && l->awake && l->wake_cause < 0) {
        l->wake_cause = cause;
        c->wakes++;
    } else if (claim == PULSAR_CLAIM_WEAK && l->weak_cause < 0) {
        l->weak_cause = cause;
    }
    add_counts(&h->total, c->class_, times);
    add_counts(&current_row(h, now_ns)->n, c->class_, times);
    page_unlock(h);
}

static PulsarLedgerError check_header(const PulsarLedgerHeader *h, size_t size)
{
    if (size < sizeof(*h)) {
        return PULSAR_LEDGER_SHORT;
    }
    if (memcmp(h->magic, PULSAR_LEDGER_MAGIC, sizeof(h->magic))) {
        return PULSAR_LEDGER_FOREIGN;
    }
    if (h->major != PULSAR_LEDGER_MAJOR) {
        return PULSAR_LEDGER_NEWER;
    }
    if (h->total_size < PULSAR_LEDGER_TOTAL_SIZE ||
        h->cause_offset != PULSAR_LEDGER_CAUSE_OFFSET ||
        h->cause_size != sizeof(PulsarLedgerCause) ||
        h->cause_max != PULSAR_LEDGER_CAUSES ||
        h->row_offset != PULSAR_LEDGER_ROW_OFFSET ||
        h->row_size != sizeof(PulsarLedgerRow) ||
        h->row_max != PULSAR_LEDGER_ROWS ||
        h->row_seconds != PULSAR_LEDGER_ROW_SECONDS ||
        h->text_offset != PULSAR_LEDGER_TEXT_OFFSET ||
        h->text_size != PULSAR_LEDGER_TEXT_SIZE) {
        return PULSAR_LEDGER_CORRUPT;
    }
    if (h->minor >= 1 &&
        (h->thread_offset != PULSAR_LEDGER_THREAD_OFFSET ||
         h->thread_size != sizeof(PulsarLedgerThread) ||
         h->thread_max != PULSAR_LEDGER_THREADS)) {
        return PULSAR_LEDGER_CORRUPT;
    }
    return size < h->total_size ? PULSAR_LEDGER_SHORT : PULSAR_LEDGER_OK;
}

/* A name that a hostile page left without its NUL gets one. */
static void terminate_strings(void *page)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(page);
    PulsarLedgerCause *causes = pulsar_ledger_causes(page);
    PulsarLedgerThread *threads = pulsar_ledger_threads(page);
    uint32_t i;

    h->name[sizeof(h->name) - 1] = 0;
    h->uuid[sizeof(h->uuid) - 1] = 0;
    h->version[sizeof(h->version) - 1] = 0;
    for (i = 0; i < h->cause_count; i++) {
        causes[i].name[sizeof(causes[i].name) - 1] = 0;
    }
    for (i = 0; i < h->thread_count; i++) {
        threads[i].name[sizeof(threads[i].name) - 1] = 0;
    }
    ((char *)page)[PULSAR_LEDGER_TEXT_OFFSET + PULSAR_LEDGER_TEXT_SIZE - 1] = 0;
}

static bool read_seq(PulsarLedgerRead *read, void *opaque, uint32_t *ret)
{
    return read(opaque, ret, offsetof(PulsarLedgerHeader, seq), sizeof(*ret));
}

/* The header, the threads and causes in use, the rows and the text. */
static PulsarLedgerError read_once(PulsarLedgerRead *read, void *opaque,
                                   size_t size, void *ret)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(ret);
    PulsarLedgerError err;
    size_t causes;

    if (!read(opaque, h, 0, sizeof(*h))) {
        return PULSAR_LEDGER_SHORT;
    }
    err = check_header(h, size);
    if (err != PULSAR_LEDGER_OK) {
        return err;
    }
    if (h->minor < 1) {
        h->thread_count = 0; /* reserved then */
    }
    if (h->cause_count > PULSAR_LEDGER_CAUSES ||
        h->thread_count > PULSAR_LEDGER_THREADS) {
        return PULSAR_LEDGER_CORRUPT;
    }
    causes = h->cause_count * sizeof(PulsarLedgerCause);
    if (!read(opaque, pulsar_ledger_threads(ret), PULSAR_LEDGER_THREAD_OFFSET,
              h->thread_count * sizeof(PulsarLedgerThread)) ||
        !read(opaque, pulsar_ledger_causes(ret), PULSAR_LEDGER_CAUSE_OFFSET,
              causes) ||
        !read(opaque, pulsar_ledger_rows(ret), PULSAR_LEDGER_ROW_OFFSET,
              PULSAR_LEDGER_TOTAL_SIZE - PULSAR_LEDGER_ROW_OFFSET)) {
        return PULSAR_LEDGER_SHORT;
    }
    return PULSAR_LEDGER_OK;
}

PulsarLedgerError pulsar_ledger_read(PulsarLedgerRead *read, void *opaque,
                                     size_t size, bool dead, void *ret)
{
    PulsarLedgerError err;
    uint32_t before, after, tries;

    if (size < sizeof(PulsarLedgerHeader)) {
        return PULSAR_LEDGER_SHORT;
    }
    for (tries = 1; tries <= SNAPSHOT_TRIES; tries++) {
        if (!read_seq(read, opaque, &before)) {
            return PULSAR_LEDGER_SHORT;
        }
        if (!(before & 1) || dead) {
            err = read_once(read, opaque, size, ret);
            if (!read_seq(read, opaque, &after)) {
                return PULSAR_LEDGER_SHORT;
            }
            if (before == after) {
                if (err == PULSAR_LEDGER_OK) {
                    terminate_strings(ret);
                }
                return err;
            }
        }
        if (tries % TRIES_PER_YIELD == 0) {
            sched_yield(); /* the writer may be waiting for this processor */
        }
    }
    return PULSAR_LEDGER_BUSY;
}

static bool read_memory(void *opaque, void *ret, size_t offset, size_t size)
{
    const char *from = (const char *)opaque + offset;

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (size == sizeof(uint32_t)) {
        *(uint32_t *)ret = __atomic_load_n((const uint32_t *)from,
                                           __ATOMIC_ACQUIRE);
    } else {
        memcpy(ret, from, size);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return true;
}

PulsarLedgerError pulsar_ledger_snapshot(const void *page, size_t size,
                                         void *ret)
{
    return pulsar_ledger_read(read_memory, (void *)page, size, false, ret);
}

const char *pulsar_ledger_strerror(PulsarLedgerError err)
{
    switch (err) {
    case PULSAR_LEDGER_OK:
        return "readable";
    case PULSAR_LEDGER_SHORT:
        return "shorter than a ledger page";
    case PULSAR_LEDGER_FOREIGN:
        return "not a ledger page (wrong magic)";
    case PULSAR_LEDGER_NEWER:
        return "a ledger page of another major version";
    case PULSAR_LEDGER_CORRUPT:
        return "a ledger page whose header contradicts itself";
    case PULSAR_LEDGER_BUSY:
        return "a ledger page that is never at rest";
    }
    return "unreadable";
}

bool pulsar_ledger_row(const void *page, uint64_t index,
                       PulsarLedgerCounts *ret)
{
    const PulsarLedgerHeader *h = pulsar_ledger_header(page);
    const PulsarLedgerRow *row;

    if (!index || index + PULSAR_LEDGER_ROWS <= h->row_last) {
        return false;
    }
    row = &pulsar_ledger_rows(page)[index % PULSAR_LEDGER_ROWS];
    if (row->index == index) {
        *ret = row->n;
    } else {
        memset(ret, 0, sizeof(*ret));
    }
    return true;
}
