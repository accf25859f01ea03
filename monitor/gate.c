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
#include "qemu/main-loop.h"
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

static PulsarGate gate;

static GQueue closed = G_QUEUE_INIT;

static bool is_human(QemuOpts *opts)
{
    return g_strcmp0(qemu_opt_get(opts, "mode"), "control") != 0;
}

static void monitor_back_ends(PulsarBackEnds *ends)
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
            pulsar_gate_back_end(ends, name, NULL);
            continue;
        }
        pulsar_gate_left_out(&gate, NULL, "the %s on '%s'",
                             human ? "human monitor" : "QMP monitor", name);
        pulsar_gate_back_end(ends, name, &gate);
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
    pulsar_gate_left_out(&gate, NULL,
                         "the human monitor on '%s'", chr->label);
    c = g_new0(Closed, 1);
    c->chardev = g_strdup(chr->label);
    g_queue_push_tail(&closed, c);
    return true;
}

static void free_monitor(void *opaque)
{
    Monitor *mon = opaque;

    monitor_data_destroy(mon);
    g_free(mon);
}

/*
 * A bottom half of the monitor's own may be queued (monitor_resume()). Those
 * of one round run in any order: the next round is behind all of them.
 */
static void free_later(void *opaque)
{
    aio_bh_schedule_oneshot(qemu_get_aio_context(), free_monitor, opaque);
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
    if (mon->out_watch) {
        g_source_remove(mon->out_watch);
        mon->out_watch = 0;
    }
    qemu_chr_fe_disconnect(&mon->chr);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), free_later, mon);
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

static bool monitor_changed(Error **errp)
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

static const char *monitor_changed_note(void)
{
    return pulsar_gate_value(PULSAR_OPTION_MONITOR) == PULSAR_VALUE_FULL ?
           "the human monitors are open" : "the human monitors are closed";
}

static PulsarGate gate = {
    .option = PULSAR_OPTION_MONITOR,
    .back_ends = monitor_back_ends,
    .changed = monitor_changed,
    .changed_note = monitor_changed_note,
};

PULSAR_GATE(gate);
