/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli.h"
#include "top.h"

gboolean top_screen(VmSet *set, TopSettings *settings, GError **errp)
{
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "not yet");
    return FALSE;
}
