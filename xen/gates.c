/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates: devices that an option has closed are left out however they are
 * asked for, and devices that an option moves are created elsewhere.
 *
 * Whatever the command line, a configuration file or a monitor names as a
 * device comes by pulsar_qdev_device_add_from_qdict(). What a board makes by
 * itself is decided in gated_board_init(), and the short forms -serial,
 * -parallel and -usbdevice have a hook each.
 */
#include "qemu/osdep.h"
#include "chardev/char.h"
#include "hw/boards.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-core.h"
#include "hw/scsi/scsi.h"
#include "hw/usb.h"
#include "monitor/qdev.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-char.h"
#include "qemu/config-file.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/option_int.h"
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "gates.h"
#include "launch.h"
#include "pulsar-hooks.h"

typedef void BoardInit(MachineState *machine);

typedef struct Deferred {
    QDict *device;
    bool from_json;
    const char *usbdevice;  /* in place of @device */
} Deferred;

/* Which option closes all that uses a back end. */
typedef struct BackEnds {
    GHashTable *unused;     /* names that only closed devices have */
    GHashTable *used;
} BackEnds;

static GHashTable *left_out;    /* name -> PulsarOptionId */
static GHashTable *board_init;  /* MachineClass -> its own BoardInit */
static GQueue deferred = G_QUEUE_INIT;
static bool passing;            /* what comes now has been looked at */
static bool usb_left_out;       /* a USB device is not there */

char *pulsar_gate_why(PulsarOptionId id)
{
    const PulsarOptions *o = pulsar_options();

    return g_strdup_printf("%s=%s (%s)", pulsar_option_table[id].name,
                           pulsar_options_text(o, id),
                           pulsar_options_source_text(o, id));
}

void pulsar_gate_left_out(PulsarOptionId id, const char *name,
                          const char *what, ...)
{
    g_autofree char *why = pulsar_gate_why(id);
    g_autofree char *text = NULL;
    Location here;
    va_list ap;

    va_start(ap, what);
    text = g_strdup_vprintf(what, ap);
    va_end(ap);
    loc_push_none(&here);   /* the text says what it is about */
    info_report("%s is left out: %s", text, why);
    loc_pop(&here);
    if (name) {
        if (!left_out) {
            left_out = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                             NULL);
        }
        g_hash_table_insert(left_out, g_strdup(name), GINT_TO_POINTER(id));
    }
}

bool pulsar_gate_is_left_out(const char *name, PulsarOptionId *ret_id)
{
    gpointer id;

    if (!left_out || !g_hash_table_lookup_extended(left_out, name, NULL, &id)) {
        return false;
    }
    if (ret_id) {
        *ret_id = GPOINTER_TO_INT(id);
    }
    return true;
}

/* ---- which gate a device stands behind ------------------------------- */

/* NULL for what is no device; QEMU will say so itself. */
static ObjectClass *device_class(const char *driver)
{
    ObjectClass *oc = driver ? module_object_class_by_name(driver) : NULL;

    return oc ? object_class_dynamic_cast(oc, TYPE_DEVICE) : NULL;
}

static bool is_a(ObjectClass *oc, const char *type)
{
    return object_class_dynamic_cast(oc, type) != NULL;
}

static bool is_pci_class(ObjectClass *oc, uint16_t class_id)
{
    return is_a(oc, TYPE_PCI_DEVICE) &&
           PCI_DEVICE_CLASS(oc)->class_id == class_id;
}

static bool is_serial(ObjectClass *oc)
{
    return is_a(oc, "isa-serial") || is_a(oc, "usb-serial-dev") ||
           is_pci_class(oc, PCI_CLASS_COMMUNICATION_SERIAL);
}

bool pulsar_gate_is_cd(ObjectClass *oc, const QDict *device)
{
    const char *drive = qdict_get_try_str(device, "drive");
    const char *media;
    QemuOpts *opts;

    if (is_a(oc, "ide-cd") || is_a(oc, "scsi-cd")) {
        return true;
    }
    opts = drive ? qemu_opts_find(qemu_find_opts("drive"), drive) : NULL;
    media = opts ? qemu_opt_get(opts, "media") : NULL;
    return !g_strcmp0(media, "cdrom");
}

/* Has the drive a medium in it? At start, before the guest can change it. */
static bool is_loaded(const QDict *device)
{
    const char *drive = qdict_get_try_str(device, "drive");
    BlockBackend *blk = drive ? blk_by_name(drive) : NULL;

    return blk ? blk_bs(blk) != NULL : drive != NULL;
}

/* What @device is to be plugged into, or its drive, has been left out. */
static bool need_left_out(const QDict *device, PulsarOptionId *ret_id)
{
    const char *bus = qdict_get_try_str(device, "bus");
    const char *drive = qdict_get_try_str(device, "drive");
    g_autofree char *parent = NULL;

    if (bus) {
        parent = g_strndup(bus, strcspn(bus, "/."));
    }
    return (parent && pulsar_gate_is_left_out(parent, ret_id)) ||
           (drive && pulsar_gate_is_left_out(drive, ret_id));
}

/* There is no SCSI bus at all: a USB disk would have had one. */
static bool bus_left_out(ObjectClass *oc, PulsarOptionId *ret_id)
{
    bool several = false;

    *ret_id = PULSAR_OPTION_USB;
    return usb_left_out &&
           !g_strcmp0(DEVICE_CLASS(oc)->bus_type, TYPE_SCSI_BUS) &&
           !object_resolve_path_type("", TYPE_SCSI_BUS, &several) && !several;
}

/* An empty drive, at start, where only those with a medium are wanted. */
static bool is_empty_cd(ObjectClass *oc, const QDict *device,
                        PulsarOptionId *ret_id)
{
    *ret_id = PULSAR_OPTION_DVD;
    return pulsar_gate_value(PULSAR_OPTION_DVD) == PULSAR_VALUE_LOADED &&
           !phase_check(PHASE_MACHINE_READY) && pulsar_gate_dvd_decides(oc) &&
           pulsar_gate_is_cd(oc, device) && !is_loaded(device);
}

/* Is the device behind a closed gate, whatever else there is? */
static bool is_closed(ObjectClass *oc, const QDict *device,
                      PulsarOptionId *ret_id)
{
    if (is_serial(oc) && pulsar_gate_closed(PULSAR_OPTION_SERIAL)) {
        *ret_id = PULSAR_OPTION_SERIAL;
    } else if (is_a(oc, "isa-parallel") &&
               pulsar_gate_closed(PULSAR_OPTION_PARALLEL)) {
        *ret_id = PULSAR_OPTION_PARALLEL;
    } else if (pulsar_gate_usb_is(oc) &&
               pulsar_gate_closed(PULSAR_OPTION_USB)) {
        *ret_id = PULSAR_OPTION_USB;
    } else if (pulsar_gate_usb_is_tablet(oc) &&
               pulsar_gate_closed(PULSAR_OPTION_USB_TABLET)) {
        *ret_id = PULSAR_OPTION_USB_TABLET;
    } else if (pulsar_gate_closed(PULSAR_OPTION_DVD) &&
               pulsar_gate_is_cd(oc, device)) {
        *ret_id = PULSAR_OPTION_DVD;
    } else {
        return false;
    }
    return true;
}

/* ---- back ends of closed devices -------------------------------------- */

/* Who uses which chardev by "chardev:NAME"; which gate, is known later. */
static GPtrArray *port_ends[PULSAR_OPTION__MAX], *other_ends;

static void note_end(GPtrArray **ends, const char *name)
{
    if (!*ends) {
        *ends = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(*ends, g_strdup(name));
}

void pulsar_add_device_config(bool serial, bool parallel, const char *cmdline)
{
    const char *name;

    if (strstart(cmdline, "chardev:", &name)) {
        note_end(serial ? &port_ends[PULSAR_OPTION_SERIAL] :
                 parallel ? &port_ends[PULSAR_OPTION_PARALLEL] : &other_ends,
                 name);
    }
}

/* Adds what pulsar_add_device_config() has noted. */
static void note_ports(BackEnds *ends)
{
    PulsarOptionId id;
    guint i;

    for (id = 0; id < PULSAR_OPTION__MAX; id++) {
        for (i = 0; port_ends[id] && i < port_ends[id]->len; i++) {
            char *name = g_strdup(port_ends[id]->pdata[i]);

            if (pulsar_gate_closed(id)) {
                g_hash_table_insert(ends->unused, name, GINT_TO_POINTER(id));
            } else {
                g_hash_table_add(ends->used, name);
            }
        }
    }
    for (i = 0; other_ends && i < other_ends->len; i++) {
        g_hash_table_add(ends->used, g_strdup(other_ends->pdata[i]));
    }
}

/* Notes which back ends a device of the command line has. */
static void note_back_ends(BackEnds *ends, const QDict *device)
{
    static const char *const properties[] = { "chardev", "drive" };
    ObjectClass *oc = device_class(qdict_get_try_str(device, "driver"));
    PulsarOptionId id;
    bool closed = oc && is_closed(oc, device, &id);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(properties); i++) {
        const char *name = qdict_get_try_str(device, properties[i]);

        if (!name) {
            continue;
        }
        if (closed) {
            g_hash_table_insert(ends->unused, g_strdup(name),
                                GINT_TO_POINTER(id));
        } else {
            g_hash_table_add(ends->used, g_strdup(name));
        }
    }
}

static int note_device(void *opaque, QemuOpts *opts, Error **errp)
{
    g_autoptr(QDict) device = qemu_opts_to_qdict(opts, NULL);

    note_back_ends(opaque, device);
    return 0;
}

static GPtrArray *json_devices;     /* QDict, the command line's */

void pulsar_json_device(QDict *device)
{
    if (!json_devices) {
        json_devices = g_ptr_array_new();
    }
    g_ptr_array_add(json_devices, device);
}

/*
 * A toolstack may have opened the socket itself: who connects shall be
 * refused, not kept waiting.
 */
static void close_handed_over(QemuOpts *opts)
{
    const char *text = qemu_opt_get(opts, "fd");
    int fd;

    if (text && !qemu_strtoi(text, NULL, 10, &fd) && fd > STDERR_FILENO) {
        close(fd);
    }
}

/* Takes what nobody will use off one of the lists of the command line. */
static void drop_back_ends(BackEnds *ends, const char *list)
{
    GHashTableIter iter;
    gpointer name, id;

    g_hash_table_iter_init(&iter, ends->unused);
    while (g_hash_table_iter_next(&iter, &name, &id)) {
        QemuOpts *opts = qemu_opts_find(qemu_find_opts(list), name);

        /* What is shared may have users that only its mux knows. */
        if (opts && !g_hash_table_contains(ends->used, name) &&
            !qemu_opt_get_bool(opts, "mux", false)) {
            pulsar_gate_left_out(GPOINTER_TO_INT(id), name, "-%s '%s'", list,
                                 (char *)name);
            close_handed_over(opts);
            qemu_opts_del(opts);
        }
    }
}

/* -cdrom and -drive media=cdrom for the board to make a drive of. */
static void drop_board_cds(void)
{
    QemuOptsList *list = qemu_find_opts("drive");
    QemuOpts *opts, *next;

    QTAILQ_FOREACH_SAFE(opts, &list->head, next, next) {
        const char *media = qemu_opt_get(opts, "media");
        const char *interface = qemu_opt_get(opts, "if");

        if (!g_strcmp0(media, "cdrom") && g_strcmp0(interface, "none")) {
            pulsar_gate_left_out(PULSAR_OPTION_DVD, qemu_opts_id(opts),
                                 "the CD drive '%s'",
                                 qemu_opts_id(opts) ?: "-cdrom");
            pulsar_gate_altered(PULSAR_OPTION_DVD);
            qemu_opts_del(opts);
        }
    }
}

static void drop_unused(void)
{
    BackEnds ends = {
        .unused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };
    guint i;

    qemu_opts_foreach(qemu_find_opts("device"), note_device, &ends, NULL);
    for (i = 0; json_devices && i < json_devices->len; i++) {
        note_back_ends(&ends, json_devices->pdata[i]);
    }
    note_ports(&ends);
    pulsar_gate_monitor_init(ends.unused, ends.used);
    drop_back_ends(&ends, "chardev");
    if (pulsar_gate_closed(PULSAR_OPTION_DVD)) {
        drop_board_cds();
    }
    drop_back_ends(&ends, "drive");
    g_hash_table_unref(ends.unused);
    g_hash_table_unref(ends.used);
}

/* The back ends of a device that was only seen after they were made. */
static void remove_back_ends(const QDict *device, PulsarOptionId id)
{
    const char *chardev = qdict_get_try_str(device, "chardev");
    const char *drive = qdict_get_try_str(device, "drive");
    BlockBackend *blk = drive ? blk_by_name(drive) : NULL;

    if (chardev && qemu_chr_find(chardev)) {
        qmp_chardev_remove(chardev, NULL);
    }
    if (blk && !blk_get_attached_dev(blk)) {
        monitor_remove_blk(blk);
        blk_unref(blk);
        pulsar_gate_left_out(id, drive, "the drive '%s'", drive);
    }
}

/* ---- devices ---------------------------------------------------------- */

const QDict *pulsar_qdev_device_add_from_qdict(const QDict *device,
                                               bool from_json, Error **errp)
{
    static QDict *last;
    const char *driver = qdict_get_try_str(device, "driver");
    ObjectClass *oc = device_class(driver);
    const char *name = qdict_get_try_str(device, "id");
    const QDict *ret = device;
    g_autofree char *why = NULL;
    PulsarOptionId id;

    qobject_unref(last);
    last = NULL;
    if (passing || !oc) {
        return device;
    }

    if (is_closed(oc, device, &id) || need_left_out(device, &id) ||
        bus_left_out(oc, &id) || is_empty_cd(oc, device, &id)) {
        if (phase_check(PHASE_MACHINE_READY)) {
            why = pulsar_gate_why(id);
            error_setg(errp, "%s cannot be added to this VM: %s", driver, why);
            return NULL;
        }
        pulsar_gate_left_out(id, name, "%s%s%s%s", driver, name ? " '" : "",
                             name ?: "", name ? "'" : "");
        pulsar_gate_altered(id);
        usb_left_out |= id == PULSAR_OPTION_USB;
        if (id == PULSAR_OPTION_USB_TABLET) {
            pulsar_gate_usb_tablet_left_out(device);
        } else if (id == PULSAR_OPTION_DVD) {
            pulsar_gate_dvd_left_out(name ?: qdict_get_try_str(device,
                                                               "drive"));
        }
        remove_back_ends(device, id);
        return NULL;
    }

    if (pulsar_gate_usb_is(oc)) {
        ret = pulsar_gate_usb_device(oc, device, from_json);
    } else if (pulsar_gate_is_cd(oc, device)) {
        ret = pulsar_gate_dvd_device(oc, device, from_json);
    } else {
        ret = pulsar_launch_device(oc, device);
    }
    if (ret && ret != device) {
        last = (QDict *)ret;
    }
    if (!ret && phase_check(PHASE_MACHINE_READY)) {
        error_setg(errp, "%s cannot be added to this VM: it was left out, and "
                   "the log says why", driver);
    }
    return ret;
}

void pulsar_gate_defer(QDict *device, bool from_json)
{
    Deferred *d = g_new0(Deferred, 1);

    assert(!phase_check(PHASE_MACHINE_READY));
    d->device = device;
    d->from_json = from_json;
    g_queue_push_tail(&deferred, d);
}

void pulsar_gate_defer_usbdevice(const char *name)
{
    Deferred *d = g_new0(Deferred, 1);

    d->usbdevice = name;
    g_queue_push_tail(&deferred, d);
}

bool pulsar_gate_create(QDict *device, bool from_json, Error **errp)
{
    DeviceState *dev;

    passing = true;
    dev = qdev_device_add_from_qdict(device, from_json, errp);
    passing = false;
    object_unref(OBJECT(dev));
    return dev;
}

void pulsar_qemu_create_cli_devices(void)
{
    Deferred *d;

    pulsar_gate_usb_before_deferred();
    while ((d = g_queue_pop_head(&deferred))) {
        if (d->device) {
            pulsar_gate_create(d->device, d->from_json, &error_fatal);
            qobject_unref(d->device);
        } else if (!usbdevice_create(d->usbdevice)) {
            error_report("could not add USB device '%s'", d->usbdevice);
            exit(1);
        }
        g_free(d);
    }
    pulsar_gate_usb_done();
    pulsar_gates_state_init();
}

/* ---- the board -------------------------------------------------------- */

static void gated_board_init(MachineState *machine)
{
    MachineClass *mc = MACHINE_GET_CLASS(machine);
    BoardInit *init = g_hash_table_lookup(board_init, mc);
    bool usb;

    pulsar_gate_dvd_board();
    usb = pulsar_gate_usb_board(machine);
    init(machine);
    machine->usb = usb;
}

static void gate_board(ObjectClass *oc, void *opaque)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    if (mc->init) {
        g_hash_table_insert(board_init, mc, mc->init);
        mc->init = gated_board_init;
    }
}

void pulsar_gates_init(void)
{
    drop_unused();
    if (pulsar_gate_usb_wants_board() ||
        pulsar_gate_value(PULSAR_OPTION_DVD) != PULSAR_VALUE_GIVEN) {
        board_init = g_hash_table_new(NULL, NULL);
        object_class_foreach(gate_board, TYPE_MACHINE, false, NULL);
    }
}

/* ---- who asks for what was left out ----------------------------------- */

bool pulsar_qmp_get_blk(const char *name, Error **errp)
{
    g_autofree char *why = NULL;
    PulsarOptionId id;

    if (!name || !pulsar_gate_is_left_out(name, &id)) {
        return false;
    }
    why = pulsar_gate_why(id);
    error_setg(errp, "This VM has no drive '%s': %s", name, why);
    return true;
}
