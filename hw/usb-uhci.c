/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UHCI whose frame timer rests while the schedule has nothing to do.
 *
 * At full rate all is upstream's: its timer, its frames. After a rest the
 * frame number is brought to the present at once. Of the frames that passed,
 * those are done that have something of their own, and the last, which has
 * what hangs in every frame. What that is is found in guest memory
 * (usb-uhci-scan.c); how long to rest is usb-pace.c's decision.
 *
 * Nothing of this is in the migration stream: when the machine stops, the
 * state is what it would be without any of it.
 */
#include "qemu/osdep.h"
#include "qemu/queue.h"
#include "hw/usb.h"
#include "hw/usb/desc.h"
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
    bool resting;           /* frames may pass without a tick */
    bool alerted;           /* resting, but the next tick is at once */
    int64_t expected;       /* when resting: time of the frame with work */
    bool by_guest;          /* it is the guest's access that ticks */
    bool finding;           /* this tick may find what nothing told of */
    int64_t passed;         /* the frames that were due when it began */
    int64_t looked;         /* time of the frame that it looked ahead from */
    uint32_t schedule;      /* and what it found */
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
 * The type of an endpoint is set when the guest configures its device, and
 * is not in the migration stream. A restored device has its descriptors.
 */
static uint8_t endpoint_type(const USBEndpoint *ep)
{
    const USBDescDevice *device = ep->dev->device;
    uint8_t addr = ep->nr | (ep->pid == USB_TOKEN_IN ? USB_DIR_IN : 0);

    if (ep->type != USB_ENDPOINT_XFER_INVALID || device == NULL) {
        return ep->type;
    }
    for (int c = 0; c < device->bNumConfigurations; c++) {
        const USBDescConfig *conf = &device->confs[c];

        for (int i = 0; i < conf->nif; i++) {
            const USBDescIface *iface = &conf->ifs[i];

            for (int e = 0; e < iface->bNumEndpoints; e++) {
                if (iface->eps[e].bEndpointAddress == addr) {
                    return iface->eps[e].bmAttributes & 3;
                }
            }
        }
    }
    return ep->type;
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
    return endpoint_type(ep) == USB_ENDPOINT_XFER_INT &&
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

/* The number of the present frame, as the pace counts them. */
static uint64_t uhci_clock(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / FRAME_NS;
}

/* The next frame at its time, or at once when that is over. */
static void uhci_full_rate(PulsarUhci *p)
{
    UHCIState *s = p->uhci;

    if (p->resting && !p->alerted && uhci_runs(s)) {
        trace_pulsar_uhci_alert(s, uhci_due(s));
        p->alerted = true;
        timer_mod(s->frame_timer, s->expire_time);
    }
}

/* Something happened that the frames must not be late for. */
static void uhci_alert(PulsarUhci *p)
{
    uhci_full_rate(p);
    pulsar_usb_pace_work(&p->pace);
}

/* When to look again; @work counts from the next frame. */
static int64_t uhci_rest(PulsarUhci *p, uint32_t schedule, uint32_t work)
{
    UHCIState *s = p->uhci;
    uint32_t frames = pulsar_usb_pace_rest(&p->pace, uhci_clock(), schedule,
                                           work);
    int64_t next;

    trace_pulsar_uhci_rest(s, frames, work);
    if (frames == 1) {
        return s->expire_time;
    }
    p->resting = true;
    p->expected = s->expire_time + work * FRAME_NS;
    /*
     * Not in step with the frames, or some seconds would have a look too
     * many; but the frame with work is met at its time.
     */
    next = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + frames * FRAME_NS +
        FRAME_NS / 4;
    return MIN(next, p->expected);
}

static uint32_t scan_work(const PulsarUhciScan *scan)
{
    return scan->work == PULSAR_UHCI_FRAMES ? PULSAR_USB_PACE_NO_WORK :
        scan->work;
}

/*
 * After a rest: do the due frames that have something of their own, and pass
 * over the others but the last, which upstream goes on with.
 */
static void uhci_catch_up(PulsarUhci *p, int64_t due,
                          PulsarUhciFrame *process_frame)
{
    UHCIState *s = p->uhci;
    uint32_t frames = MIN(due, PULSAR_UHCI_FRAMES);
    PulsarUhciScan scan;
    uint16_t frnum;

    /* What was in those before is in these as well. */
    uhci_pass_over(s, due - frames);
    uhci_scan(s, frames, &scan);
    p->passed = due;
    p->finding = !p->alerted && !p->by_guest &&
        s->expire_time + (frames - 1) * FRAME_NS < p->expected;
    frnum = s->frnum;
    for (uint32_t i = 0; i < frames - 1; i++) {
        if (!pulsar_uhci_scan_todo(&scan, i)) {
            continue;
        }
        s->frnum = (frnum + i) & 0x7ff;
        s->frame_bytes = 0;
        trace_pulsar_uhci_work(s, s->frnum);
        process_frame(s);
        if (!(s->cmd & UHCI_CMD_RS)) {
            /* An error that stops the controller where it is. */
            uhci_pass_over(s, 1);
            s->expire_time += (frames - 1) * FRAME_NS;
            return;
        }
    }
    s->frnum = frnum;
    uhci_pass_over(s, frames - 1);
    p->schedule = scan.schedule;
    p->work = scan_work(&scan);
    /* If something was to be done, the schedule is another one now. */
    p->looked = p->work ? s->expire_time + FRAME_NS : INT64_MIN;
}

void pulsar_uhci_frame_timer(UHCIState *s, PulsarUhciFrame *process_frame)
{
    PulsarUhci *p = s->pulsar;
    int64_t due = uhci_due(s);

    p->looked = INT64_MIN;
    if (p->resting && due > 0) {
        uhci_catch_up(p, due, process_frame);
    }
    p->resting = false;
    p->alerted = false;
}

int64_t pulsar_uhci_frame_timer_next(UHCIState *s, int64_t next)
{
    PulsarUhci *p = s->pulsar;
    PulsarUhciScan scan;

    p->finding = false;
    /* One that an error stopped is halted with the next tick. */
    if (!(s->cmd & UHCI_CMD_RS) || pulsar_usb_pace_frame(&p->pace)) {
        return next;
    }
    if (p->looked != s->expire_time) {
        /* Upstream does some frames at a time. */
        if (uhci_due(s) > 0) {
            return next;
        }
        uhci_scan(s, 0, &scan);
        p->schedule = scan.schedule;
        p->work = scan_work(&scan);
    }
    return uhci_rest(p, p->schedule, p->work);
}

/*
 * The guest looks at a register: what is due is done before it sees it, and
 * perhaps there will be more soon.
 */
static void uhci_look(PulsarUhci *p)
{
    UHCIState *s = p->uhci;

    p->by_guest = true;
    /* At full rate upstream does some frames at a time. */
    for (int i = 0; i < 16 && uhci_runs(s) && uhci_due(s) > 0; i++) {
        s->frame_timer->cb(s->frame_timer->opaque);
    }
    p->by_guest = false;
    if (p->resting && !p->alerted && pulsar_usb_pace_look(&p->pace)) {
        uhci_full_rate(p);
    }
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
    PulsarUhci *p = s->pulsar;

    if (packet->status == USB_RET_NAK &&
        endpoint_type(packet->ep) == USB_ENDPOINT_XFER_INT) {
        return;
    }
    if (p->finding) {
        trace_pulsar_uhci_found(s, p->passed);
        pulsar_usb_pace_found(&p->pace, uhci_clock(), p->passed);
    }
    pulsar_usb_pace_work(&p->pace);
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

/* The frames that are due and have nothing to do, without doing any. */
static void uhci_settle(UHCIState *s)
{
    int64_t due = uhci_due(s);
    uint32_t frames = MIN(due, PULSAR_UHCI_FRAMES), i = 0;
    PulsarUhciScan scan;

    if (due <= 0) {
        return;
    }
    uhci_pass_over(s, due - frames);
    uhci_scan(s, frames, &scan);
    while (i < frames - 1 && !pulsar_uhci_scan_todo(&scan, i)) {
        i++;
    }
    uhci_pass_over(s, i);
}

/*
 * A machine that stands still must look as if nothing had rested, and one
 * that was restored must be no frames ahead of the clock.
 */
static void uhci_vm_state_change(void *opaque, bool running, RunState state)
{
    PulsarUhci *p = opaque;
    UHCIState *s = p->uhci;
    int64_t soon = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + FRAME_NS;

    if (uhci_runs(s)) {
        if (!running && p->resting) {
            uhci_settle(s);
        }
        if (s->expire_time < 0 || s->expire_time > soon) {
            s->expire_time = soon;
        }
        if (p->resting || timer_expire_time_ns(s->frame_timer) > soon) {
            timer_mod(s->frame_timer, s->expire_time);
        }
    }
    p->resting = false;
    p->alerted = false;
    pulsar_usb_pace_work(&p->pace);
}

void pulsar_uhci_realize(UHCIState *s)
{
    PulsarUhci *p = g_new0(PulsarUhci, 1);

    p->uhci = s;
    pulsar_usb_pace_start(&p->pace);
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
