/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PULSAR_SETTINGS_H
#define PULSAR_SETTINGS_H

#include <glib.h>

/** struct Setting: one effective option, clean */
typedef struct Setting {
    char *key, *value, *source;
} Setting;

/**
 * settings_parse: the options in a ledger page's text
 * @text: lines "key=value<TAB>source"; others are passed over
 *
 * Returns: Setting; to be freed with g_ptr_array_unref().
 */
GPtrArray *settings_parse(const char *text);

/** settings_value: the value of @key in @text, or NULL; to be freed. */
char *settings_value(const char *text, const char *key);

/**
 * settings_fits_conf: can a VM of this name stand in pulsar.conf?
 * @name: clean
 */
gboolean settings_fits_conf(const char *name);

#endif /* PULSAR_SETTINGS_H */
