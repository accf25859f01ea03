/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UHCI whose frame timer rests while the schedule has nothing to do.
 *
 * At full rate all is upstream's: its timer, its frames. While it rests,
 * frames that are due and have nothing to do are passed over here (frame
 * number and time go on as if they had been processed), and upstream's frame
 * loop takes over at the first that has. Whether one has is found in guest
 * memory (usb-uhci-scan.c); how long to rest is usb-pace.c's decision.
 *
 * Nothing of this is in the migration stream: when the machine stops, the
 * state is what it would be without any of it.
 */
#include "qemu/osdep.h"
#include "qemu/queue.h"
#include "hw/usb.h"
#include "hw/usb/hcd-uhci.h"
#include "hw/usb/uhci-regs.h"
#include "system/runstate.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "trace.h"
#include "usb-pace.h"
#include "usb-uhci-scan.h"

#define FRAME_NS  ((int64_t)SCALE_MS)

typedef struct PulsarUhci {
    UHCIState *uhci;
    PulsarUsbPace pace;
    bool resting;           /* the timer is set for later than next frame */
    int64_t expected;       /* when resting: time of the frame with work */
    bool looked;            /* by this tick, which found: */
    uint32_t schedule;
    uint32_t work;
    VMChangeStateEntry *vmstate;
    QLIST_ENTRY(PulsarUhci) next;
} PulsarUhci;

static QLIST_HEAD(, PulsarUhci) controllers =
    QLIST_HEAD_INITIALIZER(controllers);

static bool view_read(void *opaque, uint32_t addr, void *buf, size_t len)
{
    UHCIState *s = opaque;

    return pci_dma_read(&s->dev, addr, buf, len) == MEMTX_OK;
}

/*
 * Only interrupt transfers are worth resting for: their devices call
 * usb_wakeup() when they have data, or complete what pends.
 */
static bool view_waits(void *opaque, uint32_t ctrl, uint32_t token)
{
    UHCIState *s = opaque;
    uint8_t pid = token & 0xff, addr = token >> 8 & 0x7f;
    uint8_t nr = token >> 15 & 0xf;
    USBDevice *dev = NULL;
    USBEndpoint *ep;

    if (pid != USB_TOKEN_IN || nr == 0 || (ctrl & TD_CTRL_IOS)) {
        return false;
    }
    for (int i = 0; i < UHCI_PORTS && dev == NULL; i++) {
        if (s->ports[i].ctrl & UHCI_PORT_EN) {
            dev = usb_find_device(&s->ports[i].port, addr);
        }
    }
    if (dev == NULL) {
        return false;
    }
    ep = usb_ep_get(dev, pid, nr);
    return ep->type == USB_ENDPOINT_XFER_INT &&
           ((ctrl & TD_CTRL_NAK) || !QTAILQ_EMPTY(&ep->queue));
}

static void uhci_scan(UHCIState *s, uint32_t due, PulsarUhciScan *ret)
{
    const PulsarUhciView view = {
        .opaque = s, .read = view_read, .waits = view_waits,
    };

    pulsar_uhci_scan(&view, s->fl_base_addr & ~0xfffu, s->frnum, due, ret);
}

/* Frames whose time has come and that were not processed. */
static int64_t uhci_due(UHCIState *s)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    return now < s->expire_time ? 0 : (now - s->expire_time) / FRAME_NS + 1;
}

static void uhci_pass_over(UHCIState *s, int64_t frames)
{
    s->frnum = (s->frnum + frames) & 0x7ff;
    s->expire_time += frames * FRAME_NS;
}

/* The frames' timer runs; it stops by itself some time after RS is clear. */
static bool uhci_runs(UHCIState *s)
{
    return (s->cmd & UHCI_CMD_RS) && timer_pending(s->frame_timer);
}

/* The next frame at its time, or at once when that is over. */
static void uhci_full_rate(PulsarUhci *p)
{
    UHCIState *s = p->uhci;

    if (p->resting) {
        p->resting = false;
        timer_mod(s->frame_timer, s->expire_time);
    }
}

/* When to look again; @work counts from the next frame. */
static int64_t uhci_rest(PulsarUhci *p, uint32_t schedule, uint32_t work)
{
    UHCIState *s = p->uhci;
    uint32_t frames = pulsar_usb_pace_rest(&p->pace, schedule, work);
    int64_t next;

    /* More would be skipped as lost by upstream. */
    frames = MAX(MIN(frames, s->maxframes), 1);
    p->resting = frames > 1;
    p->expected = s->expire_time + work * FRAME_NS;
    trace_pulsar_uhci_rest(s, frames, work);
    if (!p->resting) {
        return s->expire_time;
    }
    /*
     * Not in step with the frames, or some seconds would have a look too
     * many; but the frame with work is met at its time.
     */
    next = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + frames * FRAME_NS +
        FRAME_NS / 4;
    return MIN(next, p->expected);
}

/*
 * While resting: pass over the due frames up to the first that has
 * something to do.
 *
 * Returns: true when all were passed over; @ret_work is the number of frames
 * from now to the first with work then.
 */
static bool uhci_settle(PulsarUhci *p, int64_t due, PulsarUhciScan *scan,
                        uint32_t *ret_work)
{
    UHCIState *s = p->uhci;

    uhci_scan(s, MIN(due, PULSAR_UHCI_FRAMES), scan);
    if (scan->work < MIN(due, PULSAR_UHCI_FRAMES)) {
        uhci_pass_over(s, scan->work);
        trace_pulsar_uhci_work(s, s->frnum, s->expire_time == p->expected);
        if (s->expire_time != p->expected) {
            pulsar_usb_pace_work(&p->pace);
        }
        return false;
    }
    uhci_pass_over(s, due);
    *ret_work = scan->work == PULSAR_UHCI_FRAMES ? PULSAR_USB_PACE_NO_WORK :
        scan->work - due;
    return true;
}

/* Something happened that the frames must not be late for. */
static void uhci_alert(PulsarUhci *p)
{
    UHCIState *s = p->uhci;
    PulsarUhciScan scan;
    uint32_t work;

    if (p->resting && uhci_runs(s)) {
        int64_t due = uhci_due(s);

        trace_pulsar_uhci_alert(s, due);
        if (due > 0) {
            uhci_settle(p, due, &scan, &work);
        }
        uhci_full_rate(p);
    }
    p->resting = false;
    pulsar_usb_pace_work(&p->pace);
}

/*
 * The guest looks at a register: what is due is done before it sees it, and
 * perhaps there will be more soon.
 */
static void uhci_look(PulsarUhci *p)
{
    UHCIState *s = p->uhci;
    PulsarUhciScan scan;
    uint32_t work;
    int64_t due;

    if (!p->resting || !uhci_runs(s)) {
        return;
    }
    due = uhci_due(s);
    if (due > 0) {
        if (!uhci_settle(p, due, &scan, &work)) {
            uhci_full_rate(p);
            /* Upstream does some frames at a time. */
            for (int i = 0; i < 8 && uhci_runs(s) && uhci_due(s) > 0; i++) {
                s->frame_timer->cb(s->frame_timer->opaque);
            }
            return;
        }
        if (pulsar_usb_pace_seen(&p->pace, scan.schedule) &&
            !pulsar_usb_pace_look(&p->pace)) {
            timer_mod(s->frame_timer, uhci_rest(p, scan.schedule, work));
            return;
        }
    } else if (!pulsar_usb_pace_look(&p->pace)) {
        return;
    }
    uhci_full_rate(p);
}

void pulsar_uhci_frame_timer(UHCIState *s, PulsarUhciFrame *process_frame)
{
    PulsarUhci *p = s->pulsar;
    uint16_t frnum = s->frnum, now;
    int64_t due = uhci_due(s);
    PulsarUhciScan scan;
    uint32_t work;

    p->looked = false;
    if (!p->resting || due == 0) {
        return;
    }
    p->resting = false;
    if (!uhci_settle(p, due, &scan, &work) ||
        !pulsar_usb_pace_seen(&p->pace, scan.schedule)) {
        return;
    }
    p->looked = true;
    p->schedule = scan.schedule;
    p->work = work;
    /*
     * Do again what waits, once for all the frames passed over: a guest may
     * have left the mark of a refusal in a new transfer.
     */
    now = s->frnum;
    for (uint32_t i = 0; i < scan.retries; i++) {
        s->frnum = (frnum + scan.retry[i]) & 0x7ff;
        s->frame_bytes = 0;
        process_frame(s);
    }
    s->frnum = now;
}

int64_t pulsar_uhci_frame_timer_next(UHCIState *s, int64_t next)
{
    PulsarUhci *p = s->pulsar;
    PulsarUhciScan scan;

    if (pulsar_usb_pace_frame(&p->pace)) {
        return next;
    }
    if (!p->looked) {
        /* Upstream does some frames at a time. */
        if (uhci_due(s) > 0) {
            return next;
        }
        uhci_scan(s, 0, &scan);
        p->schedule = scan.schedule;
        p->work = scan.work == PULSAR_UHCI_FRAMES ? PULSAR_USB_PACE_NO_WORK :
            scan.work;
    }
    return uhci_rest(p, p->schedule, p->work);
}

void pulsar_uhci_port_read(UHCIState *s)
{
    uhci_look(s->pulsar);
}

/* Whether a write means anything but "I have seen it". */
static bool uhci_write_changes(UHCIState *s, hwaddr addr, uint64_t val)
{
    uint16_t ctrl;

    switch (addr) {
    case UHCI_USBCMD:
        return val != s->cmd;
    case UHCI_USBSTS:
        return false;
    case UHCI_USBINTR:
        return val != s->intr;
    case UHCI_USBPORTSC1:
    case UHCI_USBPORTSC2:
        ctrl = s->ports[(addr - UHCI_USBPORTSC1) / 2].ctrl;
        return ((val ^ ctrl) & ~(UHCI_PORT_READ_ONLY |
                                 UHCI_PORT_WRITE_CLEAR)) ||
               (val & ctrl & UHCI_PORT_WRITE_CLEAR);
    default:
        return true;
    }
}

void pulsar_uhci_port_write(UHCIState *s, hwaddr addr, uint64_t val)
{
    uhci_look(s->pulsar);
    if (uhci_write_changes(s, addr, val)) {
        uhci_alert(s->pulsar);
    }
}

void pulsar_uhci_handle_td(UHCIState *s, USBPacket *packet)
{
    if (packet->status != USB_RET_NAK ||
        packet->ep->type != USB_ENDPOINT_XFER_INT) {
        pulsar_usb_pace_work(&s->pulsar->pace);
    }
}

void pulsar_uhci_async_complete(UHCIState *s)
{
    uhci_alert(s->pulsar);
}

void pulsar_usb_wakeup(USBEndpoint *ep)
{
    USBBus *bus = usb_bus_from_device(ep->dev);
    PulsarUhci *p;

    QLIST_FOREACH(p, &controllers, next) {
        for (int i = 0; i < UHCI_PORTS; i++) {
            USBDevice *dev = p->uhci->ports[i].port.dev;

            if (dev && usb_bus_from_device(dev) == bus) {
                uhci_alert(p);
                break;
            }
        }
    }
}

/* A machine that stands still must look as if nothing had rested. */
static void uhci_vm_state_change(void *opaque, bool running, RunState state)
{
    uhci_alert(opaque);
}

void pulsar_uhci_realize(UHCIState *s)
{
    PulsarUhci *p = g_new0(PulsarUhci, 1);

    p->uhci = s;
    pulsar_usb_pace_work(&p->pace);
    p->vmstate = qemu_add_vm_change_state_handler(uhci_vm_state_change, p);
    QLIST_INSERT_HEAD(&controllers, p, next);
    s->pulsar = p;
}

void pulsar_uhci_exit(UHCIState *s)
{
    PulsarUhci *p = s->pulsar;

    QLIST_REMOVE(p, next);
    qemu_del_vm_change_state_handler(p->vmstate);
    g_free(p);
    s->pulsar = NULL;
}
