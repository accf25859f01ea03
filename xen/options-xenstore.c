/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of a domain in xenstore, below its platform directory, which
 * the guest cannot write; and the names by which pulsar.conf may call it.
 */
#include "qemu/osdep.h"
#include <xenstore.h>
#include "options-glue.h"

static char *read_node(struct xs_handle *xs, const char *path, unsigned *len)
{
    unsigned unused;

    return xs_read(xs, XBT_NULL, path, len ?: &unused);
}

static bool read_platform(struct xs_handle *xs, const char *home,
                          PulsarOptions *o, char **ret_error)
{
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *opt = &pulsar_option_table[i];
        g_autofree char *path = NULL;
        unsigned len;
        char *value;
        bool ok;

        if (!opt->platform_key) {
            continue;
        }
        path = g_strdup_printf("%s/platform/%s", home, opt->platform_key);
        value = read_node(xs, path, &len);
        if (!value && errno == ENOENT) {
            continue;
        }
        if (!value) {
            *ret_error = g_strdup_printf("xenstore %s cannot be read: %s",
                                         path, strerror(errno));
            return false;
        }
        ok = pulsar_options_add_platform(o, opt, path, value, len, ret_error);
        free(value);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* The UUID is the last part of the path in DOMAIN/vm. */
static char *read_uuid(struct xs_handle *xs, const char *home)
{
    g_autofree char *path = g_strdup_printf("%s/vm", home);
    char *vm = read_node(xs, path, NULL);
    char *uuid = NULL;

    if (vm && g_str_has_prefix(vm, "/vm/")) {
        /* A domain that is migrated to its own host has "-1" behind it. */
        uuid = g_strndup(vm + strlen("/vm/"), 36);
    }
    free(vm);
    return uuid;
}

static char *read_name(struct xs_handle *xs, const char *home)
{
    g_autofree char *path = g_strdup_printf("%s/name", home);
    char *value = read_node(xs, path, NULL);
    char *name = g_strdup(value);

    free(value);
    return name;
}

bool pulsar_options_add_xenstore(PulsarOptions *o, unsigned domid,
                                 char **ret_name, char **ret_uuid,
                                 char **ret_error)
{
    g_autofree char *home = g_strdup_printf("/local/domain/%u", domid);
    struct xs_handle *xs = xs_open(0);
    bool ok;

    if (!xs) {
        *ret_error = g_strdup_printf("xenstore cannot be reached for the "
                                     "options in %s/platform: %s", home,
                                     strerror(errno));
        return false;
    }
    ok = read_platform(xs, home, o, ret_error);
    if (ok) {
        *ret_name = read_name(xs, home);
        *ret_uuid = read_uuid(xs, home);
    }
    xs_close(xs);
    return ok;
}
