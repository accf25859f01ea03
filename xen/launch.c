/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What toolstacks write and QEMU 10 does not know: options that QEMU has
 * dropped, and those of xapi's own QEMU.
 */
#include "qemu/osdep.h"
#include "block/block-common.h"
#include "hw/boards.h"
#include "hw/i386/pc.h"
#include "hw/qdev-core.h"
#include "hw/xen/xen.h"
#include "migration/migration.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-pulsar.h"
#include "qapi/visitor.h"
#include "qemu/config-file.h"
#include "qemu/error-report.h"
#include "qemu/option.h"
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "system/runstate.h"
#include "system/system.h"
#include "launch-args.h"
#include "launch.h"
#include "options.h"
#include "pulsar-hooks.h"

static void run_as(const char *arg)
{
    g_autofree char *user = pulsar_launch_runas(arg);

    if (!os_set_runas(user)) {
        error_report("'%s' is neither the name of a user nor UID:GID", arg);
        exit(1);
    }
}

void pulsar_launch_option(const char *option, const char *arg,
                          QDict *machine_opts)
{
    if (g_str_equal(option, "chroot")) {
        os_set_chroot(arg);
    } else if (g_str_equal(option, "runas")) {
        run_as(arg);
    } else if (g_str_equal(option, "no-acpi")) {
        qdict_put_str(machine_opts, "acpi", "off");
    } else if (g_str_equal(option, "vnc-clipboard-socket-fd")) {
        pulsar_launch_clipboard(arg);
    }
}

/* ---- what follows -machine --------------------------------------------- */

/* Not booleans for QEMU, for some write True. */
typedef struct Flag {
    const char *name;
    bool given, value;
} Flag;

static Flag flags[] = {
    { "allow-unassigned" },
    { "trad-compat" },
};

bool pulsar_launch_allow_unassigned(void)
{
    return flags[0].value;
}

bool pulsar_launch_trad_compat(void)
{
    return flags[1].value;
}

bool pulsar_launch_by_xapi(void)
{
    return flags[1].given;
}

static void get_flag(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    Flag *flag = opaque;
    g_autofree char *value = g_strdup(flag->value ? "on" : "off");

    visit_type_str(v, name, &value, errp);
}

static void set_flag(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    Flag *flag = opaque;
    g_autofree char *value = NULL;

    if (!visit_type_str(v, name, &value, errp)) {
        return;
    }
    if (pulsar_boolean(value) < 0) {
        error_setg(errp, "%s=%s is neither on nor off", name, value);
        return;
    }
    flag->given = true;
    flag->value = pulsar_boolean(value) > 0;
}

static void add_machine_flags(void)
{
    ObjectClass *oc = object_class_by_name(TYPE_PC_MACHINE);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(flags); i++) {
        object_class_property_add(oc, flags[i].name, "bool", get_flag,
                                  set_flag, NULL, &flags[i]);
        object_class_property_set_description(oc, flags[i].name,
                                              "as in xapi's own QEMU");
    }
}

/*
 * QEMU opens an image for writing when somebody is to write, for a restored
 * guest after the state came: restricted, that is too late. As xenopsd has it.
 */
static int open_for_writing(void *opaque, QemuOpts *drive, Error **errp)
{
    const char *file = qemu_opt_get(drive, "file");

    if (file && *file) {
        qemu_opt_set(drive, BDRV_OPT_AUTO_READ_ONLY,
                     qemu_opt_get(drive, BDRV_OPT_AUTO_READ_ONLY) ?: "off",
                     &error_abort);
    }
    return 0;
}

/* Before anything is created; GVT-g's -xengt is no option at all. */
static int refuse_vgpu(void *opaque, QemuOpts *device, Error **errp)
{
    if (!g_strcmp0(qemu_opt_get(device, "driver"), "vgpu")) {
        error_report("-device vgpu: an NVIDIA vGPU is there with xapi's own "
                     "QEMU only; start the VM with that, or without the vGPU");
        exit(1);
    }
    return 0;
}

void pulsar_launch_init(void)
{
    qemu_opts_foreach(qemu_find_opts("device"), refuse_vgpu, NULL, NULL);
    add_machine_flags();
    pulsar_launch_machine_init();
    pulsar_launch_cpu_init();
    pulsar_launch_tablet_init();
    pulsar_launch_nbd_init();
    pulsar_pci_ids_init();
    if (xen_domid_restrict) {
        qemu_opts_foreach(qemu_find_opts("drive"), open_for_writing, NULL,
                          NULL);
    }
}

/* ---- what follows -device ---------------------------------------------- */

/*
 * QEMU cannot save NVMe, so a guest that was saved had unplugged it by Xen's
 * protocol; with it here the state would be refused.
 */
static bool is_gone_with_save(ObjectClass *oc)
{
    return runstate_check(RUN_STATE_INMIGRATE) &&
           (object_class_dynamic_cast(oc, "nvme") ||
            object_class_dynamic_cast(oc, "nvme-ns"));
}

PulsarVerdict pulsar_launch_device(const PulsarAsked *asked,
                                   QDict **ret_device, Error **errp)
{
    static const char property[] = "bios-chs-trans";

    if (is_gone_with_save(asked->oc)) {
        const char *drive = qdict_get_try_str(asked->device, "drive");
        BlockBackend *blk = drive ? blk_by_name(drive) : NULL;

        if (blk && !blk_get_attached_dev(blk)) {
            pulsar_launch_close_drive(blk);
        }
        info_report("%s is left out: a guest that was saved had unplugged it",
                    object_class_get_name(asked->oc));
        return PULSAR_VERDICT_LEAVE_OUT;
    }
    if (g_strcmp0(qdict_get_try_str(asked->device, property), "forcelba")) {
        return PULSAR_VERDICT_MAKE;
    }
    /* Upstream's lba is not a guess either. */
    *ret_device = qdict_clone_shallow(asked->device);
    qdict_put_str(*ret_device, property, "lba");
    return PULSAR_VERDICT_REPLACE;
}

/* ---- after -xen-domid-restrict ----------------------------------------- */

bool pulsar_xen_be_get_xendev(const char *type, int dev)
{
    if (!xen_domid_restrict || !phase_check(PHASE_MACHINE_READY)) {
        return false;
    }
    warn_report_once("the PV back end %s-%d is given up: xenstore is out of "
                     "reach for a restricted device model", type, dev);
    return true;
}

/* ---- QMP ---------------------------------------------------------------- */

void qmp_query_migratable(Error **errp)
{
    migration_is_blocked(errp);
}

bool pulsar_qmp_xen_save_devices_state(Error **errp)
{
    return migration_is_blocked(errp);
}

bool pulsar_qmp_device_add(const QDict *device)
{
    const QDictEntry *e;

    for (e = qdict_first(device); e; e = qdict_next(device, e)) {
        if (qobject_type(qdict_entry_value(e)) != QTYPE_QSTRING) {
            return true;
        }
    }
    return false;
}
