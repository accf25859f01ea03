/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger inside QEMU: the hooks in the main loop, the names of
 * callbacks, and the file behind the page.
 *
 * Part of libqemuutil, so that everything that links the main loop links.
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/cutils.h"
#include "qemu/lockable.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "block/block_int-common.h"
#include "chardev/char.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "channel-name.h"
#include "ledger-glue.h"
#include "page-file.h"
#include "thread-switches.h"

/*
 * Counting starts before main(): in this page until a file takes its place.
 * Only the parts that are touched cost memory, and are given back then.
 */
static uint64_t boot_page[PULSAR_LEDGER_TOTAL_SIZE / sizeof(uint64_t)]
    QEMU_ALIGNED(PULSAR_LEDGER_HEADER_SIZE);
static PulsarLedger ledger;
static char *page_path;
static struct stat page_stat; /* the file there that is ours */
static pid_t page_pid;        /* whose it is, should somebody fork */

/* GLib's own: how it is told that there is something new to wait for. */
static int glib_wakeup_fd = -1;

static __thread bool in_main_loop;

extern const char __executable_start[]; /* from the linker */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

/* Not get_clock(): that knows its clock only after another constructor. */
static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- from a callback to its cause, without a lock -------------------- */

/*
 * An open hash of (pointer, class) pairs. Entries are added under the lock
 * and never change or go away, so that readers need none: they see an entry
 * when its key is there, and the key is stored last.
 */
typedef struct CauseSlot {
    const void *key;
    uint32_t class_;
    int cause;
} CauseSlot;

QEMU_BUILD_BUG_ON(sizeof(CauseSlot) != PULSAR_LEDGER_SLOT_SIZE);

static CauseSlot cause_slots[PULSAR_LEDGER_SLOTS];
static unsigned int cause_slots_used;
static QemuMutex names_lock;
static GHashTable *names; /* callback -> spelling */

static CauseSlot *find_slot(const void *key, PulsarCauseClass class_)
{
    uintptr_t hash = ((uintptr_t)key >> 4) * 0x9e3779b1u + class_;
    unsigned int i;

    for (i = hash % PULSAR_LEDGER_SLOTS; ; i = (i + 1) % PULSAR_LEDGER_SLOTS) {
        CauseSlot *slot = &cause_slots[i];
        const void *have = qatomic_load_acquire(&slot->key);

        if (!have || (have == key && slot->class_ == class_)) {
            return slot;
        }
    }
}

/* Before anything was added to it, this is all that it waits for. */
static int find_glib_wakeup_fd(void)
{
    GMainContext *context = g_main_context_default();
    gint timeout, n = 0;
    GPollFD fd;

    if (g_main_context_acquire(context)) {
        n = g_main_context_query(context, G_MAXINT, &timeout, &fd, 1);
        g_main_context_release(context);
    }
    return n == 1 ? fd.fd : -1;
}

static void __attribute__((constructor)) ledger_begin(void)
{
    qemu_mutex_init(&names_lock);
    pulsar_ledger_init(&ledger, boot_page, now_ns());
    glib_wakeup_fd = find_glib_wakeup_fd();
}

/* Callbacks that people know by what they are for. */
static const struct {
    const char *callback;
    const char *cause;
} known[] = {
    { "cpu_handle_ioreq", "evtchn:ioreq" },
    { "xen_device_event", "evtchn:pv-backend" },
    { "xen_pv_evtchn_event", "evtchn:pv-backend" },
    { "watch_event", "xenstore:watch" },
    { "tap_send", "tap:receive" },
    { "tap_writable", "tap:transmit" },
    { "qemu_laio_completion_cb", "block:linux-aio" },
    { "qemu_laio_completion_bh", "block:linux-aio" },
    { "qemu_luring_completion_cb", "block:io_uring" },
    { "qemu_luring_completion_bh", "block:io_uring" },
    { "thread_pool_completion_bh", "block:thread-pool" },
    { "vnc_jobs_bh", "vnc:client" },
    { "pty_typed", "chardev:pty" },
    { "pty_look", "chardev:pty" },
    { "inotify_readable", "chardev:pty" },
};

static void cause_name(char *ret, size_t size, const char *prefix,
                       const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(known); i++) {
        if (g_str_equal(known[i].callback, name)) {
            pstrcpy(ret, size, known[i].cause);
            return;
        }
    }
    snprintf(ret, size, "%s:%s", prefix, name);
}

/* Adds @name, or "prefix:name", under @key; returns its cause. */
static int add_cause(const void *key, PulsarCauseClass class_,
                     const char *prefix, const char *name)
{
    char text[PULSAR_LEDGER_CAUSE_NAME];
    CauseSlot *slot;
    int cause;

    cause_name(text, sizeof(text), prefix, name);
    cause = pulsar_ledger_cause(&ledger, class_, text);

    QEMU_LOCK_GUARD(&names_lock);
    slot = find_slot(key, class_);
    if (!slot->key && cause_slots_used < PULSAR_LEDGER_SLOTS / 2) {
        slot->class_ = class_;
        slot->cause = cause;
        qatomic_store_release(&slot->key, key);
        cause_slots_used++;
    }
    return cause;
}

/* "cond ? tap_send : NULL" was handed over: the name is "tap_send". */
static char *tidy_spelling(const char *spelling)
{
    const char *p = strrchr(spelling, '?');
    size_t len;

    p = p ? p + 1 : spelling;
    p += strspn(p, " (&*");
    len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789_.->");
    return g_strndup(p, len);
}

void *pulsar_name(void *fn, const char *spelling)
{
    if (!fn) {
        return NULL;
    }
    QEMU_LOCK_GUARD(&names_lock);
    if (!names) {
        names = g_hash_table_new(NULL, NULL);
    }
    if (!g_hash_table_contains(names, fn)) {
        g_hash_table_insert(names, fn, tidy_spelling(spelling));
    }
    return fn;
}

static char *name_of(const void *fn)
{
    const char *name = NULL;

    WITH_QEMU_LOCK_GUARD(&names_lock) {
        name = names ? g_hash_table_lookup(names, fn) : NULL;
    }
    /* The address as addr2line and gdb's "info symbol" want it. */
    return name ? g_strdup(name)
                : g_strdup_printf("0x%tx",
                                  (const char *)fn - __executable_start);
}

static int cause_of_fn(const void *fn, PulsarCauseClass class_,
                       const char *prefix)
{
    CauseSlot *slot = find_slot(fn, class_);
    g_autofree char *name = NULL;

    if (slot->key) {
        return slot->cause;
    }
    name = name_of(fn);
    return add_cause(fn, class_, prefix, name);
}

/*
 * Callbacks that only pass on what woke us: the cause is what they lead to,
 * and they themselves only when that is nothing.
 */
static bool passes_on(int cause)
{
    static const char *const names[] = {
        "evtchn:ioreq", "evtchn:pv-backend", "xenstore:watch", "tap:receive",
        "block:linux-aio", "block:io_uring", "block:thread-pool",
        "fd:aio_context_notifier_cb", "bh:co_schedule_bh_cb",
        "bh:notify_event_cb", "bh:glib-wakeup",
    };
    static uint8_t answers[PULSAR_LEDGER_CAUSES]; /* 1: no, 2: yes */
    const char *name = pulsar_ledger_causes(ledger.page)[cause].name;
    size_t i;

    if (!answers[cause]) {
        answers[cause] = 1;
        for (i = 0; i < ARRAY_SIZE(names); i++) {
            if (g_str_equal(name, names[i])) {
                answers[cause] = 2;
            }
        }
    }
    return answers[cause] == 2;
}

/*
 * The exact clock costs 20 to 35 ns a read, the coarse one a third; a wake
 * costs some 5 us. A wake that is the first since the coarse clock ticked
 * (every 1 to 10 ms) is timed exactly; of those that follow within the tick
 * one in SAMPLE, chosen at random, stands for the others.
 */
#define SAMPLE 8

static uint32_t sample_weight(bool dense)
{
    static uint32_t random = 1;

    if (!dense) {
        return 1;
    }
    random = random * 1664525 + 1013904223;
    return random >> 29 ? 0 : SAMPLE;
}

/* ---- hooks ----------------------------------------------------------- */

PulsarLedger *pulsar_ledger_self(void)
{
    return &ledger;
}

void pulsar_ledger_count(int cause, uint32_t times)
{
    pulsar_ledger_event(&ledger, cause, times,
                        in_main_loop ? PULSAR_CLAIM : PULSAR_CLAIM_NONE);
}

static void count_callback(int cause)
{
    pulsar_ledger_event(&ledger, cause, 1,
                        !in_main_loop ? PULSAR_CLAIM_NONE :
                        passes_on(cause) ? PULSAR_CLAIM_WEAK : PULSAR_CLAIM);
}

/* Counts once under @text, which is made from what @key points to. */
static void count_text(const void *key, PulsarCauseClass class_,
                       const char *text)
{
    /*
     * Things come and go, and with them their names: what is remembered of
     * one is only a guess, checked against the name in the table.
     */
    static __thread int guesses[16];
    int *guess = &guesses[((uintptr_t)key >> 4) % ARRAY_SIZE(guesses)];

    if (strcmp(pulsar_ledger_causes(ledger.page)[*guess].name, text)) {
        *guess = pulsar_ledger_cause(&ledger, class_, text);
    }
    pulsar_ledger_count(*guess, 1);
}

void pulsar_ledger_count_named(const char *kind, const char *name)
{
    char text[PULSAR_LEDGER_CAUSE_NAME];

    snprintf(text, sizeof(text), "%s:%s", kind, name);
    count_text(name, PULSAR_CAUSE_OTHER, text);
}

void pulsar_ledger_note_threads(void)
{
    PulsarLedgerThread threads[PULSAR_LEDGER_THREADS];
    size_t n = 0;
    int fd;

    fd = qemu_open_old("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        n = pulsar_threads_switches(fd, threads, ARRAY_SIZE(threads));
        close(fd);
    }
    if (!n && in_main_loop) {
        n = pulsar_thread_switches_self(threads);
    }
    if (n) {
        pulsar_ledger_set_threads(&ledger, threads, n, now_ns());
    }
}

void pulsar_main_loop_sleep(int64_t timeout_ns)
{
    if (timeout_ns) {
        pulsar_ledger_sleep(&ledger, ledger.weight ? now_ns() : 0);
    }
}

/*
 * A handler that adds a source outside of GLib's turn makes the next poll
 * return at once, and nothing is dispatched for it.
 */
static void count_glib_wakeup(const GArray *fds)
{
    guint i;

    for (i = 0; i < fds->len; i++) {
        const GPollFD *p = &g_array_index(fds, GPollFD, i);

        if (p->fd == glib_wakeup_fd) { /* the first of them, or nearly so */
            if (p->revents) {
                pulsar_aio_bh_call("glib-wakeup");
            }
            return;
        }
    }
}

void pulsar_main_loop_woken(int64_t timeout_ns, const GArray *fds)
{
    static uint64_t last, row;
    uint64_t row_now, now = clock_ns(CLOCK_MONOTONIC_COARSE);
    uint32_t weight = sample_weight(now == last);

    in_main_loop = true;
    last = now;
    pulsar_ledger_woken(&ledger, weight ? now_ns() : now, timeout_ns != 0,
                        weight);
    count_glib_wakeup(fds);
    row_now = __atomic_load_n(&pulsar_ledger_header(ledger.page)->row_last,
                              __ATOMIC_RELAXED);
    if (unlikely(row_now != row)) {
        /* In the first wake of a row; the threads' files cost a few calls. */
        row = row_now;
        pulsar_ledger_note_threads();
    }
}

void pulsar_timerlist_run_timers(QEMUTimerCB *cb)
{
    pulsar_ledger_count(cause_of_fn(cb, PULSAR_CAUSE_TIMER, "timer"), 1);
}

void pulsar_aio_dispatch_handler(void *fn)
{
    count_callback(cause_of_fn(fn, PULSAR_CAUSE_FD, "fd"));
}

void pulsar_aio_bh_call(const char *name)
{
    CauseSlot *slot = find_slot(name, PULSAR_CAUSE_BH);

    count_callback(slot->key ? slot->cause
                             : add_cause(name, PULSAR_CAUSE_BH, "bh", name));
}

void pulsar_monitor_qmp_dispatch(Chardev *chr)
{
    pulsar_ledger_count_named("qmp", chr->label ?: "");
}

void pulsar_watch_event(const char *path)
{
    char text[PULSAR_LEDGER_CAUSE_NAME];

    pulsar_xenstore_cause(path, text, sizeof(text));
    count_text(path, PULSAR_CAUSE_OTHER, text);
}

void pulsar_tap_send(const char *nic)
{
    pulsar_ledger_count_named("tap", nic ?: "");
}

void pulsar_blk_aio_complete(const char *name, BlockDriverState *bs)
{
    pulsar_ledger_count_named("block", *name ? name :
                                       bs ? bs->node_name : "empty");
}

void pulsar_qio_channel_dispatch(const char *name)
{
    char text[PULSAR_LEDGER_CAUSE_NAME];

    pulsar_channel_cause(name, text, sizeof(text));
    count_text(name, PULSAR_CAUSE_FD, text);
}

/* ---- the file -------------------------------------------------------- */

static void fill_in_owner(PulsarLedgerHeader *h, const PulsarLedgerOwner *owner)
{
    char *text = (char *)h + PULSAR_LEDGER_TEXT_OFFSET;

    h->domid = owner->domid;
    h->pid = getpid();
    h->start_real_ns = clock_ns(CLOCK_REALTIME) -
                       (now_ns() - h->start_ns);
    pstrcpy(h->name, sizeof(h->name), owner->name ?: "");
    pstrcpy(h->uuid, sizeof(h->uuid), owner->uuid ?: "");
    pstrcpy(h->version, sizeof(h->version), owner->version ?: "");
    pstrcpy(text, PULSAR_LEDGER_TEXT_SIZE, owner->options ?: "");
}

/* Opens the folder of @path, made when missing. */
static int open_folder(const char *path, char **ret_why)
{
    g_autofree char *dir = g_path_get_dirname(path);
    int fd = -1;

    if (!g_mkdir_with_parents(dir, 0755)) {
        fd = qemu_open_old(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0 && ret_why) {
        *ret_why = g_strdup_printf("cannot make folder %s: %s", dir,
                                   g_strerror(errno));
    }
    return fd;
}

/* A clean exit leaves no file; who has no right to remove it has marked it. */
static void ledger_end(void)
{
    g_autofree char *base = g_path_get_basename(page_path);
    g_autofree char *dir = g_path_get_dirname(page_path);
    int dir_fd;

    if (getpid() != page_pid) {
        return;
    }
    pulsar_ledger_set_state(&ledger, PULSAR_LEDGER_EXITED);
    dir_fd = qemu_open_old(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd >= 0) {
        pulsar_page_remove(dir_fd, base, &page_stat);
        close(dir_fd);
    }
}

/* Makes the file @tmp and counts in it from now on. */
static bool begin_page(int dir_fd, const char *tmp,
                       const PulsarLedgerOwner *owner)
{
    int fd = pulsar_page_create(dir_fd, tmp, PULSAR_LEDGER_TOTAL_SIZE);
    void *page = MAP_FAILED;

    if (fd < 0) {
        return false;
    }
    if (!fstat(fd, &page_stat)) {
        page = mmap(NULL, PULSAR_LEDGER_TOTAL_SIZE, PROT_READ | PROT_WRITE,
                    MAP_SHARED, fd, 0);
    }
    close(fd);
    if (page == MAP_FAILED) {
        unlinkat(dir_fd, tmp, 0);
        return false;
    }
    /* All of it is there before anybody can see it. */
    pulsar_ledger_move(&ledger, page);
    fill_in_owner(pulsar_ledger_header(page), owner);
    pulsar_ledger_set_state(&ledger, PULSAR_LEDGER_RUNNING);
    madvise(boot_page, sizeof(boot_page), MADV_DONTNEED);
    return true;
}

bool pulsar_ledger_open(const char *path, const PulsarLedgerOwner *owner,
                        char **ret_why)
{
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *tmp = g_strdup_printf(".%s.%d", base, getpid());
    int dir_fd = open_folder(path, ret_why);
    bool ok;

    if (dir_fd < 0) {
        return false;
    }
    if (owner->gone) {
        pulsar_pages_prune(dir_fd, owner->gone);
    }
    ok = begin_page(dir_fd, tmp, owner);
    if (!ok) {
        *ret_why = g_strdup_printf("cannot make a file for %s: %s", path,
                                   g_strerror(errno));
    } else if (renameat(dir_fd, tmp, dir_fd, base)) {
        *ret_why = g_strdup_printf("cannot put %s in place: %s", path,
                                   g_strerror(errno));
        unlinkat(dir_fd, tmp, 0); /* the mapping is in use, and outlives it */
        ok = false;
    } else {
        page_path = g_strdup(path);
        page_pid = getpid();
        atexit(ledger_end);
    }
    close(dir_fd);
    return ok;
}

const char *pulsar_ledger_path(void)
{
    return page_path;
}
