/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the sampled VMs the user means.
 */
#ifndef PULSAR_SELECT_H
#define PULSAR_SELECT_H

#include "vm.h"

/**
 * select_vms: the VMs that are to be shown
 * @set: what was sampled
 * @wanted: names, domain ids and UUIDs, char *; NULL or empty for all
 *
 * Returns: Vm that belong to @set; free with g_ptr_array_unref().
 */
GPtrArray *select_vms(VmSet *set, GPtrArray *wanted);

/**
 * select_check: is every VM that was asked for there?
 *
 * Returns: FALSE with an error that names the first one that is not.
 */
gboolean select_check(VmSet *set, GPtrArray *wanted, GError **errp);

/** select_none: say that there is no VM; always FALSE. */
gboolean select_none(gboolean with_stock, GError **errp);

#endif /* PULSAR_SELECT_H */
