/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on the merging of options: the command line, xenstore and
 * pulsar.conf may be read in any order, and what one of them is told does not
 * change what is said of another.
 *
 * An input is parts that a NUL ends. The first byte of each says what it is: a
 * row of the table for a platform key, 'a' for an argument of -pulsar, 'c' for
 * pulsar.conf (a later one adds to it). Built by tests/fuzz/check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tests/fuzz/conf-file.h"
#include "xen/options.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

enum { ARGS, PLATFORM, CONF, SOURCES };

static bool add(PulsarOptions *o, int source, const char *part, char **error)
{
    const PulsarOption *opt;
    g_autofree char *path = NULL;

    switch (source) {
    case ARGS:
        return pulsar_options_add_args(o, part + 1, error);
    case CONF:
        return pulsar_options_add_conf(o, conf_file(part + 1, strlen(part + 1)),
                                       true, "web",
                                       "6b3c1f0e-3f8e-4d0e-9a51-0123456789ab",
                                       NULL, error);
    }
    opt = &pulsar_option_table[(uint8_t)part[0] % PULSAR_OPTION__MAX];
    path = g_strconcat("/local/domain/7/platform/",
                       opt->platform_key ?: "none", NULL);
    return !opt->platform_key ||
           pulsar_options_add_platform(o, opt, path, part + 1,
                                       strlen(part + 1), error);
}

static int source_of(const char *part)
{
    return part[0] == 'a' ? ARGS : part[0] == 'c' ? CONF : PLATFORM;
}

/* All parts, source by source in this order; what was said, part by part. */
static PulsarOptions *merge(GPtrArray *parts, const int *order,
                            GPtrArray *said)
{
    PulsarOptions *o = pulsar_options_new();
    int i;
    guint n;

    g_ptr_array_set_size(said, parts->len);
    for (i = 0; i < SOURCES; i++) {
        for (n = 0; n < parts->len; n++) {
            g_autofree char *before = pulsar_options_render(o);
            g_autofree char *after = NULL;
            char *error = NULL;
            bool ok;

            if (source_of(parts->pdata[n]) != order[i]) {
                continue;
            }
            ok = add(o, order[i], parts->pdata[n], &error);
            after = pulsar_options_render(o);
            CHECK(ok == !error);
            CHECK(ok || !strcmp(before, after));
            said->pdata[n] = error;
        }
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int orders[][SOURCES] = {
        { ARGS, PLATFORM, CONF }, { CONF, PLATFORM, ARGS },
        { PLATFORM, CONF, ARGS },
    };
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) first = NULL;
    g_autofree char *merged = NULL;
    const char *part, *end = (const char *)data + size;
    size_t i;
    guint n;

    for (part = (const char *)data; part < end && parts->len < 8; ) {
        char *copy = g_strndup(part, end - part);

        part += strlen(copy) + 1;
        if (*copy) {
            g_ptr_array_add(parts, copy);
        } else {
            g_free(copy);
        }
    }
    for (i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autoptr(GPtrArray) said = g_ptr_array_new_with_free_func(g_free);
        PulsarOptions *o = merge(parts, orders[i], said);
        g_autofree char *result = pulsar_options_render(o);

        pulsar_options_free(o);
        if (!i) {
            merged = g_steal_pointer(&result);
            first = g_steal_pointer(&said);
            continue;
        }
        CHECK(!strcmp(merged, result));
        for (n = 0; n < parts->len; n++) {
            CHECK(!g_strcmp0(first->pdata[n], said->pdata[n]));
        }
    }
    return 0;
}
