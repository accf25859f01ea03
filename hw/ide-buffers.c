/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each place for an IDE or SATA drive, of which most are empty, has a buffer of
 * 128 KiB that upstream fills with zeros when the board is made: half a
 * megabyte for the PIIX, one and a half for AHCI. A page of zeros that nobody
 * has is the same to whoever reads it.
 */
#include "qemu/osdep.h"
#include "hw/ide/ide-bus.h"
#include "hw/ide/ide-dev.h"
#include "hw/sysbus.h"
#include "qemu/cutils.h"
#include "qemu/madvise.h"
#include "system/system.h"
#include "hw/xen/pulsar/shared.h"

static void give_back_zeros(uint8_t *buffer, size_t size)
{
    size_t page = qemu_real_host_page_size();
    uint8_t *p = (uint8_t *)ROUND_UP((uintptr_t)buffer, page);

    for (; p + page <= buffer + size; p += page) {
        if (buffer_is_zero(p, page)) {
            qemu_madvise(p, page, QEMU_MADV_DONTNEED);
        }
    }
}

static int look_at_bus(BusState *any, void *opaque)
{
    IDEBus *bus = (IDEBus *)object_dynamic_cast(OBJECT(any), TYPE_IDE_BUS);
    size_t i;

    for (i = 0; bus && i < ARRAY_SIZE(bus->ifs); i++) {
        if (bus->ifs[i].io_buffer) {
            give_back_zeros(bus->ifs[i].io_buffer,
                            bus->ifs[i].io_buffer_total_len);
        }
    }
    return 0;
}

static void machine_done(Notifier *notifier, void *data)
{
    qbus_walk_children(sysbus_get_default(), NULL, look_at_bus, NULL, NULL,
                       NULL);
}

void pulsar_shared_ide_init(void)
{
    static Notifier done = { .notify = machine_done };

    qemu_add_machine_init_done_notifier(&done);
}
