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
