/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which PV back end a guest called: "evtchn:qdisk-51712" for the disk xvda,
 * "evtchn:vkbd-0" for the keyboard. Each back end has an event channel
 * device of its own, whose callback is the same for all.
 */
#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "hw/xen/xen-bus.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "ledger-glue.h"

static QemuMutex lock;
static GHashTable *by_channel; /* event channel -> cause */

static void __attribute__((constructor)) begin(void)
{
    qemu_mutex_init(&lock);
    by_channel = g_hash_table_new(NULL, NULL);
}

void pulsar_xen_device_bind_event_channel(XenDevice *xendev,
                                          const void *channel)
{
    const char *kind = XEN_DEVICE_GET_CLASS(xendev)->backend;
    g_autofree char *name = g_strdup_printf(
        "evtchn:%s-%s", kind ?: object_get_typename(OBJECT(xendev)),
        xendev->name);
    int cause = pulsar_ledger_cause(pulsar_ledger_self(), PULSAR_CAUSE_OTHER,
                                    name);

    QEMU_LOCK_GUARD(&lock);
    g_hash_table_insert(by_channel, (gpointer)channel, GINT_TO_POINTER(cause));
}

void pulsar_xen_device_event(const void *channel)
{
    int cause;

    WITH_QEMU_LOCK_GUARD(&lock) {
        cause = GPOINTER_TO_INT(g_hash_table_lookup(by_channel, channel));
    }
    pulsar_ledger_count(cause, 1);
}

void pulsar_xen_pv_evtchn_event(const char *name)
{
    pulsar_ledger_count_named("evtchn", name);
}
