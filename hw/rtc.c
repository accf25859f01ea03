/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's real-time clock under Xen: the hypervisor answers ports 0x70 and
 * 0x71 itself, so nobody can see ours tick.
 */
#include "qemu/osdep.h"
#include "system/xen.h"
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
