/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest: what its parts know of each other.
 *
 * Memory is flat and physical, one thread runs with interrupts on, and
 * handlers run with interrupts off. What is volatile is changed by a handler
 * or by a device.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Physical addresses are pointers and the other way round. */
#define ADDRESS(pointer) ((uint32_t)(uintptr_t)(pointer))

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;

    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;

    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t read32(uint32_t address)
{
    /* The compiler holds that there is nothing at the low addresses. */
    asm("" : "+r"(address));
    return *(volatile uint32_t *)address;
}

static inline void write32(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* The compiler must have written to memory what a device is to read. */
static inline void barrier(void)
{
    asm volatile("" : : : "memory");
}

/* machine.c: interrupts, time, text, PCI */

typedef void IrqHandler(void);

struct pci_device {
    uint32_t address;       /* as port 0xcf8 wants it */
    uint32_t class;         /* class, subclass and interface in 24 bits */
    uint8_t line;           /* its interrupt at the PIC */
};

/* Interrupts, clock, and the ways to say something. */
void machine_start(void);

/* Have handler called at interrupts of line; lines may be shared. */
void irq_attach(unsigned line, IrqHandler *handler);

/* Seconds since machine_start(). */
unsigned seconds(void);

/* Sleep, in HLT, for at least so many ms. */
void delay(unsigned ms);

/*
 * Sleep, in HLT, until *flag is set by a handler. Returns false when it was
 * not after ten seconds. Less is not enough: Xen makes up for ticks that were
 * missed, one after the other, and every other interrupt comes after them.
 */
bool wait_for(volatile bool *flag);

/* Sleep until then, or until *flag is set by a handler. */
void sleep_until_second(unsigned second, const volatile bool *flag);

/* A line of text by all ways there are; %s, %u and %x are understood. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Use the screen for text from now on. */
void screen_start(void);

/* The n-th device of the class (its interface is masked by mask), or NULL. */
const struct pci_device *pci_find(uint32_t class, uint32_t mask, unsigned n);
uint32_t pci_read(const struct pci_device *device, unsigned offset);
void pci_write(const struct pci_device *device, unsigned offset,
               uint32_t value);

/* Let it decode ports and memory and be a bus master; returns the bar. */
uint32_t pci_enable(const struct pci_device *device, unsigned bar);

/* Bytes. */
void *memset(void *to, int value, size_t length);
void *memcpy(void *to, const void *from, size_t length);
int memcmp(const void *one, const void *other, size_t length);

/* usb.c: what is the same on every USB controller */

struct usb_setup {
    uint8_t type;
    uint8_t request;
    uint16_t value;
    uint16_t index;
    uint16_t length;
};

/* One control transfer; data is read when setup->type says so. */
typedef bool UsbControl(const struct usb_setup *setup, void *data);

struct usb_host {
    const char *name;

    /* The device at the default address gets its own. */
    bool (*address)(void);

    UsbControl *control;

    /* Keep a transfer queued at an interrupt endpoint, for ever. */
    bool (*listen)(unsigned endpoint, unsigned size, unsigned interval);
};

/* Everything with USB that there is. */
void usb_start(void);

/* A device answers at the default address: set it up. */
void usb_found(const struct usb_host *host);

/* Tell the device its address, and take it down in *address. */
bool usb_give_address(UsbControl *control, unsigned *address);

/* Counts a report of the tablet. */
void usb_report(void);
extern volatile unsigned usb_reports;

void uhci_start(const struct pci_device *device);
void ehci_start(const struct pci_device *device);
void xhci_start(const struct pci_device *device);

/* disks.c, ahci.c: disks and drives */

#define ATAPI_PACKET 12

/* The IDE controller: load "drivers" from its disk, find its DVD drive. */
void ide_start(void);
bool ide_packet(const uint8_t *packet, void *data, unsigned length);
bool ide_has_dvd(void);

void ahci_start(void);
bool ahci_packet(const uint8_t *packet, void *data, unsigned length);
bool ahci_has_dvd(void);

/* Does the drive tell of another disc, and has it? */
bool ahci_notifies(void);
extern volatile bool ahci_notified;

/* nvme.c: the first NVMe controller; load "drivers" from its disk. */
void nvme_start(void);

/* rtc.c: set the clock on the board an hour on, or back in the last hour. */
void rtc_move(void);

/* acpi.c */

void acpi_start(void);
void acpi_power_off(void);

#endif
