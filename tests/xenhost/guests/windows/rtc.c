/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's clock on the board. Windows keeps local time there,
 * and when it finds the clock wrong writes all of it, register by register in
 * this order, without stopping it (as ReactOS' HAL does, which is public). Xen
 * has the clock itself, and tells the device model of each step.
 */
#include "guest.h"

#define INDEX       0x70
#define DATA        0x71
#define REGISTER_A  0x0a
#define REGISTER_B  0x0b
#define UPDATING    0x80
#define BINARY      0x04
#define HOUR        2           /* its place in registers[] */

/* second, minute, hour, day of the week, day, month, year */
static const uint8_t registers[] = { 0, 2, 4, 6, 7, 8, 9 };

static uint8_t rtc_read(uint8_t place)
{
    outb(INDEX, place);
    return inb(DATA);
}

static void when_still(void)
{
    for (unsigned i = 0; i < 10000 && (rtc_read(REGISTER_A) & UPDATING); i++) {
        /* it is never long */
    }
}

void rtc_move(void)
{
    uint8_t values[ARRAY_SIZE(registers)];
    bool binary = rtc_read(REGISTER_B) & BINARY;
    unsigned hour;

    when_still();
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        values[i] = rtc_read(registers[i]);
    }
    hour = binary ? values[HOUR] : (values[HOUR] >> 4) * 10 +
                                   (values[HOUR] & 15);
    /* Never beyond the day, whose date would change. */
    hour += hour < 23 ? 1 : -1;
    values[HOUR] = binary ? hour : hour / 10 << 4 | hour % 10;
    when_still();
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        outb(INDEX, registers[i]);
        outb(DATA, values[i]);
    }
    say("the clock is set to %u:%x, an hour off", hour, values[1]);
}
