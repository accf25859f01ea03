/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's ACPI: on, and off.
 *
 * There is no interpreter: \_S5 is looked for in the bytes of the DSDT and has
 * to be a package of constants, as it is in every firmware met here.
 */
#include "guest.h"

static uint32_t fadt, control;
static unsigned sleep_type;
static bool ready;

static uint32_t find_rsdp(void)
{
    uint32_t bios_data = (read32(0x40c) >> 16) << 4;

    for (uint32_t at = bios_data; at < bios_data + 1024; at += 16) {
        if (!memcmp((const void *)at, "RSD PTR ", 8)) {
            return at;
        }
    }
    for (uint32_t at = 0xe0000; at < 0x100000; at += 16) {
        if (!memcmp((const void *)at, "RSD PTR ", 8)) {
            return at;
        }
    }
    return 0;
}

static uint32_t find_table(uint32_t rsdt, const char *name)
{
    for (uint32_t at = 36; at < read32(rsdt + 4); at += 4) {
        uint32_t table = read32(rsdt + at);

        if (!memcmp((const void *)table, name, 4)) {
            return table;
        }
    }
    return 0;
}

/* The first element of \_S5, 0 to 7; 8 when there is none. */
static unsigned find_sleep_type(uint32_t dsdt)
{
    const uint8_t *at = (const uint8_t *)dsdt;
    const uint8_t *end = at + read32(dsdt + 4) - 16;

    for (at += 36; at < end; at++) {
        const uint8_t *element;

        if (memcmp(at, "_S5_\x12", 5)) {
            continue;
        }
        /* Its length, in one to four bytes; the number of elements. */
        element = at + 5 + 1 + (at[5] >> 6) + 1;
        if (*element == 0x0a) {
            element++;
        }
        return *element & 7;
    }
    return 8;
}

void acpi_start(void)
{
    uint32_t rsdp = find_rsdp();
    uint16_t smi;

    fadt = rsdp ? find_table(read32(rsdp + 16), "FACP") : 0;
    if (!fadt) {
        say("ACPI: no tables");
        return;
    }
    control = read32(fadt + 64);
    sleep_type = find_sleep_type(read32(fadt + 40));
    if (sleep_type > 7) {
        say("ACPI: no \\_S5");
        return;
    }
    smi = read32(fadt + 48);
    if (!(inw(control) & 1) && smi) {
        outb(smi, *(const uint8_t *)(fadt + 52));
        for (unsigned i = 0; i < 20 && !(inw(control) & 1); i++) {
            delay(10);
        }
    }
    ready = true;
}

void acpi_power_off(void)
{
    if (ready) {
        outw(control, (inw(control) & ~0x1c00) | sleep_type << 10 | 0x2000);
    }
}
