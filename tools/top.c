/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar top: which device models are awake now, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"
#include "top.h"

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
      &opt.interval, .min = TOP_INTERVAL_MIN, .max = TOP_INTERVAL_MAX },
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

/* Does the user mean @vm when he says @what? */
static gboolean vm_is_called(const Vm *vm, const char *what)
{
    g_autofree char *clean = text_clean(what);
    g_autofree char *domid = g_strdup_printf("%d", vm->domid);

    return !strcmp(domid, what) || !strcmp(vm->name, clean) ||
           (*vm->uuid && !g_ascii_strcasecmp(vm->uuid, clean));
}

GPtrArray *top_select(VmSet *set, GPtrArray *wanted)
{
    GPtrArray *all = vmset_vms(set);
    GPtrArray *ret = g_ptr_array_new();
    gboolean take;
    guint i, k;

    for (i = 0; i < all->len; i++) {
        take = !wanted || !wanted->len;
        for (k = 0; !take && k < wanted->len; k++) {
            take = vm_is_called(all->pdata[i], wanted->pdata[k]);
        }
        if (take) {
            g_ptr_array_add(ret, all->pdata[i]);
        }
    }
    return ret;
}

gboolean top_check_wanted(VmSet *set, GPtrArray *wanted, GError **errp)
{
    GPtrArray *all = vmset_vms(set);
    guint i, k;

    for (k = 0; wanted && k < wanted->len; k++) {
        const char *what = wanted->pdata[k];

        for (i = 0; i < all->len; i++) {
            if (vm_is_called(all->pdata[i], what)) {
                break;
            }
        }
        if (i == all->len) {
            g_autofree char *shown = text_shown(what);

            g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                        "there is no VM '%s'; accepted are a domain id, a "
                        "name and a UUID, and 'pulsar top --once' lists them",
                        shown);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean top_none(gboolean with_stock, GError **errp)
{
    g_autofree char *shown = text_shown(page_rundir());

    g_set_error(errp, CLI_ERROR, CLI_NO_VM,
                "no VM is running here: there is no ledger page in '%s'%s",
                shown, with_stock ? " and no other device model" : "");
    return FALSE;
}

static double clock_seconds(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Until @when on CLOCK_MONOTONIC. */
static void wait_until(double when)
{
    struct timespec ts = {
        .tv_sec = (time_t)when,
        .tv_nsec = (long)((when - (time_t)when) * 1e9),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
           EINTR) {
        /* a signal that is not ours to heed */
    }
}

static void print_vms(GPtrArray *vms, gboolean first)
{
    double when = clock_seconds(CLOCK_REALTIME);
    g_autofree char *head = NULL;
    guint i;

    if (opt.csv && first) {
        head = report_csv(NULL, when);
        puts(head);
    } else if (!opt.csv && !opt.json) {
        g_autofree char *summary = report_summary(vms);
        g_autofree char *titles = report_line(NULL, -1);

        printf("%s%s\n%s\n", first ? "" : "\n", summary, titles);
    }
    for (i = 0; i < vms->len; i++) {
        g_autofree char *line =
            opt.json ? report_json(vms->pdata[i], when) :
            opt.csv ? report_csv(vms->pdata[i], when) :
            report_line(vms->pdata[i], -1);

        puts(line);
    }
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

    return cli_write_file(opt.prometheus, text, 0644, errp);
}

void top_wait(double seconds)
{
    wait_until(clock_seconds(CLOCK_MONOTONIC) + seconds);
}

/* After one interval: everything that was asked for. */
static gboolean report(VmSet *set, gboolean first, GError **errp)
{
    g_autoptr(GPtrArray) vms = top_select(set, opt.domain);
    gboolean quiet = opt.prometheus || opt.check >= 0;

    report_sort(vms, report_column(opt.sort), opt.reverse);
    if (!quiet || opt.json || opt.csv) {
        print_vms(vms, first);
        if (!cli_flush(errp)) {
            return FALSE;
        }
    }
    return (!opt.prometheus || write_prometheus(vms, errp)) &&
           (opt.check < 0 || check_rates(vms, errp));
}

/* A rate needs two looks, so the first is only the beginning. */
static gboolean run_batch(VmSet *set, GError **errp)
{
    /* Counters alone are complete after one look. */
    gboolean rates = opt.json || opt.csv || opt.check >= 0 || !opt.prometheus;
    double next = clock_seconds(CLOCK_MONOTONIC);
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
    TopSettings settings = {
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
    if (!vmset_sample(set, errp) || !top_check_wanted(set, opt.domain, errp)) {
        return FALSE;
    }
    if (!opt.interval) {
        opt.interval = live || opt.batch ? LIVE_SECONDS : ONCE_SECONDS;
    }
    if (live) {
        settings.interval = opt.interval;
        return top_screen(set, &settings, errp);
    }
    if (!opt.batch) {
        opt.iterations = 1;
        /* Nothing to be listed; nothing to exceed is fine, however. */
        if (!vmset_vms(set)->len && !opt.prometheus && opt.check < 0) {
            return top_none(!opt.no_stock, errp);
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
