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

static bool read_key(struct xs_handle *xs, const char *home, const char *key,
                     PulsarOptions *o, const PulsarOption *opt,
                     char **ret_error)
{
    g_autofree char *path = NULL;
    unsigned len;
    char *value;
    bool ok;

    if (!key) {
        return true;
    }
    path = g_strdup_printf("%s/platform/%s", home, key);
    value = read_node(xs, path, &len);
    if (!value && errno == ENOENT) {
        return true;
    }
    if (!value) {
        *ret_error = g_strdup_printf("xenstore %s cannot be read: %s", path,
                                     strerror(errno));
        return false;
    }
    ok = pulsar_options_add_platform(o, opt, path, value, len, ret_error);
    free(value);
    return ok;
}

static bool read_platform(struct xs_handle *xs, const char *home,
                          PulsarOptions *o, char **ret_error)
{
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *opt = &pulsar_option_table[i];

        if (!read_key(xs, home, opt->platform_key, o, opt, ret_error) ||
            !read_key(xs, home, opt->platform_word, o, opt, ret_error)) {
            return false;
        }
    }
    return true;
}

/* A node that need not be there: @ret_value is NULL then. */
static bool read_home(struct xs_handle *xs, const char *home,
                      const char *node, char **ret_value, char **ret_error)
{
    g_autofree char *path = g_strdup_printf("%s/%s", home, node);
    char *value = read_node(xs, path, NULL);

    if (!value && errno != ENOENT) {
        *ret_error = g_strdup_printf("xenstore %s cannot be read: %s", path,
                                     strerror(errno));
        return false;
    }
    *ret_value = g_strdup(value);
    free(value);
    return true;
}

/* By which names pulsar.conf may call the VM. */
static bool read_names(struct xs_handle *xs, const char *home,
                       char **ret_name, char **ret_uuid, char **ret_error)
{
    g_autofree char *name = NULL;
    g_autofree char *vm = NULL;

    if (!read_home(xs, home, "name", &name, ret_error) ||
        !read_home(xs, home, "vm", &vm, ret_error)) {
        return false;
    }
    /*
     * The UUID is the last part of the path there. A domain that is migrated
     * to its own host has "-1" behind it.
     */
    if (vm && g_str_has_prefix(vm, "/vm/")) {
        *ret_uuid = g_strndup(vm + strlen("/vm/"), 36);
    }
    *ret_name = g_steal_pointer(&name);
    return true;
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
    ok = read_platform(xs, home, o, ret_error) &&
         read_names(xs, home, ret_name, ret_uuid, ret_error);
    xs_close(xs);
    return ok;
}

bool pulsar_domain_gone(int domid)
{
    g_autofree char *home = g_strdup_printf("/local/domain/%d", domid);
    struct xs_handle *xs = xs_open(0);
    unsigned n;
    char **nodes;
    bool gone;

    if (!xs) {
        return false;
    }
    nodes = xs_directory(xs, XBT_NULL, home, &n);
    gone = !nodes && errno == ENOENT;
    free(nodes);
    xs_close(xs);
    return gone;
}
