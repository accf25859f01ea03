/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the CD and DVD drives: away, away when empty, or moved from
 * the PIIX IDE controller to an AHCI controller of their own, where they may
 * notify the guest of another medium.
 */
#include "qemu/osdep.h"
#include <linux/major.h>
#include <sys/sysmacros.h>
#include "qapi/error.h"
#include "qapi/qapi-commands-block.h"
#include "qemu/config-file.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/option_int.h"
#include "qobject/qdict.h"
#include "scsi/constants.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "system/runstate.h"
#include "hw/ide/ahci-pci.h"
#include "hw/ide/ide-bus.h"
#include "hw/ide/ide-dev.h"
#include "hw/xen/pulsar/gates.h"
#include "dvd-notify.h"

#define AHCI_ID     "pulsar-dvd"
#define AHCI_PORTS  6

static PulsarGate gate;

static unsigned ahci_ports_used;
static GString *left_out_names;     /* by dvd=loaded, each with a "+" */

/* ---- what is a CD drive ------------------------------------------------ */

/* The host's own drive: as a SCSI device it is what it is. */
static bool is_optical(const char *file)
{
    g_autofree char *path = NULL;
    g_autofree char *type = NULL;
    struct stat st;

    if (!file || stat(file, &st)) {
        return false;
    }
    if (S_ISBLK(st.st_mode)) {
        return major(st.st_rdev) == SCSI_CDROM_MAJOR;
    }
    if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != SCSI_GENERIC_MAJOR) {
        return false;
    }
    path = g_strdup_printf("/sys/dev/char/%u:%u/device/type",
                           major(st.st_rdev), minor(st.st_rdev));
    return g_file_get_contents(path, &type, NULL, NULL) &&
           strtoul(type, NULL, 10) == TYPE_ROM;
}

static bool is_cd(ObjectClass *oc)
{
    return pulsar_gate_is(oc, "ide-cd") || pulsar_gate_is(oc, "scsi-cd");
}

static bool dvd_matches(const PulsarAsked *asked)
{
    const char *drive = qdict_get_try_str(asked->device, "drive");
    QemuOpts *opts;

    if (is_cd(asked->oc)) {
        return true;
    }
    opts = drive ? qemu_opts_find(qemu_find_opts("drive"), drive) : NULL;
    if (!opts) {
        return false;
    }
    return !g_strcmp0(qemu_opt_get(opts, "media"), "cdrom") ||
           ((pulsar_gate_is(asked->oc, "scsi-block") ||
             pulsar_gate_is(asked->oc, "scsi-generic")) &&
            is_optical(qemu_opt_get(opts, "file")));
}

/* -cdrom and -drive media=cdrom for the board to make a drive of. */
static void dvd_back_ends(PulsarBackEnds *ends)
{
    QemuOptsList *list = qemu_find_opts("drive");
    QemuOpts *opts, *next;

    if (!pulsar_gate_closed(PULSAR_OPTION_DVD)) {
        return;
    }
    QTAILQ_FOREACH_SAFE(opts, &list->head, next, next) {
        const char *media = qemu_opt_get(opts, "media");
        const char *interface = qemu_opt_get(opts, "if");

        if (!g_strcmp0(media, "cdrom") && g_strcmp0(interface, "none")) {
            pulsar_gate_left_out(&gate, qemu_opts_id(opts),
                                 "the CD drive '%s'",
                                 qemu_opts_id(opts) ?: "-cdrom");
            gate.altered = true;
            qemu_opts_del(opts);
        }
    }
}

/* ---- away when empty --------------------------------------------------- */

/*
 * A guest that is restored keeps the drives that it was started with, which
 * dvd_restored() is told; only an IDE drive can still be taken away then.
 */
static bool is_decided_now(ObjectClass *oc)
{
    return !runstate_check(RUN_STATE_INMIGRATE) ||
           !pulsar_gate_is(oc, "ide-cd");
}

/* Has the drive a medium in it? At start, before the guest can change it. */
static bool is_loaded(const QDict *device)
{
    const char *drive = qdict_get_try_str(device, "drive");
    BlockBackend *blk = drive ? blk_by_name(drive) : NULL;

    return blk ? blk_bs(blk) != NULL : drive != NULL;
}

static void note_left_out(const char *name)
{
    if (pulsar_gate_value(PULSAR_OPTION_DVD) == PULSAR_VALUE_LOADED) {
        left_out_names = left_out_names ?: g_string_new(NULL);
        g_string_append_printf(left_out_names, "%s+", name ?: "");
    }
}

static void dvd_left_out(const PulsarAsked *asked)
{
    note_left_out(qdict_get_try_str(asked->device, "id") ?:
                  qdict_get_try_str(asked->device, "drive"));
}

static const char *dvd_more(void)
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

static void dvd_restored(const char *names)
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
                pulsar_gate_left_out(&gate, list[i], "the CD "
                                     "drive '%s', as when it was saved,",
                                     list[i]);
                gate.altered = true;
                note_left_out(list[i]);
                g_ptr_array_remove_index(drives, k);
                take_away(dev);
                break;
            }
        }
    }
}

/* ---- on AHCI ------------------------------------------------------------ */

/* Has the drive notify its guest, if it shall. */
static void choose_driver(QDict *device)
{
    qdict_put_str(device, "driver",
                  pulsar_gate_value(PULSAR_OPTION_DVD) ==
                  PULSAR_VALUE_NOTIFY ? TYPE_PULSAR_NOTIFY_CD : "ide-cd");
}

/* Gives @device a port; the controller comes before the first. */
static void move_to_ahci(QDict *device)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_DVD);
    g_autofree char *bus = g_strdup_printf(AHCI_ID ".%u", ahci_ports_used);
    QDict *ahci;

    if (!ahci_ports_used++) {
        ahci = qdict_new();
        qdict_put_str(ahci, "driver", TYPE_ICH9_AHCI);
        qdict_put_str(ahci, "id", AHCI_ID);
        pulsar_gate_defer(ahci, false);
    }
    choose_driver(device);
    qdict_put_str(device, "bus", bus);
    qdict_del(device, "unit");
    gate.altered = true;
    info_report("the CD drive '%s' stands on AHCI: %s",
                qdict_get_try_str(device, "id") ?:
                qdict_get_try_str(device, "drive") ?: "", why);
}

static bool have_room(Error **errp)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_DVD);

    if (ahci_ports_used == AHCI_PORTS) {
        error_setg(errp, "%s: an AHCI controller has room for %d drives, and "
                   "there are more CD drives; give this VM fewer of them", why,
                   AHCI_PORTS);
        return false;
    }
    return true;
}

static int match_ahci_bus(Object *obj, void *opaque)
{
    return object_dynamic_cast(obj, TYPE_IDE_BUS) &&
           g_str_equal(BUS(obj)->name, opaque) &&
           object_dynamic_cast(OBJECT(BUS(obj)->parent), TYPE_ICH9_AHCI);
}

static bool is_on_ahci(const char *bus)
{
    return object_child_foreach_recursive(object_get_root(), match_ahci_bus,
                                          (void *)bus);
}

static PulsarVerdict dvd_judge(const PulsarAsked *asked, QDict **ret_device,
                               Error **errp)
{
    const char *bus = qdict_get_try_str(asked->device, "bus");

    /* A drive of IDE cannot be added to a machine that runs; QEMU says so. */
    if (!asked->at_start) {
        return PULSAR_VERDICT_MAKE;
    }
    switch (pulsar_gate_value(PULSAR_OPTION_DVD)) {
    case PULSAR_VALUE_LOADED:
        return is_decided_now(asked->oc) && dvd_matches(asked) &&
               !is_loaded(asked->device) ?
               PULSAR_VERDICT_LEAVE_OUT : PULSAR_VERDICT_MAKE;
    case PULSAR_VALUE_NOTIFY:
        if (pulsar_gate_is(asked->oc, "ide-cd") && bus && is_on_ahci(bus)) {
            *ret_device = qdict_clone_shallow(asked->device);
            choose_driver(*ret_device);
            gate.altered = true;
            return PULSAR_VERDICT_REPLACE;
        }
        /* fall through */
    case PULSAR_VALUE_AHCI:
        if (!pulsar_gate_is(asked->oc, "ide-cd") ||
            (bus && !strstart(bus, "ide.", NULL))) {
            return PULSAR_VERDICT_MAKE;
        }
        if (!have_room(errp)) {
            return PULSAR_VERDICT_REFUSE;
        }
        *ret_device = qdict_clone_shallow(asked->device);
        move_to_ahci(*ret_device);
        return PULSAR_VERDICT_DEFER;
    default:
        return PULSAR_VERDICT_MAKE;
    }
}

/* A drive that the board would make: by -cdrom, -drive, or by default. */
static void board_drive(BlockBackend *blk, DriveInfo *dinfo)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_DVD);
    g_autofree char *name = g_strdup(blk_name(blk));
    QDict *device;

    if (value == PULSAR_VALUE_AHCI || value == PULSAR_VALUE_NOTIFY) {
        if (dinfo->type != IF_IDE) {
            return;
        }
        have_room(&error_fatal);
        device = qdict_new();
        qdict_put_str(device, "drive", name);
        dinfo->type = IF_NONE;
        move_to_ahci(device);
        pulsar_gate_defer(device, false);
    } else if (value == PULSAR_VALUE_CLOSED ||
               (value == PULSAR_VALUE_LOADED && !blk_bs(blk) &&
                (dinfo->type != IF_IDE ||
                 !runstate_check(RUN_STATE_INMIGRATE)))) {
        monitor_remove_blk(blk);
        blk_unref(blk);
        note_left_out(name);
        pulsar_gate_left_out(&gate, name, "the CD drive '%s'",
                             name);
        gate.altered = true;
    }
}

static void dvd_board(MachineState *machine)
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

/* ---- while the guest runs ---------------------------------------------- */

/* The medium can go while the VM runs, the drive cannot. */
static bool eject_all(char **ret_note, Error **errp)
{
    ERRP_GUARD();
    BlockBackend *blk;
    unsigned ejected = 0;

    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        DeviceState *dev = blk_get_attached_dev(blk);
        const char *name = blk_name(blk);
        g_autofree char *path = NULL;

        if (!dev || !is_cd(object_get_class(OBJECT(dev))) || !blk_bs(blk)) {
            continue;
        }
        if (!*name) {
            path = object_get_canonical_path(OBJECT(dev));
        }
        qmp_eject(*name ? name : NULL, path, true, false, errp);
        if (*errp) {
            return false;
        }
        ejected++;
    }
    *ret_note = g_strdup_printf("%u of the CD drives had a medium, and it is "
                                "out; the drives themselves go at the next "
                                "start", ejected);
    info_report("options: dvd=none while the guest runs: %s", *ret_note);
    return true;
}

static bool dvd_do_now(const char *value, char **ret_note, Error **errp)
{
    return !g_ascii_strcasecmp(value, "none") &&
           !pulsar_gate_closed(PULSAR_OPTION_DVD) && eject_all(ret_note, errp);
}

static PulsarGate gate = {
    .option = PULSAR_OPTION_DVD,
    .matches = dvd_matches,
    .back_ends = dvd_back_ends,
    .board = dvd_board,
    .judge = dvd_judge,
    .left_out = dvd_left_out,
    .do_now = dvd_do_now,
    .more_name = "no-drives",
    .more = dvd_more,
    .restored = dvd_restored,
};

PULSAR_GATE(gate);
