/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a watched display is refreshed. Pure C.
 */
#ifndef PULSAR_PACE_H
#define PULSAR_PACE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * pulsar_pace_still: the next interval after a refresh that found nothing
 * @interval_ms: the present one; 0 stands for "as soon as possible"
 * @max_ms: the longest allowed
 *
 * Half as long again each time: from 30 ms a still screen is at 3 s within
 * 8 s, and a pause of a second has cost at most a third of a second of
 * delay.
 *
 * Returns: longer than @interval_ms by at least 10 ms, at most @max_ms.
 */
static inline uint64_t pulsar_pace_still(uint64_t interval_ms, uint64_t max_ms)
{
    uint64_t next = interval_ms + interval_ms / 2;

    if (next < interval_ms + 10) {
        next = interval_ms + 10;
    }
    return next < max_ms ? next : max_ms;
}

/* For how long somebody who has typed or clicked waits for what it does. */
#define PULSAR_PACE_INPUT_MS 30000

/**
 * pulsar_pace_longest: how long the interval of a still screen may become
 * @since_input_ms: since when no key and no pointer came from a viewer
 * @max_ms: the longest otherwise
 *
 * What a click has started (a program, a page) is drawn seconds later, and
 * is looked for: with work of a tenth of a second in between, it is seen
 * within one.
 *
 * Returns: at most @max_ms.
 */
static inline uint64_t pulsar_pace_longest(int64_t since_input_ms,
                                           uint64_t max_ms)
{
    return since_input_ms < PULSAR_PACE_INPUT_MS && max_ms > 700 ? 700 : max_ms;
}

/**
 * pulsar_pace_changed: the next interval after a refresh that found a change
 * @interval_ms: the present one
 * @again: the refresh before found one too
 *
 * One change in a still screen (a clock, a cursor that the guest draws)
 * quarters the interval; a second in a row is motion, and gets full rate.
 *
 * Returns: the interval; 0 stands for "as soon as possible".
 */
static inline uint64_t pulsar_pace_changed(uint64_t interval_ms, bool again)
{
    return again ? 0 : interval_ms / 4;
}

/**
 * pulsar_pace_nap: for how long a display need not be looked at
 * @still_ms: for how long nothing has happened on it
 * @idle_s: after how long that begins (option vnc_idle); 0 is never
 * @max_ms: the longest interval otherwise
 *
 * What has not changed for a while is looked at again after as long a
 * while.
 *
 * Returns: 0 while it has to be looked at.
 */
static inline uint64_t pulsar_pace_nap(uint64_t still_ms, unsigned idle_s,
                                       uint64_t max_ms)
{
    uint64_t idle_ms = idle_s * 1000ull;

    if (!idle_s || still_ms < idle_ms) {
        return 0;
    }
    return idle_ms > max_ms ? idle_ms : max_ms;
}

#endif /* PULSAR_PACE_H */
