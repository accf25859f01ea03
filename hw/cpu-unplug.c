/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU that is taken away by QMP device_del, as xenopsd does it. Xen's
 * firmware knows the bitmap of processors at port 0xaf00 and no more, of
 * which upstream clears no bit: it refuses. The guest is told as of a new
 * one, and nobody waits for it: it is Xen that stops a vCPU, not QEMU.
 */
#include "qemu/osdep.h"
#include "hw/acpi/piix4.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/hotplug.h"
#include "hw/i386/apic_internal.h"
#include "hw/i386/x86.h"
#include "hw/xen/pulsar/launch.h"

static void (*upstream_unplug_request)(HotplugHandler *handler,
                                       DeviceState *dev, Error **errp);

static void tell_guest(PIIX4PMState *pm, CPUState *cpu)
{
    int64_t id = CPU_GET_CLASS(cpu)->get_arch_id(cpu);

    pm->gpe_cpu.sts[id / 8] &= ~(1 << (id % 8));
    acpi_send_event(DEVICE(pm), ACPI_CPU_HOTPLUG_STATUS);
}

static void free_slot(MachineState *machine, CPUState *cpu)
{
    X86MachineState *x86ms = X86_MACHINE(machine);
    int i;

    for (i = 0; i < machine->possible_cpus->len; i++) {
        if (machine->possible_cpus->cpus[i].cpu == cpu) {
            machine->possible_cpus->cpus[i].cpu = NULL;
            x86ms->boot_cpus--;
            x86_rtc_set_cpus_count(x86ms->rtc, x86ms->boot_cpus);
        }
    }
}

/* The board has refused the boot processor before. */
static void unplug_request(HotplugHandler *handler, DeviceState *dev,
                           Error **errp)
{
    PIIX4PMState *pm = PIIX4_PM(handler);

    if (!object_dynamic_cast(OBJECT(dev), TYPE_CPU) ||
        !pm->cpu_hotplug_legacy) {
        upstream_unplug_request(handler, dev, errp);
        return;
    }
    tell_guest(pm, CPU(dev));
    /* Not by the board's own way, which takes fw_cfg to be there. */
    free_slot(current_machine, CPU(dev));
    qdev_unrealize(dev);
    object_unparent(OBJECT(dev));
}

/* The local APIC is Xen's; upstream's stand-in for it cannot go. */
static void unrealize_apic(DeviceState *dev)
{
}

void pulsar_launch_cpu_init(void)
{
    ObjectClass *oc = object_class_by_name(TYPE_PIIX4_PM);
    HotplugHandlerClass *hc = oc ? HOTPLUG_HANDLER_CLASS(oc) : NULL;
    ObjectClass *apic = object_class_by_name("xen-apic");

    if (hc && apic) {
        APIC_COMMON_CLASS(apic)->unrealize = unrealize_apic;
        upstream_unplug_request = hc->unplug_request;
        hc->unplug_request = unplug_request;
    }
}
