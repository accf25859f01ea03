/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was seen of the VMs, as columns for people and as formats for
 * programs.
 */
#ifndef PULSAR_REPORT_H
#define PULSAR_REPORT_H

#include "vm.h"

/** struct Column: one column of the list of VMs */
typedef struct Column {
    const char *key;        /* for --sort */
    const char *title;
    int width;              /* 0: what is left of the line */
    gboolean left;          /* text, not a number */
    char *(*text)(const Vm *vm);
    gint (*compare)(const Vm *a, const Vm *b); /* in the order shown first */
} Column;

/** report_columns: all of them, from left to right; ends with key NULL. */
extern const Column report_columns[];

/** report_sort_keys: the keys of report_columns, NULL-ended. */
extern const char *const report_sort_keys[];

/** report_column: the column with that key. */
const Column *report_column(const char *key);

/** report_sort: put @vms in the order of @column, equals by domain id. */
void report_sort(GPtrArray *vms, const Column *column, gboolean reverse);

/**
 * report_fit: which columns a line of @width columns has room for
 * @keep: one that is shown anyhow: that by which they are sorted
 *
 * What woke a VM, the last column, tells most: others make room for it.
 *
 * Returns: a bit for each of report_columns.
 */
guint report_fit(int width, const Column *keep);

/** REPORT_ALL: every column. */
#define REPORT_ALL  G_MAXUINT

/**
 * report_line: one line of the list
 * @vm: the VM, or NULL for the titles
 * @columns: which of them, see report_fit()
 *
 * Returns: as long as it takes; to be freed with g_free().
 */
char *report_line(const Vm *vm, guint columns);

/** report_summary: how many VMs there are and what they do, in one line. */
char *report_summary(GPtrArray *vms);

/** report_cause_line: what a cause did in the interval, for below its VM. */
char *report_cause_line(const Vm *vm, const VmCause *c, int width);

/** report_json: one line; @when is the time in seconds since 1970. */
char *report_json(const Vm *vm, double when);

/** report_csv: one line, or the header for @vm NULL. */
char *report_csv(const Vm *vm, double when);

/** report_prometheus: counters of each domain, for node_exporter. */
char *report_prometheus(GPtrArray *all);

#endif /* PULSAR_REPORT_H */
