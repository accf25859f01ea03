/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar replace: another device model for guests that run. What is done to
 * one of them is in exchange.c; here is who, how many at a time, and what is
 * said about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli.h"
#include "exchange.h"
#include "proc.h"
#include "text.h"
#include "xen.h"

#define DEFAULT_PROGRAM PULSAR_LIBEXECDIR "/qemu-system-i386"
#define JOBS_MAX 64

static struct {
    gboolean all;
    gboolean dry_run;
    gboolean believe;
    gboolean json;
    const char *program;
    unsigned jobs;
} opt = {
    .program = DEFAULT_PROGRAM,
    .jobs = 1,
};

static const CliOption options[] = {
    { "all", 'a', NULL, "every VM whose device model xl or libxl started",
      CLI_FLAG, &opt.all },
    { "with", 'w', "BINARY", "the device model to start (default: Pulsar's)",
      CLI_TEXT, &opt.program },
    { "dry-run", 'n', NULL, "only check whether it could be done", CLI_FLAG,
      &opt.dry_run },
    { "believe", 'b', NULL, "also replace device models that gave up their "
      "rights, and take what they say they were started with for true",
      CLI_FLAG, &opt.believe },
    { "jobs", 'j', "N", "so many VMs at a time (default: 1)", CLI_COUNT,
      &opt.jobs, .min = 1, .max = JOBS_MAX },
    { "json", 'J', NULL, "one JSON object a line for each VM", CLI_FLAG,
      &opt.json },
    { }
};

/* One VM, and what its own process tells about it. */
typedef struct Job {
    int domid;
    char *title;
    pid_t pid;              /* 0: not begun, or done */
    int fd;
    GString *output;        /* what run_job() gave */
} Job;

static void free_job(gpointer data)
{
    Job *job = data;

    g_free(job->title);
    g_string_free(job->output, TRUE);
    g_free(job);
}

static const char *result_name(ExchangeResult result)
{
    static const char *const names[] = {
        [EXCHANGE_REFUSED] = "refused",
        [EXCHANGE_POSSIBLE] = "possible",
        [EXCHANGE_KEPT] = "kept",
        [EXCHANGE_BACK] = "back",
        [EXCHANGE_DONE] = "replaced",
        [EXCHANGE_FINISHED] = "finished",
        [EXCHANGE_LOST] = "lost",
    };

    return names[result];
}

static char *json_line(const Job *job, const ExchangeReport *r,
                       const GError *err)
{
    json_object *o = json_object_new_object();
    g_autofree char *name = xen_read("/local/domain/%d/name", job->domid);
    g_autofree char *clean = text_clean(name ? name : "");
    g_autofree char *paused = g_strdup_printf("%.1f", r->paused * 1e3);
    char *line;

    json_object_object_add(o, "domid", json_object_new_int(job->domid));
    json_object_object_add(o, "name", json_object_new_string(clean));
    json_object_object_add(o, "result",
                           json_object_new_string(result_name(r->result)));
    json_object_object_add(o, "before", r->before ?
                           json_object_new_int(r->before) : NULL);
    json_object_object_add(o, "after", r->after ?
                           json_object_new_int(r->after) : NULL);
    json_object_object_add(o, "old_version", r->old_version ?
                           json_object_new_string(r->old_version) : NULL);
    json_object_object_add(o, "new_version", r->new_version ?
                           json_object_new_string(r->new_version) : NULL);
    json_object_object_add(o, "paused_ms", r->paused ?
                           json_object_new_double_s(r->paused * 1e3, paused) :
                           NULL);
    json_object_object_add(o, "error", err ?
                           json_object_new_string(err->message) : NULL);
    line = g_strdup(json_object_to_json_string_ext(o,
                                                   JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
    return line;
}

static char *text_line(const Job *job, const ExchangeReport *r,
                       const GError *err)
{
    switch (r->result) {
    case EXCHANGE_POSSIBLE:
        return g_strdup_printf("%s: can be replaced (QEMU %s by %s)",
                               job->title, r->old_version, r->new_version);
    case EXCHANGE_DONE:
        return g_strdup_printf("%s: replaced, the guest stood still for "
                               "%.0f ms", job->title, r->paused * 1e3);
    case EXCHANGE_FINISHED:
        return g_strdup_printf("%s: what was broken off is finished",
                               job->title);
    default:
        return g_strdup_printf("%s: %s: %s", job->title,
                               result_name(r->result), err->message);
    }
}

/* What became of it: the result, the code of the error, and the line. */
static char *run_job(const Job *job)
{
    ExchangeWish wish = {
        .domid = job->domid,
        .program = opt.program,
        .dry_run = opt.dry_run,
        .believe = opt.believe,
    };
    g_auto(ExchangeReport) report = { 0 };
    g_autoptr(GError) err = NULL;
    g_autofree char *line = NULL;

    exchange_run(&wish, &report, &err);
    line = opt.json ? json_line(job, &report, err)
                    : text_line(job, &report, err);
    return g_strdup_printf("%d %d %s", report.result, err ? err->code : CLI_OK,
                           line);
}

/* ---- several of them ------------------------------------------------- */

static gboolean begin(Job *job, GError **errp)
{
    int ends[2];
    char *text;

    if (pipe2(ends, O_CLOEXEC)) {
        goto failed;
    }
    fflush(stdout);
    job->pid = fork();
    if (!job->pid) {
        xen_forked();
        text = run_job(job);
        _exit(write(ends[1], text, strlen(text)) < 0);
    }
    close(ends[1]);
    job->fd = ends[0];
    if (job->pid > 0) {
        return TRUE;
    }
    close(ends[0]);
    job->pid = 0;
failed:
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "no process can be made: %s",
                g_strerror(errno));
    return FALSE;
}

/* Some more of its output; TRUE once that is all. */
static gboolean take_output(Job *job)
{
    char buf[4096];
    ssize_t n = read(job->fd, buf, sizeof(buf));

    if (n > 0) {
        g_string_append_len(job->output, buf, n);
        return FALSE;
    }
    close(job->fd);
    waitpid(job->pid, NULL, 0);
    job->pid = 0;
    return TRUE;
}

typedef struct Tally {
    guint begun, failed, left;
    gboolean stop;
    int code;               /* of the first failure */
} Tally;

static void conclude(Job *job, Tally *t)
{
    int result = EXCHANGE_LOST, code = CLI_SYSTEM, at = 0;
    g_autofree char *shown = NULL;

    if (sscanf(job->output->str, "%d %d %n", &result, &code, &at) < 2 ||
        !at) {
        g_string_printf(job->output, "%s: lost: its process ended before it "
                        "was done", job->title);
    }
    shown = text_shown(job->output->str + at);
    puts(opt.json ? job->output->str + at : shown);
    fflush(stdout);
    if (code != CLI_OK) {
        t->failed++;
        t->code = t->code ? t->code : code;
    }
    t->stop = t->stop || result == EXCHANGE_LOST;
}

/* Waits until one of those that run has more to say. */
static void await_output(GPtrArray *jobs, Tally *t)
{
    g_autofree struct pollfd *ready = g_new0(struct pollfd, jobs->len);
    guint i;

    for (i = 0; i < jobs->len; i++) {
        const Job *job = jobs->pdata[i];

        ready[i].fd = job->pid ? job->fd : -1;
        ready[i].events = POLLIN;
    }
    if (poll(ready, jobs->len, -1) <= 0) {
        return;
    }
    for (i = 0; i < jobs->len; i++) {
        if (ready[i].revents && take_output(jobs->pdata[i])) {
            conclude(jobs->pdata[i], t);
        }
    }
}

static guint at_work(GPtrArray *jobs)
{
    guint i, n = 0;

    for (i = 0; i < jobs->len; i++) {
        n += ((Job *)jobs->pdata[i])->pid != 0;
    }
    return n;
}

static gboolean run_jobs(GPtrArray *jobs, Tally *t, GError **errp)
{
    gboolean ok = TRUE;

    if (jobs->len == 1) {
        Job *job = jobs->pdata[0];
        g_autofree char *text = run_job(job);

        g_string_assign(job->output, text);
        t->begun = 1;
        conclude(job, t);
    }
    while (at_work(jobs) || (ok && !t->stop && t->begun < jobs->len)) {
        if (ok && !t->stop && t->begun < jobs->len &&
            at_work(jobs) < opt.jobs) {
            ok = begin(jobs->pdata[t->begun], errp);
            t->begun += ok;
            continue;
        }
        await_output(jobs, t);
    }
    return ok;
}

/* ---- who ------------------------------------------------------------- */

static void add_job(GPtrArray *jobs, int domid)
{
    g_autofree char *name = NULL, *uuid = NULL, *clean = NULL;
    Job *job;
    guint i;

    for (i = 0; i < jobs->len; i++) {
        if (((Job *)jobs->pdata[i])->domid == domid) {
            return;
        }
    }
    xen_identity(domid, &name, &uuid);
    clean = text_clean(name);
    job = g_new0(Job, 1);
    job->domid = domid;
    job->title = *clean ? g_strdup_printf("%s (domain %d)", clean, domid)
                        : g_strdup_printf("domain %d", domid);
    job->output = g_string_new(NULL);
    g_ptr_array_add(jobs, job);
}

static gint by_number(gconstpointer a, gconstpointer b)
{
    return *(const int *)a - *(const int *)b;
}

/* Domains that have a device model, by number. */
static GArray *list_domains(void)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(int));
    g_auto(GStrv) all = xen_directory("/local/domain");
    guint i;

    for (i = 0; all[i]; i++) {
        int domid = atoi(all[i]);

        if (domid > 0 && xen_device_model(domid)) {
            g_array_append_val(list, domid);
        }
    }
    g_array_sort(list, by_number);
    return list;
}

static gboolean find_one(GPtrArray *jobs, GArray *domains, const char *what,
                         GError **errp)
{
    g_autofree char *shown = text_shown(what);
    guint i, found = 0;

    for (i = 0; i < domains->len; i++) {
        int domid = g_array_index(domains, int, i);
        g_autofree char *number = g_strdup_printf("%d", domid);
        g_autofree char *name = NULL, *uuid = NULL;

        xen_identity(domid, &name, &uuid);
        if (!strcmp(number, what) || !strcmp(name, what) ||
            (*uuid && !g_ascii_strcasecmp(uuid, what))) {
            add_job(jobs, domid);
            found++;
        }
    }
    if (found == 1) {
        return TRUE;
    }
    g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM, found ?
                "'%s' is the name of several VMs; a domain id or a UUID says "
                "which; nothing was done" :
                "there is no VM '%s' with a device model; accepted are a "
                "domain id, a name and a UUID; nothing was done", shown);
    return FALSE;
}

static gboolean find_jobs(GPtrArray *jobs, char **args, GError **errp)
{
    g_autoptr(GArray) domains = list_domains();
    guint i;

    if (!xen_answers()) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "no xenstored answers");
        return FALSE;
    }
    for (; *args; args++) {
        if (!find_one(jobs, domains, *args, errp)) {
            return FALSE;
        }
    }
    for (i = 0; opt.all && i < domains->len; i++) {
        add_job(jobs, g_array_index(domains, int, i));
    }
    if (!jobs->len) {
        g_set_error(errp, CLI_ERROR, CLI_NO_VM,
                    "no VM with a device model is running here");
    }
    return jobs->len > 0;
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(free_job);
    Tally t = { 0 };

    if (opt.all == (*args != NULL)) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE, "'pulsar replace' needs "
                    "either VMs or --all; nothing was done");
        return FALSE;
    }
    if (!find_jobs(jobs, args, errp) || !run_jobs(jobs, &t, errp)) {
        return FALSE;
    }
    if (!opt.json && jobs->len > 1) {
        printf("%u VMs: %u %s, %u not, %u not tried\n", jobs->len,
               t.begun - t.failed, opt.dry_run ? "can be replaced"
               : "replaced", t.failed, jobs->len - t.begun);
    }
    if (!cli_flush(errp)) {
        return FALSE;
    }
    if (t.failed) {
        g_set_error(errp, CLI_ERROR, t.code, t.stop ?
                    "a guest could not be brought back; no other was begun "
                    "after it" : "%u of %u device models %s replaced",
                    t.failed, jobs->len, opt.dry_run ? "cannot be"
                    : "were not");
    }
    return !t.failed;
}

const CliCommand cmd_replace = {
    .name = "replace",
    .args = "VM...|--all",
    .summary = "exchange the device models of VMs that run",
    .text = "Starts another device model in the place of the one that a "
            "running HVM guest has, of a newer version for instance. The "
            "guest is paused for it and goes on; viewers and terminals have "
            "to connect again. What cannot be handed over is checked first; "
            "if the new device model cannot take over, the old program is "
            "started again. An exchange that was broken off is finished or "
            "taken back by the next 'pulsar replace' of that VM.",
    .options = options,
    .run = run,
};
