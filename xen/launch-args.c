/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments of toolstacks: see launch-args.h.
 */
#include <string.h>

#include <glib.h>

#include "launch-args.h"

char *pulsar_launch_runas(const char *arg)
{
    static const char digits[] = "0123456789";
    size_t uid = strspn(arg, digits);
    char *ret = g_strdup(arg);

    if (uid && arg[uid] == '.' && arg[uid + 1] &&
        !arg[uid + 1 + strspn(arg + uid + 1, digits)]) {
        ret[uid] = ':';
    }
    return ret;
}

PulsarNbdName pulsar_launch_nbd_fd(const char *filename, size_t max_export,
                                   uint64_t *ret_fdset,
                                   const char **ret_export)
{
    static const char prefix[] = "nbd:fd:", name[] = ":exportname=";
    const char *number = filename + strlen(prefix);
    char *end;
    guint64 fdset;

    if (strncmp(filename, prefix, strlen(prefix))) {
        return PULSAR_NBD_OTHER;
    }
    if (!g_ascii_isdigit(*number)) {
        return PULSAR_NBD_WRONG;
    }
    fdset = g_ascii_strtoull(number, &end, 10);     /* too much: all ones */
    if (fdset > INT64_MAX) {
        return PULSAR_NBD_WRONG;
    }
    if (!strncmp(end, name, strlen(name))) {
        end += strlen(name);
    } else if (*end) {
        return PULSAR_NBD_WRONG;
    }
    if (strlen(end) > max_export) {
        return PULSAR_NBD_WRONG;
    }
    *ret_fdset = fdset;
    *ret_export = end;
    return PULSAR_NBD_FD;
}
