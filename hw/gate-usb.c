/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates of USB: no controller, or another one in place of the one that
 * was asked for; and the tablet, there or not, or there while somebody looks.
 *
 * A controller that was asked for with -device is replaced where it stands,
 * so that all others keep their slots. What the board would make (-usb) has
 * no slot of its own to be replaced in; its successor, and what is plugged
 * into it, come after all other devices.
 */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/pci/pci_device.h"
#include "hw/usb.h"
#include "hw/usb/hcd-uhci.h"
#include "hw/usb/hcd-ehci.h"
#include "hw/usb/hcd-xhci-pci.h"
#include "monitor/qdev.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qobject/qdict.h"
#include "system/runstate.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-context.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "ui/pulsar/viewers.h"

#define TABLET  "usb-tablet"

static bool bus_deferred;       /* a controller comes after all devices */

/* Tablets that the command line asks for and usb_tablet=false keeps away. */
static GQueue tablets_away = G_QUEUE_INIT;
static DeviceState *own_tablet; /* the one that the option has added */

static bool is_controller(ObjectClass *oc)
{
    return object_class_dynamic_cast(oc, TYPE_PCI_DEVICE) &&
           PCI_DEVICE_CLASS(oc)->class_id == PCI_CLASS_SERIAL_USB;
}

static bool is_plugged(ObjectClass *oc)
{
    return object_class_dynamic_cast(oc, TYPE_USB_DEVICE) != NULL;
}

bool pulsar_gate_usb_is(ObjectClass *oc)
{
    return is_controller(oc) || is_plugged(oc);
}

bool pulsar_gate_usb_is_tablet(ObjectClass *oc)
{
    return object_class_dynamic_cast(oc, TABLET) ||
           object_class_dynamic_cast(oc, "usb-wacom-tablet");
}

/* What each controller that can be asked for by name is. */
static const struct {
    PulsarValue value;
    const char *base;       /* the type of all of its kind */
    const char *driver;     /* the one that we make */
} controllers[] = {
    { PULSAR_VALUE_UHCI, TYPE_UHCI, TYPE_PIIX3_USB_UHCI },
    { PULSAR_VALUE_EHCI, TYPE_PCI_EHCI, "usb-ehci" },
    { PULSAR_VALUE_XHCI, TYPE_XHCI_PCI, "nec-usb-xhci" },
};

/* The row of a value of usb; UHCI, as -usb makes it, when it names none. */
static size_t wanted_controller(bool *ret_named)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_USB);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(controllers); i++) {
        if (controllers[i].value == value) {
            *ret_named = true;
            return i;
        }
    }
    *ret_named = false;
    return 0;
}

static void defer_controller(void)
{
    bool named;
    QDict *device = qdict_new();

    qdict_put_str(device, "driver",
                  controllers[wanted_controller(&named)].driver);
    pulsar_gate_defer(device, false);
    bus_deferred = true;
}

bool pulsar_gate_usb_wants_board(void)
{
    return pulsar_gate_value(PULSAR_OPTION_USB) != PULSAR_VALUE_GIVEN;
}

bool pulsar_gate_usb_board(MachineState *machine)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB);
    bool asked = machine_usb(machine);

    if (!asked) {
        return false;
    }
    switch (pulsar_gate_value(PULSAR_OPTION_USB)) {
    case PULSAR_VALUE_CLOSED:
        pulsar_gate_left_out(PULSAR_OPTION_USB, "usb-bus",
                             "the USB controller of the board");
        break;
    case PULSAR_VALUE_EHCI:
    case PULSAR_VALUE_XHCI:
        info_report("the USB controller of the board is replaced: %s", why);
        defer_controller();
        break;
    default:
        return true;
    }
    pulsar_gate_altered(PULSAR_OPTION_USB);
    machine->usb = false;
    return true;
}

/* The same place, the same name, another controller. */
static QDict *replace_controller(const QDict *device, const char *driver)
{
    static const char *const kept[] = { "id", "bus" };
    const char *addr = qdict_get_try_str(device, "addr");
    QDict *ret = qdict_new();
    size_t i;

    qdict_put_str(ret, "driver", driver);
    for (i = 0; i < ARRAY_SIZE(kept); i++) {
        const char *value = qdict_get_try_str(device, kept[i]);

        if (value) {
            qdict_put_str(ret, kept[i], value);
        }
    }
    if (addr) {
        g_autofree char *slot = g_strndup(addr, strcspn(addr, "."));

        qdict_put_str(ret, "addr", slot);
    }
    return ret;
}

static const QDict *controller(ObjectClass *oc, const QDict *device)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB);
    const char *driver = qdict_get_str(device, "driver");
    const char *id = qdict_get_try_str(device, "id");
    bool named;
    size_t want = wanted_controller(&named);
    bool same = object_class_dynamic_cast(oc, controllers[want].base);

    if (!named) {
        return device;
    }
    if (qdict_haskey(device, "masterbus")) {
        if (controllers[want].value == PULSAR_VALUE_EHCI) {
            return device;
        }
        /* A part of an EHCI controller, which has been replaced as a whole. */
        pulsar_gate_left_out(PULSAR_OPTION_USB, id, "%s, the companion of '%s'",
                             driver, qdict_get_try_str(device, "masterbus"));
        return NULL;
    }
    if (same) {
        return device;
    }
    info_report("%s%s%s%s is replaced by %s: %s", driver, id ? " '" : "",
                id ?: "", id ? "'" : "", controllers[want].driver, why);
    pulsar_gate_altered(PULSAR_OPTION_USB);
    return replace_controller(device, controllers[want].driver);
}

const QDict *pulsar_gate_usb_device(ObjectClass *oc, const QDict *device,
                                    bool from_json)
{
    const char *bus = qdict_get_try_str(device, "bus");

    if (is_controller(oc)) {
        return controller(oc, device);
    }
    if (bus_deferred && (!bus || g_str_has_prefix(bus, "usb-bus."))) {
        pulsar_gate_defer(qdict_clone_shallow(device), from_json);
        return NULL;
    }
    return device;
}

bool pulsar_usb_parse(const char *cmdline)
{
    bool tablet = g_str_equal(cmdline, "tablet") ||
                  g_str_equal(cmdline, "wacom-tablet");
    PulsarOptionId id;

    if (pulsar_gate_closed(PULSAR_OPTION_USB)) {
        id = PULSAR_OPTION_USB;
    } else if (tablet && pulsar_gate_closed(PULSAR_OPTION_USB_TABLET)) {
        id = PULSAR_OPTION_USB_TABLET;
    } else if (bus_deferred) {
        pulsar_gate_defer_usbdevice(cmdline);
        return true;
    } else {
        return false;
    }
    pulsar_gate_left_out(id, NULL, "-usbdevice %s", cmdline);
    pulsar_gate_altered(id);
    if (id == PULSAR_OPTION_USB_TABLET) {
        pulsar_gate_usb_tablet_left_out(NULL);
    }
    return true;
}

/* ---- the tablet -------------------------------------------------------- */

static int collect_tablet(Object *obj, void *opaque)
{
    if (pulsar_gate_usb_is_tablet(object_get_class(obj))) {
        g_ptr_array_add(opaque, obj);
    }
    return 0;
}

static GPtrArray *find_tablets(void)
{
    GPtrArray *tablets = g_ptr_array_new();

    object_child_foreach_recursive(object_get_root(), collect_tablet, tablets);
    return tablets;
}

static bool tablet_wanted(void)
{
    switch (pulsar_gate_value(PULSAR_OPTION_USB_TABLET)) {
    case PULSAR_VALUE_CLOSED:
        return false;
    case PULSAR_VALUE_VIEWER:
        return pulsar_viewers() > 0;
    default:
        return true;
    }
}

/* Plugs the tablets in or unplugs them, as the guest sees it. */
static bool plug_tablets(bool plug, Error **errp)
{
    g_autoptr(GPtrArray) tablets = find_tablets();
    Error *err = NULL;
    size_t i;

    for (i = 0; i < tablets->len && !err; i++) {
        USBDevice *dev = USB_DEVICE(tablets->pdata[i]);

        if (dev->attached == plug || !DEVICE(dev)->realized) {
            continue;
        }
        if (plug) {
            usb_device_attach(dev, &err);
        } else {
            usb_device_detach(dev);
        }
    }
    error_propagate(errp, err);
    return !err;
}

static void follow_viewers(void)
{
    Error *err = NULL;

    if (pulsar_gate_value(PULSAR_OPTION_USB_TABLET) == PULSAR_VALUE_VIEWER &&
        !plug_tablets(tablet_wanted(), &err)) {
        warn_reportf_err(err, "the tablet cannot be plugged in: ");
    }
}

static void viewers_changed(Notifier *n, void *data)
{
    pulsar_assert_main_loop();
    follow_viewers();
}

/* A state that was just restored may have it plugged in. */
static void state_changed(void *opaque, bool running, RunState state)
{
    if (running) {
        follow_viewers();
    }
}

static bool has_usb_bus(void)
{
    bool several = false;

    return object_resolve_path_type("", TYPE_USB_BUS, &several) || several;
}

bool pulsar_gate_usb_has_tablet(void)
{
    g_autoptr(GPtrArray) tablets = find_tablets();

    return tablets->len > 0;
}

static bool wants_tablet(void)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_USB_TABLET);

    return value == PULSAR_VALUE_TRUE || value == PULSAR_VALUE_VIEWER;
}

static QDict *plain_tablet(void)
{
    QDict *device = qdict_new();

    qdict_put_str(device, "driver", TABLET);
    return device;
}

void pulsar_gate_usb_tablet_left_out(const QDict *device)
{
    g_queue_push_tail(&tablets_away, device ? qdict_clone_shallow(device) :
                                              plain_tablet());
}

static bool add_tablet(Error **errp)
{
    g_autoptr(GPtrArray) tablets = NULL;
    g_autoptr(QDict) device = plain_tablet();

    if (!pulsar_gate_create(device, false, errp)) {
        return false;
    }
    tablets = find_tablets();
    own_tablet = tablets->pdata[0];
    pulsar_gate_altered(PULSAR_OPTION_USB_TABLET);
    return true;
}

/* What it takes to make this one again, in the same place. */
static QDict *describe_tablet(DeviceState *dev)
{
    static const char version[] = "usb_version";
    QDict *device = qdict_new();

    qdict_put_str(device, "driver", object_get_typename(OBJECT(dev)));
    if (dev->id) {
        qdict_put_str(device, "id", dev->id);
    }
    qdict_put_str(device, "bus", qdev_get_parent_bus(dev)->name);
    qdict_put_str(device, "port", USB_DEVICE(dev)->port->path);
    if (object_property_find(OBJECT(dev), version)) {
        qdict_put_int(device, version,
                      object_property_get_uint(OBJECT(dev), version,
                                               &error_abort));
    }
    return device;
}

/* Has it values that are not strings, as in JSON? */
static bool is_typed(const QDict *device)
{
    const QDictEntry *e;

    for (e = qdict_first(device); e; e = qdict_next(device, e)) {
        if (qobject_type(qdict_entry_value(e)) != QTYPE_QSTRING) {
            return true;
        }
    }
    return false;
}

/* Makes the tablets again that were taken away. */
static bool bring_tablets(Error **errp)
{
    QDict *device;

    while ((device = g_queue_peek_head(&tablets_away))) {
        if (!pulsar_gate_create(device, is_typed(device), errp)) {
            return false;
        }
        g_queue_pop_head(&tablets_away);
        qobject_unref(device);
    }
    if (!own_tablet) {
        pulsar_gate_unaltered(PULSAR_OPTION_USB_TABLET);
    }
    return true;
}

/*
 * Takes the tablets away for good, so that the guest's pointer is the mouse
 * again and a saved state has none either.
 */
static bool take_tablets(Error **errp)
{
    ERRP_GUARD();
    g_autoptr(GPtrArray) tablets = find_tablets();
    guint i;

    for (i = 0; i < tablets->len; i++) {
        DeviceState *dev = tablets->pdata[i];
        g_autoptr(QDict) device = describe_tablet(dev);

        qdev_unplug(dev, errp);
        if (*errp) {
            return false;
        }
        if (dev == own_tablet) {
            own_tablet = NULL;
        } else {
            pulsar_gate_usb_tablet_left_out(device);
        }
    }
    if (g_queue_is_empty(&tablets_away)) {
        pulsar_gate_unaltered(PULSAR_OPTION_USB_TABLET);
    } else {
        pulsar_gate_altered(PULSAR_OPTION_USB_TABLET);
    }
    return true;
}

void pulsar_gate_usb_before_deferred(void)
{
    if (wants_tablet() && !bus_deferred && !has_usb_bus()) {
        defer_controller();
    }
}

void pulsar_gate_usb_done(void)
{
    static Notifier viewers = { .notify = viewers_changed };
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB_TABLET);
    Error *err = NULL;

    bus_deferred = false;
    if (wants_tablet() && !pulsar_gate_usb_has_tablet()) {
        info_report("a USB tablet is added: %s", why);
        if (!add_tablet(&err)) {
            error_reportf_err(err, "%s: ", why);
            exit(1);
        }
    }
    follow_viewers();
    pulsar_viewers_add_notifier(&viewers);
    qemu_add_vm_change_state_handler(state_changed, NULL);
}

bool pulsar_gate_usb_tablet_changed(Error **errp)
{
    if (pulsar_gate_closed(PULSAR_OPTION_USB_TABLET)) {
        return take_tablets(errp);
    }
    if (!bring_tablets(errp) ||
        (wants_tablet() && !pulsar_gate_usb_has_tablet() &&
         !add_tablet(errp))) {
        return false;
    }
    return plug_tablets(tablet_wanted(), errp);
}
