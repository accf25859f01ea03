/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pty that nobody has open: wait for somebody, instead of asking once a
 * second whether somebody has come.
 *
 * poll(2) on the master reports a hang-up while nobody has the slave open,
 * at once and for ever, so nothing can be waited for then. Two ways out:
 *
 * A front end that does nothing when somebody attaches, as a UART, needs to
 * know only of what he types. We open the slave ourselves while we wait: the
 * hang-up ends, and the master becomes readable as soon as somebody types.
 * Our own open end is closed for a moment when the guest writes, to find out
 * whether somebody is there to read it.
 *
 * For all others (a port of virtio-serial, a monitor) inotify tells when the
 * slave is opened.
 *
 * docs/decisions/pty-without-polling.md tells why not one way for both.
 *
 * All of it is done under the BQL.
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "chardev/char.h"
#include "chardev/char-fe.h"
#include "hw/char/serial.h"
#include "hw/xen/pulsar/pulsar-context.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "hw/xen/pulsar/qemu-compat.h"
#include "io/channel-file.h"
#include "trace.h"

/* A pty that was waited for once. */
typedef struct PtyWait {
    Chardev *chr;
    int master;     /* the chardev's own, not ours to close */
    int slave;      /* our own open end, or -1 */
    int watch;      /* inotify's, or -1; kept, for the path may go away */
    bool waiting;   /* nobody was there when the chardev looked */
    bool typing;    /* we wait for what somebody types, not for his coming */
    int64_t since;  /* when nobody was there, in ns of get_clock() */
    QEMUBH *look;   /* has the chardev look, from the main loop */
} PtyWait;

/* How long "nobody is there" is believed while the guest goes on writing. */
#define BELIEVED_NS (5 * SCALE_MS)

static GHashTable *waits;       /* Chardev -> PtyWait */
static int inotify_fd = -1;     /* one for all that need it */

static PtyWait *find_wait(Chardev *chr)
{
    return waits ? g_hash_table_lookup(waits, chr) : NULL;
}

static int open_slave(int master)
{
#ifdef TIOCGPTPEER
    return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
#else
    errno = ENOTTY;
    return -1;
#endif
}

static void close_slave(PtyWait *w)
{
    if (w->slave >= 0) {
        close(w->slave);
        w->slave = -1;
    }
}

static void end_wait(PtyWait *w)
{
    if (w->typing) {
        qemu_set_fd_handler(w->master, NULL, NULL, NULL);
    }
    close_slave(w);
    w->typing = w->waiting = false;
    qemu_bh_cancel(w->look);
}

static void free_wait(void *opaque)
{
    PtyWait *w = opaque;

    end_wait(w);
    if (w->watch >= 0) {
        inotify_rm_watch(inotify_fd, w->watch);
    }
    qemu_bh_delete(w->look);
    g_free(w);
}

/* The chardev finds out who is there, and tells its front end. */
static void chardev_looks(PtyWait *w)
{
    pulsar_assert_main_loop();
    qemu_chr_be_update_read_handlers(w->chr, w->chr->gcontext);
}

static void pty_look(void *opaque)
{
    chardev_looks(opaque);
}

/*
 * Somebody has typed. The chardev must look at the pty while our end is still
 * open: who typed may have gone already, and what was typed would be lost in
 * the hang-up.
 */
static void pty_typed(void *opaque)
{
    PtyWait *w = opaque;
    int slave = w->slave;

    trace_pulsar_pty_typed(w->chr->label);
    w->slave = -1;
    chardev_looks(w);
    if (slave >= 0) {
        close(slave);
    }
}

static short poll_master(PtyWait *w)
{
    struct pollfd pfd = { .fd = w->master, .events = POLLIN };

    return RETRY_ON_EINTR(poll(&pfd, 1, 0)) < 0 ? POLLERR : pfd.revents;
}

/* Somebody may have opened the other side of a pty, or more than one. */
static void pty_opened(PtyWait *w)
{
    short found = poll_master(w);

    trace_pulsar_pty_opened(w->chr->label, found);
    if (!(found & POLLHUP)) {
        chardev_looks(w);
    } else if (found & POLLIN) {
        w->slave = open_slave(w->master);   /* he has typed and gone */
        pty_typed(w);
    }
}

/* What front ends do may end or begin waits, so the table is left first. */
static void inotify_readable(void *opaque)
{
    char buf[4096] QEMU_ALIGNED(__alignof__(struct inotify_event));
    g_autoptr(GPtrArray) opened = g_ptr_array_new();
    GHashTableIter iter;
    gpointer chr;
    PtyWait *w;

    while (read(inotify_fd, buf, sizeof(buf)) > 0) {
        /* Who was opened does not matter: all that wait are looked at. */
    }
    g_hash_table_iter_init(&iter, waits);
    while (g_hash_table_iter_next(&iter, &chr, NULL)) {
        g_ptr_array_add(opened, chr);
    }
    for (guint i = 0; i < opened->len; i++) {
        w = find_wait(g_ptr_array_index(opened, i));
        if (w && w->waiting && !w->typing) {
            pty_opened(w);
        }
    }
}

/*
 * Looks without our own end. The handler stays: to change it would wake the
 * main loop once more.
 */
static bool somebody_there(PtyWait *w)
{
    close_slave(w);
    if (!(poll_master(w) & POLLHUP)) {
        return true;
    }
    w->slave = open_slave(w->master);
    w->since = get_clock();
    return w->slave < 0; /* then the chardev has to see to it */
}

static int is_uart_of(Object *obj, void *opaque)
{
    Object *uart = object_dynamic_cast(obj, TYPE_SERIAL);

    return uart && &SERIAL(uart)->chr == opaque;
}

/* Whether the front end acts when somebody comes or goes. */
static bool heeds_opening(Chardev *chr)
{
    CharFrontend *fe = pulsar_chardev_fe(chr);

    return fe && fe->chr_event &&
           !object_child_foreach_recursive(object_get_root(), is_uart_of, fe);
}

static bool wait_for_typing(PtyWait *w)
{
    w->slave = open_slave(w->master);
    trace_pulsar_pty_wait(w->chr->label, w->slave >= 0);
    if (w->slave < 0) {
        return false;
    }
    w->typing = true;
    w->since = get_clock();
    qemu_set_fd_handler(w->master, pty_typed, NULL, w);
    return true;
}

static bool wait_for_opening(PtyWait *w)
{
    const char *path;

    if (inotify_fd < 0) {
        inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (inotify_fd < 0) {
            return false;
        }
        qemu_set_fd_handler(inotify_fd, inotify_readable, NULL, NULL);
    }
    if (w->watch < 0) {
        path = ptsname(w->master);
        w->watch = path ? inotify_add_watch(inotify_fd, path, IN_OPEN) : -1;
    }
    trace_pulsar_pty_watch(w->chr->label, w->watch >= 0);
    if (w->watch < 0) {
        return false;
    }
    if (!(poll_master(w) & POLLHUP)) {
        qemu_bh_schedule(w->look);  /* he came before the watch was there */
    }
    return true;
}

bool pulsar_pty_chr_rearm_timer(Chardev *chr, QIOChannel *ioc)
{
    PtyWait *w;

    if (!ioc || chr->gcontext) {
        return false; /* never opened, or of a thread without such handlers */
    }
    w = find_wait(chr);
    if (!w) {
        w = g_new0(PtyWait, 1);
        w->chr = chr;
        w->master = QIO_CHANNEL_FILE(ioc)->fd;
        w->slave = w->watch = -1;
        /* A context that nothing but the main loop itself polls. */
        w->look = aio_bh_new(iohandler_get_aio_context(), pty_look, w);
        if (!waits) {
            waits = g_hash_table_new_full(NULL, NULL, NULL, free_wait);
        }
        g_hash_table_insert(waits, chr, w);
    }
    if (!w->waiting) {
        w->waiting = heeds_opening(chr) ? wait_for_opening(w)
                                        : wait_for_typing(w);
        if (!w->waiting) {
            warn_report_once("chardev %s: cannot wait for somebody to attach "
                             "to the pty (%s): polling it every second",
                             chr->label, strerror(errno));
        }
    }
    return w->waiting;
}

void pulsar_pty_chr_update_read_handler(Chardev *chr)
{
    PtyWait *w = chr->gcontext ? NULL : find_wait(chr);

    if (w) {
        end_wait(w);
    }
}

bool pulsar_char_pty_chr_write(Chardev *chr)
{
    /* Who writes without the BQL has a chardev that we do not wait for. */
    PtyWait *w = bql_locked() ? find_wait(chr) : NULL;
    PULSAR_INSIDE_UPSTREAM();

    if (!w || !w->typing) {
        return false;
    }
    if (w->slave >= 0 && get_clock() - w->since >= BELIEVED_NS &&
        somebody_there(w)) {
        qemu_bh_schedule(w->look);
    }
    return w->slave >= 0;
}

void pulsar_char_pty_finalize(Chardev *chr)
{
    if (waits) {
        g_hash_table_remove(waits, chr);
    }
}
