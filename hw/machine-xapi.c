/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of xapi's BIOS guests: upstream's pc-i440fx-2.10 by its old
 * name, and without option ROMs. Such a guest boots from what hvmloader
 * gives it, each network card's ROM takes 256 KiB of the memory that xenopsd
 * has set aside (1 MiB in all), and not every host has the files.
 */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"
#include "hw/xen/pulsar/launch.h"

#define XAPI_MACHINE      "pc-0.10"
#define UPSTREAM_MACHINE  "pc-i440fx-2.10"

static void xapi_machine_class_init(ObjectClass *oc, void *data)
{
    static GlobalProperty no_rom = { TYPE_PCI_DEVICE, "romfile", "" };
    const MachineClass *parent =
        MACHINE_CLASS(object_class_get_parent(oc));
    MachineClass *mc = MACHINE_CLASS(oc);
    guint i;

    /* QOM starts each class of machines with a list of its own. */
    for (i = 0; i < parent->compat_props->len; i++) {
        g_ptr_array_add(mc->compat_props, parent->compat_props->pdata[i]);
    }
    g_ptr_array_add(mc->compat_props, &no_rom);
    mc->desc = "xapi's name for " UPSTREAM_MACHINE ", without option ROMs";
    mc->alias = NULL;
}

/* It was found by its name; a saved state knows it by upstream's. */
static void xapi_machine_init(Object *obj)
{
    MACHINE_GET_CLASS(obj)->name = (char *)UPSTREAM_MACHINE;
}

void pulsar_launch_machine_init(void)
{
    static const TypeInfo info = {
        .name = MACHINE_TYPE_NAME(XAPI_MACHINE),
        .parent = MACHINE_TYPE_NAME(UPSTREAM_MACHINE),
        .class_init = xapi_machine_class_init,
        .instance_init = xapi_machine_init,
    };

    if (object_class_by_name(info.parent)) {
        type_register_static(&info);
        object_class_by_name(info.name);
    }
}
