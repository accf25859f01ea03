/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates of the serial and parallel ports: as devices, and in their short
 * forms -serial and -parallel (also by default and by -nographic).
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "qapi/qapi-commands-char.h"
#include "qemu/cutils.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

static PulsarGate serial, parallel;

/* Who uses which chardev by "chardev:NAME", while nothing is decided yet. */
typedef struct Ends {
    PulsarGate *gate;       /* of the port, or NULL: no port's */
    const char *name;       /* the command line's */
} Ends;

static GArray *ends_noted;

void pulsar_add_device_config(bool is_serial, bool is_parallel,
                              const char *cmdline)
{
    Ends e = { is_serial ? &serial : is_parallel ? &parallel : NULL };

    if (strstart(cmdline, "chardev:", &e.name)) {
        ends_noted = ends_noted ?: g_array_new(false, false, sizeof(e));
        g_array_append_val(ends_noted, e);
    }
}

/* For the ports of both kinds, and for what is no port. */
static void ports_back_ends(PulsarBackEnds *ends)
{
    guint i;

    for (i = 0; ends_noted && i < ends_noted->len; i++) {
        const Ends *e = &g_array_index(ends_noted, Ends, i);
        bool closed = e->gate && pulsar_gate_closed(e->gate->option);

        pulsar_gate_back_end(ends, e->name, closed ? e->gate : NULL);
    }
}

static bool serial_matches(const PulsarAsked *asked)
{
    ObjectClass *oc = asked->oc;

    return pulsar_gate_is(oc, "isa-serial") ||
           pulsar_gate_is(oc, "usb-serial-dev") ||
           (pulsar_gate_is(oc, TYPE_PCI_DEVICE) &&
            PCI_DEVICE_CLASS(oc)->class_id == PCI_CLASS_COMMUNICATION_SERIAL);
}

static bool parallel_matches(const PulsarAsked *asked)
{
    return pulsar_gate_is(asked->oc, "isa-parallel");
}

static const char *port_parse(PulsarGate *gate, const char *option,
                              const char *devname)
{
    const char *rest;

    if (pulsar_gate_closed(gate->option) && strcmp(devname, "none")) {
        pulsar_gate_left_out(gate, NULL, "%s %s", option, devname);
        gate->altered = true;
        if (strstart(devname, "chardev:", &rest)) {
            qmp_chardev_remove(rest, NULL);
        }
        return "none";
    }
    if (strstart(devname, "mon:", &rest) &&
        pulsar_gate_value(PULSAR_OPTION_MONITOR) != PULSAR_VALUE_FULL) {
        pulsar_gate_left_out(pulsar_gate_of(PULSAR_OPTION_MONITOR), NULL,
                             "the monitor of %s %s", option, devname);
        return rest;
    }
    return devname;
}

const char *pulsar_serial_parse(const char *devname)
{
    return port_parse(&serial, "-serial", devname);
}

const char *pulsar_parallel_parse(const char *devname)
{
    return port_parse(&parallel, "-parallel", devname);
}

static const char *const serial_sections[] = { "serial", NULL };
static const char *const parallel_sections[] = { "parallel", NULL };

static PulsarGate serial = {
    .option = PULSAR_OPTION_SERIAL,
    .matches = serial_matches,
    .back_ends = ports_back_ends,
    .sections = serial_sections,
};

static PulsarGate parallel = {
    .option = PULSAR_OPTION_PARALLEL,
    .matches = parallel_matches,
    .sections = parallel_sections,
};

PULSAR_GATE(serial);
PULSAR_GATE(parallel);
