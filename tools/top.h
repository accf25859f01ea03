/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar top: what its parts share.
 */
#ifndef PULSAR_TOP_H
#define PULSAR_TOP_H

#include "report.h"

#define TOP_INTERVAL_MIN  0.1
#define TOP_INTERVAL_MAX  3600

/**
 * top_select: the VMs that are to be shown
 * @set: what was sampled
 * @wanted: names, domain ids and UUIDs, char *; NULL or empty for all
 *
 * Returns: Vm that belong to @set; free with g_ptr_array_unref().
 */
GPtrArray *top_select(VmSet *set, GPtrArray *wanted);

/**
 * top_check_wanted: is every VM that was asked for there?
 *
 * Returns: FALSE with an error that names the first one that is not.
 */
gboolean top_check_wanted(VmSet *set, GPtrArray *wanted, GError **errp);

/** top_none: say that there is no VM; always FALSE. */
gboolean top_none(gboolean with_stock, GError **errp);

/** top_wait: let @seconds pass. */
void top_wait(double seconds);

/** struct TopSettings: what the interactive screen begins with */
typedef struct TopSettings {
    double interval;
    const Column *sort;
    gboolean reverse;
    GPtrArray *wanted;
} TopSettings;

/**
 * top_screen: show the VMs on this terminal until the user leaves
 * @set: already sampled once
 */
gboolean top_screen(VmSet *set, TopSettings *settings, GError **errp);

#endif /* PULSAR_TOP_H */
