/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the USB tablet: there or not, or there while somebody looks.
 */
#include "qemu/osdep.h"
#include "hw/usb.h"
#include "monitor/qdev.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qobject/qdict.h"
#include "system/runstate.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-context.h"
#include "ui/pulsar/viewers.h"
#include "gate-usb.h"

#define TABLET  "usb-tablet"

static PulsarGate gate;

/* Tablets that the command line asks for and usb_tablet=false keeps away. */
static GQueue tablets_away = G_QUEUE_INIT;

/* The QOM path of the one that the option has added, there or not. */
static char *own_tablet;

static bool is_tablet(ObjectClass *oc)
{
    return pulsar_gate_is(oc, TABLET) || pulsar_gate_is(oc, "usb-wacom-tablet");
}

static bool tablet_matches(const PulsarAsked *asked)
{
    return is_tablet(asked->oc);
}

static int collect_tablet(Object *obj, void *opaque)
{
    if (is_tablet(object_get_class(obj))) {
        g_ptr_array_add(opaque, obj);
    }
    return 0;
}

static bool is_own(DeviceState *dev)
{
    g_autofree char *path = object_get_canonical_path(OBJECT(dev));

    return !g_strcmp0(path, own_tablet);
}

/* The toolstack may have taken it away. */
static bool has_own(void)
{
    return own_tablet && object_resolve_path(own_tablet, NULL);
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

static bool has_tablet(void)
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

static void tablet_left_out(const PulsarAsked *asked)
{
    g_queue_push_tail(&tablets_away, qdict_clone_shallow(asked->device));
}

void pulsar_gate_tablet_usbdevice(const char *name)
{
    pulsar_gate_left_out(&gate, NULL, "-usbdevice %s", name);
    gate.altered = true;
    g_queue_push_tail(&tablets_away, plain_tablet());
}

static bool add_tablet(Error **errp)
{
    g_autoptr(GPtrArray) tablets = NULL;
    g_autoptr(QDict) device = plain_tablet();

    if (!pulsar_gate_create(device, false, errp)) {
        return false;
    }
    tablets = find_tablets();
    g_free(own_tablet);
    own_tablet = object_get_canonical_path(tablets->pdata[0]);
    gate.altered = true;
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
    if (!has_own()) {
        gate.altered = false;
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
        bool own = is_own(dev);

        qdev_unplug(dev, errp);
        if (*errp) {
            return false;
        }
        if (!own) {
            g_queue_push_tail(&tablets_away, g_steal_pointer(&device));
        }
    }
    gate.altered = !g_queue_is_empty(&tablets_away);
    return true;
}

static void tablet_before_deferred(void)
{
    if (wants_tablet() && !pulsar_gate_usb_has_bus()) {
        pulsar_gate_usb_defer_controller();
    }
}

static bool tablet_devices_made(Error **errp)
{
    static Notifier viewers = { .notify = viewers_changed };
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB_TABLET);

    if (wants_tablet() && !has_tablet()) {
        info_report("a USB tablet is added: %s", why);
        if (!add_tablet(errp)) {
            return false;
        }
    }
    follow_viewers();
    pulsar_viewers_add_notifier(&viewers);
    qemu_add_vm_change_state_handler(state_changed, NULL);
    return true;
}

static bool tablet_changed(Error **errp)
{
    if (pulsar_gate_closed(PULSAR_OPTION_USB_TABLET)) {
        return take_tablets(errp);
    }
    if (!bring_tablets(errp) ||
        (wants_tablet() && !has_tablet() && !add_tablet(errp))) {
        return false;
    }
    return plug_tablets(tablet_wanted(), errp);
}

static const char *tablet_changed_note(void)
{
    switch (pulsar_gate_value(PULSAR_OPTION_USB_TABLET)) {
    case PULSAR_VALUE_VIEWER:
        return "the tablet is plugged in while somebody looks";
    case PULSAR_VALUE_CLOSED:
        return "the tablet is unplugged";
    default:
        return has_tablet() ? "the tablet is plugged in" :
                              "there is no tablet";
    }
}

/* It may come and go while the guest runs: what counts is whether it is there. */
static const char *tablet_hardware(void)
{
    return has_tablet() ? "true" : "false";
}

static const char *const tablet_sections[] = { "usb-ptr", NULL };

static PulsarGate gate = {
    .option = PULSAR_OPTION_USB_TABLET,
    .matches = tablet_matches,
    .left_out = tablet_left_out,
    .before_deferred = tablet_before_deferred,
    .devices_made = tablet_devices_made,
    .changed = tablet_changed,
    .changed_note = tablet_changed_note,
    .hardware = tablet_hardware,
    .sections = tablet_sections,
};

PULSAR_GATE(gate);
