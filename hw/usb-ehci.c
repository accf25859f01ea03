/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EHCI that steps down further. Upstream looks at an idle schedule less and
 * less, down to every 65 ms; from there this goes on to REST_MS. Not for a
 * while when that made a transfer late: such a guest gets upstream's steps.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "hw/usb.h"
#include "hw/usb/ehci-regs.h"
#include "hw/usb/hcd-ehci.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

#define UFRAME_NS        (SCALE_MS / 8)
#define UFRAMES_ROLLOVER 0x2000

/*
 * Ten looks a second at most. Between two rollovers of the frame index, when
 * the guest wants to know of them, ten looks as well.
 */
#define REST_MS          101
#define REST_ROLLOVER_MS 103

/* How long a guest whose transfer was found at the lowest step has upstream's. */
#define BRISK_NS         (10 * NANOSECONDS_PER_SECOND)

/* As far as upstream steps down, in milliseconds. */
static int64_t ehci_step_ms(EHCIState *s)
{
    return (int64_t)s->async_stepdown + 1;
}

int64_t pulsar_ehci_work_bh(EHCIState *s, int64_t now, int64_t next)
{
    bool rollover = s->usbintr & USBSTS_FLR;
    int64_t rest = rollover ? REST_ROLLOVER_MS : REST_MS;
    bool lowest = s->async_stepdown >= s->maxframes / 2;

    /* A look at the lowest step, and nobody had told of what it found. */
    if (s->pulsar_rest_until && now >= s->pulsar_rest_until && !lowest) {
        s->pulsar_brisk_until = now + BRISK_NS;
    }
    lowest = lowest && !s->usbsts_pending;
    /* Upstream would skip more frames than maxframes as lost. */
    rest = MIN(rest, s->maxframes);
    if (lowest && now >= s->pulsar_brisk_until) {
        next = MAX(next, now + rest * SCALE_MS);
    }
    if (rollover) {
        int64_t left = UFRAMES_ROLLOVER - s->frindex % UFRAMES_ROLLOVER;
        int64_t at = s->last_run_ns + left * UFRAME_NS;

        next = MIN(next, MAX(at, now + UFRAME_NS));
    }
    s->pulsar_rest_until = lowest ? next : 0;
    return next;
}

void pulsar_ehci_opreg_read(EHCIState *s, hwaddr addr)
{
    uint32_t step = s->async_stepdown;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (addr != FRINDEX || s->working || !timer_pending(s->frame_timer) ||
        now < (int64_t)s->last_run_ns + SCALE_MS) {
        return;
    }
    /* Looking is not idling: it takes the guest no further down. */
    aio_bh_call(s->async_bh);
    s->async_stepdown = MIN(s->async_stepdown, step);
}

void pulsar_ehci_vm_state_change(EHCIState *s)
{
    int64_t latest = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
        ehci_step_ms(s) * SCALE_MS;

    if (timer_pending(s->frame_timer) &&
        timer_expire_time_ns(s->frame_timer) > latest) {
        timer_mod(s->frame_timer, latest);
    }
}
