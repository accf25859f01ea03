/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PULSAR_FUZZ_CONF_FILE_H
#define PULSAR_FUZZ_CONF_FILE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>

/** conf_file: the name of a file that holds this, until the next call. */
static const char *conf_file(const void *data, size_t size)
{
    static int fd = -1;
    static char *path;

    if (fd < 0) {
        fd = memfd_create("pulsar.conf", 0);
        path = g_strdup_printf("/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    return path;
}

#endif /* PULSAR_FUZZ_CONF_FILE_H */
