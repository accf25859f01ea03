/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buffered ioreq ring: see bufring.h.
 */
#include <stddef.h>
#include <string.h>

#include "bufring.h"

/* Attempts to empty a ring whose pointers change under our hands. */
#define RESET_TRIES 16

/* Both pointers are one naturally aligned word; see ring_pointers(). */
_Static_assert(offsetof(buffered_iopage_t, read_pointer) == 0 &&
               offsetof(buffered_iopage_t, write_pointer) == 4,
               "the ring's pointers are one 64-bit word");

static uint64_t ring_pointers(buffered_iopage_t *page)
{
    return __atomic_load_n((uint64_t *)page, __ATOMIC_ACQUIRE);
}

static uint32_t read_of(uint64_t pointers)
{
    return pointers;
}

static uint32_t write_of(uint64_t pointers)
{
    return pointers >> 32;
}

/* A slot, copied in one go so that it cannot change after the check. */
static buf_ioreq_t copy_slot(buffered_iopage_t *page, uint32_t pointer)
{
    /* Eight bytes each, behind the pointers: naturally aligned in a page. */
    const uint64_t *where =
        (const void *)&page->buf_ioreq[pointer % IOREQ_BUFFER_SLOT_NUM];
    uint64_t raw = __atomic_load_n(where, __ATOMIC_RELAXED);
    buf_ioreq_t slot;

    _Static_assert(sizeof(slot) == sizeof(raw), "a slot is 64 bits");
    memcpy(&slot, &raw, sizeof(slot));
    return slot;
}

/* Drop everything: the reader's pointer becomes the writer's. */
static PulsarBufringResult ring_reset(buffered_iopage_t *page,
                                      const char **ret_why)
{
    uint64_t old, new;
    int i;

    for (i = 0; i < RESET_TRIES; i++) {
        old = ring_pointers(page);
        new = (uint64_t)write_of(old) << 32 | write_of(old);
        if (__atomic_compare_exchange_n((uint64_t *)page, &old, new, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            *ret_why = "its pointers were more than a ring apart";
            return PULSAR_BUFRING_RESET;
        }
    }
    *ret_why = "its pointers are more than a ring apart and keep changing";
    return PULSAR_BUFRING_BROKEN;
}

/* What is wrong with a slot's own fields, or NULL. */
static const char *slot_fault(const buf_ioreq_t *slot)
{
    if (slot->dir != IOREQ_WRITE) {
        return "an entry is a read";
    }
    switch (slot->type) {
    case IOREQ_TYPE_PIO:
        return slot->size == 3 ? "a port write has 8 bytes" : NULL;
    case IOREQ_TYPE_COPY:
    case IOREQ_TYPE_TIMEOFFSET:
    case IOREQ_TYPE_INVALIDATE:
        return NULL;
    default:
        return "an entry has a type that is never buffered";
    }
}

PulsarBufringResult pulsar_bufring_next(buffered_iopage_t *page,
                                        PulsarBufwrite *ret,
                                        const char **ret_why)
{
    uint64_t pointers = ring_pointers(page);
    uint32_t rd = read_of(pointers);
    uint32_t filled = write_of(pointers) - rd;
    buf_ioreq_t slot, high;
    const char *fault;
    uint8_t slots;

    if (!filled) {
        return PULSAR_BUFRING_EMPTY;
    }
    if (filled > IOREQ_BUFFER_SLOT_NUM) {
        return ring_reset(page, ret_why);
    }

    slot = copy_slot(page, rd);
    slots = slot.size == 3 ? 2 : 1;
    fault = slot_fault(&slot);
    if (slots > filled) {
        slots = 1;
        fault = "half a quad word";
    }
    if (fault) {
        pulsar_bufring_done(page, slots);
        *ret_why = fault;
        return PULSAR_BUFRING_SKIPPED;
    }

    ret->type = slot.type;
    ret->size = 1 << slot.size;
    ret->slots = slots;
    ret->addr = slot.addr;
    ret->data = slot.data;
    if (slots == 2) {
        high = copy_slot(page, rd + 1);
        ret->data |= (uint64_t)high.data << 32;
    }
    return PULSAR_BUFRING_ENTRY;
}

void pulsar_bufring_done(buffered_iopage_t *page, uint8_t slots)
{
    __atomic_add_fetch(&page->read_pointer, slots, __ATOMIC_ACQ_REL);
}

bool pulsar_bufpace_event(PulsarBufpace *p, int64_t now_ns)
{
    bool close = p->seen &&
                 now_ns - p->last_event_ns < PULSAR_BUFPACE_DENSE_NS;

    p->seen = true;
    p->last_event_ns = now_ns;
    p->dense = close ? p->dense + 1 : 0;
    if (p->dense < PULSAR_BUFPACE_DENSE_RUN) {
        return true;
    }
    p->dense = 0;
    p->drained = 0;
    p->polling = true;
    return false;
}

void pulsar_bufpace_drained(PulsarBufpace *p, uint32_t n)
{
    p->drained += n;
}

bool pulsar_bufpace_tick(PulsarBufpace *p)
{
    p->polling = p->drained >= PULSAR_BUFPACE_STAY;
    p->drained = 0;
    return p->polling;
}
