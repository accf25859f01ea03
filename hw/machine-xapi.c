/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of xapi's BIOS guests, which saved states of theirs name:
 * pc-i440fx-2.10. QEMU registers no machine that is older than six years; but
 * xenfv-3.1, which libxl asks for, stays. What upstream gave to the releases
 * before that one is told here, and the rest of it, with all that upstream has
 * changed since, comes from there.
 *
 * pc-0.10 is the same by an older name, and without option ROMs. Such a guest
 * boots from what hvmloader gives it, each network card's ROM takes 256 KiB of
 * the memory that xenopsd has set aside (1 MiB in all), and not every host has
 * the files.
 */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"
#include "hw/xen/pulsar/launch.h"
#include "hw/xen/pulsar/qemu-compat.h"

#define OLD_MACHINE     "pc-0.10"
#define SAVED_MACHINE   "pc-i440fx-2.10"
#define XEN_MACHINE     "xenfv-3.1"
/* What upstream's machine of the same board has been called lately. */
#define NEWEST_MACHINE  "pc-i440fx-" stringify(QEMU_VERSION_MAJOR) "." \
                        stringify(QEMU_VERSION_MINOR)
/* Not the processor that the guest sees; parts of its state are saved. */
#define X86             "i386-cpu"

/*
 * How 2.10 differs from 3.1, newer releases first: of two that set the same the
 * last counts.
 */
static GlobalProperty older[] = {
    /* 3.0 */
    { X86, "x-hv-synic-kvm-only", "on" },
    { "Skylake-Server-" X86, "pku", "off" },
    { "Skylake-Server-IBRS-" X86, "pku", "off" },
    /* 2.12 */
    { "hda-audio", "use-timer", "false" },
    { "cirrus-vga", "global-vmstate", "true" },
    { "VGA", "global-vmstate", "true" },
    { "vmware-svga", "global-vmstate", "true" },
    { "qxl-vga", "global-vmstate", "true" },
    { X86, "legacy-cache", "on" },
    { X86, "topoext", "off" },
    { "EPYC-" X86, "xlevel", "0x8000000a" },
    { "EPYC-IBPB-" X86, "xlevel", "0x8000000a" },
    /* 2.11 */
    { "hpet", "hpet-offset-saved", "false" },
    { "virtio-blk-pci", "vectors", "2" },
    { "vhost-user-blk-pci", "vectors", "2" },
    { "e1000", "migrate_tso_props", "off" },
    { X86, "x-migrate-smi-count", "off" },
    { "Skylake-Server-" X86, "clflushopt", "off" },
    /* 2.10 */
    { "virtio-mouse-device", "wheel-axis", "false" },
    { "virtio-tablet-device", "wheel-axis", "false" },
    { X86, "x-hv-max-vps", "0x40" },
    { "i440FX-pcihost", "x-pci-hole64-fix", "off" },
    { "q35-pcihost", "x-pci-hole64-fix", "off" },
};

static void saved_machine_class_init(ObjectClass *oc, PulsarClassData *data)
{
    const MachineClass *parent =
        MACHINE_CLASS(object_class_get_parent(oc));
    const MachineClass *newest =
        MACHINE_CLASS(object_class_by_name(MACHINE_TYPE_NAME(NEWEST_MACHINE)));
    MachineClass *mc = MACHINE_CLASS(oc);
    guint i;

    /* QOM starts each class of machines with a list of its own. */
    for (i = 0; i < parent->compat_props->len; i++) {
        g_ptr_array_add(mc->compat_props, parent->compat_props->pdata[i]);
    }
    compat_props_add(mc->compat_props, older, G_N_ELEMENTS(older));
    mc->auto_enable_numa_with_memhp = false;

    /* In what xenfv is not a PC. */
    mc->init = newest->init;
    mc->max_cpus = newest->max_cpus;
    mc->default_machine_opts = newest->default_machine_opts;
    mc->desc = newest->desc;
    mc->alias = NULL;
}

static void old_machine_class_init(ObjectClass *oc, PulsarClassData *data)
{
    static GlobalProperty no_rom = { TYPE_PCI_DEVICE, "romfile", "" };
    MachineClass *mc = MACHINE_CLASS(oc);

    saved_machine_class_init(oc, data);
    compat_props_add(mc->compat_props, &no_rom, 1);
    mc->desc = "xapi's name for " SAVED_MACHINE ", without option ROMs";
}

/* It was found by its name; a saved state knows it by upstream's. */
static void old_machine_init(Object *obj)
{
    MACHINE_GET_CLASS(obj)->name = (char *)SAVED_MACHINE;
}

static const TypeInfo machines[] = {
#if PULSAR_QEMU_SINCE(10, 1)    /* upstream's own is gone */
    {
        .name = MACHINE_TYPE_NAME(SAVED_MACHINE),
        .parent = MACHINE_TYPE_NAME(XEN_MACHINE),
        .class_init = saved_machine_class_init,
    },
#endif
    {
        .name = MACHINE_TYPE_NAME(OLD_MACHINE),
        .parent = MACHINE_TYPE_NAME(XEN_MACHINE),
        .class_init = old_machine_class_init,
        .instance_init = old_machine_init,
    },
};

static void machines_register(void)
{
    /* Between two releases the newest machine has the next one's name. */
    if (QEMU_VERSION_MICRO < 50) {
        type_register_static_array(machines, G_N_ELEMENTS(machines));
    }
}

type_init(machines_register)

void pulsar_launch_machine_init(void)
{
    guint i;

    for (i = 0; i < G_N_ELEMENTS(machines); i++) {
        object_class_by_name(machines[i].name);
    }
}
