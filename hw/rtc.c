/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's real-time clock under Xen: the hypervisor answers ports 0x70 and
 * 0x71 itself, so nobody can see ours tick.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-events-misc.h"
#include "system/xen.h"
#include "hw/xen/pulsar/launch.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "trace.h"

bool pulsar_check_update_timer(QEMUTimer *update_timer)
{
    if (!xen_enabled()) {
        return false;
    }
    trace_pulsar_rtc_timer_stopped();
    timer_del(update_timer);
    return true;
}

bool pulsar_rtc_set_time(void)
{
    return xen_enabled();
}

/*
 * Windows sets the clock in six writes, and a toolstack adds the changes up:
 * none may be lost. A guest that never stops is told of once a second, its
 * changes summed up.
 */
#define BURST       16
#define REFILL_MS   1000

static struct {
    QEMUTimer *timer;       /* armed only while a sum waits */
    uint64_t sum;
    bool waits;
    unsigned used;          /* of BURST */
    int64_t refilled_ms;
} changes;

static void refill(void)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    int64_t more = (now - changes.refilled_ms) / REFILL_MS;

    if (more > 0) {
        changes.used -= MIN(changes.used, more);
        changes.refilled_ms = now;
    }
}

static void send_change(void *opaque)
{
    Object *clock = object_resolve_path_type("", "mc146818rtc", NULL);
    g_autofree char *path = clock ? object_get_canonical_path(clock) :
                                    g_strdup("/machine");
    uint64_t sum = changes.sum;

    refill();
    changes.used++;
    changes.sum = 0;
    changes.waits = false;
    qapi_event_send_rtc_change(sum, path);
}

void pulsar_launch_timeoffset(int64_t seconds)
{
    refill();
    changes.sum += seconds;
    if (changes.used < BURST && !changes.waits) {
        send_change(NULL);
    } else if (!changes.waits) {
        changes.waits = true;
        if (!changes.timer) {
            changes.timer = timer_new_ms(QEMU_CLOCK_REALTIME, send_change,
                                         NULL);
        }
        timer_mod(changes.timer,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + REFILL_MS);
    }
}
