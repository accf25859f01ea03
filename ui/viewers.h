/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who looks at a display of the guest, by whatever protocol. BQL held.
 */
#ifndef PULSAR_VIEWERS_H
#define PULSAR_VIEWERS_H

#include "qemu/notify.h"

/**
 * pulsar_viewers: how many clients look now
 *
 * Only those count that have asked for a picture, and so have passed what
 * authentication there is.
 */
unsigned pulsar_viewers(void);

/**
 * pulsar_viewers_add_notifier: be told when pulsar_viewers() has changed
 * @n: the caller's, which stays valid; its data is NULL
 *
 * Called with the BQL from the main loop itself, once for what changed since
 * the last turn; not for a client that is there already.
 */
void pulsar_viewers_add_notifier(Notifier *n);

/**
 * pulsar_viewers_set: a client looks, or does not any longer
 * @client: what its display knows it by; saying the same twice is nothing
 * @looks: whether it does
 *
 * For the displays in this folder. Any thread.
 */
void pulsar_viewers_set(const void *client, bool looks);

#endif /* PULSAR_VIEWERS_H */
