/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buffered ioreq ring in the main loop: its event channel alone drives
 * it. The walk and the moderation are in bufring.c; here they meet QEMU's
 * event channels, timers and bottom halves.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "hw/xen/xen-hvm-common.h"
#include "system/runstate.h"
#include "bufring.h"
#include "ioreq-observer.h"
#include "pulsar-context.h"
#include "launch.h"
#include "pulsar-hooks.h"
#include "trace.h"

/* One device model serves one guest through one ring. */
static struct {
    XenIOState *state;
    PulsarIoreqHandler *handler;
    PulsarBufpace pace;
    QEMUTimer *tick;     /* runs only while the stream lasts */
    QEMUBH *more;        /* goes on where one pass had to stop */
    bool walking;        /* a walk is under way, perhaps further up the stack */
    bool own_event;      /* the event being served is the ring's own */
    bool broken;         /* given up: see pulsar_bufring_next() */
    bool complained;
} ring;

static void ring_complain(const char *why, const char *then)
{
    if (!ring.complained || ring.broken) {
        ring.complained = true;
        warn_report("xen: buffered ioreq ring: %s; %s "
                    "(further ones are logged with -d guest_errors only)",
                    why, then);
    } else {
        qemu_log_mask(LOG_GUEST_ERROR, "xen: buffered ioreq ring: %s; %s\n",
                      why, then);
    }
}

static void serve_entry(const PulsarBufwrite *entry)
{
    ioreq_t req = {
        .addr = entry->addr,
        .data = entry->data,
        .count = 1,
        .size = entry->size,
        .type = entry->type,
        .dir = IOREQ_WRITE,
        .state = STATE_IOREQ_READY,
    };

    if (req.type == IOREQ_TYPE_TIMEOFFSET) {
        pulsar_launch_timeoffset(req.data);
    }
    if (pulsar_ioreq_observer) {
        pulsar_ioreq_observer->access(&req);
    }
    ring.handler(ring.state, &req);
}

/*
 * Takes up to one ring of slots. Returns their number; *ret_entries is the
 * number of writes among them and *ret_left tells that there may be more.
 */
static unsigned int drain(unsigned int *ret_entries, bool *ret_left)
{
    buffered_iopage_t *page = ring.state->buffered_io_page;
    unsigned int slots = 0, looks = 0;
    PulsarBufwrite entry;
    const char *why;

    *ret_entries = 0;
    *ret_left = false;
    /*
     * A handler that came back here (it waited for a disk, or stopped the
     * machine) would be given its own entry once more. Whoever called it
     * takes the rest.
     */
    if (ring.walking) {
        return 0;
    }
    pulsar_assert_may_call_back();
    ring.walking = true;
    while (!ring.broken && looks++ < IOREQ_BUFFER_SLOT_NUM) {
        switch (pulsar_bufring_next(page, &entry, &why)) {
        case PULSAR_BUFRING_EMPTY:
            ring.walking = false;
            return slots;
        case PULSAR_BUFRING_ENTRY:
            serve_entry(&entry);
            pulsar_bufring_done(page, entry.slots);
            slots += entry.slots;
            (*ret_entries)++;
            break;
        case PULSAR_BUFRING_SKIPPED:
            ring_complain(why, "the entry was dropped");
            slots++;
            break;
        case PULSAR_BUFRING_RESET:
            ring_complain(why, "the ring was emptied");
            break;
        case PULSAR_BUFRING_BROKEN:
            ring.broken = true;
            ring_complain(why, "buffered writes are ignored from now on");
            break;
        }
    }
    ring.walking = false;
    *ret_left = !ring.broken;
    return slots;
}

static unsigned int drain_and_continue(void)
{
    unsigned int entries, slots;
    bool left;

    slots = drain(&entries, &left);
    trace_pulsar_bufioreq_drain(slots, entries, left);
    pulsar_bufpace_drained(&ring.pace, entries);
    if (left) {
        qemu_bh_schedule(ring.more);
    }
    if (pulsar_ioreq_observer) {
        pulsar_ioreq_observer->buffered(entries, ring.own_event);
    }
    return slots;
}

static void ring_more(void *opaque)
{
    pulsar_assert_main_loop();
    drain_and_continue();
}

static void arm_tick(void)
{
    timer_mod(ring.tick, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                         PULSAR_BUFPACE_TICK_NS);
}

static void ring_tick(void *opaque)
{
    XenIOState *state = ring.state;
    bool again;

    drain_and_continue();
    if (ring.broken) {
        return;
    }
    again = pulsar_bufpace_tick(&ring.pace);
    trace_pulsar_bufioreq_tick(again);
    if (again) {
        arm_tick();
    } else {
        /* A write that came before the unmask fires right after it. */
        qemu_xen_evtchn_unmask(state->xce_handle, state->bufioreq_local_port);
        drain_and_continue();
    }
}

/*
 * What the guest wrote before the machine stopped belongs to the state that
 * may be saved then. Upstream has told Xen to send nothing more.
 */
static void ring_machine_stops(void *opaque, bool running, RunState state)
{
    if (!running && ring.handler) {
        drain_and_continue();
    }
}

static void ring_setup(XenIOState *state)
{
    if (!ring.state) {
        ring.state = state;
        /* When the machine stops the lowest priority comes last. */
        qemu_add_vm_change_state_handler_prio(ring_machine_stops, NULL,
                                              INT_MIN);
        ring.tick = timer_new_ns(QEMU_CLOCK_REALTIME, ring_tick, NULL);
        /* Not of qemu_bh_new(): whoever waits for a disk would run it. */
        ring.more = aio_bh_new(iohandler_get_aio_context(), ring_more, NULL);
    }
}

void pulsar_cpu_get_ioreq(XenIOState *state)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    bool at_once;

    ring_setup(state);
    ring.own_event = true;
    if (ring.broken) {
        return; /* and the port stays masked */
    }
    at_once = pulsar_bufpace_event(&ring.pace, now);
    trace_pulsar_bufioreq_event(at_once);
    if (at_once) {
        /*
         * Unmasked before the ring is drained: a write that comes in
         * meanwhile either is seen by the drain or fires again.
         */
        qemu_xen_evtchn_unmask(state->xce_handle, state->bufioreq_local_port);
    } else {
        arm_tick();
    }
}

unsigned int pulsar_handle_buffered_iopage(XenIOState *state,
                                           PulsarIoreqHandler *handler)
{
    unsigned int slots;

    if (!state->buffered_io_page) {
        return 0;
    }
    ring_setup(state);
    ring.handler = handler;
    slots = drain_and_continue();
    ring.own_event = false;
    return slots;
}
