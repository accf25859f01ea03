/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What counting one wake costs under load: the calls that a port read makes,
 * with the reads of the clock that ledger-glue.c makes for dense wakes (the
 * exact clock for one in eight). Prints nanoseconds, the best of twenty rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../monitor/ledger.h"

#define WAKES 200000

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int main(void)
{
    void *page = calloc(1, PULSAR_LEDGER_TOTAL_SIZE);
    double best = 0;
    PulsarLedger l;
    int cause, i, round;

    pulsar_ledger_init(&l, page, clock_ns(CLOCK_MONOTONIC));
    cause = pulsar_ledger_cause(&l, PULSAR_CAUSE_PIO_READ, "pio-read:serial");
    for (round = 0; round < 20; round++) {
        uint64_t start = clock_ns(CLOCK_MONOTONIC);
        double each;

        for (i = 0; i < WAKES; i++) {
            uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
            bool timed = i % 8 == 0;

            pulsar_ledger_woken(&l, timed ? clock_ns(CLOCK_MONOTONIC) : now,
                                true, timed ? 8 : 0);
            pulsar_ledger_event(&l, cause, 1, PULSAR_CLAIM);
            pulsar_ledger_sleep(&l, timed ? clock_ns(CLOCK_MONOTONIC) : 0);
        }
        each = (double)(clock_ns(CLOCK_MONOTONIC) - start) / WAKES;
        best = round && best < each ? best : each;
    }
    printf("%.1f\n", best);
    free(page);
    return 0;
}
