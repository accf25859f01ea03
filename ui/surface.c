/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory behind a picture. QEMU would put it into a file, for a display
 * in another process; there is none, and a limit on file sizes would kill us.
 * Not from the heap either: most pictures are drawn in a corner and never
 * looked at, and what is mapped is there only where it was drawn.
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qapi/error.h"
#include "ui/qemu-pixman.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

static void unmap(pixman_image_t *image, void *size)
{
    munmap(pixman_image_get_data(image), GPOINTER_TO_SIZE(size));
}

bool pulsar_create_displaysurface_from(pixman_image_t **image, int *handle,
                                       const char *name, int format,
                                       int width, int height, int linesize,
                                       Error **errp)
{
    size_t size = (size_t)height * linesize;
    void *bits = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *handle = SHAREABLE_NONE;
    *image = bits == MAP_FAILED ? NULL
           : pixman_image_create_bits(format, width, height, bits, linesize);
    if (!*image) {
        error_setg(errp, "there is no memory for a picture of %d by %d pixels",
                   width, height);
        return false;
    }
    pixman_image_set_destroy_function(*image, unmap, GSIZE_TO_POINTER(size));
    return true;
}
