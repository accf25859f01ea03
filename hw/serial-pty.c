/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A serial line on a pty that nobody has open: wait for what somebody types,
 * instead of asking once a second whether somebody has come.
 *
 * poll(2) on the master reports a hang-up while nobody has the slave open,
 * at once and for ever, so nothing can be waited for then. We therefore
 * open the slave ourselves while we wait: the hang-up ends, and the master
 * becomes readable as soon as somebody types. Our own open end is closed for
 * a moment when the guest writes, to find out whether somebody is there to
 * read it. docs/decisions/pty-without-polling.md tells why not inotify.
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/ioctl.h>
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "chardev/char.h"
#include "io/channel-file.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "trace.h"

/* A pty that is waited for. */
typedef struct PtyWait {
    Chardev *chr;
    int master;     /* the chardev's own, not ours to close */
    int slave;      /* our own open end */
    int64_t since;  /* when nobody was there, in ns of get_clock() */
} PtyWait;

/* How long "nobody is there" is believed while the guest goes on writing. */
#define BELIEVED_NS (5 * SCALE_MS)

static GHashTable *waits; /* Chardev -> PtyWait, while it is waited for */

static PtyWait *find_wait(Chardev *chr)
{
    return waits ? g_hash_table_lookup(waits, chr) : NULL;
}

static void end_wait(void *opaque)
{
    PtyWait *w = opaque;

    qemu_set_fd_handler(w->master, NULL, NULL, NULL);
    if (w->slave >= 0) {
        close(w->slave);
    }
    g_free(w);
}

/*
 * Somebody has typed. The chardev must look at the pty while our end is still
 * open: who typed may have gone already, and what was typed would be lost in
 * the hang-up.
 */
static void pty_typed(void *opaque)
{
    PtyWait *w = opaque;
    Chardev *chr = w->chr;

    trace_pulsar_pty_typed(chr->label);
    qemu_set_fd_handler(w->master, NULL, NULL, NULL);
    g_hash_table_steal(waits, chr);
    qemu_chr_be_update_read_handlers(chr, chr->gcontext);
    close(w->slave);
    g_free(w);
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

/*
 * Looks without our own end. The handler stays: to change it would wake the
 * main loop once more.
 */
static bool somebody_there(PtyWait *w)
{
    struct pollfd pfd = { .fd = w->master };

    close(w->slave);
    w->slave = -1;
    if (RETRY_ON_EINTR(poll(&pfd, 1, 0)) < 0 || !(pfd.revents & POLLHUP)) {
        return true;
    }
    w->slave = open_slave(w->master);
    w->since = get_clock();
    return w->slave < 0; /* then the chardev has to see to it */
}

bool pulsar_pty_chr_rearm_timer(Chardev *chr, QIOChannel *ioc)
{
    PtyWait *w;
    int master, slave;

    if (!ioc || chr->gcontext) {
        return false; /* never opened, or of a thread without such handlers */
    }
    if (find_wait(chr)) {
        return true;
    }
    master = QIO_CHANNEL_FILE(ioc)->fd;
    slave = open_slave(master);
    trace_pulsar_pty_wait(chr->label, slave >= 0);
    if (slave < 0) {
        warn_report_once("chardev %s: cannot open the other end of the pty "
                         "(%s): polling it every second until somebody "
                         "attaches", chr->label, strerror(errno));
        return false;
    }
    w = g_new(PtyWait, 1);
    w->chr = chr;
    w->master = master;
    w->slave = slave;
    w->since = get_clock();
    if (!waits) {
        waits = g_hash_table_new_full(NULL, NULL, NULL, end_wait);
    }
    g_hash_table_insert(waits, chr, w);
    qemu_set_fd_handler(master, pty_typed, NULL, w);
    return true;
}

void pulsar_pty_chr_update_read_handler(Chardev *chr)
{
    if (waits) {
        g_hash_table_remove(waits, chr);
    }
}

bool pulsar_char_pty_chr_write(Chardev *chr)
{
    PtyWait *w = find_wait(chr);

    if (w && get_clock() - w->since >= BELIEVED_NS && somebody_there(w)) {
        qemu_chr_be_update_read_handlers(chr, chr->gcontext);
    }
    return find_wait(chr) != NULL;
}

void pulsar_char_pty_finalize(Chardev *chr)
{
    pulsar_pty_chr_update_read_handler(chr);
}
