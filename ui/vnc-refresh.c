/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who looks by VNC, and when he has something to get.
 */
#include "qemu/osdep.h"
#include <pthread.h>
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "qemu/error-report.h"
#include "ui/vnc.h"
#include "ui/vnc-jobs.h"
#include "clipboard-socket.h"
#include "refresh.h"
#include "viewers.h"

/* What a client asked for last. */
typedef struct Area {
    int x, y, w, h;
} Area;

static GHashTable *areas;   /* VncState -> Area */

static void *do_nothing(void *opaque)
{
    return NULL;
}

/* QEMU ends the process when it cannot have a thread: so try it first. */
static bool thread_can_be_had(void)
{
    pthread_t thread;
    int err = pthread_create(&thread, NULL, do_nothing, NULL);

    if (err) {
        error_report_once("a VNC client is turned away: no thread can be had "
                          "to encode its pictures: %s", strerror(err));
        return false;
    }
    pthread_join(thread, NULL);
    return true;
}

bool pulsar_vnc_connect(struct VncConnection *vc)
{
    static bool started;

    if (!started && !thread_can_be_had()) {
        g_free(vc);
        return false;
    }
    started = true;
    vnc_start_worker_thread();
    return true;
}

/*
 * A client looks once it has asked for a picture, which it can when it has
 * been authenticated. One that leaves is dropped by a refresh.
 */
static void follow_clients(VncDisplay *vd)
{
    bool looks = false;
    VncState *vs;

    QTAILQ_FOREACH(vs, &vd->clients, next) {
        looks |= vs->disconnecting || (areas && g_hash_table_lookup(areas, vs));
    }
    pulsar_refresh_watch(&vd->dcl, looks);
}

void pulsar_vnc_disconnect_start(VncDisplay *vd)
{
    follow_clients(vd);
    pulsar_refresh_now(&vd->dcl);
}

void pulsar_vnc_disconnect_finish(VncState *vs)
{
    if (areas && g_hash_table_remove(areas, vs)) {
        pulsar_viewers_set(vs, false);
    }
    follow_clients(vs->vd);
}

void pulsar_framebuffer_update_request(VncState *vs, int incremental,
                                       int x, int y, int w, int h)
{
    Area area = { x, y, w, h };
    Area *last;

    if (!areas) {
        areas = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    last = g_hash_table_lookup(areas, vs);
    if (!last) {
        g_hash_table_insert(areas, vs, g_memdup2(&area, sizeof(area)));
        pulsar_viewers_set(vs, true);
        follow_clients(vs->vd);
        pulsar_refresh_now(&vs->vd->dcl);
    } else if (!incremental || vs->has_dirty ||
               memcmp(last, &area, sizeof(area))) {
        *last = area;
        pulsar_refresh_fast(&vs->vd->dcl);
    }
}

void pulsar_vnc_refresh(VncDisplay *vd, bool changed)
{
    pulsar_refresh_done(&vd->dcl, changed);
}

void pulsar_vnc_send_text(const void *text, uint32_t len)
{
    g_autoptr(GList) clients = areas ? g_hash_table_get_keys(areas) : NULL;
    GList *at;

    for (at = clients; at; at = at->next) {
        VncState *vs = at->data;

        if (vs->disconnecting || vnc_has_feature(vs, VNC_FEATURE_CLIPBOARD_EXT)
            || vs->output.offset >= vs->throttle_output_offset) {
            continue;
        }
        vnc_lock_output(vs);
        vnc_write_u32(vs, VNC_MSG_SERVER_CUT_TEXT << 24);
        vnc_write_u32(vs, len);
        vnc_write(vs, text, len);
        vnc_unlock_output(vs);
        vnc_flush(vs);
    }
}
