/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back ends of closed devices: a chardev or drive of the command line
 * that only such devices would use is taken off it before it is opened.
 */
#include "qemu/osdep.h"
#include "qemu/config-file.h"
#include "qemu/cutils.h"
#include "qemu/option_int.h"
#include "qobject/qdict.h"
#include "gates.h"
#include "pulsar-hooks.h"

struct PulsarBackEnds {
    GHashTable *unused;     /* name -> the PulsarGate that closes its user */
    GHashTable *used;
};

static GPtrArray *json_devices;     /* QDict, the command line's */

void pulsar_json_device(QDict *device)
{
    if (!json_devices) {
        json_devices = g_ptr_array_new();
    }
    g_ptr_array_add(json_devices, device);
}

void pulsar_gate_back_end(PulsarBackEnds *ends, const char *name,
                          PulsarGate *closed_by)
{
    if (closed_by) {
        g_hash_table_insert(ends->unused, g_strdup(name), closed_by);
    } else {
        g_hash_table_add(ends->used, g_strdup(name));
    }
}

static void note_device(PulsarBackEnds *ends, const QDict *device,
                        bool from_json)
{
    static const char *const properties[] = { "chardev", "drive" };
    PulsarAsked asked = {
        .oc = pulsar_gates_class(qdict_get_try_str(device, "driver")),
        .device = device,
        .from_json = from_json,
        .at_start = true,
    };
    PulsarGate *gate = asked.oc ? pulsar_gates_closed_by(&asked) : NULL;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(properties); i++) {
        const char *name = qdict_get_try_str(device, properties[i]);

        if (name) {
            pulsar_gate_back_end(ends, name, gate);
        }
    }
}

static int note_opts(void *opaque, QemuOpts *opts, Error **errp)
{
    g_autoptr(QDict) device = qemu_opts_to_qdict(opts, NULL);

    note_device(opaque, device, false);
    return 0;
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
static void drop(PulsarBackEnds *ends, const char *list)
{
    GHashTableIter iter;
    gpointer name, gate;

    g_hash_table_iter_init(&iter, ends->unused);
    while (g_hash_table_iter_next(&iter, &name, &gate)) {
        QemuOpts *opts = qemu_opts_find(qemu_find_opts(list), name);

        /* What is shared may have users that only its mux knows. */
        if (opts && !g_hash_table_contains(ends->used, name) &&
            !qemu_opt_get_bool(opts, "mux", false)) {
            pulsar_gate_left_out(gate, name, "-%s '%s'", list, (char *)name);
            close_handed_over(opts);
            qemu_opts_del(opts);
        }
    }
}

void pulsar_gates_back_ends(void)
{
    PulsarBackEnds ends = {
        .unused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };
    PulsarGate *gate;
    guint i;

    qemu_opts_foreach(qemu_find_opts("device"), note_opts, &ends, NULL);
    for (i = 0; json_devices && i < json_devices->len; i++) {
        note_device(&ends, json_devices->pdata[i], true);
    }
    PULSAR_GATES_FOREACH(gate) {
        if (gate->back_ends) {
            gate->back_ends(&ends);
        }
    }
    drop(&ends, "chardev");
    drop(&ends, "drive");
    g_hash_table_unref(ends.unused);
    g_hash_table_unref(ends.used);
}
