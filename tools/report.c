/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was seen of the VMs. Each figure is of the interval, never since the
 * VM was started; only Prometheus wants counters and makes rates itself.
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "report.h"
#include "text.h"

/* ---- columns --------------------------------------------------------- */

static gboolean has_rate(const Vm *vm)
{
    return vm->interval > 0;
}

static gboolean has_columns(const Vm *vm)
{
    return has_rate(vm) && !vm->stock;
}

static char *dash(void)
{
    return g_strdup("-");
}

static char *domid_text(const Vm *vm)
{
    return g_strdup_printf("%d", vm->domid);
}

static char *name_text(const Vm *vm)
{
    return text_shown(vm->name);
}

static char *wakes_text(const Vm *vm)
{
    return has_rate(vm) ? text_rate(vm_rate(vm, vm->new_wakes)) : dash();
}

static char *recent_text(const Vm *vm)
{
    return vm->recent_known ? text_rate(vm->recent_rate) : dash();
}

static char *timer_text(const Vm *vm)
{
    return has_columns(vm) ? text_rate(vm_rate(vm, vm->new_total.timer))
                           : dash();
}

static char *read_text(const Vm *vm)
{
    return has_columns(vm) ? text_rate(vm_rate(vm, vm->new_total.read))
                           : dash();
}

static char *write_text(const Vm *vm)
{
    return has_columns(vm) ? text_rate(vm_rate(vm, vm->new_total.write))
                           : dash();
}

static double cpu_percent(const Vm *vm)
{
    return vm_rate(vm, vm->new_cpu_ns) / 1e7;
}

static char *cpu_text(const Vm *vm)
{
    return has_rate(vm) && vm->process_known ? text_rate(cpu_percent(vm))
                                             : dash();
}

static char *memory_text(const Vm *vm)
{
    return vm->process_known ? text_memory(vm->private_kib) : dash();
}

static char *threads_text(const Vm *vm)
{
    return vm->threads_known ? g_strdup_printf("%u", vm->threads) : dash();
}

static char *cause_text(const Vm *vm)
{
    const VmCause *top = vm_top_cause(vm);
    g_autofree char *cause = NULL;

    if (vm->trouble) {
        return text_shown(vm->trouble);
    }
    if (strcmp(vm->state, "running")) {
        return g_strdup_printf("(%s)", vm->state);
    }
    if (!has_rate(vm)) {
        cause = dash();
    } else if (vm->new_wakes && top) {
        cause = text_shown(top->name);
    } else {
        cause = g_strdup(vm->new_wakes ? "-" : "asleep");
    }
    return g_strconcat(cause, vm->outdated ? " (old program)" : "", NULL);
}

static gint greater_first(double a, double b)
{
    return (a < b) - (a > b);
}

static gint by_domid(const Vm *a, const Vm *b)
{
    return (a->domid > b->domid) - (a->domid < b->domid);
}

static gint by_name(const Vm *a, const Vm *b)
{
    return g_utf8_collate(a->name, b->name);
}

/* Those of which no rate is known come last. */
static double rate_or_less(const Vm *vm, guint64 count)
{
    return has_rate(vm) ? vm_rate(vm, count) : -1;
}

static gint by_wakes(const Vm *a, const Vm *b)
{
    return greater_first(rate_or_less(a, a->new_wakes),
                         rate_or_less(b, b->new_wakes));
}

static gint by_recent(const Vm *a, const Vm *b)
{
    return greater_first(a->recent_known ? a->recent_rate : -1,
                         b->recent_known ? b->recent_rate : -1);
}

static gint by_timer(const Vm *a, const Vm *b)
{
    return greater_first(rate_or_less(a, a->new_total.timer),
                         rate_or_less(b, b->new_total.timer));
}

static gint by_read(const Vm *a, const Vm *b)
{
    return greater_first(rate_or_less(a, a->new_total.read),
                         rate_or_less(b, b->new_total.read));
}

static gint by_write(const Vm *a, const Vm *b)
{
    return greater_first(rate_or_less(a, a->new_total.write),
                         rate_or_less(b, b->new_total.write));
}

static gint by_cpu(const Vm *a, const Vm *b)
{
    return greater_first(rate_or_less(a, a->new_cpu_ns),
                         rate_or_less(b, b->new_cpu_ns));
}

static gint by_memory(const Vm *a, const Vm *b)
{
    return greater_first(a->private_kib, b->private_kib);
}

static gint by_threads(const Vm *a, const Vm *b)
{
    return greater_first(a->threads, b->threads);
}

static gint by_cause(const Vm *a, const Vm *b)
{
    g_autofree char *x = cause_text(a);
    g_autofree char *y = cause_text(b);

    return strcmp(x, y);
}

const Column report_columns[] = {
    { "domid", "DOMID", 5, FALSE, domid_text, by_domid },
    { "name", "NAME", 20, TRUE, name_text, by_name },
    { "wakes", "WAKES/s", 7, FALSE, wakes_text, by_wakes },
    { "5min", "5MIN/s", 6, FALSE, recent_text, by_recent },
    { "timer", "TIMER/s", 7, FALSE, timer_text, by_timer },
    { "read", "READ/s", 6, FALSE, read_text, by_read },
    { "write", "WRITE/s", 7, FALSE, write_text, by_write },
    { "cpu", "CPU%", 5, FALSE, cpu_text, by_cpu },
    { "memory", "PRIVATE", 7, FALSE, memory_text, by_memory },
    { "threads", "THR", 3, FALSE, threads_text, by_threads },
    { "cause", "TOP CAUSE", 0, TRUE, cause_text, by_cause },
    { }
};

const char *const report_sort_keys[] = {
    "domid", "name", "wakes", "5min", "timer", "read", "write", "cpu",
    "memory", "threads", "cause", NULL
};

const Column *report_column(const char *key)
{
    const Column *c = report_columns;

    while (strcmp(c->key, key)) {
        c++;
    }
    return c;
}

typedef struct Order {
    const Column *column;
    gboolean reverse;
} Order;

static gint compare_vms(gconstpointer a, gconstpointer b, gpointer opaque)
{
    const Vm *x = *(Vm *const *)a, *y = *(Vm *const *)b;
    const Order *order = opaque;
    gint r = order->column->compare(x, y);

    return r ? (order->reverse ? -r : r) : by_domid(x, y);
}

void report_sort(GPtrArray *vms, const Column *column, gboolean reverse)
{
    Order order = { column, reverse };

    g_ptr_array_sort_with_data(vms, compare_vms, &order);
}

/* Columns that make room, the least telling first. */
static const char *const dispensable[] = {
    "threads", "memory", "5min", "cpu", "write", "read", "timer", "domid",
};

#define CAUSE_WIDTH  24     /* enough for most names */

guint report_fit(int width, const Column *keep)
{
    guint columns = REPORT_ALL, i;
    int used = CAUSE_WIDTH;
    const Column *c;

    for (c = report_columns; c->width; c++) {
        used += c->width + 1;
    }
    for (i = 0; used > width && i < G_N_ELEMENTS(dispensable); i++) {
        c = report_column(dispensable[i]);
        if (c != keep) {
            columns &= ~(1u << (c - report_columns));
            used -= c->width + 1;
        }
    }
    return columns;
}

char *report_line(const Vm *vm, guint columns)
{
    GString *line = g_string_new(NULL);
    const Column *c;

    for (c = report_columns; c->key; c++) {
        g_autofree char *text = NULL;
        g_autofree char *cell = NULL;

        if (!(columns & (1u << (c - report_columns)))) {
            continue;
        }
        text = vm ? c->text(vm) : g_strdup(c->title);
        if (line->len) {
            g_string_append_c(line, ' ');
        }
        if (!c->width) {
            g_string_append(line, text);
        } else if (c->left) {
            cell = text_fit(text, c->width);
            g_string_append(line, cell);
        } else {
            g_string_append_printf(line, "%*s%s",
                                   MAX(c->width - text_width(text), 0), "",
                                   text);
        }
    }
    return g_string_free(line, FALSE);
}

char *report_summary(GPtrArray *vms)
{
    guint i, asleep = 0, known = 0, pages = 0, gone = 0, outdated = 0;
    double wakes = 0, cpu = 0;
    g_autofree char *rate = NULL;
    g_autofree char *percent = NULL;
    GString *s;

    for (i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        pages += !vm->stock;
        gone += !strcmp(vm->state, "crashed");
        outdated += vm->outdated;
        if (has_rate(vm)) {
            known++;
            asleep += !vm->new_wakes;
            wakes += vm_rate(vm, vm->new_wakes);
            cpu += cpu_percent(vm);
        }
    }
    rate = text_rate(wakes);
    percent = text_rate(cpu);
    s = g_string_new(NULL);
    g_string_append_printf(s, "%u VM%s (%u under Pulsar, %u stock): %u asleep, "
                           "%u awake", vms->len, vms->len == 1 ? "" : "s",
                           pages, vms->len - pages, asleep, known - asleep);
    if (gone) {
        g_string_append_printf(s, ", %u crashed", gone);
    }
    if (outdated) {
        g_string_append_printf(s, ", %u with an old program", outdated);
    }
    g_string_append_printf(s, "; %s wakes/s, %s%% CPU", rate, percent);
    return g_string_free(s, FALSE);
}

char *report_cause_line(const Vm *vm, const VmCause *c, int width)
{
    g_autofree char *wakes = text_rate(vm_rate(vm, c->new_wakes));
    g_autofree char *events = text_rate(vm_rate(vm, c->new_events));
    g_autofree char *busy = text_rate(vm_rate(vm, c->new_busy_ns) / 1e3);
    g_autofree char *shown = text_shown(c->name);
    g_autofree char *name = text_fit(shown, 40);
    g_autofree char *line = NULL;

    line = g_strdup_printf("      %s %7s wakes/s %7s events/s %7s us/s",
                           name, wakes, events, busy);
    return width >= 0 && text_width(line) > width ? text_fit(line, width)
                                                  : g_steal_pointer(&line);
}

/* ---- for programs ---------------------------------------------------- */

static json_object *new_number(gboolean known, double value)
{
    char text[64];

    if (!known) {
        return NULL;
    }
    g_ascii_formatd(text, sizeof(text), "%.3f", value);
    return json_object_new_double_s(value, text);
}

static json_object *new_text(const char *text)
{
    return text && *text ? json_object_new_string(text) : NULL;
}

/* The fields of a VM, in the order of the CSV's columns. */
static json_object *fields(const Vm *vm, double when)
{
    json_object *o = json_object_new_object();
    const VmCause *top = vm->new_wakes ? vm_top_cause(vm) : NULL;
    gboolean rate = has_rate(vm), columns = has_columns(vm);
    const struct {
        const char *key;
        guint64 count;
    } rates[] = {
        { "timer_per_s", vm->new_total.timer },
        { "read_per_s", vm->new_total.read },
        { "write_per_s", vm->new_total.write },
        { "buffered_per_s", vm->new_total.buffered },
        { "event_per_s", vm->new_total.event },
    };
    guint i;

#define ADD(key, value) json_object_object_add(o, key, value)
    ADD("time", new_number(TRUE, when));
    ADD("interval", new_number(rate, vm->interval));
    ADD("domid", json_object_new_int(vm->domid));
    ADD("name", json_object_new_string(vm->name));
    ADD("uuid", json_object_new_string(vm->uuid));
    ADD("kind", json_object_new_string(vm->stock ? "stock" : "pulsar"));
    ADD("state", json_object_new_string(vm->state));
    ADD("pid", vm->pid ? json_object_new_int(vm->pid) : NULL);
    ADD("outdated", json_object_new_boolean(vm->outdated));
    ADD("wakes", rate ? json_object_new_uint64(vm->new_wakes) : NULL);
    ADD("wakes_per_s", new_number(rate, vm_rate(vm, vm->new_wakes)));
    ADD("wakes_5min_per_s", new_number(vm->recent_known, vm->recent_rate));
    ADD("main_loop_wakes", columns ?
        json_object_new_uint64(vm->new_total.wakes) : NULL);
    for (i = 0; i < G_N_ELEMENTS(rates); i++) {
        ADD(rates[i].key, new_number(columns, vm_rate(vm, rates[i].count)));
    }
    ADD("cpu_percent", new_number(rate && vm->process_known,
                                  cpu_percent(vm)));
    ADD("private_kib", vm->process_known ?
        json_object_new_uint64(vm->private_kib) : NULL);
    ADD("threads", vm->threads_known ? json_object_new_int(vm->threads)
                                     : NULL);
    ADD("switches", rate && vm->threads_known ?
        json_object_new_uint64(vm->new_switches) : NULL);
    ADD("top_cause", new_text(top ? top->name : NULL));
#undef ADD
    return o;
}

static json_object *causes_array(const Vm *vm)
{
    g_autoptr(GPtrArray) causes = vm_causes(vm, TRUE);
    json_object *list = json_object_new_array();
    guint i;

    for (i = 0; i < causes->len; i++) {
        const VmCause *c = causes->pdata[i];
        json_object *one = json_object_new_object();

        json_object_object_add(one, "cause", json_object_new_string(c->name));
        json_object_object_add(one, "wakes",
                               json_object_new_uint64(c->new_wakes));
        json_object_object_add(one, "events",
                               json_object_new_uint64(c->new_events));
        json_object_object_add(one, "busy_ns",
                               json_object_new_uint64(c->new_busy_ns));
        json_object_array_add(list, one);
    }
    return list;
}

char *report_json(const Vm *vm, double when)
{
    json_object *o = fields(vm, when);
    char *line;

    json_object_object_add(o, "causes", causes_array(vm));
    if (vm->trouble) {
        g_autofree char *clean = text_clean(vm->trouble);

        json_object_object_add(o, "error", json_object_new_string(clean));
    }
    line = g_strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return line;
}

static void append_csv(GString *line, const char *text)
{
    const char *p;

    if (!strpbrk(text, ",\"\n")) {
        g_string_append(line, text);
        return;
    }
    g_string_append_c(line, '"');
    for (p = text; *p; p++) {
        g_string_append_printf(line, *p == '"' ? "\"%c" : "%c", *p);
    }
    g_string_append_c(line, '"');
}

char *report_csv(const Vm *vm, double when)
{
    static const Vm nobody = { .name = "", .uuid = "", .state = "" };
    Vm none = nobody;
    g_autoptr(GPtrArray) empty = g_ptr_array_new();
    GString *line = g_string_new(NULL);
    json_object *o;

    none.page_causes = none.thread_causes = empty;
    o = fields(vm ? vm : &none, when);
    json_object_object_foreach(o, key, value) {
        if (line->len) {
            g_string_append_c(line, ',');
        }
        if (!vm) {
            g_string_append(line, key);
        } else if (value) {
            append_csv(line, json_object_get_string(value));
        }
    }
    json_object_put(o);
    return g_string_free(line, FALSE);
}

/* A label's value, in quotes. */
static void append_label(GString *s, const char *key, const char *value)
{
    g_string_append_printf(s, "%s=\"", key);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"') {
            g_string_append_c(s, '\\');
        }
        g_string_append_c(s, *value);
    }
    g_string_append_c(s, '"');
}

static void append_sample(GString *s, const char *metric, const Vm *vm,
                          const char *key, const char *value)
{
    g_autofree char *domid = g_strdup_printf("%d", vm->domid);

    g_string_append_printf(s, "%s{", metric);
    append_label(s, "domain", vm->name);
    g_string_append_c(s, ',');
    append_label(s, "domid", domid);
    g_string_append_c(s, ',');
    append_label(s, "uuid", vm->uuid);
    if (key) {
        g_string_append_c(s, ',');
        append_label(s, key, value);
    }
    g_string_append(s, "} ");
}

static void append_head(GString *s, const char *metric, const char *type,
                        const char *help)
{
    g_string_append_printf(s, "# HELP %s %s\n# TYPE %s %s\n", metric, help,
                           metric, type);
}

/* Two causes of one name are one series. */
static void append_wakes(GString *s, const Vm *vm, const char *metric)
{
    g_autoptr(GPtrArray) causes = vm_causes(vm, FALSE);
    g_autoptr(GHashTable) sums = g_hash_table_new_full(g_str_hash, g_str_equal,
                                                       NULL, g_free);
    guint64 *sum;
    guint i;

    for (i = 0; i < causes->len; i++) {
        const VmCause *c = causes->pdata[i];

        sum = g_hash_table_lookup(sums, c->name);
        if (!sum) {
            sum = g_new0(guint64, 1);
            g_hash_table_insert(sums, c->name, sum);
        }
        *sum += c->wakes;
    }
    for (i = 0; i < causes->len; i++) {
        const VmCause *c = causes->pdata[i];

        sum = g_hash_table_lookup(sums, c->name);
        if (*sum) {
            append_sample(s, metric, vm, "cause", c->name);
            g_string_append_printf(s, "%" G_GUINT64_FORMAT "\n", *sum);
            *sum = 0;
        }
    }
}

static void append_events(GString *s, const Vm *vm, const char *metric)
{
    const struct {
        const char *type;
        guint64 count;
    } kinds[] = {
        { "timer", vm->total.timer },
        { "read", vm->total.read },
        { "write", vm->total.write },
        { "other", vm->total.event },
    };
    guint i;

    for (i = 0; !vm->stock && i < G_N_ELEMENTS(kinds); i++) {
        append_sample(s, metric, vm, "type", kinds[i].type);
        g_string_append_printf(s, "%" G_GUINT64_FORMAT "\n", kinds[i].count);
    }
}

static void append_cpu(GString *s, const Vm *vm, const char *metric)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (vm->process_known) {
        append_sample(s, metric, vm, NULL, NULL);
        g_string_append_printf(s, "%s\n",
                               g_ascii_formatd(text, sizeof(text), "%.6f",
                                               vm->cpu_ns / 1e9));
    }
}

static void append_switches(GString *s, const Vm *vm, const char *metric)
{
    if (vm->threads_known) {
        append_sample(s, metric, vm, NULL, NULL);
        g_string_append_printf(s, "%" G_GUINT64_FORMAT "\n", vm->switches);
    }
}

static void append_memory(GString *s, const Vm *vm, const char *metric)
{
    if (vm->process_known) {
        append_sample(s, metric, vm, NULL, NULL);
        g_string_append_printf(s, "%" G_GUINT64_FORMAT "\n",
                               vm->private_kib * 1024);
    }
}

static void append_threads(GString *s, const Vm *vm, const char *metric)
{
    if (vm->threads_known) {
        append_sample(s, metric, vm, NULL, NULL);
        g_string_append_printf(s, "%u\n", vm->threads);
    }
}

static void append_up(GString *s, const Vm *vm, const char *metric)
{
    append_sample(s, metric, vm, "kind", vm->stock ? "stock" : "pulsar");
    g_string_append_printf(s, "%d\n", !strcmp(vm->state, "running"));
}

/*
 * Of those that have one domain id: who runs, whose page is where pages are,
 * who counts its own wakes; else the older number, whatever the order of the
 * list, for a series is not to change hands.
 */
static gboolean speaks_for_domain(const Vm *vm, const Vm *other)
{
    const Vm *both[] = { vm, other };
    guint rank[2], i;

    for (i = 0; i < 2; i++) {
        rank[i] = 4 * !strcmp(both[i]->state, "running") +
                  2 * both[i]->in_folder + !both[i]->stock;
    }
    return rank[0] != rank[1] ? rank[0] > rank[1] : vm->pid < other->pid;
}

/* A domain is one series, however many processes say that they serve it. */
static GPtrArray *one_a_domain(GPtrArray *vms)
{
    GPtrArray *ret = g_ptr_array_new();
    guint i, k;

    for (i = 0; i < vms->len; i++) {
        Vm *vm = vms->pdata[i];

        for (k = 0; k < ret->len; k++) {
            if (((Vm *)ret->pdata[k])->domid == vm->domid) {
                break;
            }
        }
        if (k == ret->len) {
            g_ptr_array_add(ret, vm);
        } else if (speaks_for_domain(vm, ret->pdata[k])) {
            ret->pdata[k] = vm;
        }
    }
    return ret;
}

char *report_prometheus(GPtrArray *all)
{
    static const struct {
        const char *metric, *type, *help;
        void (*append)(GString *s, const Vm *vm, const char *metric);
    } metrics[] = {
        { "xen_dm_up", "gauge",
          "Whether the device model runs (0: it crashed or is unreadable).",
          append_up },
        { "xen_dm_wakeups_total", "counter",
          "Wakes of the device model since it was started, by cause.",
          append_wakes },
        { "xen_dm_events_total", "counter",
          "What the device model did since it was started.", append_events },
        { "xen_dm_context_switches_total", "counter",
          "Context switches of the device model's threads.",
          append_switches },
        { "xen_dm_cpu_seconds_total", "counter",
          "Processor time used by the device model.", append_cpu },
        { "xen_dm_memory_private_bytes", "gauge",
          "Memory that only this device model uses.", append_memory },
        { "xen_dm_threads", "gauge", "Threads of the device model.",
          append_threads },
    };
    g_autoptr(GPtrArray) vms = one_a_domain(all);
    GString *s = g_string_new(NULL);
    guint i, k;

    for (i = 0; i < G_N_ELEMENTS(metrics); i++) {
        append_head(s, metrics[i].metric, metrics[i].type, metrics[i].help);
        for (k = 0; k < vms->len; k++) {
            metrics[i].append(s, vms->pdata[k], metrics[i].metric);
        }
    }
    return g_string_free(s, FALSE);
}
