/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the options of a VM and QEMU: see options-glue.c.
 */
#ifndef PULSAR_OPTIONS_GLUE_H
#define PULSAR_OPTIONS_GLUE_H

#include "options.h"

/**
 * pulsar_options_add_xenstore: what xenstore says about a domain
 * @o: the set
 * @domid: the domain
 * @ret_name: its name, or NULL when xenstore does not know; to g_free()
 * @ret_uuid: its UUID, likewise
 * @ret_error: on failure a sentence without a full stop, to g_free()
 *
 * Opens a connection of its own and closes it again.
 */
bool pulsar_options_add_xenstore(PulsarOptions *o, unsigned domid,
                                 char **ret_name, char **ret_uuid,
                                 char **ret_error);

/**
 * pulsar_options_set_running: change an option while the VM runs
 * @key: its name
 * @value: its new value
 * @ret_id: which option it was
 *
 * Changes the hardware and publishes the new value.
 *
 * Returns: false with @errp set, and nothing changed.
 */
bool pulsar_options_set_running(const char *key, const char *value,
                                PulsarOptionId *ret_id, Error **errp);

/**
 * pulsar_domain_gone: does xenstore know a domain no more?
 * @domid: the domain
 *
 * Opens a connection of its own and closes it again. Any thread.
 *
 * Returns: false in doubt.
 */
bool pulsar_domain_gone(int domid);

#endif /* PULSAR_OPTIONS_GLUE_H */
