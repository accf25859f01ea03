/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which device was found behind an address: a small table in which a newer
 * answer takes the place of an older one. Pure C.
 */
#ifndef PULSAR_CAUSE_CACHE_H
#define PULSAR_CAUSE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#define PULSAR_CAUSE_CACHE_SIZE  256

/**
 * struct PulsarCauseEntry: what is known of an address
 * @address: which
 * @round: entries of earlier rounds mean nothing
 * @read: cause of reads
 * @write: cause of writes
 * @display: a VGA or the like: an access may change the screen
 */
typedef struct PulsarCauseEntry {
    uint64_t address;
    uint32_t round;
    uint16_t read;
    uint16_t write : 15;
    uint16_t display : 1;
} PulsarCauseEntry;

_Static_assert(sizeof(PulsarCauseEntry) == 16, "an entry is 16 bytes");

/** struct PulsarCauseCache: all zero is empty */
typedef struct PulsarCauseCache {
    uint32_t round;
    PulsarCauseEntry entry[PULSAR_CAUSE_CACHE_SIZE];
} PulsarCauseCache;

/** pulsar_cause_cache_forget: all answers may be wrong from now on. */
static inline void pulsar_cause_cache_forget(PulsarCauseCache *c)
{
    c->round++;
}

/**
 * pulsar_cause_cache_find: look an address up
 * @c: the table
 * @address: any
 * @ret_known: whether the entry is filled in
 *
 * The registers of ISA devices and the pages of a BAR do not meet.
 *
 * Returns: the address's entry, for the caller to fill in when it is not.
 */
static inline PulsarCauseEntry *
pulsar_cause_cache_find(PulsarCauseCache *c, uint64_t address, bool *ret_known)
{
    PulsarCauseEntry *e = &c->entry[(address + (address >> 8) * 37) %
                                    PULSAR_CAUSE_CACHE_SIZE];

    /* Round 0 is that of entries which were never filled in. */
    *ret_known = e->round == c->round + 1 && e->address == address;
    e->address = address;
    e->round = c->round + 1;
    return e;
}

#endif /* PULSAR_CAUSE_CACHE_H */
