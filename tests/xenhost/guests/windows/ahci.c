/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's AHCI driver: the first DVD drive, one command at a
 * time. A drive that can notify is told to, and its notifications are known, as
 * in AhciDeviceInitialize() and AhciInterruptHandler() of Microsoft's sample
 * storahci.
 */
#include "guest.h"

#define GLOBAL      0x04
#define STATUS      0x08
#define PORTS       0x0c
#define PORT(n)     (0x100 + 0x80 * (n))

#define PORT_LIST       0x00
#define PORT_RECEIVED   0x08
#define PORT_STATUS     0x10
#define PORT_INTERRUPTS 0x14
#define PORT_COMMAND    0x18
#define PORT_TASK       0x20
#define PORT_SIGNATURE  0x24
#define PORT_ERRORS     0x30
#define PORT_ISSUE      0x38

#define SET_DEVICE_BITS 0x08        /* in PORT_STATUS */
#define RECEIVED_BITS   0x58        /* that FIS in received[] */
#define NOTIFICATION    0x80        /* in its second byte */

#define DVD_SIGNATURE   0xeb140101u

#define IDENTIFY_PACKET 0xa1
#define SET_FEATURES    0xef

static uint32_t list[32][8] __attribute__((aligned(1024)));
static uint8_t received[256] __attribute__((aligned(256)));
static struct {
    uint8_t command[64];
    uint8_t packet[64];
    uint32_t data[4];
} table __attribute__((aligned(128)));
static uint32_t base, port;
static volatile bool interrupted;
static bool notifies;
volatile bool ahci_notified;

static void ahci_irq(void)
{
    uint32_t status = read32(base + STATUS), events;

    if (!status) {
        return;
    }
    events = read32(port + PORT_STATUS);
    if ((events & SET_DEVICE_BITS) &&
        (received[RECEIVED_BITS + 1] & NOTIFICATION)) {
        ahci_notified = true;
    }
    write32(port + PORT_STATUS, events);
    write32(base + STATUS, status);
    if (events & ~SET_DEVICE_BITS) {
        interrupted = true;
    }
}

static void port_start(void)
{
    write32(port + PORT_COMMAND, read32(port + PORT_COMMAND) & ~0x11u);
    for (unsigned i = 0; i < 20 && read32(port + PORT_COMMAND) & 0xc000; i++) {
        delay(10);
    }
    list[0][2] = ADDRESS(&table);
    barrier();
    write32(port + PORT_LIST, ADDRESS(list));
    write32(port + PORT_LIST + 4, 0);
    write32(port + PORT_RECEIVED, ADDRESS(received));
    write32(port + PORT_RECEIVED + 4, 0);
    write32(port + PORT_ERRORS, 0xffffffff);
    write32(port + PORT_STATUS, 0xffffffff);
    write32(port + PORT_INTERRUPTS, 0x4000000b);
    write32(port + PORT_COMMAND, read32(port + PORT_COMMAND) | 0x12);
    write32(port + PORT_COMMAND, read32(port + PORT_COMMAND) | 0x01);
}

/* The command and what belongs to it stand in the table. */
static bool run(uint32_t flags, void *data, unsigned length)
{
    table.command[0] = 0x27;            /* to the device */
    table.command[1] = 0x80;            /* a command */
    table.data[0] = ADDRESS(data);
    table.data[3] = length - 1;
    list[0][0] = 5 | flags | (length ? 1 << 16 : 0);
    list[0][1] = 0;
    interrupted = false;
    barrier();
    write32(port + PORT_ISSUE, 1);
    return wait_for(&interrupted) && !(read32(port + PORT_ISSUE) & 1) &&
           !(read32(port + PORT_TASK) & 1);
}

/* Have the drive notify, if it can. */
static void notification_start(void)
{
    static uint16_t identity[256] __attribute__((aligned(8)));

    memset(&table, 0, sizeof(table));
    table.command[2] = IDENTIFY_PACKET;
    if (!run(0, identity, sizeof(identity))) {
        say("AHCI: the drive does not identify itself");
        return;
    }
    if (!(identity[78] & 1 << 5)) {
        return;
    }
    if (!(identity[79] & 1 << 5)) {
        memset(&table, 0, sizeof(table));
        table.command[2] = SET_FEATURES;
        table.command[3] = 0x10;        /* enable a function of Serial ATA */
        table.command[12] = 5;          /* asynchronous notification */
        if (!run(0, NULL, 0)) {
            say("AHCI: the drive does not want to notify");
            return;
        }
    }
    say("AHCI: the drive notifies");
    notifies = ahci_notified = true;
}

void ahci_start(void)
{
    const struct pci_device *device = pci_find(0x010600, 0xffff00, 0);
    uint32_t ports;

    if (!device) {
        return;
    }
    base = pci_enable(device, 5);
    write32(base + GLOBAL, read32(base + GLOBAL) | 0x80000000);
    ports = read32(base + PORTS);
    for (unsigned n = 0; n < 32; n++) {
        port = base + PORT(n);
        if ((ports & 1u << n) &&
            read32(port + PORT_SIGNATURE) == DVD_SIGNATURE) {
            write32(base + STATUS, 0xffffffff);
            port_start();
            irq_attach(device->line, ahci_irq);
            write32(base + GLOBAL, read32(base + GLOBAL) | 0x02);
            say("AHCI: a DVD drive");
            notification_start();
            return;
        }
    }
    port = 0;
}

bool ahci_has_dvd(void)
{
    return port;
}

bool ahci_notifies(void)
{
    return notifies;
}

bool ahci_packet(const uint8_t *packet, void *data, unsigned length)
{
    memset(&table, 0, sizeof(table));
    table.command[2] = 0xa0;            /* a packet */
    table.command[3] = 0x01;            /* by DMA */
    table.command[5] = length;
    table.command[6] = length >> 8;
    memcpy(table.packet, packet, ATAPI_PACKET);
    return run(1 << 5, data, length);
}
