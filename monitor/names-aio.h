/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Included near the end of include/block/aio.h: see names.h. */
#ifndef PULSAR_NAMES_AIO_H
#define PULSAR_NAMES_AIO_H

#include "names.h"

#define aio_timer_new(ctx, type, scale, cb, opaque) \
    aio_timer_new(ctx, type, scale, PULSAR_NAMED(cb), opaque)
#define aio_timer_init(ctx, ts, type, scale, cb, opaque) \
    aio_timer_init(ctx, ts, type, scale, PULSAR_NAMED(cb), opaque)

#define aio_set_fd_handler(ctx, fd, rd, wr, poll, ready, opaque) \
    aio_set_fd_handler(ctx, fd, PULSAR_NAMED(rd), PULSAR_NAMED(wr), \
                       poll, ready, opaque)
#define aio_set_event_notifier(ctx, notifier, rd, poll, ready) \
    aio_set_event_notifier(ctx, notifier, PULSAR_NAMED(rd), poll, ready)

#endif /* PULSAR_NAMES_AIO_H */
