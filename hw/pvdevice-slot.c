/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xapi puts the PV device of Windows' drivers behind the network cards that a
 * VM has: when one was plugged or unplugged while it ran, a restored guest's
 * device model is started with the device in another slot than the guest
 * knows. It goes to where the guest has it, before its state is read.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "system/runstate.h"
#include "hw/xen/pulsar/launch.h"

#define PV_DEVICE  "xen-pvdevice"

/* The slot of a section "0000:00:05.0/xen-pvdevice", or -1. */
static int slot_of_section(const char *section)
{
    static const char before[] = "0000:00:", after[] = ".0/" PV_DEVICE;
    const char *number = section + strlen(before);
    char *end;
    unsigned long slot;

    if (!g_str_has_prefix(section, before) || !g_ascii_isxdigit(*number)) {
        return -1;
    }
    slot = strtoul(number, &end, 16);
    return slot < PCI_SLOT_MAX && g_str_equal(end, after) ? (int)slot : -1;
}

/* A card there is of those the guest has never seen. */
static bool make_room(PCIBus *bus, int slot)
{
    PCIDevice *there = bus->devices[PCI_DEVFN(slot, 0)];

    if (!there) {
        return true;
    }
    if (PCI_DEVICE_GET_CLASS(there)->class_id != PCI_CLASS_NETWORK_ETHERNET) {
        return false;
    }
    info_report("%s in slot %d is left out: the guest has its PV device there",
                object_get_typename(OBJECT(there)), slot);
    object_unparent(OBJECT(there));
    return true;
}

/*
 * The same device again in another slot; for the guest always there. A slot
 * that is reserved, or of which a part is taken, does not take it: then there
 * is none, and the section is refused as one of a device that is not here.
 */
static bool move(Object *old, int slot, Error **errp)
{
    static const char *const same[] = {
        "vendor-id", "device-id", "revision", "size",
    };
    BusState *bus = qdev_get_parent_bus(DEVICE(old));
    DeviceState *dev = qdev_new(PV_DEVICE);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(same); i++) {
        object_property_set_uint(OBJECT(dev), same[i],
                                 object_property_get_uint(old, same[i],
                                                          &error_abort),
                                 &error_abort);
    }
    object_property_set_int(OBJECT(dev), "addr", PCI_DEVFN(slot, 0),
                            &error_abort);
    dev->hotplugged = false;
    object_unparent(old);
    return qdev_realize_and_unref(dev, bus, errp);
}

void pulsar_launch_place_device(const char *section)
{
    int slot = slot_of_section(section);
    Object *old = slot < 0 ? NULL : object_resolve_path_type("", PV_DEVICE,
                                                             NULL);
    Error *err = NULL;

    if (old && runstate_check(RUN_STATE_INMIGRATE) &&
        make_room(pci_get_bus(PCI_DEVICE(old)), slot) &&
        !move(old, slot, &err)) {
        error_reportf_err(err, "the guest was saved with its PV device in "
                          "slot %d, where it cannot be here: ", slot);
    }
}
