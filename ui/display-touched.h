/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest has touched its display hardware: tell whoever refreshes
 * displays. Main loop thread, BQL held.
 */
#ifndef PULSAR_DISPLAY_TOUCHED_H
#define PULSAR_DISPLAY_TOUCHED_H

#include <stdbool.h>

/**
 * pulsar_display_slow: some display is refreshed at less than full rate
 *
 * Read before a device is looked up, so that a guest which nobody looks at
 * pays nothing. Only refresh.c writes it.
 */
extern bool pulsar_display_slow;

/** pulsar_display_touched: refresh every watched display at full rate. */
void pulsar_display_touched(void);

#endif /* PULSAR_DISPLAY_TOUCHED_H */
