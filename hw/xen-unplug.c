/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Xen's unplug protocol (docs/misc/hvm-emulated-unplug.pandoc of Xen), where
 * guests and toolstacks of today go beyond upstream's QEMU: PV drivers write
 * 3, or 9 and then 2; never 8 alone.
 */
#include "qemu/osdep.h"
#include "hw/nvme/nvme.h"
#include "hw/pci/pci_device.h"
#include "qapi/qapi-commands-pulsar.h"
#include "qapi/qapi-events-pulsar.h"
#include "system/block-backend.h"
#include "hw/xen/pulsar/launch.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

/* What a guest unplugs when it says "all disks"; xapi's QEMU: NVMe as well. */
#define ALL_DISKS   (1u << 0)
#define NVME_DISKS  (1u << 3)

void pulsar_launch_close_drive(BlockBackend *blk)
{
    if (*blk_name(blk)) {
        monitor_remove_blk(blk);
        blk_unref(blk);
    }
}

/* The one that the controller's drive= makes is a part of that, no object. */
static void unplug_namespace(NvmeNamespace *ns, NvmeCtrl *n)
{
    bool own = ns != &n->namespace;
    DeviceState *owner = own ? DEVICE(ns) : DEVICE(n);
    BlockBackend *blk = ns->blkconf.blk;

    if (own) {
        object_unparent(OBJECT(ns));
    }
    if (!blk) {
        return;
    }
    /* The device itself is freed later, and shall not do it once more. */
    ns->blkconf.blk = NULL;
    blk_ref(blk);
    blk_detach_dev(blk, owner);
    pulsar_launch_close_drive(blk);
    blk_unref(blk);
}

/* The namespaces hang on the subsystem, and so outlive their controller. */
static void unplug_nvme(NvmeCtrl *n)
{
    NvmeSubsystem *subsys = n->subsys;
    uint32_t nsid;

    object_ref(OBJECT(n));
    for (nsid = 1; nsid <= NVME_MAX_NAMESPACES; nsid++) {
        NvmeNamespace *ns = nvme_subsys_ns(subsys, nsid);

        if (ns && ns->blkconf.blk) {
            blk_drain(ns->blkconf.blk);
            blk_flush(ns->blkconf.blk);
        }
    }
    object_unparent(OBJECT(n));
    for (nsid = 1; nsid <= NVME_MAX_NAMESPACES; nsid++) {
        NvmeNamespace *ns = nvme_subsys_ns(subsys, nsid);

        if (ns) {
            subsys->namespaces[nsid] = NULL;
            unplug_namespace(ns, n);
        }
    }
    object_unref(OBJECT(n));
}

bool pulsar_unplug_disks(PCIDevice *dev, uint32_t flags)
{
    Object *nvme = object_dynamic_cast(OBJECT(dev), TYPE_NVME);

    if (nvme) {
        if (flags & (ALL_DISKS | NVME_DISKS)) {
            unplug_nvme(NVME(nvme));
        }
        return true;
    }
    /* xapi gives the platform device itself the class of a SCSI disk. */
    return pci_get_word(dev->config + PCI_CLASS_DEVICE) !=
           PCI_DEVICE_GET_CLASS(dev)->class_id;
}

/* ---- what PV drivers say of themselves ---------------------------------- */

#define PRODUCT     2       /* a word */
#define BUILD       0       /* a double word; drivers write it last */

static XenPlatformPvDriverInfo drivers;

void pulsar_platform_fixed_ioport_write(uint64_t addr, uint64_t val,
                                        unsigned size)
{
    if (addr == PRODUCT && size == 2) {
        drivers.product_num = val;
    } else if (addr == BUILD && size == 4) {
        drivers.build_num = val;
        qapi_event_send_xen_platform_pv_driver_info(drivers.product_num,
                                                    drivers.build_num);
    }
}

XenPlatformPvDriverInfo *qmp_query_xen_platform_pv_driver_info(Error **errp)
{
    return g_memdup2(&drivers, sizeof(drivers));
}
