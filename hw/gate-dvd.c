/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the CD and DVD drives: away, away when empty, or moved from
 * the PIIX IDE controller to an AHCI controller of their own.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "hw/ide/ahci-pci.h"
#include "hw/xen/pulsar/gates.h"

#define AHCI_ID     "pulsar-dvd"
#define AHCI_PORTS  6

static unsigned ahci_ports_used;

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

    if (pulsar_gate_value(PULSAR_OPTION_DVD) != PULSAR_VALUE_AHCI ||
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
               (value == PULSAR_VALUE_LOADED && !blk_bs(blk))) {
        monitor_remove_blk(blk);
        blk_unref(blk);
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
