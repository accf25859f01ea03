/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. Only reads: a read fires no watch, so no
 * device model wakes of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "xen.h"

#define UUID_LENGTH  36

/* Connected on first use, for the life of the process. */
static struct xs_handle *connection(void)
{
    static gboolean tried;
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
