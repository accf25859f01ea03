/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time between two looks.
 */
#include <errno.h>

#include "wait.h"

double wait_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

void wait_until(double when)
{
    struct timespec ts = {
        .tv_sec = (time_t)when,
        .tv_nsec = (long)((when - (time_t)when) * 1e9),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
           EINTR) {
        /* a signal that is not ours to heed */
    }
}
