/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. Only reads: a read fires no watch, so no
 * device model wakes of it.
 */
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "xen.h"

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

char *xen_domain_uuid(int domid)
{
    g_autofree char *vm = xen_read("/local/domain/%d/vm", domid);

    return vm && g_str_has_prefix(vm, "/vm/") ? g_strdup(vm + 4) : NULL;
}

int xen_domain_called(const char *name)
{
    unsigned n = 0, i;
    int domid = -1;
    char **ids;

    if (!connection()) {
        return -1;
    }
    ids = xs_directory(connection(), XBT_NULL, "/local/domain", &n);
    for (i = 0; ids && i < n && domid < 0; i++) {
        g_autofree char *have = xen_read("/local/domain/%s/name", ids[i]);

        if (have && !strcmp(have, name)) {
            domid = atoi(ids[i]);
        }
    }
    free(ids);
    return domid;
}
