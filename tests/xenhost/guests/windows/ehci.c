/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's EHCI driver: the asynchronous schedule for control
 * transfers, off when there are none, and the periodic schedule with the
 * interrupt transfer and the rollover interrupt, always on.
 */
#include "guest.h"

#define COMMAND     0x00
#define STATUS      0x04
#define INTERRUPTS  0x08
#define FRAME       0x0c
#define SEGMENT     0x10
#define PERIODIC    0x14
#define ASYNC       0x18
#define CONFIGURED  0x40
#define PORT        0x44

#define RUN         0x00080001u     /* an interrupt in 8 microframes */
#define RESET       0x00000002u
#define DO_PERIODIC 0x00000010u
#define DO_ASYNC    0x00000020u

#define END         1u              /* in links */
#define QUEUE       2u
#define ACTIVE      0x80u
#define HALTED      0x40u
#define ON_COMPLETE 0x8000u
#define TRY_THREE   0x0c00u
#define TOGGLE      0x80000000u
#define OUT         0u
#define IN          1u
#define SETUP       2u

struct transfer {
    volatile uint32_t next, other, token, pages[5];
} __attribute__((aligned(32)));

struct queue {
    volatile uint32_t link, what, when, current;
    struct {
        volatile uint32_t next, other, token, pages[5];
    } now;
} __attribute__((aligned(64)));

static uint32_t frames[1024] __attribute__((aligned(4096)));
static struct queue control_queue, interrupt_queue;
static struct transfer control_transfers[3];
static struct transfer report_transfer;
static uint8_t report[64] __attribute__((aligned(64)));
static struct usb_setup request __attribute__((aligned(8)));
static uint32_t base;
static unsigned usb_address;
static unsigned packet_size;
static unsigned report_size;
static volatile bool interrupted;

static void fill(struct transfer *t, unsigned pid, uint32_t flags,
                 const void *data, unsigned length)
{
    t->next = END;
    t->other = END;
    t->pages[0] = ADDRESS(data);
    t->pages[1] = (ADDRESS(data) & ~4095u) + 4096;
    t->token = flags | length << 16 | pid << 8 | TRY_THREE | ACTIVE;
}

static void queue_report(void)
{
    fill(&report_transfer, IN, ON_COMPLETE, report, report_size);
    interrupt_queue.now.next = ADDRESS(&report_transfer);
}

static void ehci_irq(void)
{
    uint32_t status = read32(base + STATUS) & 0x3f;

    if (!status) {
        return;
    }
    write32(base + STATUS, status);
    interrupted = true;
    if (report_size && !(report_transfer.token & ACTIVE)) {
        if (!(report_transfer.token & HALTED)) {
            usb_report();
        }
        queue_report();
    }
}

static bool control(const struct usb_setup *setup, void *data)
{
    struct transfer *t = control_transfers;
    bool in = setup->type & 0x80;
    unsigned tries = 0;

    request = *setup;
    fill(t, SETUP, 0, &request, sizeof(request));
    if (setup->length) {
        t->next = ADDRESS(t + 1);
        fill(++t, in ? IN : OUT, TOGGLE, data, setup->length);
    }
    t->next = ADDRESS(t + 1);
    fill(++t, in && setup->length ? OUT : IN, TOGGLE | ON_COMPLETE, NULL, 0);

    control_queue.link = ADDRESS(&control_queue) | QUEUE;
    control_queue.what = usb_address | 2 << 12 | 1 << 14 | 1 << 15 |
                         packet_size << 16;
    control_queue.when = 1u << 30;
    control_queue.current = 0;
    control_queue.now.next = ADDRESS(control_transfers);
    control_queue.now.other = END;
    control_queue.now.token = 0;
    interrupted = false;
    write32(base + ASYNC, ADDRESS(&control_queue));
    write32(base + COMMAND, read32(base + COMMAND) | DO_ASYNC);
    /* The rollover interrupts too. */
    while ((t->token & ACTIVE) && !(control_queue.now.token & HALTED) &&
           tries++ < 8 && wait_for(&interrupted)) {
        interrupted = false;
    }
    write32(base + COMMAND, read32(base + COMMAND) & ~DO_ASYNC);
    while (read32(base + STATUS) & 0x8000) {
        delay(1);
    }
    return !(t->token & (ACTIVE | HALTED));
}

static bool address(void)
{
    usb_address = 0;
    packet_size = 64;                   /* always, at high speed */
    return usb_give_address(control, &usb_address);
}

static bool listen(unsigned endpoint, unsigned size, unsigned interval)
{
    (void)interval;                     /* each eighth frame is often enough */
    if (size > sizeof(report)) {
        return false;
    }
    interrupt_queue.link = END;
    interrupt_queue.what = usb_address | endpoint << 8 | 2 << 12 | size << 16;
    interrupt_queue.when = 1u << 30 | 1;
    interrupt_queue.now.other = END;
    interrupt_queue.now.token = 0;
    report_size = size;
    queue_report();
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i += 8) {
        frames[i] = ADDRESS(&interrupt_queue) | QUEUE;
    }
    barrier();
    return true;
}

static void take_from_bios(const struct pci_device *device, uint32_t caps)
{
    unsigned at = (read32(caps + 8) >> 8) & 0xff;

    if (at >= 0x40) {
        pci_write(device, at, pci_read(device, at) | 0x01000000);
        delay(10);
        pci_write(device, at + 4, 0);
    }
}

void ehci_start(const struct pci_device *device)
{
    static const struct usb_host host = { "EHCI", address, control, listen };
    uint32_t caps = pci_enable(device, 0);
    unsigned ports = read32(caps + 4) & 15;
    uint32_t port;

    if (base) {
        return;
    }
    take_from_bios(device, caps);
    base = caps + (read32(caps) & 0xff);
    write32(base + COMMAND, RESET);
    delay(10);
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        frames[i] = END;
    }
    barrier();
    write32(base + SEGMENT, 0);
    write32(base + PERIODIC, ADDRESS(frames));
    write32(base + STATUS, 0x3f);
    irq_attach(device->line, ehci_irq);
    write32(base + INTERRUPTS, 0x0f);
    write32(base + COMMAND, RUN | DO_PERIODIC);
    write32(base + CONFIGURED, 1);
    delay(50);
    for (port = base + PORT; ports; port += 4, ports--) {
        if (!(read32(port) & 1)) {
            continue;
        }
        write32(port, 0x1100);
        delay(50);
        write32(port, 0x1000);
        delay(10);
        write32(port, (read32(port) & 0x1004) | 0x0a);
        if (read32(port) & 4) {
            usb_found(&host);
            return;
        }
        write32(port, 0x3000);          /* too slow, its companion takes it */
        delay(10);
    }
    write32(base + INTERRUPTS, 0);
    write32(base + COMMAND, 0);
    say("EHCI: nothing is plugged in, it stops");
}
