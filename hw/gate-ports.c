/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates of the serial and parallel ports, in their short forms -serial
 * and -parallel (also by default and by -nographic). The devices themselves
 * are gated in xen/gates.c.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-commands-char.h"
#include "qemu/cutils.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

static const char *port_parse(PulsarOptionId id, const char *option,
                              const char *devname)
{
    const char *rest;

    if (pulsar_gate_closed(id) && strcmp(devname, "none")) {
        pulsar_gate_left_out(id, NULL, "%s %s", option, devname);
        pulsar_gate_altered(id);
        if (strstart(devname, "chardev:", &rest)) {
            qmp_chardev_remove(rest, NULL);
        }
        return "none";
    }
    if (strstart(devname, "mon:", &rest) &&
        pulsar_gate_value(PULSAR_OPTION_MONITOR) != PULSAR_VALUE_FULL) {
        pulsar_gate_left_out(PULSAR_OPTION_MONITOR, NULL,
                             "the monitor of %s %s", option, devname);
        return rest;
    }
    return devname;
}

const char *pulsar_serial_parse(const char *devname)
{
    return port_parse(PULSAR_OPTION_SERIAL, "-serial", devname);
}

const char *pulsar_parallel_parse(const char *devname)
{
    return port_parse(PULSAR_OPTION_PARALLEL, "-parallel", devname);
}
