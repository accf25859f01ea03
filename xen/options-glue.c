/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options inside QEMU: -pulsar on the command line, and the moment at
 * which all sources have spoken.
 */
#include "qemu/osdep.h"
#include "qemu-version.h"
#include "qemu/error-report.h"
#include "hw/xen/xen.h"
#include "system/system.h"
#include "monitor/pulsar/ledger-glue.h"
#include "options.h"
#include "pulsar-hooks.h"

#ifndef PULSAR_RUNDIR
#define PULSAR_RUNDIR "/run/pulsar"
#endif

static PulsarOptions *options;

static G_NORETURN void option_error(char *why)
{
    error_report("%s", why);
    g_free(why);
    exit(1);
}

static PulsarOptions *get_options(void)
{
    if (!options) {
        options = pulsar_options_new();
    }
    return options;
}

void pulsar_parse_option(const char *optarg)
{
    char *why = NULL;

    if (g_str_equal(optarg, "help")) {
        g_autofree char *help = pulsar_option_help();

        fputs(help, stdout);
        exit(0);
    }
    if (!pulsar_options_add_args(get_options(), optarg, &why)) {
        option_error(why);
    }
}

/* Where the page goes by default: one file per domain. */
static char *default_ledger_path(void)
{
    const char *dir = g_getenv("PULSAR_RUNDIR");

    return g_strdup_printf("%s/%u.ledger", dir && *dir ? dir : PULSAR_RUNDIR,
                           xen_domid);
}

static void open_ledger(void)
{
    PulsarValue value = pulsar_options_value(options, PULSAR_OPTION_LEDGER);
    g_autofree char *text = pulsar_options_render(options);
    g_autofree char *path = NULL;
    g_autofree char *why = NULL;
    PulsarLedgerOwner owner = {
        .domid = xen_domid,
        .name = qemu_get_vm_name(),
        .version = QEMU_FULL_VERSION,
        .options = text,
    };

    if (value == PULSAR_VALUE_CLOSED) {
        return;
    }
    if (value == PULSAR_VALUE_PATH) {
        path = g_strdup(pulsar_options_text(options, PULSAR_OPTION_LEDGER));
    } else {
        path = default_ledger_path();
    }
    if (pulsar_ledger_open(path, &owner, &why)) {
        return;
    }
    if (value == PULSAR_VALUE_PATH) {
        option_error(g_strdup_printf("-pulsar ledger=%s: %s", path, why));
    }
    /* Nobody asked for it in so many words: the guest comes first. */
    warn_report("wakes are not shown to others: %s", why);
}

void pulsar_options_resolve(void)
{
    get_options();
    if (xen_domid) {
        open_ledger();
    }
}
