/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's driver for the PIIX IDE channels: the disk is read
 * word by word, as old drivers do while they start, the DVD drive is asked by
 * ATAPI packets.
 */
#include "guest.h"

#define BUSY        0x80
#define DATA_READY  0x08
#define ERROR       0x01
#define SECTORS     16          /* read from the disk, as if for drivers */

struct channel {
    uint16_t base, control;
    unsigned line;
    volatile bool interrupted;
    volatile uint8_t status;
};

static struct channel channels[] = {
    { .base = 0x1f0, .control = 0x3f6, .line = 14 },
    { .base = 0x170, .control = 0x376, .line = 15 },
};
static struct channel *dvd;
static uint8_t dvd_select;

static void channel_irq(struct channel *channel)
{
    channel->status = inb(channel->base + 7);
    channel->interrupted = true;
}

static void primary_irq(void)
{
    channel_irq(&channels[0]);
}

static void secondary_irq(void)
{
    channel_irq(&channels[1]);
}

/* Its status, once it has time for us or takes too long. */
static uint8_t when_idle(const struct channel *channel)
{
    uint8_t status = BUSY;

    for (unsigned i = 0; i < 10000 && (status & BUSY); i++) {
        status = inb(channel->control);
    }
    return status;
}

static bool wants_data(const struct channel *channel)
{
    return (when_idle(channel) & (BUSY | DATA_READY | ERROR)) == DATA_READY;
}

static void command(struct channel *channel, uint8_t code)
{
    channel->interrupted = false;
    outb(channel->base + 7, code);
}

/* A sector's worth, word by word; returns their sum. */
static uint16_t take_sector(const struct channel *channel)
{
    uint16_t sum = 0;

    for (unsigned i = 0; i < 256; i++) {
        sum += inw(channel->base);
    }
    return sum;
}

static bool load_drivers(struct channel *channel, uint8_t select)
{
    uint16_t sum = 0;

    outb(channel->base + 6, select | 0x40);
    outb(channel->base + 2, SECTORS);
    outb(channel->base + 3, 0);
    outb(channel->base + 4, 0);
    outb(channel->base + 5, 0);
    command(channel, 0x20);
    for (unsigned i = 0; i < SECTORS; i++) {
        if (!wait_for(&channel->interrupted) ||
            !(channel->status & DATA_READY)) {
            return false;
        }
        channel->interrupted = false;
        sum += take_sector(channel);
    }
    say("IDE: %u sectors read from the disk, sum %x", SECTORS, sum);
    return true;
}

static void look(struct channel *channel, uint8_t select)
{
    outb(channel->base + 6, select);
    for (unsigned i = 0; i < 4; i++) {
        inb(channel->control);
    }
    if (inb(channel->base + 7) == 0xff) {
        return;
    }
    command(channel, 0xec);
    if (!inb(channel->control)) {
        return;                             /* nobody there */
    }
    wait_for(&channel->interrupted);
    if (inb(channel->base + 4) == 0x14 && inb(channel->base + 5) == 0xeb) {
        if (!dvd) {
            dvd = channel;
            dvd_select = select;
            say("IDE: a DVD drive");
        }
        return;
    }
    if (wants_data(channel)) {
        take_sector(channel);
        if (!load_drivers(channel, select)) {
            say("IDE: the disk does not answer");
        }
    }
}

void ide_start(void)
{
    if (!pci_find(0x010100, 0xffff00, 0)) {
        return;
    }
    irq_attach(14, primary_irq);
    irq_attach(15, secondary_irq);
    for (unsigned i = 0; i < ARRAY_SIZE(channels); i++) {
        outb(channels[i].control, 0);       /* interrupts on */
        look(&channels[i], 0xa0);
        look(&channels[i], 0xb0);
    }
}

bool ide_has_dvd(void)
{
    return dvd;
}

bool ide_packet(const uint8_t *packet, void *data, unsigned length)
{
    uint16_t *words = data;
    unsigned got;

    outb(dvd->base + 6, dvd_select);
    when_idle(dvd);
    outb(dvd->base + 1, 0);
    outb(dvd->base + 4, length);
    outb(dvd->base + 5, length >> 8);
    command(dvd, 0xa0);
    if (!wants_data(dvd)) {
        return false;
    }
    dvd->interrupted = false;
    for (unsigned i = 0; i < ATAPI_PACKET; i += 2) {
        outw(dvd->base, packet[i] | packet[i + 1] << 8);
    }
    if (!wait_for(&dvd->interrupted) || !(dvd->status & DATA_READY)) {
        return false;
    }
    got = inb(dvd->base + 4) | inb(dvd->base + 5) << 8;
    dvd->interrupted = false;
    for (unsigned i = 0; i < got; i += 2) {
        uint16_t word = inw(dvd->base);

        if (i + 2 <= length) {
            words[i / 2] = word;
        }
    }
    return wait_for(&dvd->interrupted) && !(dvd->status & ERROR);
}
