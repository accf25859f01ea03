/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the CD and DVD drives: away, away when empty, or moved from
 * the PIIX IDE controller to an AHCI controller of their own.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "system/runstate.h"
#include "hw/ide/ahci-pci.h"
#include "hw/ide/ide-bus.h"
#include "hw/ide/ide-dev.h"
#include "hw/xen/pulsar/gates.h"

#define AHCI_ID     "pulsar-dvd"
#define AHCI_PORTS  6

static unsigned ahci_ports_used;
static GString *left_out_names;     /* by dvd=loaded */

/* ---- away when empty --------------------------------------------------- */

/* Only an IDE drive can still be taken away when a state is loaded. */
bool pulsar_gate_dvd_decides(ObjectClass *oc)
{
    return !runstate_check(RUN_STATE_INMIGRATE) ||
           !object_class_dynamic_cast(oc, "ide-cd");
}

void pulsar_gate_dvd_left_out(const char *name)
{
    if (pulsar_gate_value(PULSAR_OPTION_DVD) == PULSAR_VALUE_LOADED) {
        left_out_names = left_out_names ?: g_string_new(NULL);
        g_string_append_printf(left_out_names, "%s+", name ?: "");
    }
}

const char *pulsar_gate_dvd_names(void)
{
    return left_out_names ? left_out_names->str : "";
}

static const char *cd_name(DeviceState *dev)
{
    BlockBackend *blk = IDE_DEVICE(dev)->conf.blk;

    return dev->id ?: blk ? blk_name(blk) : "";
}

/* The rest of take_away(), out of the coroutine that loads the state. */
static void delete_drive(void *opaque)
{
    IDEDevice *drive = opaque;
    BlockBackend *blk = drive->conf.blk;

    drive->conf.blk = NULL;
    blk_detach_dev(blk, DEVICE(drive));
    monitor_remove_blk(blk);
    blk_unref(blk);
    object_unparent(OBJECT(drive));
}

/* As the guest sees it, it was never there. */
static void take_away(DeviceState *dev)
{
    IDEBus *bus = IDE_BUS(qdev_get_parent_bus(dev));
    IDEDevice *drive = IDE_DEVICE(dev);
    bool second = drive == bus->slave;

    *(second ? &bus->slave : &bus->master) = NULL;
    bus->ifs[second].blk = NULL;
    /* Not in a context that whoever waits for a disk polls. */
    aio_bh_schedule_oneshot(iohandler_get_aio_context(), delete_drive, drive);
}

static int collect_cd(Object *obj, void *opaque)
{
    if (object_dynamic_cast(obj, "ide-cd")) {
        g_ptr_array_add(opaque, obj);
    }
    return 0;
}

void pulsar_gate_dvd_restored(const char *names)
{
    g_auto(GStrv) list = g_strsplit(names, "+", -1);
    g_autoptr(GPtrArray) drives = g_ptr_array_new();
    guint i, k;

    if (pulsar_gate_value(PULSAR_OPTION_DVD) != PULSAR_VALUE_LOADED) {
        return;     /* it is refused in a moment */
    }
    object_child_foreach_recursive(object_get_root(), collect_cd, drives);
    for (i = 0; list[i] && list[i + 1]; i++) {
        for (k = 0; k < drives->len; k++) {
            DeviceState *dev = drives->pdata[k];

            if (g_str_equal(cd_name(dev), list[i])) {
                pulsar_gate_left_out(PULSAR_OPTION_DVD, list[i], "the CD "
                                     "drive '%s', as when it was saved,",
                                     list[i]);
                pulsar_gate_altered(PULSAR_OPTION_DVD);
                pulsar_gate_dvd_left_out(list[i]);
                g_ptr_array_remove_index(drives, k);
                take_away(dev);
                break;
            }
        }
    }
}

/* ---- on AHCI ------------------------------------------------------------ */

/* An IDE CD drive of its own for a drive; the controller comes with it. */
static void defer_to_ahci(QDict *device, bool from_json)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_DVD);
    g_autofree char *bus = NULL;
    QDict *ahci;

    if (ahci_ports_used == AHCI_PORTS) {
        error_report("%s: an AHCI controller has room for %d drives, and there "
                     "are more CD drives; give this VM fewer of them", why,
                     AHCI_PORTS);
        exit(1);
    }
    if (!ahci_ports_used) {
        ahci = qdict_new();
        qdict_put_str(ahci, "driver", TYPE_ICH9_AHCI);
        qdict_put_str(ahci, "id", AHCI_ID);
        pulsar_gate_defer(ahci, false);
    }
    bus = g_strdup_printf(AHCI_ID ".%u", ahci_ports_used++);
    qdict_put_str(device, "bus", bus);
    qdict_del(device, "unit");
    pulsar_gate_altered(PULSAR_OPTION_DVD);
    info_report("the CD drive '%s' stands on AHCI: %s",
                qdict_get_try_str(device, "id") ?:
                qdict_get_try_str(device, "drive") ?: "", why);
    pulsar_gate_defer(device, from_json);
}

const QDict *pulsar_gate_dvd_device(ObjectClass *oc, const QDict *device,
                                    bool from_json)
{
    const char *bus = qdict_get_try_str(device, "bus");

    /* A drive of IDE cannot be added to a machine that runs; QEMU says so. */
    if (pulsar_gate_value(PULSAR_OPTION_DVD) != PULSAR_VALUE_AHCI ||
        phase_check(PHASE_MACHINE_READY) ||
        !object_class_dynamic_cast(oc, "ide-cd") ||
        (bus && !strstart(bus, "ide.", NULL))) {
        return device;
    }
    defer_to_ahci(qdict_clone_shallow(device), from_json);
    return NULL;
}

/* A drive that the board would make: by -cdrom, -drive, or by default. */
static void board_drive(BlockBackend *blk, DriveInfo *dinfo)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_DVD);
    g_autofree char *name = g_strdup(blk_name(blk));
    QDict *device;

    if (value == PULSAR_VALUE_AHCI) {
        if (dinfo->type != IF_IDE) {
            return;
        }
        device = qdict_new();
        qdict_put_str(device, "driver", "ide-cd");
        qdict_put_str(device, "drive", name);
        dinfo->type = IF_NONE;
        defer_to_ahci(device, false);
    } else if (value == PULSAR_VALUE_CLOSED ||
               (value == PULSAR_VALUE_LOADED && !blk_bs(blk) &&
                (dinfo->type != IF_IDE ||
                 !runstate_check(RUN_STATE_INMIGRATE)))) {
        monitor_remove_blk(blk);
        blk_unref(blk);
        pulsar_gate_dvd_left_out(name);
        pulsar_gate_left_out(PULSAR_OPTION_DVD, name, "the CD drive '%s'",
                             name);
        pulsar_gate_altered(PULSAR_OPTION_DVD);
    }
}

void pulsar_gate_dvd_board(void)
{
    BlockBackend *blk, *next;

    for (blk = blk_next(NULL); blk; blk = next) {
        DriveInfo *dinfo = blk_legacy_dinfo(blk);

        next = blk_next(blk);
        if (dinfo && dinfo->media_cd && dinfo->type != IF_NONE) {
            board_drive(blk, dinfo);
        }
    }
}
