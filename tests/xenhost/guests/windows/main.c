/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest: does to the hardware that it finds what Windows 7
 * does, and nothing where it finds none. See docs/windows-guest.md.
 */
#include "guest.h"

#define XEN_PLATFORM        0x10
#define XEN_PLATFORM_MAGIC  0x49d2
#define XEN_PLATFORM_REFUSED 0xd249
#define UNPLUG_DISKS        0x09        /* IDE, SCSI and NVMe */
#define UNPLUG_NICS         0x02
#define DRIVERS_BUILD       0x090100    /* 9.1.0 */
#define CLOCK_SECONDS       10          /* from "ready" to the clock's setting */

extern const char header_seconds[8];
void guest_main(void);

static unsigned polls;
static unsigned answers;

/* The parallel port driver's look at the three usual places. */
static void parallel_start(void)
{
    static const uint16_t places[] = { 0x378, 0x278, 0x3bc };

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        uint16_t port = places[i];
        uint8_t control = inb(port + 2);
        bool there = true;

        for (unsigned pattern = 0x55; pattern <= 0xaa; pattern += 0x55) {
            outb(port, pattern);
            there &= inb(port) == pattern;
        }
        if (there) {
            outb(port + 2, 0x0c);
            outb(port, 0);
            outb(port + 2, control);
            say("parallel port at %x, status %x", port, inb(port + 1));
        }
    }
}

static void cpuid(uint32_t leaf, uint32_t *regs)
{
    asm volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]),
                 "=d"(regs[3]) : "a"(leaf), "c"(0));
}

static bool under_xen(void)
{
    for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
        uint32_t regs[4];

        cpuid(leaf, regs);
        if (!memcmp(&regs[1], "XenVMMXenVMM", 12)) {
            return true;
        }
    }
    return false;
}

/*
 * Paravirtual drivers would take over now: what xenbus of XCP-ng's Windows
 * drivers does (src/xen/unplug.c of win-xenbus), kind by kind.
 */
static void unplug(void)
{
    uint16_t magic = under_xen() ? inw(XEN_PLATFORM) : 0;

    if (magic != XEN_PLATFORM_MAGIC && magic != XEN_PLATFORM_REFUSED) {
        say("no Xen, nothing to unplug");
        return;
    }
    if (magic == XEN_PLATFORM_MAGIC && inb(XEN_PLATFORM + 2)) {
        outw(XEN_PLATFORM + 2, 0xffff);     /* a product that has no number */
        outl(XEN_PLATFORM, DRIVERS_BUILD);
        magic = inw(XEN_PLATFORM);
    }
    if (magic == XEN_PLATFORM_REFUSED) {
        say("Xen does not want these drivers");
    }
    outw(XEN_PLATFORM, UNPLUG_DISKS);
    outw(XEN_PLATFORM, UNPLUG_NICS);
    say("emulated disks and network cards are unplugged");
}

/*
 * What a drive that notifies has to say, until it has no more: as
 * GesnDataInterpret() of Microsoft's sample cdrom, which takes an answer with
 * less than four bytes behind the header for that of a broken drive.
 */
static bool dvd_event(const uint8_t *data)
{
    if ((data[0] << 8 | data[1]) < 6 || data[2] != 4) {
        say("DVD: an answer that is no event");
        return false;
    }
    switch (data[4] & 0xf) {
    case 0:
        return false;
    case 1:
        say("DVD: somebody wants the disc");
        return true;
    case 3:
        say("DVD: the disc is out");
        return true;
    default:
        say("DVD: a new disc");
        return true;
    }
}

/* Is there another disc? Windows asks once a second, or when it is notified. */
static void ask_dvd(void)
{
    /* GET EVENT STATUS NOTIFICATION: now, of the medium, 8 bytes */
    static const uint8_t packet[ATAPI_PACKET] = {
        0x4a, 0x01, 0, 0, 0x10, 0, 0, 0, 8
    };
    static uint8_t data[8] __attribute__((aligned(8)));

    if (ide_has_dvd()) {
        polls++;
        answers += ide_packet(packet, data, sizeof(data));
    }
    if (ahci_notifies()) {
        while (ahci_notified) {
            ahci_notified = false;
            do {
                polls++;
                if (!ahci_packet(packet, data, sizeof(data))) {
                    break;
                }
                answers++;
            } while (dvd_event(data));
        }
    } else if (ahci_has_dvd()) {
        polls++;
        answers += ahci_packet(packet, data, sizeof(data));
    }
}

static unsigned seconds_to_live(void)
{
    unsigned value = 0;

    for (unsigned i = 0; i < sizeof(header_seconds); i++) {
        if (header_seconds[i] < '0' || header_seconds[i] > '9') {
            break;
        }
        value = value * 10 + header_seconds[i] - '0';
    }
    return value;
}

void guest_main(void)
{
    unsigned life = seconds_to_live();
    unsigned ready;
    bool clock_set = false;

    machine_start();
    if (pci_find(0x030000, 0xffff00, 0)) {
        screen_start();
    }
    say("starting");
    acpi_start();
    ide_start();
    ahci_start();
    nvme_start();
    parallel_start();
    usb_start();
    unplug();
    say("ready");
    ready = seconds();
    for (;;) {
        ask_dvd();
        sleep_until_second(seconds() + 1, &ahci_notified);
        if (!clock_set && seconds() - ready >= CLOCK_SECONDS) {
            clock_set = true;
            rtc_move();
        }
        if (life && seconds() - ready >= life) {
            say("power off: %u tablet reports, the drive answered %u of %u",
                usb_reports, answers, polls);
            acpi_power_off();
            life = 0;
        }
    }
}
