/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "nbd:fd:N:exportname=X": an export of an NBD server whose connection came
 * by QMP add-fd as descriptor set N. Only xapi's own QEMU knows it; upstream
 * takes it for a host "fd".
 */
#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block_int-common.h"
#include "block/nbd.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/sockets.h"
#include "qobject/qdict.h"
#include "launch-args.h"
#include "launch.h"

#define FDSET  "/dev/fdset/"

static void (*upstream_parse)(const char *filename, QDict *options,
                              Error **errp);
static int (*upstream_open)(BlockDriverState *bs, QDict *options, int flags,
                            Error **errp);

static void parse_filename(const char *filename, QDict *options, Error **errp)
{
    g_autofree char *set = NULL;
    const char *export;
    uint64_t fdset;

    switch (pulsar_launch_nbd_fd(filename, NBD_MAX_STRING_SIZE, &fdset,
                                 &export)) {
    case PULSAR_NBD_OTHER:
        upstream_parse(filename, options, errp);
        break;
    case PULSAR_NBD_WRONG:
        error_setg(errp, "'%s' is not nbd:fd:N[:exportname=NAME] with a "
                   "descriptor set N and at most %d bytes of name", filename,
                   NBD_MAX_STRING_SIZE);
        break;
    case PULSAR_NBD_FD:
        set = g_strdup_printf(FDSET "%" PRIu64, fdset);
        qdict_put_str(options, "server.type", "fd");
        qdict_put_str(options, "server.str", set);
        if (*export) {
            qdict_put_str(options, "export", export);
        }
        break;
    }
}

/*
 * A copy that is the connection's own; the set goes its way by remove-fd.
 * QEMU connects again by the same number when the server has gone. So it is
 * a number that nothing else gets then: another each time, and high, for new
 * descriptors get the lowest that is free.
 */
static int take_connection(const char *set, Error **errp)
{
    static int next;
    long most = sysconf(_SC_OPEN_MAX);
    int half = (most > 2 ? MIN(most, 1024) : 1024) / 2;
    int in_set = qemu_open(set, O_RDWR, errp);
    int fd;

    if (in_set < 0) {
        return -1;
    }
    fd = fcntl(in_set, F_DUPFD_CLOEXEC, half + next++ % half);
    qemu_close(in_set);
    if (fd < 0) {
        error_setg_errno(errp, errno, "%s cannot be copied", set);
    } else if (!fd_is_socket(fd)) {
        error_setg(errp, "what is in %s is no socket", set);
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_nbd(BlockDriverState *bs, QDict *options, int flags,
                    Error **errp)
{
    const char *set = qdict_get_try_str(options, "server.str");
    g_autofree char *number = NULL;
    Monitor *mon;
    int fd, ret;

    if (!set || !g_str_has_prefix(set, FDSET)) {
        return upstream_open(bs, options, flags, errp);
    }
    fd = take_connection(set, errp);
    if (fd < 0) {
        return -EINVAL;
    }
    number = g_strdup_printf("%d", fd);
    qdict_put_str(options, "server.str", number);
    /* For a monitor it would be a name by getfd. */
    mon = monitor_set_cur(qemu_coroutine_self(), NULL);
    ret = upstream_open(bs, options, flags, errp);
    monitor_set_cur(qemu_coroutine_self(), mon);
    return ret;
}

void pulsar_launch_nbd_init(void)
{
    /* QEMU has several of them: one reads the name, one opens. */
    BlockDriver *by_name = bdrv_find_protocol("nbd:", true, NULL);
    BlockDriver *opens = bdrv_find_format("nbd");

    if (by_name && opens) {
        upstream_parse = by_name->bdrv_parse_filename;
        by_name->bdrv_parse_filename = parse_filename;
        upstream_open = opens->bdrv_open;
        opens->bdrv_open = open_nbd;
    }
}
