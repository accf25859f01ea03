/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a hook may call back into upstream, and the check of it.
 *
 * The rule: what another party answers (the events of a chardev, the handlers
 * of its front end, a guest's request) is called from the main loop's own
 * contexts only: a handler of qemu_set_fd_handler(), a bottom half of
 * iohandler_get_aio_context(), a timer of the main loop, a change of the
 * machine's state. Never from inside a write, a poll or another device's
 * handler, for these hold locks, or are in the middle of something. A bottom
 * half of qemu_bh_new() is no such context: whoever waits for a disk runs it.
 *
 * A hook that was called from inside something says so by
 * PULSAR_INSIDE_UPSTREAM(); who calls back asserts that he may. The
 * assertions are compiled in with PULSAR_CHECK_CONTEXT, which
 * configure --enable-debug sets, and cost nothing otherwise.
 */
#ifndef PULSAR_CONTEXT_H
#define PULSAR_CONTEXT_H

#if defined(CONFIG_DEBUG_MUTEX) && !defined(PULSAR_CHECK_CONTEXT)
#define PULSAR_CHECK_CONTEXT
#endif

#ifdef PULSAR_CHECK_CONTEXT

#include "block/aio.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"

/* How deep this thread is in what must not be called back from. */
extern __thread unsigned int pulsar_context_depth;

static inline int pulsar_context_enter(void)
{
    return ++pulsar_context_depth;
}

static inline void pulsar_context_leave(int *unused)
{
    pulsar_context_depth--;
}

/** PULSAR_INSIDE_UPSTREAM: until the end of the block nothing calls back. */
#define PULSAR_INSIDE_UPSTREAM() \
    __attribute__((cleanup(pulsar_context_leave), unused)) \
    int pulsar_inside = pulsar_context_enter()

/**
 * pulsar_assert_may_call_back: not from inside a hook that forbids it
 *
 * Any thread that holds the BQL.
 */
static inline void pulsar_assert_may_call_back(void)
{
    assert(bql_locked());
    assert(!pulsar_context_depth);
}

/**
 * pulsar_assert_main_loop: the main loop itself dispatched us
 *
 * Main thread with the BQL, in no coroutine, and in nothing that aio_poll()
 * could have run in the middle of something else.
 */
static inline void pulsar_assert_main_loop(void)
{
    pulsar_assert_may_call_back();
    assert(!qemu_in_coroutine());
    assert(!qemu_lockcnt_count(&qemu_get_aio_context()->list_lock));
}

#else

#define PULSAR_INSIDE_UPSTREAM() do { } while (0)
static inline void pulsar_assert_may_call_back(void) { }
static inline void pulsar_assert_main_loop(void) { }

#endif /* PULSAR_CHECK_CONTEXT */
#endif /* PULSAR_CONTEXT_H */
