/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitors' own gate: with monitor=qmp there is no human monitor, with
 * monitor=none no monitor at all, and neither is its chardev opened.
 */
#include "qemu/osdep.h"
#include "chardev/char.h"
#include "monitor/monitor-internal.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-char.h"
#include "qemu/config-file.h"
#include "qemu/error-report.h"
#include "qemu/option_int.h"
#include "qobject/qdict.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

/* A human monitor that is closed, and what it takes to open it again. */
typedef struct Closed {
    char *chardev;          /* the chardev's id */
    QDict *mon;             /* options of -mon, or NULL: it was never one */
    QDict *chardev_opts;    /* options of -chardev, when it was not opened */
} Closed;

static GQueue closed = G_QUEUE_INIT;

static bool is_human(QemuOpts *opts)
{
    return g_strcmp0(qemu_opt_get(opts, "mode"), "control") != 0;
}

void pulsar_gate_monitor_init(GHashTable *unused, GHashTable *used)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_MONITOR);
    QemuOptsList *list = qemu_find_opts("mon");
    QemuOpts *opts, *next, *chardev;

    QTAILQ_FOREACH_SAFE(opts, &list->head, next, next) {
        const char *name = qemu_opt_get(opts, "chardev");
        bool human = is_human(opts);
        Closed *c;

        if (!name) {
            continue;
        }
        if (value == PULSAR_VALUE_FULL ||
            (value == PULSAR_VALUE_QMP && !human)) {
            g_hash_table_add(used, g_strdup(name));
            continue;
        }
        pulsar_gate_left_out(PULSAR_OPTION_MONITOR, NULL, "the %s on '%s'",
                             human ? "human monitor" : "QMP monitor", name);
        g_hash_table_insert(unused, g_strdup(name),
                            GINT_TO_POINTER(PULSAR_OPTION_MONITOR));
        if (human) {
            chardev = qemu_opts_find(qemu_find_opts("chardev"), name);
            c = g_new0(Closed, 1);
            c->chardev = g_strdup(name);
            c->mon = qemu_opts_to_qdict(opts, NULL);
            c->chardev_opts = chardev ? qemu_opts_to_qdict(chardev, NULL) :
                                        NULL;
            g_queue_push_tail(&closed, c);
        }
        qemu_opts_del(opts);
    }
}

/* By default, by -serial mon: or by whatever else makes one. */
bool pulsar_monitor_init_hmp(Chardev *chr, bool use_readline)
{
    Closed *c;

    /* Without readline it is the gdb stub's, which nobody sees. */
    if (!use_readline ||
        pulsar_gate_value(PULSAR_OPTION_MONITOR) == PULSAR_VALUE_FULL) {
        return false;
    }
    pulsar_gate_left_out(PULSAR_OPTION_MONITOR, NULL,
                         "the human monitor on '%s'", chr->label);
    c = g_new0(Closed, 1);
    c->chardev = g_strdup(chr->label);
    g_queue_push_tail(&closed, c);
    return true;
}

/* Takes the human monitor off its chardev, which stays as it is. */
static void close_human(Monitor *mon)
{
    Closed *c = g_new0(Closed, 1);

    c->chardev = g_strdup(mon->chr.chr->label);
    g_queue_push_tail(&closed, c);
    WITH_QEMU_LOCK_GUARD(&monitor_lock) {
        QTAILQ_REMOVE(&mon_list, mon, entry);
    }
    monitor_flush(mon);
    qemu_chr_fe_disconnect(&mon->chr);
    monitor_data_destroy(mon);
    g_free(mon);
}

static void close_all_human(void)
{
    Monitor *mon, *next;

    QTAILQ_FOREACH_SAFE(mon, &mon_list, entry, next) {
        if (!monitor_is_qmp(mon) && mon->chr.chr &&
            container_of(mon, MonitorHMP, common)->use_readline) {
            close_human(mon);
        }
    }
}

static bool open_human(Closed *c, Error **errp)
{
    ERRP_GUARD();
    Chardev *chr = qemu_chr_find(c->chardev);
    QemuOpts *opts;

    if (!chr && c->chardev_opts) {
        opts = qemu_opts_from_qdict(qemu_find_opts("chardev"), c->chardev_opts,
                                    errp);
        chr = opts ? qemu_chr_new_from_opts(opts, NULL, errp) : NULL;
        if (opts && !chr) {
            qemu_opts_del(opts);
        }
    } else if (!chr) {
        error_setg(errp, "its chardev is gone");
    }
    if (!chr) {
        error_prepend(errp, "The human monitor on '%s' cannot be opened: ",
                      c->chardev);
        return false;
    }
    monitor_init_hmp(chr, true, errp);
    return !*errp;
}

bool pulsar_gate_monitor_changed(Error **errp)
{
    guint left = g_queue_get_length(&closed);
    bool ok = true;

    if (pulsar_gate_value(PULSAR_OPTION_MONITOR) != PULSAR_VALUE_FULL) {
        close_all_human();
        return true;
    }
    while (left-- && ok) {
        Closed *c = g_queue_pop_head(&closed);

        ok = open_human(c, errp);
        if (!ok) {
            g_queue_push_tail(&closed, c);
            close_all_human();      /* those that were opened before it */
            break;
        }
        g_free(c->chardev);
        qobject_unref(c->mon);
        qobject_unref(c->chardev_opts);
        g_free(c);
    }
    return ok;
}
