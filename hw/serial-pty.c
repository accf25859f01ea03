/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A serial line on a pty that nobody has open: wait for an inotify event
 * instead of asking once a second.
 *
 * poll(2) on the master tells that the last user has gone, but not that a
 * new one has come; opening the slave is an event on its inode.
 */
#include "qemu/osdep.h"
#include <sys/inotify.h>
#include "qemu/main-loop.h"
#include "chardev/char.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "trace.h"

/* What is held per pty, from its first time alone until it is finalized. */
typedef struct PtyWatch {
    Chardev *chr;
    int fd;
} PtyWatch;

static GHashTable *watches; /* Chardev -> PtyWatch */

static void pty_watch_free(void *opaque)
{
    PtyWatch *w = opaque;

    qemu_set_fd_handler(w->fd, NULL, NULL, NULL);
    close(w->fd);
    g_free(w);
}

/* Somebody opened the slave: let the pty look at its own state again. */
static void pty_slave_opened(void *opaque)
{
    PtyWatch *w = opaque;
    char events[sizeof(struct inotify_event) + NAME_MAX + 1];

    /* How many opens there were does not matter: drop them all. */
    while (read(w->fd, events, sizeof(events)) > 0) {
        continue;
    }
    trace_pulsar_pty_opened(w->chr->label);
    qemu_chr_be_update_read_handlers(w->chr, w->chr->gcontext);
}

static PtyWatch *pty_watch_new(Chardev *chr)
{
    const char *slave = chr->filename;
    PtyWatch *w;
    int fd;

    if (!slave || !strstart(slave, "pty:", &slave)) {
        return NULL;
    }
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (inotify_add_watch(fd, slave, IN_OPEN) < 0) {
        close(fd);
        return NULL;
    }
    w = g_new(PtyWatch, 1);
    w->chr = chr;
    w->fd = fd;
    qemu_set_fd_handler(fd, pty_slave_opened, NULL, w);
    return w;
}

bool pulsar_pty_chr_rearm_timer(Chardev *chr)
{
    PtyWatch *w;

    if (chr->gcontext) {
        return false; /* another thread's: its loop has no such handlers */
    }
    if (!watches) {
        watches = g_hash_table_new_full(NULL, NULL, NULL, pty_watch_free);
    }
    w = g_hash_table_lookup(watches, chr);
    if (!w) {
        w = pty_watch_new(chr);
        if (w) {
            g_hash_table_insert(watches, chr, w);
        }
    }
    trace_pulsar_pty_wait(chr->label, w != NULL);
    return w != NULL;
}

void pulsar_char_pty_finalize(Chardev *chr)
{
    if (watches) {
        g_hash_table_remove(watches, chr);
    }
}
