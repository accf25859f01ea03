/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection to xenstore for all of upstream's that are opened while the
 * machine is made: by the old back ends, by the bus of the new ones and by
 * each of its devices. Each had a descriptor, buffers in xenstored and, with
 * its first watch, a thread that reads.
 */
#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "hw/xen/xen_backend_ops.h"
#include "shared.h"

extern struct xenstore_backend_ops libxenstore_backend_ops;

static struct xenstore_backend_ops upstream;
static struct qemu_xs_handle *shared;
static unsigned int users;

static struct qemu_xs_handle *open_shared(void)
{
    if (phase_check(PHASE_MACHINE_READY)) {
        return upstream.open();
    }
    if (!shared) {
        shared = upstream.open();
    }
    users += shared != NULL;
    return shared;
}

static void close_shared(struct qemu_xs_handle *handle)
{
    if (handle == shared) {
        if (--users) {
            return;
        }
        shared = NULL;
    }
    upstream.close(handle);
}

void pulsar_shared_xenstore_init(void)
{
    upstream = libxenstore_backend_ops;
    libxenstore_backend_ops.open = open_shared;
    libxenstore_backend_ops.close = close_shared;
}
