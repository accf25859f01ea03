/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger through the monitor: QMP query-wakeups, HMP info wakeups
 * and the provider of query-stats. For people who are connected anyway;
 * others read the page.
 */
#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-pulsar.h"
#include "system/stats.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "ledger-glue.h"

/* Rows shown: fifty minutes. */
#define TABLE_ROWS 100

static WakeupCounts *counts_to_qapi(const PulsarLedgerCounts *n)
{
    WakeupCounts *ret = g_new0(WakeupCounts, 1);

    ret->wakes = n->wakes;
    ret->timer = n->timer;
    ret->read = n->read;
    ret->write = n->write;
    ret->buffered = n->buffered;
    ret->event = n->event;
    return ret;
}

static int compare_causes(const void *a, const void *b)
{
    const PulsarLedgerCause *left = a, *right = b;

    if (left->wakes != right->wakes) {
        return left->wakes < right->wakes ? 1 : -1;
    }
    if (left->events != right->events) {
        return left->events < right->events ? 1 : -1;
    }
    return strcmp(left->name, right->name);
}

static WakeupCauseList *causes_to_qapi(void *page)
{
    PulsarLedgerCause *causes = pulsar_ledger_causes(page);
    uint32_t n = pulsar_ledger_header(page)->cause_count, i;
    WakeupCauseList *ret = NULL, **tail = &ret;

    qsort(causes, n, sizeof(*causes), compare_causes);
    for (i = 0; i < n; i++) {
        WakeupCause *cause;

        if (!causes[i].events && !causes[i].wakes) {
            continue;
        }
        cause = g_new0(WakeupCause, 1);
        cause->name = g_strdup(causes[i].name);
        cause->wakes = causes[i].wakes;
        cause->events = causes[i].events;
        cause->busy_ns = causes[i].busy_ns;
        cause->last_ns = causes[i].last_ns;
        QAPI_LIST_APPEND(tail, cause);
    }
    return ret;
}

static WakeupThreadList *threads_to_qapi(const void *page)
{
    const PulsarLedgerThread *threads = pulsar_ledger_threads(page);
    uint32_t n = pulsar_ledger_header(page)->thread_count, i;
    WakeupThreadList *ret = NULL, **tail = &ret;

    for (i = 0; i < n; i++) {
        WakeupThread *thread = g_new0(WakeupThread, 1);

        thread->name = g_strdup(threads[i].name);
        thread->tid = threads[i].tid;
        thread->voluntary = threads[i].voluntary;
        thread->involuntary = threads[i].involuntary;
        QAPI_LIST_APPEND(tail, thread);
    }
    return ret;
}

static WakeupRowList *table_to_qapi(void *page)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(page);
    uint64_t seconds = (get_clock() - h->start_ns) / NANOSECONDS_PER_SECOND;
    uint64_t last = seconds / PULSAR_LEDGER_ROW_SECONDS + 1;
    uint64_t index = last > TABLE_ROWS ? last - TABLE_ROWS + 1 : 1;
    WakeupRowList *ret = NULL, **tail = &ret;
    PulsarLedgerCounts n;

    for (; index <= last; index++) {
        WakeupRow *row = g_new0(WakeupRow, 1);

        if (!pulsar_ledger_row(page, index, &n)) {
            memset(&n, 0, sizeof(n)); /* cannot be: rows outnumber these */
        }
        row->seconds = (index - 1) * PULSAR_LEDGER_ROW_SECONDS;
        row->counts = counts_to_qapi(&n);
        QAPI_LIST_APPEND(tail, row);
    }
    return ret;
}

WakeupInfo *qmp_query_wakeups(Error **errp)
{
    g_autofree void *page = g_malloc(PULSAR_LEDGER_TOTAL_SIZE);
    PulsarLedgerError err;
    WakeupInfo *info;

    pulsar_ledger_note_threads();
    err = pulsar_ledger_snapshot(pulsar_ledger_self()->page,
                                 PULSAR_LEDGER_TOTAL_SIZE, page);
    if (err != PULSAR_LEDGER_OK) {
        error_setg(errp, "the wake ledger is %s", pulsar_ledger_strerror(err));
        return NULL;
    }
    info = g_new0(WakeupInfo, 1);
    info->page = g_strdup(pulsar_ledger_path());
    info->total = counts_to_qapi(&pulsar_ledger_header(page)->total);
    info->table = table_to_qapi(page);
    info->causes = causes_to_qapi(page);
    info->threads = threads_to_qapi(page);
    return info;
}

static void print_counts(Monitor *mon, const WakeupCounts *n)
{
    monitor_printf(mon, " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
                   " %8" PRIu64 "\n",
                   n->wakes, n->timer, n->read, n->write, n->event);
}

void hmp_info_wakeups(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    g_autoptr(WakeupInfo) info = qmp_query_wakeups(&err);
    WakeupThreadList *thread;
    WakeupCauseList *cause;
    WakeupRowList *row;

    if (hmp_handle_error(mon, err)) {
        return;
    }
    monitor_printf(mon, "%8s %8s %8s %8s %8s %8s\n",
                   "second", "wakes", "timer", "read", "write", "event");
    for (row = info->table; row; row = row->next) {
        monitor_printf(mon, "%8" PRIu64, row->value->seconds);
        print_counts(mon, row->value->counts);
    }
    monitor_printf(mon, "%8s", "total");
    print_counts(mon, info->total);

    monitor_printf(mon, "\n%8s %8s %10s  %s\n",
                   "wakes", "events", "busy us", "cause");
    for (cause = info->causes; cause; cause = cause->next) {
        WakeupCause *c = cause->value;

        monitor_printf(mon, "%8" PRIu64 " %8" PRIu64 " %10" PRIu64 "  %s\n",
                       c->wakes, c->events, c->busy_ns / SCALE_US, c->name);
    }

    monitor_printf(mon, "\n%10s %12s  %s\n",
                   "switches", "involuntary", "thread");
    for (thread = info->threads; thread; thread = thread->next) {
        WakeupThread *t = thread->value;

        monitor_printf(mon, "%10" PRIu64 " %12" PRIu64 "  %s (%d)\n",
                       t->voluntary + t->involuntary, t->involuntary, t->name,
                       t->tid);
    }
    if (info->page) {
        monitor_printf(mon, "\nTo watch without waking: pulsar top (page "
                       "%s)\n", info->page);
    }
}

/* ---- query-stats ------------------------------------------------------ */

static const struct {
    const char *name;
    size_t offset;
} stats[] = {
    { "wakes", offsetof(PulsarLedgerCounts, wakes) },
    { "timer", offsetof(PulsarLedgerCounts, timer) },
    { "read", offsetof(PulsarLedgerCounts, read) },
    { "write", offsetof(PulsarLedgerCounts, write) },
    { "buffered", offsetof(PulsarLedgerCounts, buffered) },
    { "event", offsetof(PulsarLedgerCounts, event) },
};

static void query_stats(StatsResultList **result, StatsTarget target,
                        strList *names, strList *targets, Error **errp)
{
    const void *total = &pulsar_ledger_header(pulsar_ledger_self()->page)
                             ->total;
    StatsList *list = NULL;
    size_t i;

    if (target != STATS_TARGET_VM) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(stats); i++) {
        Stats *one;

        if (!apply_str_list_filter(stats[i].name, names)) {
            continue;
        }
        one = g_new0(Stats, 1);
        one->name = g_strdup(stats[i].name);
        one->value = g_new0(StatsValue, 1);
        one->value->type = QTYPE_QNUM;
        one->value->u.scalar = *(const uint64_t *)(total + stats[i].offset);
        QAPI_LIST_PREPEND(list, one);
    }
    if (list) {
        add_stats_entry(result, STATS_PROVIDER_PULSAR, NULL, list);
    }
}

static void query_schemas(StatsSchemaList **result, Error **errp)
{
    StatsSchemaValueList *list = NULL;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(stats); i++) {
        StatsSchemaValue *one = g_new0(StatsSchemaValue, 1);

        one->name = g_strdup(stats[i].name);
        one->type = STATS_TYPE_CUMULATIVE;
        QAPI_LIST_PREPEND(list, one);
    }
    add_stats_schema(result, STATS_PROVIDER_PULSAR, STATS_TARGET_VM, list);
}

static void register_stats(void)
{
    add_stats_callbacks(STATS_PROVIDER_PULSAR, query_stats, query_schemas);
}

opts_init(register_stats);
