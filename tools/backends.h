/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV back ends that live in a device model's process (Xen's xenbus states
 * are in xen/io/xenbus.h).
 */
#ifndef PULSAR_BACKENDS_H
#define PULSAR_BACKENDS_H

#include <glib.h>

/**
 * backends_check: can another process take them over?
 *
 * Returns: FALSE with an error that names one whose front end is connected
 * and that cannot.
 */
gboolean backends_check(int domid, GError **errp);

/**
 * backends_reset: have the next device model serve them
 *
 * QEMU takes up a back end whose state is Initialising and no other. Front
 * ends pass over that state.
 */
gboolean backends_reset(int domid, GError **errp);

#endif /* PULSAR_BACKENDS_H */
