/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clipboard of xapi's guests: a process of the host (xcp-clipboardd, or
 * xs-clipboardd) has the guest's side of it and holds the other end of a
 * stream socket. What goes over that, either way, is a length of four bytes in
 * the host's byte order and so many bytes of text, which nobody here reads.
 *
 * The guest decides what comes and how often, and the peer may be slow or
 * gone: one text waits to be sent, a newer one takes its place.
 */
#include "qemu/osdep.h"
#include "io/channel-socket.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "system/system.h"
#include "ui/clipboard.h"
#include "hw/xen/pulsar/launch.h"
#include "clipboard-socket.h"

#define MAX_TEXT  (1 << 20)     /* bytes: VNC's limit, and the daemon's */

static int socket_fd = -1;
static QIOChannel *ioc;

/* What comes: its length, then it. */
static struct {
    uint32_t len;
    uint32_t have;      /* bytes, those of the length among them */
    uint8_t *text;
    guint watch;
} in;

/* What goes, as it is sent, and what goes next. */
static struct {
    GByteArray *now, *next;
    guint sent;
    guint watch;
} out;

static void clipboard_changed(Notifier *n, void *data);

static QemuClipboardPeer peer = {
    .name = "pulsar",
    .notifier = { .notify = clipboard_changed },
};

static void drop_watch(guint *watch)
{
    if (*watch) {
        g_source_remove(*watch);
        *watch = 0;
    }
}

static void give_up(const char *why)
{
    info_report("-vnc-clipboard-socket-fd %d: no clipboard from now on: %s",
                socket_fd, why);
    drop_watch(&in.watch);
    drop_watch(&out.watch);
    g_clear_pointer(&in.text, g_free);
    g_clear_pointer(&out.now, g_byte_array_unref);
    g_clear_pointer(&out.next, g_byte_array_unref);
    qemu_clipboard_peer_unregister(&peer);
    object_unref(OBJECT(ioc));
    ioc = NULL;
}

/* ---- from the guest ---------------------------------------------------- */

static void text_came(void)
{
    g_autoptr(QemuClipboardInfo) info = NULL;

    info = qemu_clipboard_info_new(&peer, QEMU_CLIPBOARD_SELECTION_CLIPBOARD);
    qemu_clipboard_set_data(&peer, info, QEMU_CLIPBOARD_TYPE_TEXT, in.len,
                            in.text, true);
#ifdef CONFIG_VNC
    pulsar_vnc_send_text(in.text, in.len);
#endif
}

/* One read, and what it completes. */
static gboolean socket_readable(QIOChannel *channel, GIOCondition cond,
                                gpointer opaque)
{
    bool is_length = in.have < sizeof(in.len);
    char *to = is_length ? (char *)&in.len + in.have :
                           (char *)in.text + in.have - sizeof(in.len);
    size_t want = (is_length ? 0 : in.len) + sizeof(in.len) - in.have;
    ssize_t n = qio_channel_read(ioc, to, want, NULL);

    if (n == QIO_CHANNEL_ERR_BLOCK) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        give_up(n ? "it cannot be read" : "its other end was closed");
        return G_SOURCE_REMOVE;
    }
    in.have += n;
    if (in.have == sizeof(in.len) && is_length) {
        if (in.len > MAX_TEXT) {
            g_autofree char *why = g_strdup_printf(
                "a text of %u bytes was announced, and %d are accepted",
                in.len, MAX_TEXT);

            give_up(why);
            return G_SOURCE_REMOVE;
        }
        in.text = g_malloc(in.len);
    }
    if (in.have >= sizeof(in.len) && in.have - sizeof(in.len) == in.len) {
        text_came();
        g_clear_pointer(&in.text, g_free);
        in.have = 0;
    }
    return G_SOURCE_CONTINUE;
}

/* ---- to the guest ------------------------------------------------------ */

static gboolean socket_writable(QIOChannel *channel, GIOCondition cond,
                                gpointer opaque);

/*
 * Sends what the socket takes. What cannot be sent at all is for the reader to
 * find, so that nothing is given up under somebody's feet.
 */
static void send_some(void)
{
    while (out.now) {
        ssize_t n = qio_channel_write(ioc, (char *)out.now->data + out.sent,
                                      out.now->len - out.sent, NULL);

        if (n == QIO_CHANNEL_ERR_BLOCK) {
            if (!out.watch) {
                out.watch = qio_channel_add_watch(ioc, G_IO_OUT,
                                                  socket_writable, NULL, NULL);
            }
            return;
        }
        out.sent += MAX(n, 0);
        if (n > 0 && out.sent < out.now->len) {
            continue;
        }
        g_byte_array_unref(out.now);
        out.now = g_steal_pointer(&out.next);
        out.sent = 0;
    }
}

static gboolean socket_writable(QIOChannel *channel, GIOCondition cond,
                                gpointer opaque)
{
    out.watch = 0;
    send_some();
    return G_SOURCE_REMOVE;
}

static void send_text(const uint8_t *text, uint32_t len)
{
    GByteArray *frame = g_byte_array_sized_new(sizeof(len) + len);

    g_byte_array_append(frame, (uint8_t *)&len, sizeof(len));
    g_byte_array_append(frame, text, len);
    if (out.now) {
        g_clear_pointer(&out.next, g_byte_array_unref);
        out.next = frame;
    } else {
        out.now = frame;
        send_some();
    }
}

static void clipboard_changed(Notifier *n, void *data)
{
    const QemuClipboardNotify *notify = data;
    QemuClipboardInfo *info = notify->info;
    const uint8_t *text;
    size_t len;

    if (notify->type != QEMU_CLIPBOARD_UPDATE_INFO || info->owner == &peer ||
        info->selection != QEMU_CLIPBOARD_SELECTION_CLIPBOARD) {
        return;
    }
    text = info->types[QEMU_CLIPBOARD_TYPE_TEXT].data;
    if (!text) {
        /* Nothing is asked for that is not available. */
        qemu_clipboard_request(info, QEMU_CLIPBOARD_TYPE_TEXT);
        return;
    }
    /* VNC's extended clipboard ends a text with a NUL. */
    len = info->types[QEMU_CLIPBOARD_TYPE_TEXT].size;
    while (len && !text[len - 1]) {
        len--;
    }
    if (len && len <= MAX_TEXT) {
        send_text(text, len);
    }
}

/* ---- setting up -------------------------------------------------------- */

/* The main loop exists, and so does the process that serves the guest. */
static void machine_ready(Notifier *n, void *data)
{
    QIOChannelSocket *sioc = qio_channel_socket_new_fd(socket_fd,
                                                       &error_fatal);

    ioc = QIO_CHANNEL(sioc);
    qio_channel_set_name(ioc, "clipboard");
    qio_channel_set_blocking(ioc, false, &error_fatal);
    in.watch = qio_channel_add_watch(ioc, G_IO_IN, socket_readable, NULL,
                                     NULL);
    qemu_clipboard_peer_register(&peer);
}

void pulsar_launch_clipboard(const char *arg)
{
    static Notifier ready = { .notify = machine_ready };
    socklen_t len = sizeof(int);
    int fd, type;

    if (qemu_strtoi(arg, NULL, 10, &fd) < 0 || fd < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        type != SOCK_STREAM) {
        error_report("-vnc-clipboard-socket-fd %s is not the number of an "
                     "open stream socket", arg);
        exit(1);
    }
    if (socket_fd < 0) {
        qemu_add_machine_init_done_notifier(&ready);
    }
    socket_fd = fd;
}
