/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's UHCI driver: one frame list with an interrupt
 * queue in each eighth frame and a control queue in all. A controller with
 * something plugged in goes on running for ever.
 */
#include "guest.h"

#define COMMAND     0x00
#define STATUS      0x02
#define INTERRUPTS  0x04
#define FRAME       0x06
#define LIST        0x08
#define PORT        0x10

#define RUN         0x00c1      /* run, configured, packets of 64 bytes */
#define RESET       0x0002

#define END         1u          /* in links */
#define QUEUE       2u
#define ACTIVE      0x00800000u
#define ON_COMPLETE 0x01000000u
#define ERRORS      0x00760000u /* stalled, or on the way there; not refused */
#define TRY_THREE   0x18000000u

#define SETUP       0x2d
#define IN          0x69
#define OUT         0xe1

struct transfer {
    volatile uint32_t link, status, token, buffer;
} __attribute__((aligned(16)));

struct queue {
    volatile uint32_t next, first;
} __attribute__((aligned(16)));

static uint32_t frames[1024] __attribute__((aligned(4096)));
static struct queue interrupt_queue, control_queue;
static struct transfer control_transfers[24];
static struct transfer report_transfer;
static uint8_t report[64];
static struct usb_setup request;
static uint16_t base;
static unsigned usb_address;
static unsigned packet_size;
static uint32_t report_token;
static volatile bool interrupted;

static void uhci_irq(void)
{
    uint16_t status = inw(base + STATUS);

    if (!status || status == 0xffff) {
        return;
    }
    outw(base + STATUS, status);
    interrupted = true;
    if (report_token && !(report_transfer.status & ACTIVE)) {
        if (!(report_transfer.status & ERRORS)) {
            report_token ^= 1u << 19;
            usb_report();
        }
        report_transfer.token = report_token;
        report_transfer.status = ACTIVE | ON_COMPLETE | TRY_THREE;
        interrupt_queue.first = ADDRESS(&report_transfer);
    }
}

static uint32_t token(unsigned pid, unsigned endpoint, unsigned toggle,
                      unsigned length)
{
    return pid | usb_address << 8 | endpoint << 15 | toggle << 19 |
           ((length - 1) & 0x7ff) << 21;
}

static bool control(const struct usb_setup *setup, void *data)
{
    unsigned pid = setup->type & 0x80 ? IN : OUT;
    struct transfer *last = control_transfers;
    unsigned done = 0;
    unsigned toggle = 1;

    request = *setup;
    last->token = token(SETUP, 0, 0, sizeof(request));
    last->buffer = ADDRESS(&request);
    while (done < setup->length) {
        unsigned length = setup->length - done;

        if (length > packet_size) {
            length = packet_size;
        }
        if (++last == control_transfers + ARRAY_SIZE(control_transfers) - 1) {
            return false;
        }
        last->token = token(pid, 0, toggle, length);
        last->buffer = ADDRESS(data) + done;
        done += length;
        toggle ^= 1;
    }
    last++;
    last->token = token(setup->length && pid == IN ? OUT : IN, 0, 1, 0);
    last->buffer = 0;
    for (struct transfer *t = control_transfers; t <= last; t++) {
        t->link = t == last ? END : ADDRESS(t + 1) | 4;
        t->status = ACTIVE | TRY_THREE | (t == last ? ON_COMPLETE : 0);
    }
    interrupted = false;
    control_queue.first = ADDRESS(control_transfers);
    while ((last->status & ACTIVE) && wait_for(&interrupted)) {
        interrupted = false;
        for (struct transfer *t = control_transfers; t <= last; t++) {
            if (!(t->status & ACTIVE) && (t->status & ERRORS)) {
                control_queue.first = END;
                return false;
            }
        }
    }
    control_queue.first = END;
    return !(last->status & (ACTIVE | ERRORS));
}

static bool address(void)
{
    static uint8_t data[8];
    struct usb_setup setup = { 0x80, 6, 0x0100, 0, sizeof(data) };

    usb_address = 0;
    packet_size = 8;
    if (!control(&setup, data)) {
        return false;
    }
    packet_size = data[7];
    return packet_size && usb_give_address(control, &usb_address);
}

static bool listen(unsigned endpoint, unsigned size, unsigned interval)
{
    (void)interval;                     /* each eighth frame is often enough */
    if (size > sizeof(report)) {
        return false;
    }
    report_transfer.link = END;
    report_transfer.buffer = ADDRESS(report);
    report_transfer.token = token(IN, endpoint, 0, size);
    report_transfer.status = ACTIVE | ON_COMPLETE | TRY_THREE;
    report_token = report_transfer.token;
    interrupt_queue.first = ADDRESS(&report_transfer);
    return true;
}

static bool plugged(uint16_t io)
{
    return (inw(io + PORT) | inw(io + PORT + 2)) & 1;
}

void uhci_start(const struct pci_device *device)
{
    static const struct usb_host host = { "UHCI", address, control, listen };
    uint16_t io = pci_enable(device, 4);
    unsigned port;

    pci_write(device, 0xc0, 0x8f00);    /* the BIOS lets go of it */
    outw(io + COMMAND, RESET);
    delay(10);
    if (base || !plugged(io)) {
        say("UHCI: nothing is plugged in, it stops");
        return;
    }
    base = io;
    interrupt_queue.next = ADDRESS(&control_queue) | QUEUE;
    interrupt_queue.first = END;
    control_queue.next = END;
    control_queue.first = END;
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        frames[i] = ADDRESS(i % 8 ? &control_queue : &interrupt_queue) | QUEUE;
    }
    barrier();
    outw(base + FRAME, 0);
    outl(base + LIST, ADDRESS(frames));
    outw(base + STATUS, 0x3f);
    irq_attach(device->line, uhci_irq);
    pci_write(device, 0xc0, 0x2000);
    outw(base + INTERRUPTS, 0x0f);
    outw(base + COMMAND, RUN);
    port = base + PORT + (inw(base + PORT) & 1 ? 0 : 2);
    outw(port, 0x0200);
    delay(50);
    outw(port, 0);
    delay(10);
    outw(port, 0x000e);                 /* on; what changed is known */
    delay(10);
    usb_found(&host);
}
