/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upstream draws the map of memory and ports anew whenever something is added
 * to it. While a board is made that is for each device, and what each drawing
 * leaves behind lies in pieces between what stays: half a megabyte, and a sixth
 * of the time to start. Here it is drawn once, when the board is complete.
 */
#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "qemu-compat.h"
#include "shared.h"

static bool held;

void pulsar_shared_map_hold(void)
{
    if (!held && !phase_check(PHASE_MACHINE_READY)) {
        held = true;
        memory_region_transaction_begin();
    }
}

void pulsar_shared_map_draw(CPUState *cpu)
{
    if (held) {
        held = false;
        memory_region_transaction_commit();
    }
}
