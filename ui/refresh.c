/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a display is refreshed: never without somebody who looks, at once when
 * he has something to get, and less and less often while the screen stays
 * still, down to the naps of the option vnc_idle. The pace itself is in
 * pace.h; who looks is for each protocol to say.
 */
#include "qemu/osdep.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "display-touched.h"
#include "pace.h"
#include "refresh.h"
#include "trace.h"

bool pulsar_display_slow;

/* The displays that say who looks; any other is refreshed as upstream does. */
static const char *const kinds[] = { "vnc", "spice" };

typedef struct Display {
    bool looked_at;
    bool changed;       /* the last refresh found something new */
    unsigned silent;    /* how many refreshes ago it last told what it found */
} Display;

/*
 * A display that does not tell what refreshes find has nothing to refresh:
 * QXL when the guest's own driver is at work.
 */
#define SILENT_MAX 8

/* How long the text cursor goes on blinking when nothing else happens. */
#define CURSOR_BLINKS_MS 2000

static GHashTable *displays;    /* DisplayChangeListener -> Display */
static unsigned looked_at;      /* how many of them are */
static int64_t active_ms;   /* when a viewer or the guest last did something */
static int64_t busy_ms;     /* the same, or when a refresh found a change */
static int64_t input_ms = -PULSAR_PACE_INPUT_MS;    /* when somebody typed */
static QEMUTimer *nap_timer;
static bool napping;        /* no display is refreshed, whoever looks */

/* What is known of a display; NULL if it does not say who looks. */
static Display *find_display(DisplayChangeListener *dcl)
{
    Display *display;
    size_t i;

    if (!displays) {
        displays = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    display = g_hash_table_lookup(displays, dcl);
    for (i = 0; i < ARRAY_SIZE(kinds) && !display; i++) {
        if (g_str_has_prefix(dcl->ops->dpy_name, kinds[i])) {
            display = g_new0(Display, 1);
            g_hash_table_insert(displays, dcl, display);
        }
    }
    return display;
}

/* Calls @fn for all displays that somebody looks at. */
static void foreach_looked_at(void (*fn)(DisplayChangeListener *dcl))
{
    GHashTableIter iter;
    gpointer dcl, display;

    if (!looked_at) {
        return;
    }
    g_hash_table_iter_init(&iter, displays);
    while (g_hash_table_iter_next(&iter, &dcl, &display)) {
        if (((Display *)display)->looked_at) {
            fn(dcl);
        }
    }
}

static void set_up(DisplayChangeListener *dcl)
{
    gui_setup_refresh(dcl->ds);
}

/* Every display is refreshed at once, and goes on from there. */
static void end_nap(void *opaque)
{
    if (!napping) {
        return;
    }
    trace_pulsar_display_nap(0);
    napping = false;
    timer_del(nap_timer);
    foreach_looked_at(set_up);
}

static void begin_nap(int64_t now_ms, uint64_t nap_ms)
{
    if (!nap_timer) {
        nap_timer = timer_new_ms(QEMU_CLOCK_REALTIME, end_nap, NULL);
    }
    trace_pulsar_display_nap(nap_ms);
    napping = true;
    timer_mod(nap_timer, now_ms + nap_ms);
}

static void note_activity(void)
{
    active_ms = busy_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    end_nap(NULL);
}

void pulsar_refresh_now(DisplayChangeListener *dcl)
{
    trace_pulsar_display_refresh_at_once(dcl);
    note_activity();
    update_displaychangelistener(dcl, 0);
}

void pulsar_refresh_fast(DisplayChangeListener *dcl)
{
    note_activity();
    update_displaychangelistener(dcl, GUI_REFRESH_INTERVAL_DEFAULT);
}

void pulsar_refresh_watch(DisplayChangeListener *dcl, bool looks)
{
    Display *display = find_display(dcl);

    if (!display || display->looked_at == looks) {
        return;
    }
    trace_pulsar_display_looked_at(dcl, looks);
    *display = (Display) { .looked_at = looks };
    looked_at += looks ? 1 : -1;
    if (!looked_at) {
        pulsar_display_slow = false;
        end_nap(NULL);
    }
    set_up(dcl);
}

void pulsar_refresh_watch_kind(const char *prefix, bool looks)
{
    GHashTableIter iter;
    gpointer dcl;

    if (!displays) {
        return;
    }
    g_hash_table_iter_init(&iter, displays);
    while (g_hash_table_iter_next(&iter, &dcl, NULL)) {
        if (g_str_has_prefix(((DisplayChangeListener *)dcl)->ops->dpy_name,
                             prefix)) {
            pulsar_refresh_watch(dcl, looks);
            if (looks) {
                pulsar_refresh_now(dcl);
            }
        }
    }
}

void pulsar_refresh_done(DisplayChangeListener *dcl, bool changed)
{
    Display *display = find_display(dcl);
    unsigned idle_s = pulsar_options_number(pulsar_options(),
                                            PULSAR_OPTION_VNC_IDLE);
    int64_t now_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    uint64_t nap_ms = pulsar_pace_nap(now_ms - busy_ms, idle_s,
                                      GUI_REFRESH_INTERVAL_IDLE);
    uint64_t interval_ms = MAX(dcl->update_interval,
                               GUI_REFRESH_INTERVAL_DEFAULT);

    if (!display || !display->looked_at) {
        /* It was refreshed because of another, which sets the pace. */
        dcl->update_interval = GUI_REFRESH_INTERVAL_IDLE;
        return;
    }
    if (changed) {
        busy_ms = now_ms;
        end_nap(NULL);
        dcl->update_interval =
            MAX(pulsar_pace_changed(interval_ms, display->changed),
                GUI_REFRESH_INTERVAL_DEFAULT);
    } else {
        dcl->update_interval =
            pulsar_pace_still(interval_ms,
                              pulsar_pace_longest(now_ms - input_ms,
                                                  GUI_REFRESH_INTERVAL_IDLE));
        pulsar_display_slow = true;
        if (nap_ms) {
            begin_nap(now_ms, nap_ms);
        }
    }
    trace_pulsar_display_interval(dcl, dcl->update_interval);
    display->changed = changed;
    display->silent = 0;
}

bool pulsar_gui_setup_refresh(DisplayChangeListener *dcl)
{
    Display *display = find_display(dcl);

    if (!display) {
        return true;
    }
    if (++display->silent > SILENT_MAX) {
        dcl->update_interval = GUI_REFRESH_INTERVAL_IDLE;
    }
    return display->looked_at && !napping;
}

void pulsar_update_displaychangelistener(DisplayChangeListener *dcl)
{
    Display *display = find_display(dcl);

    if (display && display->looked_at) {
        busy_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
        end_nap(NULL);
    }
}

void pulsar_qemu_input_event_sync(void)
{
    input_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    foreach_looked_at(pulsar_refresh_fast);
}

/* It counts now. */
static bool vnc_idle_changed(Error **errp)
{
    end_nap(NULL);
    return true;
}

static PulsarGate gate = {
    .option = PULSAR_OPTION_VNC_IDLE,
    .changed = vnc_idle_changed,
};

PULSAR_GATE(gate);

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
    trace_pulsar_display_touched();
    pulsar_display_slow = false;
    foreach_looked_at(pulsar_refresh_fast);
}
