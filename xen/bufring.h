/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking the buffered ioreq ring, and deciding how to wait for it. Pure C:
 * includes Xen's public ABI headers but no QEMU header, so the same object
 * runs in the device model, in unit tests and under the fuzzer.
 *
 * Nothing in the ring is trusted. Xen fills it, but a page that a guest
 * could reach in some configurations must not be able to stop or spin the
 * device model (XSA-155, XSA-197, XSA-199).
 */
#ifndef PULSAR_BUFRING_H
#define PULSAR_BUFRING_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/hvm/ioreq.h>

/** What a look into the ring found. */
typedef enum PulsarBufringResult {
    PULSAR_BUFRING_EMPTY,    /* nothing there */
    PULSAR_BUFRING_ENTRY,    /* a well-formed write was copied out */
    PULSAR_BUFRING_SKIPPED,  /* a malformed entry was taken out and dropped */
    PULSAR_BUFRING_RESET,    /* the pointers made no sense; the ring is empty
                              * again */
    PULSAR_BUFRING_BROKEN,   /* the pointers make no sense and cannot be put
                              * right: somebody keeps changing them */
} PulsarBufringResult;

/** struct PulsarBufwrite: one buffered write, copied and checked */
typedef struct PulsarBufwrite {
    uint64_t addr;   /* port or guest-physical address, below 1 MiB */
    uint64_t data;
    uint8_t type;    /* IOREQ_TYPE_PIO, _COPY, _TIMEOFFSET or _INVALIDATE */
    uint8_t size;    /* bytes: 1, 2, 4 or 8 */
    uint8_t slots;   /* ring slots it occupies: 1 or 2 */
} PulsarBufwrite;

/**
 * pulsar_bufring_next: look at the oldest entry
 * @page: the ring, as Xen maps it
 * @ret: the entry; written only for PULSAR_BUFRING_ENTRY
 * @ret_why: what is wrong, a constant string; written only for _SKIPPED,
 *           _RESET and _BROKEN
 *
 * Both pointers are read as one 64-bit word, for in Xen's atomic mode
 * (HVM_IOREQSRV_BUFIOREQ_ATOMIC) Xen lowers both together by multiples of
 * IOREQ_BUFFER_SLOT_NUM at any time. Each slot is copied once and the copy
 * is checked. An entry stays in the ring until pulsar_bufring_done(): Xen
 * takes the slot for free only when the write has reached the device.
 *
 * Malformed entries: a type that is never buffered, a read, a port access
 * of 8 bytes, half a quad word.
 *
 * Source: xen/include/public/hvm/ioreq.h, and ioreq_send_buffered() of
 * xen/common/ioreq.c.
 */
PulsarBufringResult pulsar_bufring_next(buffered_iopage_t *page,
                                        PulsarBufwrite *ret,
                                        const char **ret_why);

/**
 * pulsar_bufring_done: give the slots of a handled entry back to Xen
 * @page: the ring
 * @slots: PulsarBufwrite.slots of the entry
 *
 * An atomic addition, never a store: see pulsar_bufring_next().
 */
void pulsar_bufring_done(buffered_iopage_t *page, uint8_t slots);

/*
 * How to wait. Alone, a write deserves a wake of its own, at once. Under a
 * stream, a wake for each write would cost more than it brings: then the
 * event channel stays masked and the ring is looked at every
 * PULSAR_BUFPACE_TICK_NS until the stream thins out (as NAPI does for
 * network cards).
 */
#define PULSAR_BUFPACE_TICK_NS     96000000LL /* stock's bound is 100 ms */
#define PULSAR_BUFPACE_DENSE_NS     4000000LL /* closer than this: a stream */
#define PULSAR_BUFPACE_DENSE_RUN    4         /* after so many in a row */
#define PULSAR_BUFPACE_STAY        10         /* writes a tick to go on */

/** struct PulsarBufpace: state of the moderation; zero to begin with */
typedef struct PulsarBufpace {
    bool polling;        /* the port stays masked, a tick is due */
    bool seen;           /* @last_event_ns is valid */
    int64_t last_event_ns;
    uint32_t dense;      /* events in a row that came close together */
    uint32_t drained;    /* writes since the last tick */
} PulsarBufpace;

/**
 * pulsar_bufpace_event: the ring's event channel has fired
 * @p: the state
 * @now_ns: any monotonic clock
 *
 * Returns: true to serve it now and unmask the port; false to leave the port
 * masked and look again PULSAR_BUFPACE_TICK_NS from now.
 */
bool pulsar_bufpace_event(PulsarBufpace *p, int64_t now_ns);

/** pulsar_bufpace_drained: @n writes were taken out of the ring. */
void pulsar_bufpace_drained(PulsarBufpace *p, uint32_t n);

/**
 * pulsar_bufpace_tick: a tick has passed and the ring was drained
 * @p: the state
 *
 * Returns: true to tick again; false to unmask the port, drain what came in
 * before that, and wait for events.
 */
bool pulsar_bufpace_tick(PulsarBufpace *p);

#endif /* PULSAR_BUFRING_H */
