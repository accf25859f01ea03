/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who, outside the device model, is connected to it: ends of its ptys, of
 * its UNIX sockets and of its TCP connections, and whose they are.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "outside.h"
#include "proc.h"
#include "text.h"

/* The kernel's numbers for what a socket does, TCP or not. */
#define STATE_ESTABLISHED  1
#define FLAG_LISTENS       0x10000     /* in /proc/net/unix */

/* The ports on which a toolstack puts VNC servers. */
#define VNC_PORT_FIRST  5900
#define VNC_PORT_LAST   6099

/* What descriptor @fd of a process is, such as "socket:[4711]". */
static char *fd_target(const char *pid, const char *fd)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/fd/%s", pid, fd);

    return g_file_read_link(path, NULL);
}

typedef void FdVisitor(const char *pid, const char *fd, const char *target,
                       void *opaque);

static void visit_fds(const char *pid, FdVisitor *visit, void *opaque)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/fd", pid);
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        g_autofree char *target = NULL;

        if (g_ascii_isdigit(e->d_name[0])) {
            target = fd_target(pid, e->d_name);
            if (target) {
                visit(pid, e->d_name, target, opaque);
            }
        }
    }
    if (d) {
        closedir(d);
    }
}

/* ---- whose is it? ---------------------------------------------------- */

typedef struct Search {
    GHashTable *targets;    /* set of what is looked for */
    GPtrArray *found;       /* "comm (process N)" */
    char last[16];          /* the process found last: each is named once */
} Search;

static void search_fd(const char *pid, const char *fd, const char *target,
                      void *opaque)
{
    Search *s = opaque;
    g_autofree char *comm = NULL;
    g_autofree char *clean = NULL;
    gsize len;

    if (!g_hash_table_contains(s->targets, target) || !strcmp(s->last, pid)) {
        return;
    }
    g_strlcpy(s->last, pid, sizeof(s->last));
    comm = proc_read(atoi(pid), "comm", &len);
    clean = text_clean(comm ? g_strchomp(comm) : "?");
    g_ptr_array_add(s->found, g_strdup_printf("%s (process %s)", clean, pid));
}

/* Adds the processes but @except that have one of @targets open. */
static void find_holders(GHashTable *targets, pid_t except, GPtrArray *found)
{
    Search search = { targets, found, "" };
    struct dirent *e;
    DIR *d;

    if (!g_hash_table_size(targets)) {
        return;
    }
    d = opendir("/proc");
    while (d && (e = readdir(d))) {
        if (g_ascii_isdigit(e->d_name[0]) && atoi(e->d_name) != except) {
            visit_fds(e->d_name, search_fd, &search);
        }
    }
    if (d) {
        closedir(d);
    }
}

/* ---- ptys ------------------------------------------------------------ */

/* The slaves whose masters a process has. */
static void note_slave(const char *pid, const char *fd, const char *target,
                       void *opaque)
{
    g_autofree char *file = NULL;
    g_autofree char *info = NULL;
    const char *at;
    gsize len;

    if (!g_str_has_suffix(target, "/ptmx")) {
        return;
    }
    file = g_strdup_printf("fdinfo/%s", fd);
    info = proc_read(atoi(pid), file, &len);
    at = info ? strstr(info, "tty-index:") : NULL;
    if (at) {
        g_hash_table_add(opaque, g_strdup_printf(
                             "/dev/pts/%d", atoi(at + strlen("tty-index:"))));
    }
}

static GHashTable *new_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void visit_own_fds(pid_t pid, FdVisitor *visit, void *opaque)
{
    g_autofree char *name = g_strdup_printf("%d", pid);

    visit_fds(name, visit, opaque);
}

GPtrArray *outside_pty_readers(pid_t pid)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) slaves = new_set();

    visit_own_fds(pid, note_slave, slaves);
    find_holders(slaves, pid, found);
    return found;
}

/* ---- UNIX sockets ---------------------------------------------------- */

/* One end of a connection, as the kernel describes it. */
typedef struct UnixEnd {
    guint32 inode, peer;
    char path[108 + 1];
} UnixEnd;

static void parse_unix(const struct nlmsghdr *msg, UnixEnd *ret)
{
    const struct unix_diag_msg *diag = NLMSG_DATA(msg);
    const struct rtattr *a = (const struct rtattr *)(diag + 1);
    int len = msg->nlmsg_len - NLMSG_LENGTH(sizeof(*diag));

    memset(ret, 0, sizeof(*ret));
    ret->inode = diag->udiag_ino;
    for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        size_t size = RTA_PAYLOAD(a);

        if (a->rta_type == UNIX_DIAG_PEER && size >= sizeof(ret->peer)) {
            memcpy(&ret->peer, RTA_DATA(a), sizeof(ret->peer));
        } else if (a->rta_type == UNIX_DIAG_NAME) {
            memcpy(ret->path, RTA_DATA(a), MIN(size, sizeof(ret->path) - 1));
        }
    }
}

/* UnixEnd of every UNIX socket of that state in our network namespace. */
static GArray *unix_sockets(int state)
{
    struct {
        struct nlmsghdr head;
        struct unix_diag_req req;
    } ask = {
        .head = {
            .nlmsg_len = sizeof(ask),
            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
        },
        .req = {
            .sdiag_family = AF_UNIX,
            .udiag_states = 1 << state,
            .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
        },
    };
    GArray *list = g_array_new(FALSE, FALSE, sizeof(UnixEnd));
    static char buf[65536] __attribute__((aligned(8)));
    const struct nlmsghdr *msg;
    ssize_t n;
    int fd, len;

    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0) {
        goto out;
    }
    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
        len = n;
        for (msg = (const struct nlmsghdr *)buf; NLMSG_OK(msg, (guint)len);
             msg = NLMSG_NEXT(msg, len)) {
            UnixEnd end;

            if (msg->nlmsg_type != SOCK_DIAG_BY_FAMILY) {
                goto out; /* NLMSG_DONE, or an error */
            }
            parse_unix(msg, &end);
            g_array_append_val(list, end);
        }
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    return list;
}

static char *socket_target(guint64 inode)
{
    return g_strdup_printf("socket:[%" G_GUINT64_FORMAT "]", inode);
}

static void note_target(const char *pid, const char *fd, const char *target,
                        void *opaque)
{
    g_hash_table_add(opaque, g_strdup(target));
}

static gboolean is_vnc_path(const char *path)
{
    const char *base = strrchr(path, '/');

    return strstr(base ? base : path, "vnc") != NULL;
}

static void find_unix_clients(pid_t pid, gboolean vnc, GPtrArray *found)
{
    g_autoptr(GHashTable) own = new_set();
    g_autoptr(GHashTable) peers = new_set();
    g_autoptr(GArray) all = unix_sockets(STATE_ESTABLISHED);
    guint i;

    visit_own_fds(pid, note_target, own);
    for (i = 0; i < all->len; i++) {
        const UnixEnd *end = &g_array_index(all, UnixEnd, i);
        g_autofree char *target = socket_target(end->inode);

        /* The end that a server accepted has the server's name. */
        if (end->path[0] && end->peer && is_vnc_path(end->path) == vnc &&
            g_hash_table_contains(own, target)) {
            g_hash_table_add(peers, socket_target(end->peer));
        }
    }
    find_holders(peers, pid, found);
}

/*
 * On xenopsd's for events nobody else may so much as knock: it keeps that
 * connection for ever, and one who waits in the queue would keep xenopsd out
 * when it comes again.
 */
static gboolean is_for_events(const char *path)
{
    return strstr(path, "qmp-event-") != NULL;
}

/* libxl's own socket, "qmp-libxl-7", comes last: libxl needs it. */
static gint by_use(gconstpointer a, gconstpointer b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    gboolean libxl_x = strstr(x, "qmp-libxl-") != NULL;
    gboolean libxl_y = strstr(y, "qmp-libxl-") != NULL;

    return libxl_x != libxl_y ? libxl_x - libxl_y : strcmp(x, y);
}

/*
 * From /proc, for the kernel tells by netlink only of the caller's network
 * namespace, and xapi gives each device model one of its own.
 */
GPtrArray *outside_monitor_sockets(pid_t pid, GPtrArray **ret_busy)
{
    g_autoptr(GPtrArray) listening = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *file = g_strdup_printf("/proc/%d/net/unix", pid);
    GPtrArray *idle = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) own = new_set();
    g_autoptr(GHashTable) taken = new_set();
    FILE *f = fopen(file, "re");
    char line[256], path[108 + 1];
    guint64 inode;
    guint flags, i;

    *ret_busy = g_ptr_array_new_with_free_func(g_free);
    visit_own_fds(pid, note_target, own);
    while (f && fgets(line, sizeof(line), f)) {
        g_autofree char *target = NULL;

        if (sscanf(line, "%*x: %*x %*x %x %*x %*x %" G_GUINT64_FORMAT
                   " %108[^\n]", &flags, &inode, path) != 3) {
            continue;
        }
        target = socket_target(inode);
        if (path[0] != '/' || is_vnc_path(path) || is_for_events(path) ||
            !g_hash_table_contains(own, target)) {
            continue;
        }
        if (flags & FLAG_LISTENS) {
            g_ptr_array_add(listening, g_strdup(path));
        } else {
            /* What was accepted has the name too. */
            g_hash_table_add(taken, g_strdup(path));
        }
    }
    if (f) {
        fclose(f);
    }
    g_ptr_array_sort(listening, by_use);
    for (i = 0; i < listening->len; i++) {
        char *one = listening->pdata[i];

        g_ptr_array_add(g_hash_table_contains(taken, one) ? *ret_busy : idle,
                        g_strdup(one));
    }
    return idle;
}

/* ---- TCP ------------------------------------------------------------- */

typedef struct TcpEnd {
    char local[64], remote[64];     /* as in the file */
    unsigned local_port, remote_port, state;
    guint64 inode;
} TcpEnd;

/* TcpEnd of all connections in the network namespace of @pid. */
static GArray *tcp_sockets(pid_t pid)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(TcpEnd));
    static const char *const files[] = { "net/tcp", "net/tcp6" };
    char path[64], line[512];
    guint i;
    FILE *f;

    for (i = 0; i < G_N_ELEMENTS(files); i++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f)) {
            TcpEnd e;

            if (sscanf(line, "%*d: %40[0-9A-F]:%x %40[0-9A-F]:%x %x %*s %*s "
                       "%*s %*s %*s %" G_GUINT64_FORMAT, e.local,
                       &e.local_port, e.remote, &e.remote_port, &e.state,
                       &e.inode) == 6 && e.state == STATE_ESTABLISHED) {
                g_array_append_val(list, e);
            }
        }
        if (f) {
            fclose(f);
        }
    }
    return list;
}

/* "192.0.2.7" from the kernel's words of 32 bits in hexadecimal. */
static char *address_text(const char *hex)
{
    gboolean v6 = strlen(hex) > 8;
    char text[INET6_ADDRSTRLEN] = "?";
    guint32 word[4] = { 0 };
    unsigned value;
    int i;

    for (i = 0; i < (v6 ? 4 : 1); i++) {
        if (sscanf(hex + 8 * i, "%8x", &value) == 1) {
            word[i] = value; /* in the order of the machine, as they are */
        }
    }
    inet_ntop(v6 ? AF_INET6 : AF_INET, word, text, sizeof(text));
    return g_strdup(text);
}

static void find_tcp_clients(pid_t pid, gboolean vnc, GPtrArray *found)
{
    g_autoptr(GHashTable) own = new_set();
    g_autoptr(GArray) all = tcp_sockets(pid);
    guint i, k;

    visit_own_fds(pid, note_target, own);
    for (i = 0; i < all->len; i++) {
        const TcpEnd *end = &g_array_index(all, TcpEnd, i);
        g_autofree char *target = socket_target(end->inode);
        g_autoptr(GHashTable) peer = new_set();
        g_autofree char *address = NULL;
        guint before = found->len;

        if ((end->local_port >= VNC_PORT_FIRST &&
             end->local_port <= VNC_PORT_LAST) != vnc ||
            !g_hash_table_contains(own, target)) {
            continue;
        }
        /* Its other end, when that is on this host. */
        for (k = 0; k < all->len; k++) {
            const TcpEnd *other = &g_array_index(all, TcpEnd, k);

            if (other->local_port == end->remote_port &&
                other->remote_port == end->local_port &&
                !strcmp(other->local, end->remote)) {
                g_hash_table_add(peer, socket_target(other->inode));
            }
        }
        find_holders(peer, pid, found);
        if (found->len == before) {
            address = address_text(end->remote);
            g_ptr_array_add(found, g_strdup_printf("%s port %u", address,
                                                   end->remote_port));
        }
    }
}

GPtrArray *outside_vnc_viewers(pid_t pid)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

    find_unix_clients(pid, TRUE, found);
    find_tcp_clients(pid, TRUE, found);
    return found;
}

GPtrArray *outside_monitor_clients(pid_t pid)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

    find_unix_clients(pid, FALSE, found);
    find_tcp_clients(pid, FALSE, found);
    return found;
}
