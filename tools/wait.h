/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time between two looks.
 */
#ifndef PULSAR_WAIT_H
#define PULSAR_WAIT_H

#include <time.h>

/* Seconds that --interval accepts. */
#define WAIT_INTERVAL_MIN  0.1
#define WAIT_INTERVAL_MAX  3600

/** wait_clock: that clock in seconds. */
double wait_clock(clockid_t id);

/** wait_until: sleep until CLOCK_MONOTONIC is @when. */
void wait_until(double when);

#endif /* PULSAR_WAIT_H */
