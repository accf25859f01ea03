/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When displays are refreshed, whatever the protocol. Main loop's thread, BQL
 * held.
 */
#ifndef PULSAR_REFRESH_H
#define PULSAR_REFRESH_H

#include "ui/console.h"

/**
 * pulsar_refresh_watch: somebody looks at a display, or nobody does
 * @dcl: the display
 * @looks: whether it needs refreshing; saying the same twice is nothing
 */
void pulsar_refresh_watch(DisplayChangeListener *dcl, bool looks);

/**
 * pulsar_refresh_watch_kind: the same for all displays of a kind
 * @prefix: how their names (dpy_name) begin
 */
void pulsar_refresh_watch_kind(const char *prefix, bool looks);

/** pulsar_refresh_now: due at once, whenever the last refresh was. */
void pulsar_refresh_now(DisplayChangeListener *dcl);

/** pulsar_refresh_fast: at full rate: due at once unless one has just been. */
void pulsar_refresh_fast(DisplayChangeListener *dcl);

/**
 * pulsar_refresh_done: a refresh is over
 * @dcl: the display that was refreshed
 * @changed: it had something new to show
 *
 * Sets the interval until the next.
 */
void pulsar_refresh_done(DisplayChangeListener *dcl, bool changed);

#endif /* PULSAR_REFRESH_H */
