/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * States of xapi's own QEMU. They look like ours, name no version, and some
 * would even load; but what they say of a device is not always what is read.
 * That QEMU makes no I/O APIC, which Xen has; upstream's does and saves it.
 */
#include "qemu/osdep.h"
#include "io/channel-file.h"
#include "migration/migration.h"
#include "migration/qemu-file.h"
#include "qemu/error-report.h"
#include "launch.h"

#define LOOK_AT  (1 << 20)      /* bytes; most states have 10 KiB */

static bool has_section(const void *state, size_t len, const char *name)
{
    g_autofree char *begin = g_strdup_printf("%c%s", (int)strlen(name), name);

    return memmem(state, len, begin, strlen(begin));
}

void pulsar_launch_check_state(void)
{
    QEMUFile *f = migration_incoming_get_current()->from_src_file;
    QIOChannelFile *file = f ? (QIOChannelFile *)object_dynamic_cast(
        OBJECT(qemu_file_get_ioc(f)), TYPE_QIO_CHANNEL_FILE) : NULL;
    g_autofree char *state = NULL;
    off_t at;
    ssize_t len;

    /* What is no file, as a pipe, cannot be read twice. */
    at = file ? lseek(file->fd, 0, SEEK_CUR) : -1;
    if (at < 0) {
        return;
    }
    state = g_malloc(LOOK_AT);
    len = pread(file->fd, state, LOOK_AT, at);
    if (len > 0 && has_section(state, len, "pckbd") &&
        !has_section(state, len, "ioapic")) {
        error_report("this guest was saved by xapi's own QEMU, for its state "
                     "has a keyboard controller ('pckbd') and no I/O APIC "
                     "('ioapic'), and can be restored by that only");
        exit(1);
    }
}
