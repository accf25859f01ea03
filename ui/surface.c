/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory behind a picture. QEMU would put it into a file, for a display
 * in another process; there is none, and a limit on file sizes would kill us.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "ui/qemu-pixman.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

bool pulsar_create_displaysurface_from(pixman_image_t **image, int *handle,
                                       const char *name, int format,
                                       int width, int height, int linesize,
                                       Error **errp)
{
    *handle = SHAREABLE_NONE;
    *image = pixman_image_create_bits(format, width, height, NULL, linesize);
    if (!*image) {
        error_setg(errp, "there is no memory for a picture of %d by %d pixels",
                   width, height);
    }
    return *image;
}
