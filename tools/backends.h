/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV back ends that live in a device model's process (Xen's xenbus states
 * are in xen/io/xenbus.h).
 */
#ifndef PULSAR_BACKENDS_H
#define PULSAR_BACKENDS_H

#include <glib.h>

typedef struct Backends Backends;

/**
 * backends_open: find those of a domain, for another process to take over
 *
 * Returns: NULL with an error that names one whose front end is connected
 * and that cannot be taken over, or is just being connected or closed.
 */
Backends *backends_open(int domid, GError **errp);

void backends_close(Backends *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Backends, backends_close)

/**
 * backends_disks: the disks whose front ends are connected
 *
 * The next device model has to go on in their rings where they stand.
 *
 * Returns: their numbers with ":" between, as "768:51712", or "" for none.
 */
const char *backends_disks(const Backends *b);

/**
 * backends_at_rest: is every request in the disks' rings answered?
 *
 * Of a domain that is paused. Who has answered all requests has none of them
 * under way, and the ring's own indices say where it stands.
 */
gboolean backends_at_rest(const Backends *b);

/**
 * backends_check: is it still as it was when they were opened?
 *
 * Of a domain that is paused: nothing changes until it runs.
 */
gboolean backends_check(const Backends *b, GError **errp);

/**
 * backends_reset: have the next device model serve the back ends of @domid
 *
 * QEMU takes up a back end whose state is Initialising and no other. Front
 * ends pass over that state.
 */
gboolean backends_reset(int domid, GError **errp);

/**
 * backends_await: wait until the next device model serves them
 * @disks: as backends_disks() gave them
 * @pid: its process
 *
 * Returns: FALSE with an error when a disk is not connected within a while,
 * or the process ends.
 */
gboolean backends_await(int domid, const char *disks, pid_t pid,
                        GError **errp);

#endif /* PULSAR_BACKENDS_H */
