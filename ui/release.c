/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the last viewer has gone: the pages of pictures that the device model
 * has drawn itself (a text screen, 16 colours; others are the guest's video
 * memory), and what the heap keeps of the viewer's buffers.
 */
#include "qemu/osdep.h"
#ifdef CONFIG_MALLOC_TRIM
#include <malloc.h>
#endif
#include "qemu/madvise.h"
#include "ui/console.h"
#include "release.h"

/* Does it draw all of its picture again when told that it is not valid? */
static bool draws_again(QemuConsole *con)
{
    static const char *const types[] = { "pci-vga", "cirrus-vga" };
    Object *dev = object_property_get_link(OBJECT(con), "device", NULL);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        if (dev && object_dynamic_cast(dev, types[i])) {
            return true;
        }
    }
    return false;
}

static void release_picture(QemuConsole *con)
{
    DisplaySurface *surface = qemu_console_surface(con);
    uintptr_t page = qemu_real_host_page_size();
    uintptr_t begin, end;

    if (!surface || !surface_is_allocated(surface) ||
        surface_is_placeholder(surface) || !draws_again(con)) {
        return;
    }
    begin = ROUND_UP((uintptr_t)surface_data(surface), page);
    end = ROUND_DOWN((uintptr_t)surface_data(surface) +
                     surface_stride(surface) * surface_height(surface), page);
    if (begin < end) {
        qemu_madvise((void *)begin, end - begin, QEMU_MADV_DONTNEED);
        graphic_hw_invalidate(con);
    }
}

void pulsar_release_pictures(void)
{
    QemuConsole *con;
    int i;

    for (i = 0; (con = qemu_console_lookup_by_index(i)); i++) {
        if (qemu_console_is_graphic(con)) {
            release_picture(con);
        }
    }
#ifdef CONFIG_MALLOC_TRIM
    malloc_trim(0);
#endif
}
