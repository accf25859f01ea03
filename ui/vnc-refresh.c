/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a VNC display is refreshed: never without a client, at once when a
 * client has something to get, and less and less often while the screen
 * stays still, down to the naps of the option vnc_idle. The pace itself is in
 * pace.h.
 */
#include "qemu/osdep.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "ui/vnc.h"
#include "display-touched.h"
#include "pace.h"
#include "trace.h"
#include "viewers.h"

bool pulsar_display_slow;

/* What a client asked for last. */
typedef struct Area {
    int x, y, w, h;
} Area;

/* How long the text cursor goes on blinking when nothing else happens. */
#define CURSOR_BLINKS_MS 2000

static GHashTable *areas;   /* VncState -> Area */
static GHashTable *watched; /* VncDisplays that have clients -> whether the
                             * last refresh found a change */
static int64_t active_ms;   /* when a viewer or the guest last did something */
static int64_t busy_ms;     /* the same, or when a refresh found a change */
static QEMUTimer *nap_timer;
static bool napping;        /* no display is refreshed, whoever looks */

static VncDisplay *vnc_of(DisplayChangeListener *dcl)
{
    return g_str_equal(dcl->ops->dpy_name, "vnc")
           ? container_of(dcl, VncDisplay, dcl) : NULL;
}

/* Every watched display is refreshed at once, and goes on from there. */
static void end_nap(void *opaque)
{
    GHashTableIter iter;
    gpointer vd;

    if (!napping) {
        return;
    }
    trace_pulsar_vnc_nap(0);
    napping = false;
    timer_del(nap_timer);
    g_hash_table_iter_init(&iter, watched);
    while (g_hash_table_iter_next(&iter, &vd, NULL)) {
        gui_setup_refresh(((VncDisplay *)vd)->dcl.ds);
    }
}

static void begin_nap(int64_t now_ms, uint64_t nap_ms)
{
    if (!nap_timer) {
        nap_timer = timer_new_ms(QEMU_CLOCK_REALTIME, end_nap, NULL);
    }
    trace_pulsar_vnc_nap(nap_ms);
    napping = true;
    timer_mod(nap_timer, now_ms + nap_ms);
}

static void note_activity(void)
{
    active_ms = busy_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    end_nap(NULL);
}

/* Due at once, whenever the last refresh was. */
static void refresh_now(VncDisplay *vd)
{
    trace_pulsar_vnc_refresh_at_once(vd);
    note_activity();
    update_displaychangelistener(&vd->dcl, 0);
}

/* At full rate: due at once unless one has just been. */
static void refresh_fast(VncDisplay *vd)
{
    note_activity();
    update_displaychangelistener(&vd->dcl, GUI_REFRESH_INTERVAL_DEFAULT);
}

bool pulsar_gui_setup_refresh(DisplayChangeListener *dcl)
{
    VncDisplay *vd = vnc_of(dcl);

    return !vd || (!QTAILQ_EMPTY(&vd->clients) && !napping);
}

void pulsar_vnc_connect(VncDisplay *vd)
{
    if (!watched) {
        watched = g_hash_table_new(NULL, NULL);
    }
    trace_pulsar_vnc_watched(vd, true);
    g_hash_table_insert(watched, vd, NULL);
    gui_setup_refresh(vd->dcl.ds);
    refresh_now(vd);
}

void pulsar_vnc_disconnect_start(VncDisplay *vd)
{
    refresh_now(vd);
}

void pulsar_vnc_disconnect_finish(VncState *vs)
{
    if (areas && g_hash_table_remove(areas, vs)) {
        pulsar_viewers_set(vs, false);
    }
    if (QTAILQ_EMPTY(&vs->vd->clients)) {
        trace_pulsar_vnc_watched(vs->vd, false);
        g_hash_table_remove(watched, vs->vd);
        if (!g_hash_table_size(watched)) {
            pulsar_display_slow = false;
            end_nap(NULL);
        }
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
        pulsar_viewers_set(vs, true);
    } else if (!incremental || vs->has_dirty ||
               memcmp(last, &area, sizeof(area))) {
        *last = area;
        refresh_fast(vs->vd);
    }
}

void pulsar_vnc_refresh(VncDisplay *vd, bool changed)
{
    bool again = GPOINTER_TO_INT(g_hash_table_lookup(watched, vd));
    unsigned idle_s = pulsar_options_number(pulsar_options(),
                                            PULSAR_OPTION_VNC_IDLE);
    int64_t now_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    uint64_t nap_ms = pulsar_pace_nap(now_ms - busy_ms, idle_s,
                                      GUI_REFRESH_INTERVAL_IDLE);

    if (changed) {
        busy_ms = now_ms;
        end_nap(NULL);
        vd->dcl.update_interval =
            pulsar_pace_changed(vd->dcl.update_interval, again);
    } else {
        vd->dcl.update_interval =
            pulsar_pace_still(MAX(vd->dcl.update_interval,
                                  GUI_REFRESH_INTERVAL_DEFAULT),
                              GUI_REFRESH_INTERVAL_IDLE);
        pulsar_display_slow = true;
        if (nap_ms) {
            begin_nap(now_ms, nap_ms);
        }
    }
    trace_pulsar_vnc_interval(vd, vd->dcl.update_interval);
    if (changed != again) {
        g_hash_table_insert(watched, vd, GINT_TO_POINTER(changed));
    }
}

void pulsar_update_displaychangelistener(DisplayChangeListener *dcl)
{
    if (vnc_of(dcl)) {
        busy_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
        end_nap(NULL);
    }
}

void pulsar_gate_vnc_idle_changed(void)
{
    end_nap(NULL);
}

bool pulsar_vga_draw_text(bool *cursor_visible)
{
    if (qemu_clock_get_ms(QEMU_CLOCK_REALTIME) - active_ms < CURSOR_BLINKS_MS) {
        return true;
    }
    *cursor_visible = true;
    return false;
}

void pulsar_display_touched(void)
{
    GHashTableIter iter;
    gpointer vd;

    trace_pulsar_display_touched();
    pulsar_display_slow = false;
    if (watched) {
        g_hash_table_iter_init(&iter, watched);
        while (g_hash_table_iter_next(&iter, &vd, NULL)) {
            refresh_fast(vd);
        }
    }
}
