/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. A read fires no watch, so no device model
 * wakes of it; only `pulsar replace` writes.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static gboolean fail(GError **errp, const char *what, const char *path)
{
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "xenstore %s cannot be %s: %s",
                path, what, g_strerror(errno));
    return FALSE;
}

gboolean xen_lookup(const char *path, char **ret, GError **errp)
{
    unsigned len;
    char *value = connection() ? xs_read(connection(), XBT_NULL, path, &len)
                               : NULL;

    *ret = value ? g_strndup(value, len) : NULL;
    free(value);
    return *ret || (connection() && errno == ENOENT) ||
           fail(errp, "read", path);
}

gboolean xen_list(const char *path, char ***ret, GError **errp)
{
    unsigned n = 0, i;
    char **found = connection() ?
                   xs_directory(connection(), XBT_NULL, path, &n) : NULL;

    if (!found && (!connection() || errno != ENOENT)) {
        return fail(errp, "read", path);
    }
    *ret = g_new0(char *, n + 1);
    for (i = 0; i < n; i++) {
        (*ret)[i] = g_strdup(found[i]);
    }
    free(found);
    return TRUE;
}

char **xen_directory(const char *path)
{
    char **ret;

    return xen_list(path, &ret, NULL) ? ret : g_new0(char *, 1);
}

/* Takes what watches have told, until there is nothing. */
static void drain_watches(void)
{
    char **event;

    while ((event = xs_check_watch(connection()))) {
        free(event);
    }
}

gboolean xen_await(const char *path, const char *value, pid_t pid, int ms)
{
    gint64 now, end = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND;
    struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
    gboolean has = FALSE;

    if (!connection() || !xs_watch(connection(), path, path)) {
        return FALSE;
    }
    fds[0].fd = xs_fileno(connection());
    fds[1].fd = syscall(SYS_pidfd_open, pid, 0);
    for (;;) {
        g_autofree char *have = NULL;

        drain_watches();
        if (!xen_lookup(path, &have, NULL)) {
            break;
        }
        has = !g_strcmp0(have, value);
        now = g_get_monotonic_time();
        if (has || fds[1].revents || fds[1].fd < 0 || now >= end ||
            poll(fds, G_N_ELEMENTS(fds),
                 (end - now) / G_TIME_SPAN_MILLISECOND + 1) < 0) {
            break;
        }
    }
    if (fds[1].fd >= 0) {
        close(fds[1].fd);
    }
    xs_unwatch(connection(), path, path);
    return has;
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
