/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. A read fires no watch, so no device model
 * wakes of it; only `pulsar replace` writes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "cli.h"
#include "xen.h"

#define UUID_LENGTH  36

static gboolean tried;

/* Connected on first use, for the life of the process. */
static struct xs_handle *connection(void)
{
    static struct xs_handle *xs;

    if (!tried) {
        tried = TRUE;
        /* The kernel's device would wait for a xenstored that never comes. */
        xs = xs_open(XS_OPEN_SOCKETONLY);
    }
    return xs;
}

char *xen_read(const char *fmt, ...)
{
    g_autofree char *path = NULL;
    unsigned len;
    char *value, *ret;
    va_list ap;

    if (!connection()) {
        return NULL;
    }
    va_start(ap, fmt);
    path = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    value = xs_read(connection(), XBT_NULL, path, &len);
    if (!value) {
        return NULL;
    }
    ret = g_strndup(value, len);
    free(value);
    return ret;
}

gboolean xen_answers(void)
{
    return connection() != NULL;
}

gboolean xen_gone(int domid)
{
    /* One of these every toolstack writes. */
    static const char *const nodes[] = { "name", "domid" };
    guint i;

    for (i = 0; i < G_N_ELEMENTS(nodes); i++) {
        g_autofree char *path = g_strdup_printf("/local/domain/%d/%s", domid,
                                                nodes[i]);
        unsigned len;
        char *value = NULL;

        if (xen_answers()) {
            value = xs_read(connection(), XBT_NULL, path, &len);
        }
        if (value || !xen_answers() || errno != ENOENT) {
            free(value);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean xen_identity(int domid, char **ret_name, char **ret_uuid)
{
    char *name = xen_read("/local/domain/%d/name", domid);
    g_autofree char *vm = xen_read("/local/domain/%d/vm", domid);

    *ret_name = name ? name : g_strdup("");
    /* One that was migrated to its own host has "-1" behind its UUID. */
    *ret_uuid = g_strndup(vm && g_str_has_prefix(vm, "/vm/")
                          ? vm + strlen("/vm/") : "", UUID_LENGTH);
    return xen_answers();
}

pid_t xen_device_model(int domid)
{
    /* libxl's place, and xenopsd's. */
    static const char *const places[] = {
        "/local/domain/%d/image/device-model-pid",
        "/local/domain/%d/qemu-pid",
    };
    guint64 pid = 0;
    guint i;

    for (i = 0; !pid && i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path = g_strdup_printf(places[i], domid);
        g_autofree char *text = xen_read("%s", path);

        if (text && !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT, &pid,
                                                NULL)) {
            pid = 0;
        }
    }
    return pid;
}

char **xen_directory(const char *path)
{
    unsigned n = 0, i;
    char **found = connection() ?
                   xs_directory(connection(), XBT_NULL, path, &n) : NULL;
    char **ret = g_new0(char *, n + 1);

    for (i = 0; found && i < n; i++) {
        ret[i] = g_strdup(found[i]);
    }
    free(found);
    return ret;
}

static gboolean fail(GError **errp, const char *what, const char *path)
{
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "xenstore %s cannot be %s: %s",
                path, what, g_strerror(errno));
    return FALSE;
}

gboolean xen_write(const char *path, const char *value, GError **errp)
{
    return (connection() && xs_write(connection(), XBT_NULL, path, value,
                                     strlen(value))) ||
           fail(errp, "written", path);
}

gboolean xen_remove(const char *path, GError **errp)
{
    return (connection() && (xs_rm(connection(), XBT_NULL, path) ||
                             errno == ENOENT)) ||
           fail(errp, "removed", path);
}

void xen_forked(void)
{
    tried = FALSE;
}
