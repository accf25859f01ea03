/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who looks by SPICE: each client that has opened a display channel, which it
 * can when it has been authenticated. All displays are for all of them.
 */
#include "qemu/osdep.h"
#include <spice.h>
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "refresh.h"
#include "viewers.h"

static GHashTable *channels;    /* the set of open display channels */

static void clients_changed(Notifier *n, void *data)
{
    pulsar_refresh_watch_kind("spice", g_hash_table_size(channels) > 0);
}

void pulsar_channel_event(int event, const SpiceChannelEventInfo *info)
{
    static Notifier notifier = { .notify = clients_changed };
    bool opened = event == SPICE_CHANNEL_EVENT_INITIALIZED;

    if (!channels) {
        channels = g_hash_table_new(NULL, NULL);
        pulsar_viewers_add_notifier(&notifier);
    }
    if (opened ? info->type == SPICE_CHANNEL_DISPLAY &&
                 g_hash_table_add(channels, (void *)info)
               : event == SPICE_CHANNEL_EVENT_DISCONNECTED &&
                 g_hash_table_remove(channels, info)) {
        pulsar_viewers_set(info, opened);
    }
}

void pulsar_qemu_spice_display_refresh(DisplayChangeListener *dcl,
                                       bool changed)
{
    pulsar_refresh_done(dcl, changed);
}
