/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plays the hypervisor and the guest of a stand-in domain (shared.h).
 *
 *   guest create DIR DOMID VCPUS MIB   make a new domain
 *   guest reset DIR                    a new device model for the same memory
 *   guest serve DIR                    obey commands on standard input
 *
 * One command a line, one answer a line: "ok …" or "err …".  Everything
 * that is timed happens here, where no interpreter is in the way.  Several
 * may serve one domain as long as no two use the same vCPU at once.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <xenctrl.h>
#include <xen/hvm/ioreq.h>

#define mb()  atomic_thread_fence(memory_order_seq_cst)
#define rmb() atomic_thread_fence(memory_order_acquire)
#define wmb() atomic_thread_fence(memory_order_release)
#include <xen/io/blkif.h>

#include "shared.h"

#define MS 1000000ull
#define REPLY_DEADLINE (5000 * MS)

/* The device that the timed commands write to: COM1's interrupt enable
 * register.  Each change of its bit 1 sets the level of line 4 once, which
 * the stand-in stamps with the time. */
#define UART_IER 0x3f9
#define UART_SCR 0x3ff
#define UART_IRQ 4

static struct si_shared *shared;
static int dir_fd = -1, ram_fd = -1;
static int fifo[SI_MAX_HANDLES];

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "guest: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(1);
}

static struct shared_iopage *request_page(void)
{
    return (void *)((char *)shared + SI_IOREQ_OFFSET + SI_PAGE);
}

static struct buffered_iopage *ring(void)
{
    return (void *)((char *)shared + SI_IOREQ_OFFSET);
}

/* Both ring pointers as the one word that Xen changes them by. */
static _Atomic uint64_t *ring_pointers(void)
{
    return (_Atomic uint64_t *)ring();
}

static uint32_t ring_read_pointer(void)
{
    return (uint32_t)atomic_load(ring_pointers());
}

/* ---- the domain's files ----------------------------------------------- */

static void map_domain(const char *dir)
{
    int fd;

    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ram_fd = openat(dir_fd, "ram", O_RDWR | O_CLOEXEC);
    fd = openat(dir_fd, "xen", O_RDWR | O_CLOEXEC);
    if (dir_fd < 0 || ram_fd < 0 || fd < 0) {
        die("%s is no domain: %s", dir, strerror(errno));
    }
    shared = mmap(NULL, SI_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  0);
    if (shared == MAP_FAILED) {
        die("cannot map %s/xen: %s", dir, strerror(errno));
    }
    close(fd);
}

static void init_lock(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->lock, &attr);
}

static void create_domain(const char *dir, uint32_t domid, uint32_t vcpus,
                          uint64_t mib)
{
    int fd;

    if (vcpus < 1 || vcpus >= SI_MAX_CHANNELS) {
        die("%u vCPUs: 1 to %d are possible", vcpus, SI_MAX_CHANNELS - 1);
    }
    if (mib < 2 || mib > 3840) {
        die("%" PRIu64 " MiB: 2 to 3840 are possible", mib);
    }
    if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
        die("cannot make %s: %s", dir, strerror(errno));
    }
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* A device model may have given up root by the time it opens them. */
    umask(0);
    ram_fd = openat(dir_fd, "ram", O_RDWR | O_CREAT | O_EXCL, 0666);
    fd = openat(dir_fd, "xen", O_RDWR | O_CREAT | O_EXCL, 0666);
    if (dir_fd < 0 || ram_fd < 0 || fd < 0 ||
        ftruncate(ram_fd, 1ll << 34) < 0 ||
        ftruncate(fd, SI_FILE_SIZE) < 0) {
        die("cannot make a domain in %s: %s", dir, strerror(errno));
    }
    close(fd);
    map_domain(dir);
    shared->magic = SI_MAGIC;
    shared->domid = domid;
    shared->nr_vcpus = vcpus;
    shared->nr_channels = 1 + vcpus;
    shared->ram_pages = mib * 256;
    init_lock();
    /* Nothing is populated where VGA memory is emulated. */
    si_p2m_add(shared, 0, 0xa0, 0);
    si_p2m_add(shared, 0xc0, shared->ram_pages - 0xc0, 0xc0);
    for (int i = 0; i < SI_MAX_HANDLES; i++) {
        char name[32];

        snprintf(name, sizeof(name), "evtchn.%d", i);
        if (mkfifoat(dir_fd, name, 0666) < 0) {
            die("cannot make %s/%s: %s", dir, name, strerror(errno));
        }
    }
}

/* What a new device model finds: memory stays, all else is fresh. */
static void reset_domain(const char *dir)
{
    struct si_shared *fresh;

    map_domain(dir);
    fresh = calloc(1, sizeof(*fresh));
    fresh->magic = shared->magic;
    fresh->domid = shared->domid;
    fresh->nr_vcpus = shared->nr_vcpus;
    fresh->nr_channels = 1 + shared->nr_vcpus;
    fresh->ram_pages = shared->ram_pages;
    memcpy(fresh->p2m, shared->p2m, sizeof(fresh->p2m));
    memcpy(fresh->hvm_param, shared->hvm_param, sizeof(fresh->hvm_param));
    memcpy(shared, fresh, sizeof(*fresh));
    memset((char *)shared + SI_IOREQ_OFFSET, 0, 2 * SI_PAGE);
    init_lock();
    free(fresh);
}

/* ---- what the guest does ---------------------------------------------- */

static void raise_channel(uint32_t i)
{
    struct si_channel *ch = &shared->channel[i];
    evtchn_port_t port = SI_LOCAL_PORT(i);
    uint32_t h;

    if (!si_channel_raise(ch)) {
        return;
    }
    h = atomic_load(&ch->handle);
    if (!fifo[h]) {
        char name[32];

        snprintf(name, sizeof(name), "evtchn.%u", h);
        fifo[h] = openat(dir_fd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    }
    /* Nobody at the other end: the device model is gone; a wait tells. */
    if (fifo[h] < 0 || write(fifo[h], &port, sizeof(port)) < 0) {
        fifo[h] = fifo[h] < 0 ? 0 : fifo[h];
    }
}

static bool claimed(uint32_t kind, uint64_t first, uint64_t last)
{
    bool found = false;

    si_lock(shared);
    for (int i = 0; i < SI_MAX_RANGES && !found; i++) {
        const struct si_range *r = &shared->range[i];

        found = r->used && r->kind == kind && first >= r->first &&
            last <= r->last;
    }
    si_unlock(shared);
    return found;
}

static bool server_enabled(void)
{
    return atomic_load(&shared->server_enabled);
}

struct request {
    uint32_t vcpu, type, dir, size, count, df, ptr;
    uint64_t addr, data;
    bool buffered;                      /* by the ring, where that can be */
};

enum send_result { SEND_OK, SEND_BUSY, SEND_TIMEOUT };

/* A vCPU does something: not while the domain is paused. */
static void enter(void)
{
    uint32_t seen;

    for (;;) {
        atomic_fetch_add(&shared->running, 1);
        seen = atomic_load(&shared->paused);
        if (!seen) {
            return;
        }
        atomic_fetch_sub(&shared->running, 1);
        syscall(SYS_futex, &shared->paused, FUTEX_WAIT, seen, NULL, NULL, 0);
    }
}

static void leave(void)
{
    atomic_fetch_sub(&shared->running, 1);
}

/*
 * Hand a request to the device model and sleep until it is answered; begun
 * by enter().
 */
static enum send_result send_entered(struct request *r, uint64_t timeout)
{
    volatile ioreq_t *slot = &request_page()->vcpu_ioreq[r->vcpu];
    struct si_channel *ch = &shared->channel[1 + r->vcpu];
    uint64_t deadline = si_now() + timeout;

    if (slot->state != STATE_IOREQ_NONE) {
        leave();
        return SEND_BUSY;
    }
    slot->addr = r->addr;
    slot->data = r->data;
    slot->count = r->count;
    slot->size = r->size;
    slot->dir = r->dir;
    slot->df = r->df;
    slot->data_is_ptr = r->ptr;
    slot->type = r->type;
    atomic_thread_fence(memory_order_seq_cst);
    slot->state = STATE_IOREQ_READY;
    raise_channel(1 + r->vcpu);
    leave();
    for (;;) {
        uint32_t seen = atomic_load(&ch->to_guest);

        if (slot->state == STATE_IORESP_READY) {
            break;
        }
        if (!si_futex_wait(&ch->to_guest, seen, deadline)) {
            return SEND_TIMEOUT;
        }
    }
    enter();
    r->data = slot->data;
    slot->state = STATE_IOREQ_NONE;
    leave();
    return SEND_OK;
}

static enum send_result send_request(struct request *r, uint64_t timeout)
{
    enter();
    return send_entered(r, timeout);
}

/*
 * Put a write into the ring the way Xen does: false when it has no room.
 * In atomic mode the pointers are brought down by whole rings whenever the
 * device model's has passed one.
 */
static bool ring_write(uint32_t type, uint32_t size_log2, uint64_t addr,
                       uint64_t data)
{
    struct buffered_iopage *page = ring();
    uint32_t rp, wp, slots = size_log2 == 3 ? 2 : 1;
    uint64_t ptrs;
    buf_ioreq_t entry = {
        .type = type,
        .dir = IOREQ_WRITE,
        .size = size_log2,
        .addr = addr,
        .data = (uint32_t)data,
    };

    enter();
    ptrs = atomic_load(ring_pointers());
    rp = ptrs;
    wp = ptrs >> 32;
    if (wp - rp > IOREQ_BUFFER_SLOT_NUM - slots) {
        leave();
        return false;
    }
    page->buf_ioreq[wp % IOREQ_BUFFER_SLOT_NUM] = entry;
    if (slots == 2) {
        entry.data = data >> 32;
        page->buf_ioreq[(wp + 1) % IOREQ_BUFFER_SLOT_NUM] = entry;
    }
    atomic_thread_fence(memory_order_release);
    atomic_fetch_add(ring_pointers(), (uint64_t)slots << 32);
    while (atomic_load(&shared->server_atomic)) {
        uint64_t old = atomic_load(ring_pointers());
        uint64_t n = (uint32_t)old / IOREQ_BUFFER_SLOT_NUM *
            IOREQ_BUFFER_SLOT_NUM;

        if (!n || atomic_compare_exchange_strong(ring_pointers(), &old,
                                                 old - (n << 32 | n))) {
            break;
        }
    }
    leave();
    return true;
}

static void sleep_until(uint64_t ns)
{
    struct timespec ts = { ns / 1000000000ull, ns % 1000000000ull };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL)) {
    }
}

/* ---- figures ---------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print_figures(uint64_t *ns, size_t n)
{
    uint64_t sum = 0;

    qsort(ns, n, sizeof(*ns), compare);
    for (size_t i = 0; i < n; i++) {
        sum += ns[i];
    }
    printf("ok {\"n\": %zu, \"min\": %.1f, \"median\": %.1f, "
           "\"p99\": %.1f, \"max\": %.1f, \"mean\": %.1f}\n", n,
           ns[0] / 1e3, ns[n / 2] / 1e3, ns[n * 99 / 100] / 1e3,
           ns[n - 1] / 1e3, sum / 1e3 / n);
}

/* One write each to IER, bit 1 changing, so that every one is stamped. */
static uint8_t ier_value;

static bool timed_write(void)
{
    if (!ring_write(IOREQ_TYPE_PIO, 0, UART_IER, ier_value ^ 2)) {
        return false;
    }
    ier_value ^= 2;
    raise_channel(0);
    return true;
}

/* Buffered writes one at a time: how long until the device has each. */
static void cmd_isolated(uint64_t n, uint64_t gap_us)
{
    uint64_t *ns = calloc(n, sizeof(*ns));

    for (uint64_t i = 0; i < n; i++) {
        uint32_t seq = atomic_load(&shared->irq_seq);
        uint64_t start = si_now();

        if (!timed_write() ||
            !si_futex_wait(&shared->irq_seq, seq, start + REPLY_DEADLINE)) {
            printf("err write %" PRIu64 " was not drained\n", i);
            free(ns);
            return;
        }
        ns[i] = shared->stamp[seq % SI_STAMPS].ns - start;
        sleep_until(start + gap_us * 1000);
    }
    print_figures(ns, n);
    free(ns);
}

/* A steady stream, whether drained or not. */
static void cmd_stream(uint64_t n, uint64_t period_us)
{
    uint64_t *ns, start = si_now(), end;
    uint32_t first = atomic_load(&shared->irq_seq);

    if (n == 0 || n > SI_STAMPS) {
        printf("err %" PRIu64 " writes: 1 to %d are possible\n", n,
               SI_STAMPS);
        return;
    }
    ns = calloc(n, sizeof(*ns));
    for (uint64_t i = 0; i < n; i++) {
        sleep_until(start + i * period_us * 1000);
        ns[i] = si_now();
        if (!timed_write()) {
            printf("err the ring is full at write %" PRIu64 "\n", i);
            free(ns);
            return;
        }
    }
    end = si_now() + REPLY_DEADLINE;
    for (;;) {
        uint32_t seen = atomic_load(&shared->irq_seq);

        if (seen - first >= n) {
            break;
        }
        if (!si_futex_wait(&shared->irq_seq, seen, end)) {
            printf("err %u of %" PRIu64 " writes arrived\n", seen - first,
                   n);
            free(ns);
            return;
        }
    }
    for (uint64_t i = 0; i < n; i++) {
        ns[i] = shared->stamp[(first + i) % SI_STAMPS].ns - ns[i];
    }
    print_figures(ns, n);
    free(ns);
}

/*
 * Writes as fast as a vCPU can.  With no room in the ring, Xen sends the
 * write as a request (sync) and the vCPU waits; otherwise try again.
 */
static void cmd_flood(uint64_t ms, bool sync, uint32_t vcpu)
{
    uint64_t end = si_now() + ms * MS, written = 0, full = 0;

    while (si_now() < end) {
        if (ring_write(IOREQ_TYPE_PIO, 0, UART_SCR, written & 0xff)) {
            raise_channel(0);
            written++;
            continue;
        }
        full++;
        if (sync) {
            struct request r = {
                .vcpu = vcpu, .type = IOREQ_TYPE_PIO, .dir = IOREQ_WRITE,
                .size = 1, .count = 1, .addr = UART_SCR,
                .data = written & 0xff,
            };

            if (send_request(&r, REPLY_DEADLINE) != SEND_OK) {
                printf("err the flood's request was not answered\n");
                return;
            }
            written++;
        } else {
            sched_yield();
        }
    }
    printf("ok {\"written\": %" PRIu64 ", \"full\": %" PRIu64 "}\n",
           written, full);
}

/*
 * Stamped writes as fast as the ring takes them while its pointers are
 * pushed up and brought down: each must arrive once and in order.
 */
static void cmd_rebase(uint64_t n)
{
    uint32_t first = atomic_load(&shared->irq_seq), lifts = 0;
    uint64_t end = si_now() + 60 * 1000 * MS;
    uint64_t wrong = 0;
    uint32_t checked = first;

    for (uint64_t i = 0; i < n || checked - first < n;) {
        uint32_t seen = atomic_load(&shared->irq_seq);

        /* Consecutive stamps must alternate, or one was lost or doubled. */
        for (; checked != seen; checked++) {
            const struct si_stamp *s = &shared->stamp[checked % SI_STAMPS];
            const struct si_stamp *p =
                &shared->stamp[(checked - 1) % SI_STAMPS];

            if (s->irq != UART_IRQ ||
                (checked != first && s->level == p->level)) {
                wrong++;
            }
        }
        if (si_now() > end) {
            printf("err %u of %" PRIu64 " writes arrived in time\n",
                   seen - first, n);
            return;
        }
        if (i < n && timed_write()) {
            uint64_t old = atomic_load(ring_pointers());

            i++;
            /* Far up in one step, for the next write to bring it down. */
            if (i % 7 == 0 &&
                atomic_compare_exchange_strong(
                    ring_pointers(), &old,
                    old + 511ull * 3 + (511ull * 3 << 32))) {
                lifts++;
            }
        } else {
            sched_yield();
        }
    }
    printf("ok {\"arrived\": %u, \"wrong\": %" PRIu64 ", \"lifts\": %u, "
           "\"read_pointer\": %u}\n", checked - first, wrong, lifts,
           ring_read_pointer());
}

/* A guest that owns the ring and means harm: noise in all of it. */
static void cmd_scribble(uint64_t seed, uint64_t ms)
{
    uint64_t end = si_now() + ms * MS, x = seed | 1, rounds = 0;

    while (si_now() < end) {
        uint64_t slot, pointers;

        for (int i = 0; i < 64; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            slot = x;
            memcpy(&ring()->buf_ioreq[(x >> 32) % IOREQ_BUFFER_SLOT_NUM],
                   &slot, sizeof(slot));
        }
        switch (x >> 60) {
        case 0:
            pointers = x;
            break;
        case 1:
            pointers = (uint64_t)(uint32_t)(x - 1) << 32 | (uint32_t)x;
            break;
        default:
            pointers = atomic_load(ring_pointers()) + ((x & 511) << 32);
            break;
        }
        atomic_store(ring_pointers(), pointers);
        raise_channel(0);
        rounds++;
        if (x >> 56 & 1) {
            sleep_until(si_now() + 20000);
        }
    }
    printf("ok %" PRIu64 "\n", rounds);
}

static void cmd_time_reads(uint32_t vcpu, uint64_t port, uint64_t n,
                           uint64_t gap_us)
{
    uint64_t *ns = calloc(n, sizeof(*ns));

    for (uint64_t i = 0; i < n; i++) {
        struct request r = {
            .vcpu = vcpu, .type = IOREQ_TYPE_PIO, .dir = IOREQ_READ,
            .size = 1, .count = 1, .addr = port,
        };
        uint64_t start = si_now();

        if (send_request(&r, REPLY_DEADLINE) != SEND_OK) {
            printf("err read %" PRIu64 " was not answered\n", i);
            free(ns);
            return;
        }
        ns[i] = si_now() - start;
        if (gap_us) {
            sleep_until(start + gap_us * 1000);
        }
    }
    print_figures(ns, n);
    free(ns);
}

/* What to hold a port read against: a byte to another process and back. */
static void cmd_round_trips(uint64_t n)
{
    uint64_t *ns = calloc(n, sizeof(*ns));
    int to[2], fro[2];
    char byte = 0;
    pid_t child;

    if (pipe(to) < 0 || pipe(fro) < 0 || (child = fork()) < 0) {
        die("no second process: %s", strerror(errno));
    }
    if (child == 0) {
        close(to[1]);
        while (read(to[0], &byte, 1) == 1 && write(fro[1], &byte, 1) == 1) {
            /* until the other side is closed */
        }
        _exit(0);
    }
    close(to[0]);
    close(fro[1]);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t start = si_now();

        if (write(to[1], &byte, 1) != 1 || read(fro[0], &byte, 1) != 1) {
            die("the second process ended");
        }
        ns[i] = si_now() - start;
    }
    close(to[1]);
    close(fro[0]);
    waitpid(child, NULL, 0);
    print_figures(ns, n);
    free(ns);
}

/* ---- torture ---------------------------------------------------------- */

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x * 0x2545f4914f6cdd1dull;
}

/* Some of what drivers write, and much that they do not. */
static uint64_t draw_value(uint64_t *x)
{
    uint64_t v = draw(x);

    switch (v >> 61) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return 1ull << (v & 63);
    case 3:
        return v & 0xff;
    case 4:                             /* an address in guest memory */
        return v % (shared->ram_pages * SI_PAGE) & ~15ull;
    default:
        return v;
    }
}

/* Xen answers its I/O APIC itself; upstream's has no i8259 to ask. */
static bool is_xens_own(const struct si_range *r)
{
    return r->kind == SI_RANGE_MEM && r->first == 0xfec00000;
}

/* What would end the guest at once (reset by port, S5 where firmware puts the
 * power management): the test is of all the others. */
static bool ends_guest(const struct request *r)
{
    return r->type == IOREQ_TYPE_PIO && r->dir == IOREQ_WRITE &&
        ((r->addr <= 0x92 && r->addr + r->size > 0x92) ||
         (r->addr <= 0xcf9 && r->addr + r->size > 0xcf9) ||
         (r->addr <= 0xb005 && r->addr + r->size > 0xb004) ||
         (r->addr <= 0x64 && r->addr + r->size > 0x64 &&
          (r->data >> 8 * (0x64 - r->addr) & 0xf0) == 0xf0));
}

/* All that the device model has claimed by now. */
static struct {
    struct si_range range[SI_MAX_RANGES];
    uint32_t n;
} claims;

static void read_claims(void)
{
    claims.n = 0;
    si_lock(shared);
    for (int i = 0; i < SI_MAX_RANGES; i++) {
        if (shared->range[i].used && !is_xens_own(&shared->range[i])) {
            claims.range[claims.n++] = shared->range[i];
        }
    }
    si_unlock(shared);
}

/* A range; configuration is rewritten now and then only. */
static const struct si_range *draw_range(uint64_t *x)
{
    const struct si_range *to = &claims.range[draw(x) % claims.n];

    if (to->kind == SI_RANGE_PCI && draw(x) % 8) {
        to = &claims.range[draw(x) % claims.n];
    }
    return to;
}

static void spoil(uint64_t *x, struct request *r)
{
    switch (draw(x) % 6) {
    case 0:
        r->type = draw(x) & 0xff;
        break;
    case 1:
        r->size = draw(x) & (draw(x) & 1 ? 15 : ~0u);
        break;
    case 2:
        r->count = draw(x);
        break;
    case 3:
        r->ptr = 1;
        r->data = draw_value(x);
        break;
    case 4:
        r->addr = draw_value(x);
        break;
    default:
        r->addr += draw(x) & 0xffff;
    }
}

/*
 * A random access to a range; of a thousand, so many are malformed.  False
 * for one that would end the guest.
 */
static bool draw_request(uint64_t *x, const struct si_range *to,
                         uint32_t malformed, struct request *r)
{
    *r = (struct request) { .count = 1 };
    r->dir = draw(x) & 1;
    r->size = 1 << draw(x) % (to->kind == SI_RANGE_MEM ? 4 : 3);
    r->data = draw_value(x);
    switch (to->kind) {
    case SI_RANGE_PORT:
        r->type = IOREQ_TYPE_PIO;
        r->addr = to->first + draw(x) % (to->last - to->first + 1);
        break;
    case SI_RANGE_MEM:
        r->type = IOREQ_TYPE_COPY;
        r->addr = to->first + draw(x) % (to->last - to->first + 1);
        /* Registers are at the front of a BAR. */
        if (draw(x) & 1) {
            r->addr = to->first + (r->addr - to->first) % 4096;
            r->addr = r->addr > to->last ? to->first : r->addr;
        }
        r->addr &= ~(uint64_t)(r->size - 1);
        break;
    default:
        r->type = IOREQ_TYPE_PCI_CONFIG;
        r->addr = to->first << 32 |
            (draw(x) % 256 & ~(uint64_t)(r->size - 1));
        /* Where the BARs are stays as it is; all else may change. */
        r->dir |= (r->addr & 0xff) >= 4 && (r->addr & 0xff) < 0x34;
    }
    if (draw(x) % 64 == 0 && r->type != IOREQ_TYPE_PCI_CONFIG) {
        r->count = 1 + draw(x) % 64;            /* REP INS, OUTS, MOVS */
        r->df = draw(x) & 1;
        r->ptr = 1;
        r->data = 0x100000 + draw(x) % 0x100000;
    }
    if (draw(x) % 1000 < malformed) {
        spoil(x, r);
    }
    if (ends_guest(r)) {
        return false;
    }
    r->buffered = draw(x) % 16 == 0;
    return true;
}

static bool guest_is_over(void)
{
    return !server_enabled() || atomic_load(&shared->shutdowns);
}

/* Does it, by way of the ring where Xen would; false if nobody answers. */
static bool perform(struct request *r)
{
    struct request asked = *r;

    if (r->buffered && r->dir == IOREQ_WRITE && !r->ptr && r->count == 1 &&
        r->size <= 4 && r->type <= IOREQ_TYPE_COPY && r->addr < 1 << 20 &&
        ring_write(r->type, r->size / 2, r->addr, r->data)) {
        raise_channel(0);
        return true;
    }
    if (send_request(r, 6 * REPLY_DEADLINE) == SEND_OK || guest_is_over()) {
        return true;
    }
    printf("err an access was not answered: type %u dir %u size %u count %u "
           "ptr %u addr %#" PRIx64 " data %#" PRIx64 "\n", asked.type,
           asked.dir, asked.size, asked.count, asked.ptr, asked.addr,
           asked.data);
    return false;
}

/*
 * Random accesses to all that the device model has claimed, each range as
 * likely as any other.  Ends early when the guest has been shut down or its
 * server stopped.
 */
static void cmd_torture(uint64_t seed, uint64_t n, uint32_t malformed)
{
    uint64_t x = seed * 2 + 1, done;

    for (done = 0; done < n; done++) {
        struct request r;

        if (done % 1024 == 0) {
            read_claims();
        }
        if (guest_is_over() || !claims.n) {
            break;
        }
        if (draw_request(&x, draw_range(&x), malformed, &r) && !perform(&r)) {
            return;
        }
    }
    printf("ok %" PRIu64 "\n", done);
}

/* ---- torture that is guided by coverage --------------------------------
 *
 * An input is some accesses, kept in a file: one that made the device model
 * run code that no other had is kept, and others are made of it.
 */

#define INPUT_MAX     64                /* accesses */
#define CORPUS_MAX    8192              /* inputs */
#define COVERAGE_SIZE (1 << 18)         /* tests/torture/coverage.c */

struct record {                         /* in the file, little-endian */
    uint8_t type, dir, df, ptr;
    uint8_t buffered, zero[3];
    uint32_t size, count;
    uint64_t addr, data;
};

struct input {
    uint32_t n;
    struct record r[INPUT_MAX];
};

static struct {
    struct input *input[CORPUS_MAX];
    uint32_t n;
} corpus;

static struct record to_record(const struct request *r)
{
    return (struct record) {
        .type = r->type, .dir = r->dir, .df = r->df, .ptr = r->ptr,
        .buffered = r->buffered, .size = r->size, .count = r->count,
        .addr = r->addr, .data = r->data,
    };
}

/* What is in the I/O APIC's page or would end the guest is passed over. */
static bool perform_record(const struct record *from)
{
    struct request r = {
        .type = from->type, .dir = from->dir & 1, .size = from->size,
        .count = from->count, .df = from->df & 1, .ptr = from->ptr & 1,
        .buffered = from->buffered & 1, .addr = from->addr,
        .data = from->data,
    };
    bool apic = r.type == IOREQ_TYPE_COPY &&
        ((r.addr >> 12 == 0xfec00) || (r.ptr && r.data >> 12 == 0xfec00));

    return apic || ends_guest(&r) || guest_is_over() || perform(&r);
}

static bool add_input(const struct input *in)
{
    if (corpus.n == CORPUS_MAX || !in->n) {
        return false;
    }
    corpus.input[corpus.n] = malloc(sizeof(*in));
    *corpus.input[corpus.n++] = *in;
    return true;
}

static bool read_input(int fd, struct input *in)
{
    ssize_t got = read(fd, in->r, sizeof(in->r));

    in->n = got > 0 ? got / sizeof(in->r[0]) : 0;
    return in->n;
}

static int read_corpus(const char *dir)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct input in;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        fd = names[i]->d_name[0] == '.' ? -1 :
            open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (read_input(fd, &in)) {
                add_input(&in);
            }
            close(fd);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
    return n;
}

static void save_input(const char *dir, const struct input *in)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    const uint8_t *byte = (const uint8_t *)in->r;
    size_t size = in->n * sizeof(in->r[0]);
    char path[PATH_MAX];
    int fd;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ byte[i]) * 0x100000001b3ull;
    }
    snprintf(path, sizeof(path), "%s/%016" PRIx64, dir, hash);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, in->r, size) != (ssize_t)size) {
        die("cannot write %s: %s", path, strerror(errno));
    }
    close(fd);
}

static const struct input *draw_input(uint64_t *x)
{
    return corpus.input[draw(x) % corpus.n];
}

/* Accesses to one range more, from the n-th place on. */
static void draw_accesses(uint64_t *x, struct input *in, uint32_t n)
{
    const struct si_range *to = draw_range(x);

    for (in->n = n + 1 + draw(x) % 12; n < in->n && n < INPUT_MAX; ) {
        struct request r;

        if (draw_request(x, to, 10, &r)) {
            in->r[n++] = to_record(&r);
        }
    }
    in->n = n;
}

static void change_record(uint64_t *x, struct input *in)
{
    struct record *r = &in->r[draw(x) % in->n];
    const struct input *other = draw_input(x);

    switch (draw(x) % 9) {
    case 0:
        r->data = draw_value(x);
        break;
    case 1:
        r->data += draw(x) % 5 - 2;
        break;
    case 2:
        r->data ^= 1ull << (draw(x) & 31);
        break;
    case 3:
        r->data = other->r[draw(x) % other->n].data;
        break;
    case 4:
        r->addr += (draw(x) % 17 - 8) * (r->size & 15);
        break;
    case 5:
        r->dir ^= r->type != IOREQ_TYPE_PCI_CONFIG;
        break;
    case 6:
        *r = other->r[draw(x) % other->n];
        break;
    case 7:                             /* away with it */
        memmove(r, r + 1, (char *)&in->r[in->n] - (char *)(r + 1));
        in->n -= in->n > 1;
        break;
    default:                            /* once more */
        if (in->n < INPUT_MAX) {
            in->r[in->n++] = *r;
        }
    }
}

static void make_input(uint64_t *x, struct input *in)
{
    uint32_t kind = draw(x) % 8, changes;

    in->n = 0;
    if (!corpus.n || kind < 2) {
        draw_accesses(x, in, 0);
        return;
    }
    *in = *draw_input(x);
    if (kind < 4) {                     /* a part, and what comes after it */
        const struct input *tail = draw_input(x);
        uint32_t from = draw(x) % tail->n;

        in->n = 1 + draw(x) % in->n;
        while (from < tail->n && in->n < INPUT_MAX) {
            in->r[in->n++] = tail->r[from++];
        }
    } else if (kind == 4) {
        draw_accesses(x, in, in->n);
    }
    for (changes = draw(x) % 4 + (kind > 4); changes; changes--) {
        change_record(x, in);
    }
}

/* Is there a block that ran and never had? */
static uint32_t new_blocks(const uint8_t *map, uint8_t *seen)
{
    uint32_t fresh = 0;

    for (size_t i = 0; i < COVERAGE_SIZE; i += 8) {
        uint64_t ran, had;

        memcpy(&ran, map + i, 8);
        memcpy(&had, seen + i, 8);
        if (ran & ~had) {
            fresh += __builtin_popcountll(ran & ~had);
            had |= ran;
            memcpy(seen + i, &had, 8);
        }
    }
    return fresh;
}

/*
 * The inputs of the corpus, then some that are made of them.  What is done is
 * written to a file before: replay() does the same again, to any binary.
 */
static void cmd_guided(uint64_t seed, uint64_t inputs, const char *coverage,
                       const char *dir, const char *history)
{
    static uint8_t seen[COVERAGE_SIZE];
    int log = open(history, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int fd = open(coverage, O_RDONLY | O_CLOEXEC);
    uint64_t x = seed * 2 + 1, i, accesses = 0, blocks = 0, kept = 0, given;
    const uint8_t *map = mmap(NULL, COVERAGE_SIZE, PROT_READ, MAP_SHARED, fd,
                              0);

    if (log < 0 || map == MAP_FAILED || read_corpus(dir) < 0) {
        die("cannot open %s, %s or %s", history, coverage, dir);
    }
    close(fd);
    new_blocks(map, seen);              /* those of the start */
    given = corpus.n;
    for (i = 0; i < given + inputs && !guest_is_over(); i++) {
        struct input in;
        size_t size;
        uint32_t fresh;

        if (i % 64 == 0) {
            read_claims();
        }
        if (i < given) {
            in = *corpus.input[i];
        } else if (claims.n) {
            make_input(&x, &in);
        } else {
            break;
        }
        size = in.n * sizeof(in.r[0]);
        if (write(log, in.r, size) != (ssize_t)size) {
            die("cannot write %s: %s", history, strerror(errno));
        }
        for (uint32_t n = 0; n < in.n; n++, accesses++) {
            if (!perform_record(&in.r[n])) {
                return;
            }
        }
        fresh = new_blocks(map, seen);
        blocks += fresh;
        /* What ended the guest would be the end of each later run. */
        if (fresh && i >= given && !guest_is_over() && add_input(&in)) {
            save_input(dir, &in);
            kept++;
        }
    }
    close(log);
    printf("ok {\"inputs\": %" PRIu64 ", \"accesses\": %" PRIu64
           ", \"blocks\": %" PRIu64 ", \"kept\": %" PRIu64 "}\n", i, accesses,
           blocks, kept);
}

/* The accesses of a file, or as many as are answered. */
static void cmd_replay(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t accesses = 0;
    struct input in;

    if (fd < 0) {
        die("cannot open %s: %s", path, strerror(errno));
    }
    while (!guest_is_over() && read_input(fd, &in)) {
        for (uint32_t n = 0; n < in.n; n++, accesses++) {
            if (!perform_record(&in.r[n])) {
                close(fd);
                return;
            }
        }
    }
    close(fd);
    printf("ok %" PRIu64 "\n", accesses);
}

/* ---- commands --------------------------------------------------------- */

static void answer(enum send_result how, const struct request *r)
{
    uint64_t mask = r->size >= 8 || !r->size ? ~0ull :
        (1ull << (8 * r->size)) - 1;

    switch (how) {
    case SEND_OK:
        printf("ok %#" PRIx64 "\n", r->data & mask);
        break;
    case SEND_BUSY:
        printf("err vCPU %u still has a request\n", r->vcpu);
        break;
    case SEND_TIMEOUT:
        printf("err no answer\n");
        break;
    }
}

/* An access as Xen routes it: what nobody claims reads as all ones. */
static void access_device(struct request *r)
{
    uint64_t bdf = r->addr >> 32;
    bool ours;

    r->count = 1;
    enter();
    switch (r->type) {
    case IOREQ_TYPE_PIO:
        ours = claimed(SI_RANGE_PORT, r->addr, r->addr + r->size - 1);
        break;
    case IOREQ_TYPE_PCI_CONFIG:
        ours = claimed(SI_RANGE_PCI, bdf, bdf);
        break;
    default:
        ours = claimed(SI_RANGE_MEM, r->addr, r->addr + r->size - 1);
        break;
    }
    if (!ours || !server_enabled()) {
        leave();
        r->data = ~0ull;
        answer(SEND_OK, r);
        return;
    }
    answer(send_entered(r, REPLY_DEADLINE), r);
}

static uint64_t frame_of(uint64_t addr, uint64_t *ret_part)
{
    uint64_t frame, run = 0;

    si_lock(shared);
    frame = si_p2m_get(shared, addr / SI_PAGE, &run);
    si_unlock(shared);
    *ret_part = run * SI_PAGE - addr % SI_PAGE;
    return frame;
}

/* Read or write guest memory; the guest's own writes mark pages dirty. */
static bool memory(uint64_t addr, void *buf, uint64_t len, bool write)
{
    uint64_t done, part;

    for (done = 0; done < len; done += part) {
        uint64_t frame = frame_of(addr + done, &part);
        off_t at = frame * SI_PAGE + (addr + done) % SI_PAGE;
        char *p = (char *)buf + done;

        if (frame == SI_NO_FRAME) {
            printf("err nothing at %#" PRIx64 "\n", addr + done);
            return false;
        }
        part = part < len - done ? part : len - done;
        if ((write ? pwrite(ram_fd, p, part, at) :
             pread(ram_fd, p, part, at)) != (ssize_t)part) {
            printf("err memory at %#" PRIx64 ": %s\n", addr + done,
                   strerror(errno));
            return false;
        }
    }
    if (write && len) {
        si_mark_dirty(shared, addr, len);
    }
    return true;
}

/* ---- a PV disk's front end ---------------------------------------------
 *
 * What Linux' does (drivers/block/xen-blkfront.c: blkif_queue_rq,
 * flush_requests, blkif_interrupt): requests of up to eleven pages, each with
 * a number that its answer has to bring back once; the back end is told, and
 * asks to be told, by the event indices of the ring. Sectors hold their own
 * number and that of the write that was the last; none that is being written
 * is asked for again. Nothing of it happens while the domain is paused, which
 * it may also be between a request and the event for it.
 */

#define DISK_SECTOR   512
#define DISK_PAGES    BLKIF_MAX_SEGMENTS_PER_REQUEST
#define DISK_REQUESTS 512               /* of a ring of 16 pages */
#define DISK_DEADLINE (30 * 1000 * MS)

struct disk_stamp {
    uint64_t sector, write;
};

struct disk_request {
    uint8_t operation;                  /* and 0xff: none is under way */
    uint32_t pages;
    uint64_t sector;                    /* the first; it has 8 a page */
};

static struct disk {
    blkif_front_ring_t ring;
    uint32_t channel, size, flying, limit;
    uint32_t data;                      /* the first guest frame */
    char *at;                           /* … and where it is here */
    struct disk_request request[DISK_REQUESTS];
    uint64_t *write;                    /* by sector, the last that was asked */
    uint8_t *busy;                      /* by sector */
    uint64_t sectors, x;
    uint64_t writes, reads, flushes, interrupts;
    char wrong[200];
} disk;

/* The domain's memory from a frame on, as long as it is in one piece. */
static void *map_frame(uint64_t gfn, uint64_t pages)
{
    uint64_t part, frame = frame_of(gfn * SI_PAGE, &part);
    void *at = frame == SI_NO_FRAME || part < pages * SI_PAGE ? MAP_FAILED :
        mmap(NULL, pages * SI_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
             ram_fd, frame * SI_PAGE);

    return at == MAP_FAILED ? NULL : at;
}

__attribute__((format(printf, 1, 2)))
static void disk_wrong(const char *fmt, ...)
{
    va_list ap;

    if (!disk.wrong[0]) {
        va_start(ap, fmt);
        vsnprintf(disk.wrong, sizeof(disk.wrong), fmt, ap);
        va_end(ap);
    }
}

/* Writes what it is to hold to a request's pages, or looks whether it does. */
static void disk_content(uint64_t id, bool check)
{
    const struct disk_request *r = &disk.request[id];
    struct disk_stamp *at = (void *)(disk.at + id * DISK_PAGES * SI_PAGE);
    uint64_t i, k, per = DISK_SECTOR / sizeof(*at);

    for (i = 0; i < r->pages * SI_PAGE / DISK_SECTOR; i++) {
        uint64_t sector = r->sector + i;

        for (k = 0; k < per; k++) {
            struct disk_stamp *s = &at[i * per + k];

            if (!check) {
                *s = (struct disk_stamp) { sector, disk.write[sector] };
            } else if (s->write != disk.write[sector] ||
                       (s->write && s->sector != sector)) {
                disk_wrong("sector %" PRIu64 " has write %" PRIu64 " of %"
                           PRIu64 " instead of write %" PRIu64, sector,
                           s->write, s->sector, disk.write[sector]);
            }
        }
    }
}

static void disk_mark(const struct disk_request *r, uint8_t busy)
{
    memset(disk.busy + r->sector, busy, r->pages * SI_PAGE / DISK_SECTOR);
}

/* Puts a request into the ring; it is not pushed yet. */
static void disk_ask(uint8_t operation, uint64_t sector, uint32_t pages)
{
    blkif_request_t *req = RING_GET_REQUEST(&disk.ring,
                                            disk.ring.req_prod_pvt);
    struct disk_request *r;
    uint64_t id = 0;

    while (disk.request[id].operation != 0xff) {
        id++;
    }
    r = &disk.request[id];
    *r = (struct disk_request) { operation, pages, sector };
    if (operation == BLKIF_OP_WRITE) {
        disk.writes++;
        for (uint64_t i = 0; i < pages * SI_PAGE / DISK_SECTOR; i++) {
            disk.write[sector + i] = disk.writes;
        }
        disk_content(id, false);
    } else if (operation == BLKIF_OP_READ) {
        disk.reads++;
    } else {
        disk.flushes++;
    }
    disk_mark(r, 1);
    *req = (blkif_request_t) {
        .operation = operation, .nr_segments = pages, .id = id,
        .sector_number = sector,
    };
    for (uint32_t i = 0; i < pages; i++) {
        req->seg[i] = (struct blkif_request_segment) {
            .gref = disk.data + id * DISK_PAGES + i,
            .last_sect = SI_PAGE / DISK_SECTOR - 1,
        };
    }
    disk.ring.req_prod_pvt++;
    disk.flying++;
}

/* One more request, where its sectors are free. */
static void disk_draw(void)
{
    uint64_t v = draw(&disk.x), pages = 1 + (v >> 8) % DISK_PAGES;
    uint64_t per = SI_PAGE / DISK_SECTOR;
    uint64_t sector = (v >> 16) % (disk.sectors - pages * per + 1);

    if (v % 16 == 0) {
        disk_ask(BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
    } else if (!memchr(disk.busy + sector, 1, pages * per)) {
        disk_ask(v % 3 ? BLKIF_OP_WRITE : BLKIF_OP_READ, sector, pages);
    }
}

static void disk_push(void)
{
    int notify;

    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&disk.ring, notify);
    if (draw(&disk.x) % 8 == 0) {
        leave();
        sched_yield();
        enter();
    }
    if (notify) {
        raise_channel(disk.channel);
    }
}

/* All answers that are there; what the event for them does. */
static void disk_interrupt(void)
{
    RING_IDX i, rp;
    int more;

    disk.interrupts++;
    do {
        rp = disk.ring.sring->rsp_prod;
        rmb();
        if (RING_RESPONSE_PROD_OVERFLOW(&disk.ring, rp)) {
            disk_wrong("%u answers, of %u requests", rp - disk.ring.rsp_cons,
                       disk.flying);
            return;
        }
        for (i = disk.ring.rsp_cons; i != rp; i++) {
            blkif_response_t rsp = *RING_GET_RESPONSE(&disk.ring, i);
            struct disk_request *r = &disk.request[rsp.id % DISK_REQUESTS];

            if (rsp.id >= disk.size || r->operation != rsp.operation ||
                rsp.status != BLKIF_RSP_OKAY) {
                disk_wrong("answer %d to operation %u as request %" PRIu64,
                           rsp.status, rsp.operation, (uint64_t)rsp.id);
                continue;
            }
            if (r->operation == BLKIF_OP_READ) {
                disk_content(rsp.id, true);
            }
            disk_mark(r, 0);
            r->operation = 0xff;
            disk.flying--;
        }
        disk.ring.rsp_cons = i;
        more = 0;
        if (i != disk.ring.req_prod_pvt) {
            RING_FINAL_CHECK_FOR_RESPONSES(&disk.ring, more);
        } else {
            disk.ring.sring->rsp_event = i + 1;
        }
    } while (more);
}

/* The ring, empty, for a back end that has yet to connect. */
static void cmd_disk(uint32_t channel, uint32_t ring, uint32_t order,
                     uint32_t data, uint64_t sectors, uint64_t seed)
{
    blkif_sring_t *sring = map_frame(ring, 1 << order);
    struct disk before = disk;

    memset(&disk, 0, sizeof(disk));
    if (!sring || order > 4 || channel >= shared->nr_channels) {
        printf("err no such ring or channel\n");
        return;
    }
    SHARED_RING_INIT(sring);
    FRONT_RING_INIT(&disk.ring, sring, SI_PAGE << order);
    disk.size = RING_SIZE(&disk.ring);
    disk.at = map_frame(data, disk.size * DISK_PAGES);
    if (!disk.at) {
        printf("err no memory for %u requests\n", disk.size);
        return;
    }
    disk.channel = channel;
    disk.data = data;
    disk.sectors = sectors;
    disk.x = seed * 2 + 1;
    /* What was written once is there the next time too. */
    disk.writes = before.writes;
    disk.write = before.write ? before.write
                              : calloc(sectors, sizeof(*disk.write));
    disk.busy = calloc(sectors, 1);
    for (int i = 0; i < DISK_REQUESTS; i++) {
        disk.request[i].operation = 0xff;
    }
    printf("ok\n");
}

/* The part of the disk that a request may have, read in the end. */
static bool disk_draw_last(uint64_t *at)
{
    uint64_t left = (disk.sectors - *at) * DISK_SECTOR / SI_PAGE;
    uint32_t pages = left < DISK_PAGES ? left : DISK_PAGES;

    if (pages) {
        disk_ask(BLKIF_OP_READ, *at, pages);
        *at += pages * (SI_PAGE / DISK_SECTOR);
    }
    return pages;
}

/*
 * Works on the disk, now with many requests and now with few, until the byte
 * at @stop is set or, if it is none, @most were made; then, when no request
 * is left, all of it is read.
 */
static void cmd_disk_work(uint64_t most, uint64_t stop)
{
    volatile uint8_t *end = stop ? map_frame(stop / SI_PAGE, 1) : NULL;
    struct si_channel *ch = &shared->channel[disk.channel];
    uint32_t seen = atomic_load(&ch->to_guest);
    uint64_t begin = disk.ring.req_prod_pvt, at = 0;
    bool last = false;

    while (!disk.wrong[0] && !(last && at == disk.sectors && !disk.flying)) {
        RING_IDX before = disk.ring.req_prod_pvt;

        enter();
        if (!last && (end ? end[stop % SI_PAGE] :
                      disk.ring.req_prod_pvt - begin >= most)) {
            last = !disk.flying;
        } else {
            disk.limit = 1 + draw(&disk.x) % disk.size;
            while (disk.flying < disk.limit && !RING_FULL(&disk.ring) &&
                   (last ? disk_draw_last(&at) : draw(&disk.x) % 16)) {
                if (!last) {
                    disk_draw();
                }
            }
        }
        if (disk.ring.req_prod_pvt != before) {
            disk_push();
        }
        leave();
        if (disk.flying &&
            !si_futex_wait(&ch->to_guest, seen, si_now() + DISK_DEADLINE)) {
            const blkif_sring_t *r = disk.ring.sring;

            disk_wrong("%u requests are not answered; req_prod %u req_event "
                       "%u rsp_prod %u rsp_event %u rsp_cons %u, channel %x",
                       disk.flying, r->req_prod, r->req_event, r->rsp_prod,
                       r->rsp_event, disk.ring.rsp_cons, ch->state);
        }
        /* What comes after this look is told by another event. */
        seen = atomic_load(&ch->to_guest);
        enter();
        disk_interrupt();
        leave();
        /* Others want the processor too. */
        if (draw(&disk.x) % 4 == 0) {
            sleep_until(si_now() + MS);
        }
    }
    if (disk.wrong[0]) {
        printf("err %s\n", disk.wrong);
        return;
    }
    printf("ok {\"writes\": %" PRIu64 ", \"reads\": %" PRIu64 ", "
           "\"flushes\": %" PRIu64 ", \"interrupts\": %" PRIu64 ", "
           "\"index\": %u, \"answered\": %u}\n", disk.writes, disk.reads,
           disk.flushes, disk.interrupts, disk.ring.req_prod_pvt,
           disk.ring.sring->rsp_prod);
}

static void cmd_poke(uint64_t addr, const char *hex)
{
    uint64_t len = strlen(hex) / 2;
    uint8_t *buf = malloc(len + 1);

    for (uint64_t i = 0; i < len; i++) {
        unsigned int byte;

        sscanf(hex + 2 * i, "%2x", &byte);
        buf[i] = byte;
    }
    if (memory(addr, buf, len, true)) {
        printf("ok\n");
    }
    free(buf);
}

static void cmd_fill(uint64_t addr, uint64_t len, uint64_t byte)
{
    uint8_t *buf = malloc(len + 1);

    memset(buf, byte, len);
    if (memory(addr, buf, len, true)) {
        printf("ok\n");
    }
    free(buf);
}

/* What balloon drivers have Xen do: give frames back, or get them (again). */
static void cmd_balloon(bool in, uint64_t gfn, uint64_t nr)
{
    bool good;

    si_lock(shared);
    good = si_p2m_remove(shared, gfn, nr) &&
        (!in || si_p2m_add(shared, gfn, nr, gfn + SI_BALLOON_FRAME));
    si_unlock(shared);
    printf(good ? "ok\n" : "err too many holes\n");
}

static void cmd_peek(uint64_t addr, uint64_t len)
{
    uint8_t *buf = malloc(len + 1);

    if (memory(addr, buf, len, false)) {
        printf("ok ");
        for (uint64_t i = 0; i < len; i++) {
            printf("%02x", buf[i]);
        }
        printf("\n");
    }
    free(buf);
}

static void cmd_fault(const char *name, int64_t skip, int64_t count,
                      int64_t err)
{
    static const char *const names[] = {
#define NAME(n) #n,
        SI_CALLS(NAME)
#undef NAME
    };
    int call = -1;

    for (int i = 0; i < SI_NR_CALLS; i++) {
        if (strcmp(name, names[i]) == 0) {
            call = i;
        }
    }
    if (call < 0) {
        printf("err there is no call named %s\n", name);
        return;
    }
    for (int i = 0; i < SI_MAX_FAULTS; i++) {
        struct si_fault *f = &shared->fault[i];

        if (!atomic_load(&f->call)) {
            atomic_store(&f->skip, skip);
            atomic_store(&f->count, count);
            atomic_store(&f->err, err);
            atomic_store(&f->call, call + 1);
            printf("ok\n");
            return;
        }
    }
    printf("err all %d fault rules are in use\n", SI_MAX_FAULTS);
}

static void wait_line(_Atomic uint32_t *line, const char *name,
                      uint64_t level, uint64_t ms)
{
    uint64_t end = si_now() + ms * MS;

    for (;;) {
        uint32_t seen = atomic_load(&shared->irq_seq);

        if (atomic_load(line) == level) {
            printf("ok %" PRIu64 "\n", si_now());
            return;
        }
        if (!si_futex_wait(&shared->irq_seq, seen, end)) {
            printf("err line %s is not at %" PRIu64 "\n", name, level);
            return;
        }
    }
}

static void cmd_wait_event(bool shutdown, uint64_t value, uint64_t ms)
{
    uint64_t end = si_now() + ms * MS;

    for (;;) {
        uint32_t seen = atomic_load(&shared->event_seq);

        if (shutdown ? atomic_load(&shared->shutdowns) >= value :
            atomic_load(&shared->server_enabled) == value) {
            printf("ok\n");
            return;
        }
        if (!si_futex_wait(&shared->event_seq, seen, end)) {
            printf("err it did not happen\n");
            return;
        }
    }
}

static void cmd_stat(void)
{
    printf("ok {\"domid\": %u, \"dm_pid\": %u, \"created\": %u, "
           "\"enabled\": %u, \"atomic\": %u, \"legacy\": %u, "
           "\"restricted\": %u, \"cuts\": %u, \"paused\": %u, "
           "\"shutdowns\": %u, "
           "\"reason\": %u, "
           "\"irq_seq\": %u, \"event_seq\": %u, \"sleeps\": %" PRIu64 ", "
           "\"wakes_fd\": %" PRIu64 ", \"wakes_timeout\": %" PRIu64 ", "
           "\"read_pointer\": %u, \"write_pointer\": %u, \"calls\": {",
           shared->domid, shared->dm_pid, shared->server_created,
           shared->server_enabled, shared->server_atomic,
           shared->server_legacy, shared->restricted, shared->cuts,
           shared->paused, shared->shutdowns, shared->shutdown_reason, shared->irq_seq, shared->event_seq,
           shared->sleeps,
           shared->wakes_fd, shared->wakes_timeout, ring()->read_pointer,
           ring()->write_pointer);
#define COUNT(n) printf("\"%s\": %" PRIu64 ", ", #n, shared->calls[SI_##n]);
    SI_CALLS(COUNT)
#undef COUNT
    printf("\"\": 0}, \"channels\": [");
    for (uint32_t i = 0; i < shared->nr_channels; i++) {
        const struct si_channel *ch = &shared->channel[i];

        printf("%s{\"state\": %u, \"notified\": %u, \"delivered\": %u, "
               "\"to_guest\": %u}", i ? ", " : "", ch->state, ch->notified,
               ch->delivered, ch->to_guest);
    }
    printf("], \"links\": [%u, %u, %u, %u]}\n", shared->link_route[0],
           shared->link_route[1], shared->link_route[2],
           shared->link_route[3]);
}

static void cmd_ranges(void)
{
    const char *comma = "";

    printf("ok [");
    for (int i = 0; i < SI_MAX_RANGES; i++) {
        const struct si_range *r = &shared->range[i];

        if (r->used) {
            printf("%s[%u, %" PRIu64 ", %" PRIu64 "]", comma, r->kind,
                   r->first, r->last);
            comma = ", ";
        }
    }
    printf("]\n");
}

static void obey(char *line)
{
    char *word[16] = { 0 }, *save = NULL;
    uint64_t n[16] = { 0 };
    int args = -1;

    for (char *w = strtok_r(line, " \n", &save); w && args < 15;
         w = strtok_r(NULL, " \n", &save)) {
        word[++args] = w;
        n[args] = strtoull(w, NULL, 0);
    }
    if (args < 0) {
        return;
    }
#define IS(s, a) (strcmp(word[0], s) == 0 && args == (a))
    if (IS("in", 3) || IS("out", 4)) {          /* vcpu size port [value] */
        access_device(&(struct request) {
            .vcpu = n[1], .size = n[2], .addr = n[3], .data = n[4],
            .type = IOREQ_TYPE_PIO,
            .dir = args == 3 ? IOREQ_READ : IOREQ_WRITE,
        });
    } else if (IS("load", 3) || IS("store", 4)) { /* vcpu size addr [value] */
        access_device(&(struct request) {
            .vcpu = n[1], .size = n[2], .addr = n[3], .data = n[4],
            .type = IOREQ_TYPE_COPY,
            .dir = args == 3 ? IOREQ_READ : IOREQ_WRITE,
        });
    } else if (IS("config", 4) || IS("config", 5)) {
        /* vcpu size bdf register [value] */
        access_device(&(struct request) {
            .vcpu = n[1], .size = n[2], .addr = n[3] << 32 | n[4],
            .data = n[5], .type = IOREQ_TYPE_PCI_CONFIG,
            .dir = args == 4 ? IOREQ_READ : IOREQ_WRITE,
        });
    } else if (IS("raw", 10)) {
        /* vcpu type dir size count df ptr addr data ms: as it stands */
        struct request r = {
            n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], false,
        };

        answer(send_request(&r, n[10] * MS), &r);
    } else if (IS("buffered", 4)) {             /* type log2size addr data */
        if (ring_write(n[1], n[2], n[3], n[4])) {
            raise_channel(0);
            printf("ok\n");
        } else {
            printf("err the ring is full\n");
        }
    } else if (IS("ring-slot", 2)) {            /* index word */
        memcpy(&ring()->buf_ioreq[n[1] % IOREQ_BUFFER_SLOT_NUM], &n[2], 8);
        printf("ok\n");
    } else if (IS("ring-pointers", 2)) {        /* read write */
        atomic_store(ring_pointers(), n[2] << 32 | (uint32_t)n[1]);
        printf("ok\n");
    } else if (IS("ring-notify", 0)) {
        raise_channel(0);
        printf("ok\n");
    } else if (IS("disk", 6)) { /* channel ring order data sectors seed */
        cmd_disk(n[1], n[2], n[3], n[4], n[5], n[6]);
    } else if (IS("disk-work", 2)) {            /* requests stop */
        cmd_disk_work(n[1], n[2]);
    } else if (IS("notify", 1)) {               /* channel */
        if (n[1] < shared->nr_channels) {
            raise_channel(n[1]);
        }
        printf("ok\n");
    } else if (IS("isolated", 2)) {             /* count gap_us */
        cmd_isolated(n[1], n[2]);
    } else if (IS("stream", 2)) {               /* count period_us */
        cmd_stream(n[1], n[2]);
    } else if (IS("flood", 3)) {                /* ms sync vcpu */
        cmd_flood(n[1], n[2], n[3]);
    } else if (IS("rebase", 1)) {               /* count */
        cmd_rebase(n[1]);
    } else if (IS("scribble", 2)) {             /* seed ms */
        cmd_scribble(n[1], n[2]);
    } else if (IS("torture", 3)) {              /* seed count malformed */
        cmd_torture(n[1], n[2], n[3]);
    } else if (IS("guided", 5)) {               /* seed inputs and files */
        cmd_guided(n[1], n[2], word[3], word[4], word[5]);
    } else if (IS("replay", 1)) {               /* a file of accesses */
        cmd_replay(word[1]);
    } else if (IS("time-reads", 4)) {           /* vcpu port count gap_us */
        cmd_time_reads(n[1], n[2], n[3], n[4]);
    } else if (IS("round-trips", 1)) {          /* count */
        cmd_round_trips(n[1]);
    } else if (IS("poke", 2)) {                 /* addr hex */
        cmd_poke(n[1], word[2]);
    } else if (IS("fill", 3)) {                 /* addr length byte */
        cmd_fill(n[1], n[2], n[3]);
    } else if (IS("peek", 2)) {                 /* addr length */
        cmd_peek(n[1], n[2]);
    } else if (IS("balloon", 3)) {              /* in gfn count */
        cmd_balloon(n[1], n[2], n[3]);
    } else if (IS("fault", 4)) {                /* call skip count errno */
        cmd_fault(word[1], n[2], n[3], n[4]);
    } else if (IS("wait-irq", 3)) {             /* line level ms */
        wait_line(&shared->irq_level[n[1] & 255], word[1], n[2], n[3]);
    } else if (IS("wait-intx", 3)) {            /* device*4+pin level ms */
        wait_line(&shared->intx_level[n[1] & 127], word[1], n[2], n[3]);
    } else if (IS("wait-server", 2)) {          /* enabled ms */
        cmd_wait_event(false, n[1], n[2]);
    } else if (IS("wait-shutdown", 2)) {        /* how many ms */
        cmd_wait_event(true, n[1], n[2]);
    } else if (IS("wait-change", 2)) {          /* event_seq ms */
        printf(si_futex_wait(&shared->event_seq, n[1],
                             si_now() + n[2] * MS) ?
               "ok\n" : "err nothing happened\n");
    } else if (IS("paused", 1)) {               /* how many times */
        atomic_store(&shared->paused, n[1]);
        syscall(SYS_futex, &shared->paused, FUTEX_WAKE, INT32_MAX, NULL, NULL,
                0);
        printf("ok\n");
    } else if (IS("stat", 0)) {
        cmd_stat();
    } else if (IS("ranges", 0)) {
        cmd_ranges();
    } else {
        printf("err no command %s with %d arguments\n", word[0], args);
    }
#undef IS
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;

    signal(SIGPIPE, SIG_IGN);
    if (argc == 6 && strcmp(argv[1], "create") == 0) {
        create_domain(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "reset") == 0) {
        reset_domain(argv[2]);
        return 0;
    }
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        die("usage: guest create DIR DOMID VCPUS MIB | reset DIR | "
            "serve DIR");
    }
    map_domain(argv[2]);
    prctl(PR_SET_TIMERSLACK, 1);
    while (getline(&line, &size, stdin) > 0) {
        obey(line);
        fflush(stdout);
    }
    free(line);
    return 0;
}
