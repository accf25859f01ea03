/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the threads of a process were switched to, as the kernel counts
 * it. The device model looks at itself, the `pulsar` command at others.
 * Linux, no QEMU header.
 */
#ifndef PULSAR_THREAD_SWITCHES_H
#define PULSAR_THREAD_SWITCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "ledger-page.h"

/**
 * pulsar_thread_switches: read one thread
 * @task_fd: the folder /proc/PID/task
 * @tid: name of an entry in it
 * @ret: the thread; the name is as the thread gave it, not to be trusted.
 *       Written only on success.
 *
 * Returns: false when @tid is no thread, or is gone. Any thread.
 */
bool pulsar_thread_switches(int task_fd, const char *tid,
                            PulsarLedgerThread *ret);

/**
 * pulsar_threads_switches: read all threads
 * @task_fd: the folder /proc/PID/task; its position is not moved
 * @ret: room for @max threads, filled in the order of their numbers
 * @max: how many fit
 *
 * Returns: how many there are; more than @max when not all of them fit, and
 * 0 when the folder cannot be read. Any thread.
 */
size_t pulsar_threads_switches(int task_fd, PulsarLedgerThread *ret,
                               size_t max);

/**
 * pulsar_thread_switches_self: read the calling thread, without /proc
 * @ret: the thread; written only on success
 *
 * Returns: false when the kernel does not say. Any thread.
 */
bool pulsar_thread_switches_self(PulsarLedgerThread *ret);

#endif /* PULSAR_THREAD_SWITCHES_H */
