/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV disks that come from another device model of the same guest, which goes
 * on as if nothing had happened (`pulsar replace`): their rings are taken up
 * where they stand. Upstream begins at zero, and would carry out again what
 * is left in the slots.
 *
 * Asked for by `-device pulsar-pv-rings,disks=768:51712`. That is no hardware,
 * but needs no option in upstream's table; and a QEMU that does not know it
 * refuses to start.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"     /* barrier(), for xen_blkif.h */
#include "hw/block/xen_blkif.h"
#include "hw/qdev-properties.h"
#include "hw/xen/xen-bus.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "system/runstate.h"
#include "pulsar-hooks.h"
#include "qemu-compat.h"

#define TYPE_PULSAR_PV_RINGS "pulsar-pv-rings"
OBJECT_DECLARE_SIMPLE_TYPE(PulsarPvRings, PULSAR_PV_RINGS)

struct PulsarPvRings {
    DeviceState parent;

    char *disks;
};

/*
 * Names of the disks whose next connection goes on; NULL when there are none.
 * BQL.
 */
static GHashTable *handed_over;

/* Once the guest runs, whoever connects begins. */
static void forget(void *opaque, bool running, RunState state)
{
    if (running) {
        g_clear_pointer(&handed_over, g_hash_table_unref);
    }
}

static void pv_rings_realize(DeviceState *dev, Error **errp)
{
    PulsarPvRings *s = PULSAR_PV_RINGS(dev);
    g_auto(GStrv) names = g_strsplit(s->disks ? s->disks : "", ":", -1);
    unsigned int number;
    int i;

    if (handed_over) {
        error_setg(errp, TYPE_PULSAR_PV_RINGS " can be given once");
        return;
    }
    for (i = 0; names[i]; i++) {
        if (qemu_strtoui(names[i], NULL, 10, &number)) {
            error_setg(errp, "'%s' is no number of a PV disk; accepted are "
                       "some with ':' between, as in disks=768:51712",
                       names[i]);
            return;
        }
    }
    handed_over = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                        NULL);
    for (i = 0; names[i]; i++) {
        g_hash_table_add(handed_over, g_strdup(names[i]));
    }
    qemu_add_vm_change_state_handler(forget, NULL);
}

static const Property pv_rings_properties[] = {
    DEFINE_PROP_STRING("disks", PulsarPvRings, disks),
};

static void pv_rings_class_init(ObjectClass *oc, PulsarClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);

    dc->desc = "PV disks that go on from another device model";
    dc->realize = pv_rings_realize;
    dc->hotpluggable = false;
    device_class_set_props(dc, pv_rings_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo pv_rings_type = {
    .name = TYPE_PULSAR_PV_RINGS,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(PulsarPvRings),
    .class_init = pv_rings_class_init,
};

static void pv_rings_register(void)
{
    type_register_static(&pv_rings_type);
}

type_init(pv_rings_register)

void pulsar_xen_block_dataplane_start(XenDevice *xendev,
                                      union blkif_back_rings *rings,
                                      struct XenEventChannel *channel,
                                      Error **errp)
{
    blkif_common_back_ring_t *ring = &rings->common;
    RING_IDX answered, asked;

    if (!channel || !handed_over ||
        !g_hash_table_remove(handed_over, xendev->name)) {
        return;
    }
    answered = qatomic_read(&ring->sring->rsp_prod);
    asked = qatomic_read(&ring->sring->req_prod);
    ring->rsp_prod_pvt = ring->req_cons = answered;
    if (RING_REQUEST_PROD_OVERFLOW(ring, asked)) {
        error_setg(errp, "disk %s: its front end has %u requests in a ring "
                   "for %u", xendev->name, asked - answered, RING_SIZE(ring));
        return;
    }
    /* The other one may have ended between an answer and saying so. */
    xen_device_notify_event_channel(xendev, channel, errp);
}
