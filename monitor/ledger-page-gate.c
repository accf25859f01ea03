/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the ledger's page: whether and where others can see who wakes
 * this device model.
 */
#include "qemu/osdep.h"
#include "qemu-version.h"
#include "qemu/error-report.h"
#include "system/system.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/options-glue.h"
#include "pulsar-dirs.h"
#include "ledger-glue.h"
#include "privileges.h"

static const PulsarVm *vm;

/* Where the page goes by default: one file per domain. */
static char *default_path(void)
{
    const char *dir = g_getenv("PULSAR_RUNDIR");

    return g_strdup_printf("%s/%u.ledger", dir && *dir ? dir : PULSAR_RUNDIR,
                           vm->domid);
}

static void open_ledger(void)
{
    PulsarValue value = pulsar_gate_value(PULSAR_OPTION_LEDGER);
    g_autofree char *text = pulsar_options_render(pulsar_options());
    g_autofree char *path = NULL;
    g_autofree char *why = NULL;
    PulsarLedgerOwner owner = {
        .domid = vm->domid,
        .name = vm->name,
        .uuid = vm->uuid,
        .version = QEMU_FULL_VERSION,
        .options = text,
    };

    if (value == PULSAR_VALUE_CLOSED) {
        return;
    }
    if (value == PULSAR_VALUE_PATH) {
        path = g_strdup(pulsar_options_text(pulsar_options(),
                                            PULSAR_OPTION_LEDGER));
    } else {
        path = default_path();
        owner.gone = pulsar_domain_gone; /* a folder of nothing but pages */
    }
    if (pulsar_ledger_open(path, &owner, &why)) {
        return;
    }
    if (value == PULSAR_VALUE_PATH) {
        error_report("-pulsar ledger=%s: %s", path, why);
        exit(1);
    }
    /* Nobody asked for it in so many words: the guest comes first. */
    warn_report("wakes are not shown to others: %s", why);
}

/*
 * The page belongs to the process that serves the guest. With -daemonize that
 * is a child which does not exist yet: it opens its page while it still may.
 */
static void open_ledger_late(Notifier *notifier, void *data)
{
    open_ledger();
}

/* Opens the page, and keeps what it says of the options right. */
static void ledger_told(const PulsarVm *told)
{
    static Notifier late = { .notify = open_ledger_late };
    g_autofree char *text = NULL;

    if (vm) {
        text = pulsar_options_render(pulsar_options());
        pulsar_ledger_set_text(pulsar_ledger_self(), text);
        return;
    }
    vm = told;
    if (is_daemonized()) {
        pulsar_privileges_end_add(&late);
    } else {
        open_ledger();
    }
}

static PulsarGate gate = {
    .option = PULSAR_OPTION_LEDGER,
    .told = ledger_told,
};

PULSAR_GATE(gate);
