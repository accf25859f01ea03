/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of USB: no controller, or another one in place of the one that
 * was asked for.
 *
 * A controller that was asked for with -device is replaced where it stands,
 * so that all others keep their slots. What the board would make (-usb) has
 * no slot of its own to be replaced in; its successor, and what is plugged
 * into it, come after all other devices.
 */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/pci/pci_device.h"
#include "hw/scsi/scsi.h"
#include "hw/usb.h"
#include "hw/usb/hcd-uhci.h"
#include "hw/usb/hcd-ehci.h"
#include "hw/usb/hcd-xhci-pci.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qobject/qdict.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "gate-usb.h"

static PulsarGate gate;

static bool board_usb;      /* what the board was asked for, for later */

static bool is_controller(ObjectClass *oc)
{
    return pulsar_gate_is(oc, TYPE_PCI_DEVICE) &&
           PCI_DEVICE_CLASS(oc)->class_id == PCI_CLASS_SERIAL_USB;
}

static bool usb_matches(const PulsarAsked *asked)
{
    return is_controller(asked->oc) ||
           pulsar_gate_is(asked->oc, TYPE_USB_DEVICE);
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

void pulsar_gate_usb_defer_controller(void)
{
    bool named;
    QDict *device = qdict_new();

    qdict_put_str(device, "driver",
                  controllers[wanted_controller(&named)].driver);
    pulsar_gate_defer(device, false);
}

/* A controller comes after all other devices. */
static bool controller_deferred(void)
{
    return pulsar_gate_deferred(is_controller);
}

bool pulsar_gate_usb_has_bus(void)
{
    bool several = false;

    return object_resolve_path_type("", TYPE_USB_BUS, &several) || several ||
           controller_deferred();
}

static void usb_board(MachineState *machine)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB);

    board_usb = machine_usb(machine);
    if (!board_usb) {
        return;
    }
    switch (pulsar_gate_value(PULSAR_OPTION_USB)) {
    case PULSAR_VALUE_CLOSED:
        pulsar_gate_left_out(&gate, "usb-bus",
                             "the USB controller of the board");
        break;
    case PULSAR_VALUE_EHCI:
    case PULSAR_VALUE_XHCI:
        info_report("the USB controller of the board is replaced: %s", why);
        pulsar_gate_usb_defer_controller();
        break;
    default:
        return;
    }
    gate.altered = true;
    machine->usb = false;
}

static void usb_board_made(MachineState *machine)
{
    machine->usb |= board_usb;
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

static PulsarVerdict judge_controller(const PulsarAsked *asked,
                                      QDict **ret_device)
{
    g_autofree char *why = pulsar_gate_why(PULSAR_OPTION_USB);
    const char *driver = qdict_get_str(asked->device, "driver");
    const char *id = qdict_get_try_str(asked->device, "id");
    bool named;
    size_t want = wanted_controller(&named);

    if (!named) {
        return PULSAR_VERDICT_MAKE;
    }
    if (qdict_haskey(asked->device, "masterbus")) {
        /* A part of an EHCI controller, which is replaced as a whole. */
        return controllers[want].value == PULSAR_VALUE_EHCI ?
               PULSAR_VERDICT_MAKE : PULSAR_VERDICT_LEAVE_OUT;
    }
    if (pulsar_gate_is(asked->oc, controllers[want].base)) {
        return PULSAR_VERDICT_MAKE;
    }
    info_report("%s%s%s%s is replaced by %s: %s", driver, id ? " '" : "",
                id ?: "", id ? "'" : "", controllers[want].driver, why);
    gate.altered = true;
    *ret_device = replace_controller(asked->device, controllers[want].driver);
    return PULSAR_VERDICT_REPLACE;
}

/* There is no SCSI bus at all: a USB disk would have had one. */
static bool lacks_scsi_bus(ObjectClass *oc)
{
    bool several = false;

    return gate.has_left_out &&
           !g_strcmp0(DEVICE_CLASS(oc)->bus_type, TYPE_SCSI_BUS) &&
           !object_resolve_path_type("", TYPE_SCSI_BUS, &several) && !several;
}

static PulsarVerdict usb_judge(const PulsarAsked *asked, QDict **ret_device,
                               Error **errp)
{
    const char *bus = qdict_get_try_str(asked->device, "bus");

    if (is_controller(asked->oc)) {
        return judge_controller(asked, ret_device);
    }
    if (lacks_scsi_bus(asked->oc)) {
        return PULSAR_VERDICT_LEAVE_OUT;
    }
    if (asked->at_start && pulsar_gate_is(asked->oc, TYPE_USB_DEVICE) &&
        (!bus || g_str_has_prefix(bus, "usb-bus.")) && controller_deferred()) {
        return PULSAR_VERDICT_DEFER;
    }
    return PULSAR_VERDICT_MAKE;
}

static void make_usbdevice(const char *name, Error **errp)
{
    if (!usbdevice_create(name)) {
        error_setg(errp, "could not add USB device '%s'", name);
    }
}

bool pulsar_usb_parse(const char *cmdline)
{
    bool tablet = g_str_equal(cmdline, "tablet") ||
                  g_str_equal(cmdline, "wacom-tablet");

    if (pulsar_gate_closed(PULSAR_OPTION_USB)) {
        pulsar_gate_left_out(&gate, NULL, "-usbdevice %s", cmdline);
        gate.altered = true;
        return true;
    }
    if (tablet && pulsar_gate_closed(PULSAR_OPTION_USB_TABLET)) {
        pulsar_gate_tablet_usbdevice(cmdline);
        return true;
    }
    if (controller_deferred()) {
        pulsar_gate_defer_call(make_usbdevice, cmdline);
        return true;
    }
    return false;
}

static const char *const usb_sections[] = {
    "usb", "uhci", "ehci", "xhci", "ohci", NULL
};

static PulsarGate gate = {
    .option = PULSAR_OPTION_USB,
    .matches = usb_matches,
    .board = usb_board,
    .board_made = usb_board_made,
    .judge = usb_judge,
    .sections = usb_sections,
};

PULSAR_GATE(gate);
