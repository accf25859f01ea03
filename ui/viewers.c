/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who looks at a display of the guest, by whatever protocol.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "release.h"
#include "viewers.h"

static NotifierList notifiers = NOTIFIER_LIST_INITIALIZER(notifiers);
static GHashTable *viewers;     /* a set of clients */
static bool telling;

/*
 * In the main loop, whatever thread and whatever handler a client was noticed
 * in, and in no context that whoever waits for a disk polls.
 */
static void viewers_tell(void *opaque)
{
    telling = false;
    notifier_list_notify(&notifiers, NULL);
    if (!pulsar_viewers()) {
        pulsar_release_pictures();
    }
}

unsigned pulsar_viewers(void)
{
    return viewers ? g_hash_table_size(viewers) : 0;
}

void pulsar_viewers_add_notifier(Notifier *n)
{
    notifier_list_add(&notifiers, n);
}

void pulsar_viewers_set(const void *client, bool looks)
{
    if (!viewers) {
        viewers = g_hash_table_new(NULL, NULL);
    }
    if ((looks ? g_hash_table_add(viewers, (void *)client)
               : g_hash_table_remove(viewers, client)) && !telling) {
        telling = true;
        aio_bh_schedule_oneshot(iohandler_get_aio_context(), viewers_tell,
                                NULL);
    }
}
