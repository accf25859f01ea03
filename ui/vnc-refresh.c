/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a VNC display is refreshed: never without a client, at once when a
 * client has something to get, and less and less often while the screen
 * stays still. The pace itself is in pace.h.
 */
#include "qemu/osdep.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "ui/vnc.h"
#include "display-touched.h"
#include "pace.h"

bool pulsar_display_slow;

/* What a client asked for last. */
typedef struct Area {
    int x, y, w, h;
} Area;

static GHashTable *areas;  /* VncState -> Area */
static GSList *watched;    /* VncDisplays that have clients */

static VncDisplay *vnc_of(DisplayChangeListener *dcl)
{
    return g_str_equal(dcl->ops->dpy_name, "vnc")
           ? container_of(dcl, VncDisplay, dcl) : NULL;
}

/* Due at once, whenever the last refresh was. */
static void refresh_now(VncDisplay *vd)
{
    update_displaychangelistener(&vd->dcl, 0);
}

/* At full rate: due at once unless one has just been. */
static void refresh_fast(VncDisplay *vd)
{
    update_displaychangelistener(&vd->dcl, GUI_REFRESH_INTERVAL_DEFAULT);
}

bool pulsar_gui_setup_refresh(DisplayChangeListener *dcl)
{
    VncDisplay *vd = vnc_of(dcl);

    return !vd || !QTAILQ_EMPTY(&vd->clients);
}

void pulsar_vnc_connect(VncDisplay *vd)
{
    if (!g_slist_find(watched, vd)) {
        watched = g_slist_prepend(watched, vd);
    }
    gui_setup_refresh(vd->dcl.ds);
    refresh_now(vd);
}

void pulsar_vnc_disconnect_start(VncDisplay *vd)
{
    refresh_now(vd);
}

void pulsar_vnc_disconnect_finish(VncState *vs)
{
    if (areas) {
        g_hash_table_remove(areas, vs);
    }
    if (QTAILQ_EMPTY(&vs->vd->clients)) {
        watched = g_slist_remove(watched, vs->vd);
        pulsar_display_slow = watched && pulsar_display_slow;
        gui_setup_refresh(vs->vd->dcl.ds);
    }
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
        refresh_now(vs->vd);
    } else if (!incremental || vs->has_dirty ||
               memcmp(last, &area, sizeof(area))) {
        *last = area;
        refresh_fast(vs->vd);
    }
}

void pulsar_vnc_refresh(VncDisplay *vd)
{
    vd->dcl.update_interval =
        pulsar_pace_still(vd->dcl.update_interval, GUI_REFRESH_INTERVAL_IDLE);
    pulsar_display_slow = true;
}

void pulsar_display_touched(void)
{
    GSList *l;

    pulsar_display_slow = false;
    for (l = watched; l; l = l->next) {
        refresh_fast(l->data);
    }
}
