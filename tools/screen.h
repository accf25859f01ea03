/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar top on a terminal.
 */
#ifndef PULSAR_SCREEN_H
#define PULSAR_SCREEN_H

#include "report.h"

/** struct ScreenSettings: what the screen begins with */
typedef struct ScreenSettings {
    double interval;
    const Column *sort;
    gboolean reverse;
    GPtrArray *wanted;      /* see select_vms() */
} ScreenSettings;

/**
 * screen_run: show the VMs on this terminal until the user leaves
 * @set: already sampled once
 */
gboolean screen_run(VmSet *set, ScreenSettings *settings, GError **errp);

#endif /* PULSAR_SCREEN_H */
