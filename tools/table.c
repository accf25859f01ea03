/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar table: what disturbed one device model, in rows of 30 seconds.
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "cli.h"
#include "lookup.h"
#include "rows.h"
#include "svg.h"
#include "text.h"

static struct {
    gboolean json;
    gboolean csv;
    const char *svg;
    unsigned rows;
} opt;

static const CliOption options[] = {
    { "rows", 'n', "N", "only the last N rows, the unfinished one included",
      CLI_COUNT, &opt.rows, .min = 1, .max = PULSAR_LEDGER_ROWS },
    { "json", 'j', NULL, "print one JSON object", CLI_FLAG, &opt.json },
    { "csv", 'c', NULL, "print comma-separated values with a header",
      CLI_FLAG, &opt.csv },
    { "svg", 's', "FILE", "draw the table into FILE ('-': standard output)",
      CLI_TEXT, &opt.svg },
    { }
};

static void print_line(const char *head, const PulsarLedgerCounts *n)
{
    guint i;

    printf("%9s", head);
    for (i = 0; i < ROWS_COLUMNS; i++) {
        printf(" %9" G_GUINT64_FORMAT, rows_column(n, i));
    }
    putchar('\n');
}

static void print_table(const VmPage *vm, const Rows *rows)
{
    g_autofree char *title = vmpage_title(vm);
    g_autofree char *shown = text_shown(title);
    g_autofree char *age = text_duration(rows->seconds);
    char head[32];
    guint i;

    printf("VM %s, %s, %s\n", shown, vmpage_state(vm), age);
    printf("%9s", "30 s");
    for (i = 0; i < ROWS_COLUMNS; i++) {
        printf(" %9s", rows_column_names[i]);
    }
    putchar('\n');
    if (rows->first > 1) {
        printf("%9s\n", "...");
    }
    for (i = 0; i < rows->len; i++) {
        snprintf(head, sizeof(head), "%" G_GUINT64_FORMAT "%s",
                 rows->first + i - 1,
                 i + 1 == rows->len && rows->unfinished ? "*" : "");
        print_line(head, &rows->n[i]);
    }
    if (rows->first > 1) {
        print_line("shown", &rows->sum);
    }
    print_line("total", &vmpage_header(vm)->total);
    if (rows->unfinished) {
        puts("* not yet 30 s");
    }
}

static void print_csv(const Rows *rows)
{
    guint i, k;

    printf("row,seconds");
    for (k = 0; k < ROWS_COLUMNS; k++) {
        printf(",%s", rows_column_names[k]);
    }
    putchar('\n');
    for (i = 0; i < rows->len; i++) {
        printf("%" G_GUINT64_FORMAT ",%.3f", rows->first + i - 1,
               rows_row_seconds(rows, i));
        for (k = 0; k < ROWS_COLUMNS; k++) {
            printf(",%" G_GUINT64_FORMAT, rows_column(&rows->n[i], k));
        }
        putchar('\n');
    }
}

static void add_counts(json_object *o, const PulsarLedgerCounts *n)
{
    guint i;

    for (i = 0; i < ROWS_COLUMNS; i++) {
        json_object_object_add(o, rows_column_names[i],
                               json_object_new_uint64(rows_column(n, i)));
    }
}

static json_object *new_seconds(double value)
{
    char text[32];

    g_ascii_formatd(text, sizeof(text), "%.3f", value);
    return json_object_new_double_s(value, text);
}

/* As the page has them: those of a process that is gone, too. */
static json_object *new_threads(const VmPage *vm)
{
    const PulsarLedgerThread *threads = pulsar_ledger_threads(vm->snapshot);
    json_object *list = json_object_new_array();
    guint i;

    for (i = 0; i < vmpage_header(vm)->thread_count; i++) {
        json_object *o = json_object_new_object();
        g_autofree char *name = text_clean(threads[i].name);

        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "tid", json_object_new_int(threads[i].tid));
        json_object_object_add(o, "voluntary", json_object_new_uint64(
                                   threads[i].voluntary));
        json_object_object_add(o, "involuntary", json_object_new_uint64(
                                   threads[i].involuntary));
        json_object_array_add(list, o);
    }
    return list;
}

static void print_json(const VmPage *vm, const Rows *rows)
{
    const PulsarLedgerHeader *h = vmpage_header(vm);
    json_object *o = json_object_new_object();
    json_object *list = json_object_new_array();
    json_object *total = json_object_new_object();
    guint i;

    json_object_object_add(o, "domid", json_object_new_int(vmpage_domid(vm)));
    json_object_object_add(o, "name", json_object_new_string(vm->name));
    json_object_object_add(o, "uuid", json_object_new_string(vm->uuid));
    json_object_object_add(o, "version", json_object_new_string(vm->version));
    json_object_object_add(o, "state",
                           json_object_new_string(vmpage_state(vm)));
    json_object_object_add(o, "start", new_seconds(h->start_real_ns / 1e9));
    json_object_object_add(o, "seconds", new_seconds(rows->seconds));
    json_object_object_add(o, "row_seconds",
                           json_object_new_int(PULSAR_LEDGER_ROW_SECONDS));
    for (i = 0; i < rows->len; i++) {
        json_object *row = json_object_new_object();

        json_object_object_add(row, "row", json_object_new_uint64(
                                   rows->first + i - 1));
        json_object_object_add(row, "seconds",
                               new_seconds(rows_row_seconds(rows, i)));
        add_counts(row, &rows->n[i]);
        json_object_array_add(list, row);
    }
    json_object_object_add(o, "rows", list);
    add_counts(total, &h->total);
    json_object_object_add(o, "total", total);
    json_object_object_add(o, "threads", new_threads(vm));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(VmPage) vm = NULL;
    g_autofree char *svg = NULL;
    Rows rows;

    if (!args[0] || args[1]) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar table' takes one VM, by domain id, name, UUID or "
                    "ledger page, and was given %u",
                    g_strv_length(args));
        return FALSE;
    }
    if (opt.json + opt.csv + !!opt.svg > 1) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "only one of --json, --csv and --svg is accepted");
        return FALSE;
    }
    vm = lookup_page(args[0], errp);
    if (!vm) {
        return FALSE;
    }
    rows_read(&rows, vm, opt.rows ? opt.rows : PULSAR_LEDGER_ROWS);
    if (opt.svg) {
        svg = svg_table(vm, &rows);
        return cli_write_file(opt.svg, svg, errp);
    }
    if (opt.json) {
        print_json(vm, &rows);
    } else if (opt.csv) {
        print_csv(&rows);
    } else {
        print_table(vm, &rows);
    }
    return cli_flush(errp);
}

const CliCommand cmd_table = {
    .name = "table",
    .args = "VM",
    .summary = "what disturbed one device model, in rows of 30 seconds",
    .text = "Prints how often the device model of VM (a domain id, a name, a "
            "UUID or the file of a ledger page) was disturbed in each 30 "
            "seconds since it started: wakes of its main loop, timers run, "
            "reads and writes of the guest served, how many of the writes "
            "came through the buffered ring, and other events. The page "
            "remembers the last 128 rows.",
    .options = options,
    .run = run,
};
