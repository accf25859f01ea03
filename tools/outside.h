/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who, outside the device model, is connected to it. Found in /proc and
 * through the kernel's socket diagnosis; nobody is asked or woken.
 */
#ifndef PULSAR_OUTSIDE_H
#define PULSAR_OUTSIDE_H

#include <glib.h>
#include <sys/types.h>

/**
 * outside_pty_readers: who has a serial console of process @pid open
 *
 * Returns: char *, each like "xenconsole (process 812)", clean; to be freed
 * with g_ptr_array_unref(). Processes that may not be looked into are not
 * found.
 */
GPtrArray *outside_pty_readers(pid_t pid);

/** outside_vnc_viewers: who is connected to its VNC server. */
GPtrArray *outside_vnc_viewers(pid_t pid);

/** outside_monitor_clients: who is connected to its monitor sockets. */
GPtrArray *outside_monitor_clients(pid_t pid);

/**
 * outside_monitor_sockets: the UNIX sockets on which it listens and that have
 * no client; those for VNC and xenopsd's for events are left out
 * @ret_busy: paths of the same that have a client, char *
 *
 * Returns: paths, char *; those of which nobody else is likely to become a
 * client first.
 */
GPtrArray *outside_monitor_sockets(pid_t pid, GPtrArray **ret_busy);

#endif /* PULSAR_OUTSIDE_H */
