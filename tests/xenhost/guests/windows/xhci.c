/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's xHCI driver: one slot, its control endpoint and one
 * interrupt endpoint.
 */
#include "guest.h"

#define COMMAND     0x00
#define STATUS      0x04
#define RING        0x18
#define CONTEXTS    0x30
#define CONFIGURE   0x38
#define PORT        0x400

#define IMAN        0x20        /* interrupter 0, in the runtime registers */
#define ERSTSZ      0x28
#define ERSTBA      0x30
#define ERDP        0x38

#define RUN         0x0005u     /* run, with interrupts */
#define RESET       0x0002u

#define TYPE(n)     ((uint32_t)(n) << 10)
#define NORMAL      1
#define SETUP       2
#define DATA        3
#define STATUS_TRB  4
#define LINK        6
#define ENABLE_SLOT 9
#define ADDRESS_DEVICE  11
#define CONFIGURE_ENDPOINT  12
#define TRANSFER_EVENT  32
#define COMMAND_EVENT   33
#define ON_COMPLETE 0x20u
#define SUCCESS     1
#define SHORT       13

struct trb {
    volatile uint32_t low, high, status, control;
};

struct ring {
    struct trb trbs[32];
    unsigned next;
    uint32_t cycle;
} __attribute__((aligned(1024)));

/* Contexts of 32 bytes: input control, slot, endpoint 0 and on. */
static uint32_t input[33][8] __attribute__((aligned(2048)));
static uint32_t output[32][8] __attribute__((aligned(2048)));
static uint64_t slots[256] __attribute__((aligned(2048)));
static struct trb events[64] __attribute__((aligned(1024)));
static struct {
    uint64_t address;
    uint32_t size, reserved;
} event_table __attribute__((aligned(64)));
static struct ring commands, control_ring, report_ring;
static unsigned event_next;
static uint32_t event_cycle;
static uint8_t report[64] __attribute__((aligned(64)));
static uint32_t base, runtime, doorbells;
static unsigned slot, port_number, port_speed, report_index, report_size;
static volatile bool command_done, control_done;
static volatile unsigned command_code, control_code;

static void ring_start(struct ring *ring)
{
    ring->cycle = 1;
    ring->trbs[ARRAY_SIZE(ring->trbs) - 1] = (struct trb){
        .low = ADDRESS(ring->trbs), .control = TYPE(LINK) | 2,
    };
}

static void ring_put(struct ring *ring, uint32_t low, uint32_t high,
                     uint32_t status, uint32_t control)
{
    struct trb *trb = &ring->trbs[ring->next];

    trb->low = low;
    trb->high = high;
    trb->status = status;
    trb->control = control | ring->cycle;
    if (++ring->next == ARRAY_SIZE(ring->trbs) - 1) {
        struct trb *link = &ring->trbs[ring->next];

        link->control = (link->control & ~1u) | ring->cycle;
        ring->next = 0;
        ring->cycle ^= 1;
    }
}

static void queue_report(void)
{
    ring_put(&report_ring, ADDRESS(report), 0, report_size,
             TYPE(NORMAL) | ON_COMPLETE);
    write32(doorbells + 4 * slot, report_index);
}

static void take_event(const struct trb *event)
{
    unsigned code = event->status >> 24;

    switch ((event->control >> 10) & 63) {
    case COMMAND_EVENT:
        command_code = code;
        slot = event->control >> 24;
        command_done = true;
        break;
    case TRANSFER_EVENT:
        if (((event->control >> 16) & 31) == 1) {
            control_code = code;
            control_done = true;
        } else if (code == SUCCESS || code == SHORT) {
            usb_report();
            queue_report();
        }
        break;
    }
}

static void xhci_irq(void)
{
    if (!(read32(base + STATUS) & 8)) {
        return;
    }
    write32(base + STATUS, 8);
    write32(runtime + IMAN, 3);
    while ((events[event_next].control & 1) == event_cycle) {
        take_event(&events[event_next]);
        if (++event_next == ARRAY_SIZE(events)) {
            event_next = 0;
            event_cycle ^= 1;
        }
    }
    write32(runtime + ERDP, ADDRESS(&events[event_next]) | 8);
    write32(runtime + ERDP + 4, 0);
}

static bool command(uint32_t parameter, uint32_t control)
{
    command_done = false;
    ring_put(&commands, parameter, 0, 0, control);
    write32(doorbells, 0);
    return wait_for(&command_done) && command_code == SUCCESS;
}

static bool control(const struct usb_setup *setup, void *data)
{
    bool in = setup->type & 0x80;
    uint32_t kind = !setup->length ? 0 : in ? 3 : 2;

    control_done = false;
    ring_put(&control_ring,
             setup->type | setup->request << 8 | (uint32_t)setup->value << 16,
             setup->index | (uint32_t)setup->length << 16, 8,
             TYPE(SETUP) | 0x40 | kind << 16);
    if (setup->length) {
        ring_put(&control_ring, ADDRESS(data), 0, setup->length,
                 TYPE(DATA) | (uint32_t)in << 16);
    }
    ring_put(&control_ring, 0, 0, 0,
             TYPE(STATUS_TRB) | ON_COMPLETE |
             (setup->length && in ? 0 : 1u << 16));
    write32(doorbells + 4 * slot, 1);
    return wait_for(&control_done) && control_code == SUCCESS;
}

static bool address(void)
{
    /* Packets of endpoint 0 by speed: full, low, high, super. */
    static const uint16_t sizes[] = { 8, 8, 8, 64, 512 };

    if (!command(0, TYPE(ENABLE_SLOT)) || !slot) {
        return false;
    }
    ring_start(&control_ring);
    slots[slot] = ADDRESS(output);
    input[0][1] = 3;
    input[1][0] = 1u << 27 | port_speed << 20;
    input[1][1] = port_number << 16;
    input[2][1] = 3 << 1 | 4 << 3 |
        (uint32_t)sizes[port_speed < ARRAY_SIZE(sizes) ? port_speed : 0] << 16;
    input[2][2] = ADDRESS(control_ring.trbs) | 1;
    input[2][4] = 8;
    barrier();
    return command(ADDRESS(input), TYPE(ADDRESS_DEVICE) | slot << 24);
}

static bool listen(unsigned endpoint, unsigned size, unsigned interval)
{
    unsigned exponent = 0;

    if (size > sizeof(report)) {
        return false;
    }
    /* High speed counts in powers of two, full speed in milliseconds. */
    if (port_speed >= 3) {
        exponent = interval - 1;
    } else {
        while (1u << (exponent + 1) <= interval * 8) {
            exponent++;
        }
    }
    report_index = endpoint * 2 + 1;
    report_size = size;
    ring_start(&report_ring);
    memset(input, 0, sizeof(input));
    input[0][1] = 1 | 1u << report_index;
    memcpy(input[1], output[0], sizeof(input[1]));
    input[1][0] = (input[1][0] & 0x07ffffff) | report_index << 27;
    input[report_index + 1][0] = exponent << 16;
    input[report_index + 1][1] = 3 << 1 | 7 << 3 | size << 16;
    input[report_index + 1][2] = ADDRESS(report_ring.trbs) | 1;
    input[report_index + 1][4] = size | size << 16;
    barrier();
    if (!command(ADDRESS(input), TYPE(CONFIGURE_ENDPOINT) | slot << 24)) {
        return false;
    }
    queue_report();
    return true;
}

void xhci_start(const struct pci_device *device)
{
    static const struct usb_host host = { "xHCI", address, control, listen };
    uint32_t caps = pci_enable(device, 0);
    unsigned ports = read32(caps + 4) >> 24;

    if (base) {
        return;
    }
    base = caps + (read32(caps) & 0xff);
    doorbells = caps + read32(caps + 0x14);
    runtime = caps + read32(caps + 0x18);
    write32(base + COMMAND, 0);
    delay(20);
    write32(base + COMMAND, RESET);
    delay(50);
    ring_start(&commands);
    event_cycle = 1;
    event_table.address = ADDRESS(events);
    event_table.size = ARRAY_SIZE(events);
    barrier();
    write32(base + CONFIGURE, 8);
    write32(base + CONTEXTS, ADDRESS(slots));
    write32(base + CONTEXTS + 4, 0);
    write32(base + RING, ADDRESS(commands.trbs) | 1);
    write32(base + RING + 4, 0);
    write32(runtime + ERSTSZ, 1);
    write32(runtime + ERDP, ADDRESS(events));
    write32(runtime + ERDP + 4, 0);
    write32(runtime + ERSTBA, ADDRESS(&event_table));
    write32(runtime + ERSTBA + 4, 0);
    irq_attach(device->line, xhci_irq);
    write32(runtime + IMAN, 3);
    write32(base + COMMAND, RUN);
    delay(20);
    for (unsigned i = 0; i < ports; i++) {
        uint32_t port = base + PORT + 16 * i;

        if (!(read32(port) & 1)) {
            continue;
        }
        write32(port, 0x0210);          /* powered, reset */
        delay(50);
        port_speed = (read32(port) >> 10) & 15;
        port_number = i + 1;
        usb_found(&host);
        return;
    }
    write32(base + COMMAND, 0);
    say("xHCI: nothing is plugged in, it stops");
}
