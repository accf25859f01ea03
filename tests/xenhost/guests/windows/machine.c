/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's machine: the PIC, the clock, text and PCI.
 *
 * PIC and PIT are Xen's own; neither reaches the device model.
 */
#include <stdarg.h>

#include "guest.h"

#define COM         0x3f8
#define XEN_CONSOLE 0xe9        /* Xen prints lines that come here */
#define SCREEN      0xb8000
#define COLUMNS     80
#define LINES       25
#define VECTORS     0x30        /* where the PIC's lines begin */
#define PCI_CONFIG  0xcf8
#define PCI_DATA    0xcfc
#define PIT_CLOCK   1193182
#define PIT_COUNT   65536       /* 55 ms, the longest it can do */
#define APIC_BASE   0x1b        /* a model-specific register */
#define APIC_SPURIOUS   0xf0
#define APIC_TIMER  0x320
#define APIC_LINE0  0x350

extern const uint32_t irq_entries[16];
void irq(unsigned line);

static struct {
    uint16_t low, selector, flags, high;
} idt[VECTORS + 16];

static IrqHandler *handlers[16][4];
static volatile unsigned ticks;
static bool com_there;
static bool screen_there;
static unsigned screen_line;
static struct pci_device pci_devices[32];
static unsigned pci_count;

void *memset(void *to, int value, size_t length)
{
    void *end = to;

    asm volatile("rep stosb" : "+D"(end), "+c"(length) : "a"(value)
                 : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t length)
{
    void *end = to;

    asm volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(length) : :
                 "memory");
    return to;
}

int memcmp(const void *one, const void *other, size_t length)
{
    const uint8_t *a = one;
    const uint8_t *b = other;

    for (; length; a++, b++, length--) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}

void irq(unsigned line)
{
    if (line == 0) {
        ticks++;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(handlers[line]); i++) {
        if (handlers[line][i]) {
            handlers[line][i]();
        }
    }
    if (line >= 8) {
        outb(0xa0, 0x20);
    }
    outb(0x20, 0x20);
}

static void pic_unmask(unsigned line)
{
    uint16_t port = line < 8 ? 0x21 : 0xa1;

    outb(port, inb(port) & ~(1 << line % 8));
}

void irq_attach(unsigned line, IrqHandler *handler)
{
    for (unsigned i = 0; line < 16 && i < ARRAY_SIZE(handlers[line]); i++) {
        if (handlers[line][i] == handler) {
            return;
        }
        if (!handlers[line][i]) {
            handlers[line][i] = handler;
            pic_unmask(line);
            return;
        }
    }
    say("no way to attach interrupt %u", line);
}

/* The PIC is what interrupts; UEFI leaves it to the APIC, whose timer runs. */
static void apic_start(void)
{
    uint32_t base, high;

    asm volatile("rdmsr" : "=a"(base), "=d"(high) : "c"(APIC_BASE));
    base &= ~0xfffu;
    write32(base + APIC_TIMER, 0x10000);            /* masked */
    write32(base + APIC_SPURIOUS, 0x100 | (VECTORS + 15));
    write32(base + APIC_LINE0, 0x700);              /* from the PIC */
}

static void interrupts_start(void)
{
    static const uint8_t words[][4] = {
        { 0x11, VECTORS, 4, 1 }, { 0x11, VECTORS + 8, 2, 1 }
    };
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, ADDRESS(idt) };

    for (unsigned line = 0; line < 16; line++) {
        idt[VECTORS + line].low = irq_entries[line];
        idt[VECTORS + line].selector = 0x08;
        idt[VECTORS + line].flags = 0x8e00;
        idt[VECTORS + line].high = irq_entries[line] >> 16;
    }
    asm volatile("lidt %0" : : "m"(pointer));
    apic_start();
    for (unsigned chip = 0; chip < 2; chip++) {
        uint16_t port = chip ? 0xa0 : 0x20;

        outb(port, words[chip][0]);
        for (unsigned i = 1; i < 4; i++) {
            outb(port + 1, words[chip][i]);
        }
        outb(port + 1, 0xff);
    }
    pic_unmask(2);
    outb(0x43, 0x34);                   /* counter 0, again and again */
    outb(0x40, PIT_COUNT & 0xff);
    outb(0x40, (PIT_COUNT >> 8) & 0xff);
    pic_unmask(0);
    asm volatile("sti");
}

unsigned seconds(void)
{
    /* 18.2 ticks a second, without 64-bit arithmetic */
    return ticks / 18 - ticks / 18 / 88;
}

/* Lets one interrupt in, of those that came or the next. */
static void halt(void)
{
    asm volatile("sti; hlt; cli" : : : "memory");
}

void delay(unsigned ms)
{
    unsigned start = ticks;

    asm volatile("cli");
    while (ticks - start <= ms * 182 / 10000 + 1) {
        halt();
    }
    asm volatile("sti");
}

bool wait_for(volatile bool *flag)
{
    unsigned start = ticks;

    asm volatile("cli");
    while (!*flag && ticks - start < 182) {
        halt();
    }
    asm volatile("sti");
    return *flag;
}

void sleep_until_second(unsigned second, const volatile bool *flag)
{
    asm volatile("cli");
    while (!*flag && (int)(seconds() - second) < 0) {
        halt();
    }
    asm volatile("sti");
}

static void com_start(void)
{
    outb(COM + 7, 0x5a);
    if (inb(COM + 7) != 0x5a) {
        return;
    }
    com_there = true;
    outb(COM + 3, 0x80);
    outb(COM, 1);
    outb(COM + 1, 0);
    outb(COM + 3, 0x03);
    outb(COM + 2, 0x07);
    outb(COM + 4, 0x0b);
}

void machine_start(void)
{
    interrupts_start();
    com_start();
}

void screen_start(void)
{
    volatile uint16_t *cells = (volatile uint16_t *)SCREEN;

    for (unsigned i = 0; i < COLUMNS * LINES; i++) {
        cells[i] = 0x1720;
    }
    screen_there = true;
}

static void cursor_to(unsigned cell)
{
    outb(0x3d4, 0x0e);
    outb(0x3d5, cell >> 8);
    outb(0x3d4, 0x0f);
    outb(0x3d5, cell);
}

static void put(char c)
{
    outb(XEN_CONSOLE, c);
    if (com_there) {
        while (!(inb(COM + 5) & 0x20)) {
            /* it is never long */
        }
        if (c == '\n') {
            outb(COM, '\r');
        }
        outb(COM, c);
    }
}

static void put_text(const char *text)
{
    volatile uint16_t *cells = (volatile uint16_t *)SCREEN +
                               screen_line * COLUMNS;
    unsigned column = 0;

    for (; *text; text++) {
        put(*text);
        if (screen_there && column < COLUMNS) {
            cells[column++] = 0x1700 | (uint8_t)*text;
        }
    }
    put('\n');
    if (screen_there) {
        screen_line = (screen_line + 1) % LINES;
        cursor_to(screen_line * COLUMNS);
    }
}

static char *add_number(char *at, uint32_t value, unsigned base)
{
    char digits[10];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n) {
        *at++ = digits[--n];
    }
    return at;
}

void say(const char *format, ...)
{
    char text[2 * COLUMNS];
    char *at = text;
    va_list args;

    va_start(args, format);
    for (const char *from = "windows guest: "; *from; from++) {
        *at++ = *from;
    }
    for (; *format && at < text + sizeof(text) - 12; format++) {
        const char *word;

        if (*format != '%') {
            *at++ = *format;
            continue;
        }
        switch (*++format) {
        case 's':
            for (word = va_arg(args, const char *);
                 *word && at < text + sizeof(text) - 12; word++) {
                *at++ = *word;
            }
            break;
        case 'u':
            at = add_number(at, va_arg(args, uint32_t), 10);
            break;
        default:
            at = add_number(at, va_arg(args, uint32_t), 16);
            break;
        }
    }
    va_end(args);
    *at = '\0';
    put_text(text);
}

uint32_t pci_read(const struct pci_device *device, unsigned offset)
{
    outl(PCI_CONFIG, device->address | offset);
    return inl(PCI_DATA);
}

void pci_write(const struct pci_device *device, unsigned offset,
               uint32_t value)
{
    outl(PCI_CONFIG, device->address | offset);
    outl(PCI_DATA, value);
}

static void pci_scan(void)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned function = 0; function < 8; function++) {
            struct pci_device device = {
                .address = 0x80000000 | slot << 11 | function << 8,
            };

            if (pci_read(&device, 0) == 0xffffffff) {
                if (!function) {
                    break;
                }
                continue;
            }
            device.class = pci_read(&device, 8) >> 8;
            device.line = pci_read(&device, 0x3c);
            if (pci_count < ARRAY_SIZE(pci_devices)) {
                pci_devices[pci_count++] = device;
            }
            if (!function && !(pci_read(&device, 0x0c) & 0x00800000)) {
                break;
            }
        }
    }
}

const struct pci_device *pci_find(uint32_t class, uint32_t mask, unsigned n)
{
    if (!pci_count) {
        pci_scan();
    }
    for (unsigned i = 0; i < pci_count; i++) {
        if ((pci_devices[i].class & mask) == class && n-- == 0) {
            return &pci_devices[i];
        }
    }
    return NULL;
}

uint32_t pci_enable(const struct pci_device *device, unsigned bar)
{
    uint32_t value = pci_read(device, 0x10 + 4 * bar);

    pci_write(device, 4, (pci_read(device, 4) & 0xfbff) | 0x07);
    return value & 1 ? value & ~3u : value & ~15u;
}
