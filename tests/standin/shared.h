/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor of the stand-in: what a device model (through the preload
 * library libxen.c) and the test that plays the guest (guest.c) share.
 *
 * A domain is a directory:
 *   ram        guest memory, sparse; frame N of the machine at N * 4096
 *   xen        struct si_shared, followed at SI_IOREQ_OFFSET by the ring page
 *              and the page with one request per vCPU
 *   evtchn.N   a FIFO for the N-th event channel handle: the device model
 *              reads ports from it, exactly what poll() on /dev/xen/evtchn
 *              would see
 */
#ifndef STANDIN_SHARED_H
#define STANDIN_SHARED_H

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SI_MAGIC          0x70756c73u
#define SI_PAGE           4096ul
#define SI_MAX_CHANNELS   64
#define SI_MAX_HANDLES    32
#define SI_MAX_RANGES     512
#define SI_MAX_P2M        256
#define SI_MAX_FAULTS     8
#define SI_MAX_VRAM       65536     /* pages that can be dirty-tracked */
#define SI_STAMPS         8192
#define SI_IOREQ_OFFSET   (1ul << 20)
#define SI_FILE_SIZE      (SI_IOREQ_OFFSET + 2 * SI_PAGE)
#define SI_NO_FRAME       (~0ull)
#define SI_BALLOON_FRAME  (1ull << 21)      /* added to N when N comes anew */

/* The frames a toolstack without mappable resources would be told of. */
#define SI_GFN_IOREQ      0xfeff1ull
#define SI_GFN_BUFIOREQ   0xfeff2ull

/* Ports differ on both ends, so that mixing them up is noticed. */
#define SI_REMOTE_PORT(i) ((i) + 11u)
#define SI_LOCAL_PORT(i)  ((i) + 201u)

#define SI_IOSERVID       1

/* Each library function that can be counted and made to fail. */
#define SI_CALLS(X)                                     \
    X(xc_interface_open)                                \
    X(xc_interface_close)                               \
    X(xc_domain_populate_physmap_exact)                 \
    X(xc_domain_shutdown)                               \
    X(xc_domain_pause)                                  \
    X(xc_domain_unpause)                                \
    X(xc_domain_getinfolist)                            \
    X(xc_get_hvm_param)                                 \
    X(xc_set_hvm_param)                                 \
    X(xc_passthrough)                                   \
    X(xendevicemodel_open)                              \
    X(xendevicemodel_create_ioreq_server)               \
    X(xendevicemodel_destroy_ioreq_server)              \
    X(xendevicemodel_get_ioreq_server_info)             \
    X(xendevicemodel_map_io_range_to_ioreq_server)      \
    X(xendevicemodel_unmap_io_range_from_ioreq_server)  \
    X(xendevicemodel_map_pcidev_to_ioreq_server)        \
    X(xendevicemodel_unmap_pcidev_from_ioreq_server)    \
    X(xendevicemodel_set_ioreq_server_state)            \
    X(xendevicemodel_inject_msi)                        \
    X(xendevicemodel_modified_memory)                   \
    X(xendevicemodel_pin_memory_cacheattr)              \
    X(xendevicemodel_relocate_memory)                   \
    X(xendevicemodel_set_irq_level)                     \
    X(xendevicemodel_set_isa_irq_level)                 \
    X(xendevicemodel_set_mem_type)                      \
    X(xendevicemodel_set_pci_intx_level)                \
    X(xendevicemodel_set_pci_link_route)                \
    X(xendevicemodel_shutdown)                          \
    X(xendevicemodel_track_dirty_vram)                  \
    X(xenevtchn_open)                                   \
    X(xenevtchn_close)                                  \
    X(xenevtchn_bind_interdomain)                       \
    X(xenevtchn_unbind)                                 \
    X(xenevtchn_notify)                                 \
    X(xenevtchn_pending)                                \
    X(xenevtchn_unmask)                                 \
    X(xenforeignmemory_open)                            \
    X(xenforeignmemory_close)                           \
    X(xenforeignmemory_map)                             \
    X(xenforeignmemory_map2)                            \
    X(xenforeignmemory_unmap)                           \
    X(xenforeignmemory_map_resource)                    \
    X(xenforeignmemory_unmap_resource)                  \
    X(xengnttab_open)                                   \
    X(xengnttab_close)                                  \
    X(xengnttab_map_domain_grant_refs)                  \
    X(xengnttab_unmap)                                  \
    X(xengnttab_grant_copy)                             \
    X(xengnttab_set_max_grants)                         \
    X(xentoolcore_restrict_all)                         \
    X(xs_open)                                          \
    X(xs_read)                                          \
    X(xs_write)                                         \
    X(xs_directory)                                     \
    X(xs_mkdir)                                         \
    X(xs_rm)                                            \
    X(xs_set_permissions)                               \
    X(xs_watch)                                         \
    X(xs_unwatch)                                       \
    X(xs_get_domain_path)                               \
    X(xs_transaction_start)                             \
    X(xs_transaction_end)                               \
    X(tiocgptpeer)                                      \
    X(inotify_init1)                                    \
    X(pthread_create)

enum si_call {
#define SI_ENUM(name) SI_##name,
    SI_CALLS(SI_ENUM)
#undef SI_ENUM
    SI_NR_CALLS
};

/*
 * One event channel.  A port that was delivered stays masked until the
 * device model unmasks it; a masked port collects at most one pending event
 * and stays silent.
 */
#define SI_CH_BOUND    1u
#define SI_CH_MASKED   2u
#define SI_CH_PENDING  4u

struct si_channel {
    _Atomic uint32_t state;
    _Atomic uint32_t handle;        /* which evtchn.N; set before BOUND */
    _Atomic uint32_t to_guest;      /* futex: notifications by the DM */
    _Atomic uint32_t notified;      /* notifications by the guest */
    _Atomic uint32_t delivered;     /* of these, put into the FIFO */
};

struct si_p2m {
    uint64_t gfn, nr, frame;
};

enum { SI_RANGE_PORT, SI_RANGE_MEM, SI_RANGE_PCI };

struct si_range {
    uint32_t used, kind;
    uint64_t first, last;
};

struct si_fault {
    _Atomic uint32_t call;          /* enum si_call + 1; 0 = unused */
    _Atomic int32_t skip, count;
    _Atomic int32_t err;
};

struct si_stamp {
    uint64_t ns;
    uint32_t irq, level;
};

struct si_shared {
    uint32_t magic, domid, nr_vcpus, pad;
    uint64_t ram_pages;
    pthread_mutex_t lock;           /* p2m, ranges, dirty range */

    _Atomic uint32_t dm_pid;
    _Atomic uint32_t nr_handles;
    uint32_t nr_channels;           /* 0 = the ring, then one per vCPU */
    struct si_channel channel[SI_MAX_CHANNELS];

    _Atomic uint32_t server_created, server_enabled, server_atomic;
    _Atomic uint32_t server_legacy; /* pages handed out by frame number */

    struct si_p2m p2m[SI_MAX_P2M];
    struct si_range range[SI_MAX_RANGES];

    _Atomic uint64_t hvm_param[64];

    _Atomic uint32_t irq_seq;       /* futex: bumped at each level set */
    _Atomic uint32_t irq_level[256];
    _Atomic uint32_t intx_level[32 * 4];
    _Atomic uint32_t link_route[4];     /* ISA interrupt of each PCI link */
    struct si_stamp stamp[SI_STAMPS];
    _Atomic uint64_t msi_addr, msi_data;

    _Atomic uint32_t event_seq;     /* futex: server, domain or socket */
    _Atomic uint32_t paused;        /* futex: how many times */
    _Atomic uint32_t running;       /* vCPUs that do something */
    _Atomic uint32_t cuts;          /* places where `pulsar` can be cut short */
    _Atomic uint32_t shutdowns, shutdown_reason;
    _Atomic uint32_t restricted;

    uint64_t dirty_first, dirty_nr;
    _Atomic uint64_t dirty[SI_MAX_VRAM / 64];

    _Atomic uint64_t sleeps, wakes_fd, wakes_timeout; /* main loop polls */

    _Atomic uint64_t calls[SI_NR_CALLS];
    struct si_fault fault[SI_MAX_FAULTS];
};

_Static_assert(sizeof(struct si_shared) <= SI_IOREQ_OFFSET,
               "struct si_shared runs into the ioreq pages");

static inline uint64_t si_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static inline void si_futex_bump(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Sleep until *word differs from seen, or the deadline passes. */
static inline bool si_futex_wait(_Atomic uint32_t *word, uint32_t seen,
                                 uint64_t deadline)
{
    while (atomic_load(word) == seen) {
        struct timespec ts = {
            .tv_sec = deadline / 1000000000ull,
            .tv_nsec = deadline % 1000000000ull,
        };
        long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &ts, NULL,
                         FUTEX_BITSET_MATCH_ANY);

        if (r == -1 && errno == ETIMEDOUT) {
            return atomic_load(word) != seen;
        }
    }
    return true;
}

/* A process killed with the lock held must not hang the others. */
static inline void si_lock(struct si_shared *s)
{
    if (pthread_mutex_lock(&s->lock) == EOWNERDEAD) {
        pthread_mutex_consistent(&s->lock);
    }
}

static inline void si_unlock(struct si_shared *s)
{
    pthread_mutex_unlock(&s->lock);
}

/*
 * The guest's half of an event: true if the port has to be put into the
 * FIFO of its handle by the caller.
 */
static inline bool si_channel_raise(struct si_channel *ch)
{
    uint32_t old = atomic_load(&ch->state);

    atomic_fetch_add(&ch->notified, 1);
    for (;;) {
        bool deliver = (old & SI_CH_BOUND) && !(old & SI_CH_MASKED);
        uint32_t new = old | (deliver ? SI_CH_MASKED : SI_CH_PENDING);

        if (atomic_compare_exchange_weak(&ch->state, &old, new)) {
            if (deliver) {
                atomic_fetch_add(&ch->delivered, 1);
            }
            return deliver;
        }
    }
}

/*
 * The device model's half: true if an event waited behind the mask, which
 * then stays on and the port has to be delivered again.
 */
static inline bool si_channel_unmask(struct si_channel *ch)
{
    uint32_t old = atomic_load(&ch->state);

    for (;;) {
        bool deliver = old & SI_CH_PENDING;
        uint32_t new = old & ~(deliver ? SI_CH_PENDING : SI_CH_MASKED);

        if (atomic_compare_exchange_weak(&ch->state, &old, new)) {
            if (deliver) {
                atomic_fetch_add(&ch->delivered, 1);
            }
            return deliver;
        }
    }
}

/* The frame behind a guest frame, and how many follow without a break. */
static inline uint64_t si_p2m_get(struct si_shared *s, uint64_t gfn,
                                  uint64_t *ret_run)
{
    for (int i = 0; i < SI_MAX_P2M; i++) {
        const struct si_p2m *e = &s->p2m[i];

        if (e->nr && gfn >= e->gfn && gfn - e->gfn < e->nr) {
            if (ret_run) {
                *ret_run = e->nr - (gfn - e->gfn);
            }
            return e->frame + (gfn - e->gfn);
        }
    }
    return SI_NO_FRAME;
}

static inline bool si_p2m_add(struct si_shared *s, uint64_t gfn, uint64_t nr,
                              uint64_t frame)
{
    for (int i = 0; i < SI_MAX_P2M; i++) {
        if (!s->p2m[i].nr) {
            s->p2m[i] = (struct si_p2m) { gfn, nr, frame };
            return true;
        }
    }
    return false;
}

static inline bool si_p2m_remove(struct si_shared *s, uint64_t gfn,
                                 uint64_t nr)
{
    for (int i = 0; i < SI_MAX_P2M; i++) {
        struct si_p2m *e = &s->p2m[i];
        uint64_t end = e->gfn + e->nr, from, to;

        if (!e->nr || e->gfn >= gfn + nr || end <= gfn) {
            continue;
        }
        from = gfn > e->gfn ? gfn : e->gfn;
        to = gfn + nr < end ? gfn + nr : end;
        if (to < end &&
            !si_p2m_add(s, to, end - to, e->frame + (to - e->gfn))) {
            return false;
        }
        e->nr = from - e->gfn;
    }
    return true;
}

/* Note that the guest wrote to these bytes, as a log-dirty fault would. */
static inline void si_mark_dirty(struct si_shared *s, uint64_t addr,
                                 uint64_t len)
{
    si_lock(s);
    for (uint64_t gfn = addr / SI_PAGE; gfn <= (addr + len - 1) / SI_PAGE;
         gfn++) {
        uint64_t bit = gfn - s->dirty_first;

        if (gfn >= s->dirty_first && bit < s->dirty_nr) {
            atomic_fetch_or(&s->dirty[bit / 64], 1ull << (bit % 64));
        }
    }
    si_unlock(s);
}

#endif
