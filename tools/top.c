/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar top: which device models are awake now, and why.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "screen.h"
#include "select.h"
#include "text.h"
#include "wait.h"

#define LIVE_SECONDS  1         /* between two samples when one looks on */
#define ONCE_SECONDS  5         /* long enough to see slow timers */

static struct {
    gboolean once;
    gboolean batch;
    unsigned iterations;
    double interval;
    const char *sort;
    gboolean reverse;
    GPtrArray *domain;
    gboolean no_stock;
    gboolean json;
    gboolean csv;
    const char *prometheus;
    double check;
} opt = {
    .sort = "wakes",
    .check = -1,
};

static const CliOption options[] = {
    { "once", '1', NULL, "look once, print the list and exit", CLI_FLAG,
      &opt.once },
    { "batch", 'b', NULL, "print the list after every interval", CLI_FLAG,
      &opt.batch },
    { "iterations", 'i', "N", "with --batch: print it N times and exit",
      CLI_COUNT, &opt.iterations, .min = 1, .max = 1000000000 },
    { "interval", 'd', "SECONDS",
      "time between two looks (default 1; 5 when it looks once)", CLI_NUMBER,
      &opt.interval, .min = WAIT_INTERVAL_MIN, .max = WAIT_INTERVAL_MAX },
    { "sort", 's', "COLUMN",
      "order: domid, name, wakes (default), 5min, timer, read, write, cpu, "
      "memory, threads or cause", CLI_CHOICE, &opt.sort,
      .choices = report_sort_keys },
    { "reverse", 'r', NULL, "turn the order round", CLI_FLAG, &opt.reverse },
    { "domain", 'D', "VM",
      "only this VM (a domain id, a name or a UUID); may be given again",
      CLI_LIST, &opt.domain },
    { "no-stock", 'n', NULL,
      "leave out device models that keep no ledger page", CLI_FLAG,
      &opt.no_stock },
    { "json", 'j', NULL, "print one JSON object a line for each VM",
      CLI_FLAG, &opt.json },
    { "csv", 'c', NULL, "print comma-separated values under one header",
      CLI_FLAG, &opt.csv },
    { "prometheus", 'p', "FILE",
      "write counters for node_exporter's textfile collector into FILE ('-': "
      "standard output)", CLI_TEXT, &opt.prometheus },
    { "check", 'C', "RATE",
      "exit with status 1 when a VM wakes more than RATE times a second, and "
      "name it", CLI_NUMBER, &opt.check, .min = 0, .max = 1e9 },
    { }
};

static void print_vms(GPtrArray *vms, gboolean first)
{
    double when = wait_clock(CLOCK_REALTIME);
    g_autofree char *head = NULL;
    guint i;

    if (opt.csv && first) {
        head = report_csv(NULL, when);
        puts(head);
    } else if (!opt.csv && !opt.json) {
        g_autofree char *summary = report_summary(vms);
        g_autofree char *titles = report_line(NULL, REPORT_ALL);

        printf("%s%s\n%s\n", first ? "" : "\n", summary, titles);
    }
    for (i = 0; i < vms->len; i++) {
        g_autofree char *line =
            opt.json ? report_json(vms->pdata[i], when) :
            opt.csv ? report_csv(vms->pdata[i], when) :
            report_line(vms->pdata[i], REPORT_ALL);

        puts(line);
    }
}

/* Of whom nothing is known cannot be said that all is well. */
static gboolean check_readable(GPtrArray *vms, GError **errp)
{
    GError *last = NULL;
    guint i;

    for (i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        if (vm->trouble) {
            cli_fail_later(&last, g_error_new_literal(
                               CLI_ERROR, vm->trouble_code, vm->trouble));
        }
    }
    if (last) {
        g_propagate_error(errp, last);
    }
    return !last;
}

/* --check: FALSE names those that wake too often. */
static gboolean check_rates(GPtrArray *vms, GError **errp)
{
    g_autoptr(GString) names = g_string_new(NULL);
    guint i, n = 0;

    for (i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];
        const VmCause *top = vm_top_cause(vm);
        g_autofree char *title = NULL;
        g_autofree char *rate = NULL;

        if (vm_rate(vm, vm->new_wakes) <= opt.check) {
            continue;
        }
        title = vm_title(vm);
        rate = text_rate(vm_rate(vm, vm->new_wakes));
        g_string_append_printf(names, "%s%s %s times by %s", n ? ", " : "",
                               title, rate, top ? top->name : "nobody known");
        n++;
    }
    if (n) {
        g_autofree char *shown = text_shown(names->str);

        g_set_error(errp, CLI_ERROR, CLI_EXCEEDED,
                    "%u VM%s more than %g times a second: %s", n,
                    n == 1 ? " wakes" : "s wake", opt.check, shown);
        return FALSE;
    }
    return TRUE;
}

static gboolean write_prometheus(GPtrArray *vms, GError **errp)
{
    g_autofree char *text = report_prometheus(vms);

    return cli_write_file(opt.prometheus, text, errp);
}

/* After one interval: everything that was asked for. */
static gboolean report(VmSet *set, gboolean first, GError **errp)
{
    g_autoptr(GPtrArray) vms = select_vms(set, opt.domain);
    gboolean quiet = opt.prometheus || opt.check >= 0;
    GError *unread = NULL;

    report_sort(vms, report_column(opt.sort), opt.reverse);
    if (!quiet || opt.json || opt.csv) {
        print_vms(vms, first);
        if (!cli_flush(errp)) {
            return FALSE;
        }
    }
    if (opt.prometheus && !write_prometheus(vms, errp)) {
        return FALSE;
    }
    if (opt.check >= 0 && !check_rates(vms, errp)) {
        check_readable(vms, &unread);
        cli_fail_later(&unread, NULL);  /* the rates are the worse news */
        return FALSE;
    }
    return opt.check < 0 || check_readable(vms, errp);
}

/* A rate needs two looks, so the first is only the beginning. */
static gboolean run_batch(VmSet *set, GError **errp)
{
    /* Counters alone are complete after one look. */
    gboolean rates = opt.json || opt.csv || opt.check >= 0 || !opt.prometheus;
    double next = wait_clock(CLOCK_MONOTONIC);
    unsigned i;

    for (i = 0; !opt.iterations || i < opt.iterations; i++) {
        if (rates || i) {
            next += opt.interval;
            wait_until(next);
            if (!vmset_sample(set, errp)) {
                return FALSE;
            }
        }
        if (!report(set, i == 0, errp)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean check_options(GError **errp)
{
    const char *what = NULL;

    if (opt.json && opt.csv) {
        what = "only one of --json and --csv is accepted";
    } else if (opt.once && opt.batch) {
        what = "only one of --once and --batch is accepted";
    } else if (opt.iterations && !opt.batch) {
        what = "--iterations is accepted only with --batch";
    }
    if (what) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE, "%s", what);
    }
    return !what;
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(VmSet) set = vmset_new(!opt.no_stock);
    gboolean live = !opt.once && !opt.batch && !opt.json && !opt.csv &&
                    !opt.prometheus && opt.check < 0;
    ScreenSettings settings = {
        .sort = report_column(opt.sort), .reverse = opt.reverse,
        .wanted = opt.domain,
    };

    if (*args) {
        g_autofree char *shown = text_shown(*args);

        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar top' takes no argument, and was given '%s'; "
                    "--domain chooses VMs", shown);
        return FALSE;
    }
    if (!check_options(errp)) {
        return FALSE;
    }
    if (live && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar top' needs a terminal, and this is none; --once "
                    "and --batch do without");
        return FALSE;
    }
    if (!vmset_sample(set, errp) || !select_check(set, opt.domain, errp)) {
        return FALSE;
    }
    if (!opt.interval) {
        opt.interval = live || opt.batch ? LIVE_SECONDS : ONCE_SECONDS;
    }
    if (live) {
        settings.interval = opt.interval;
        return screen_run(set, &settings, errp);
    }
    if (!opt.batch) {
        opt.iterations = 1;
        /* Nothing to be listed; nothing to exceed is fine, however. */
        if (!vmset_vms(set)->len && !opt.prometheus && opt.check < 0) {
            return select_none(!opt.no_stock, errp);
        }
    }
    return run_batch(set, errp);
}

const CliCommand cmd_top = {
    .name = "top",
    .summary = "which device models are awake now, and why",
    .text = "Shows for each VM how often its device model was woken and by "
            "what, how many timers it ran and how many reads and writes of "
            "the guest it served, its share of a processor, its private "
            "memory, its threads, and what woke it most. All figures are "
            "rates over the interval. Without --once, --batch or an output "
            "format it is a screen that follows; 'h' there tells the keys.",
    .options = options,
    .run = run,
};
