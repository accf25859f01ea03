/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. A host where no xenstored answers has
 * none of it, and everything else works without.
 */
#ifndef PULSAR_XEN_H
#define PULSAR_XEN_H

#include <glib.h>
#include <sys/types.h>

/**
 * xen_read: a node of xenstore
 * @fmt: its path
 *
 * Returns: its value, to be freed by the caller; NULL when it is not there,
 * may not be read, or no xenstored answers.
 */
char *xen_read(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/** xen_answers: is there a xenstored that answers? */
gboolean xen_answers(void);

/** xen_gone: does xenstore know nothing of a domain? FALSE in doubt. */
gboolean xen_gone(int domid);

/**
 * xen_identity: what the toolstack calls domain @domid
 * @ret_name: its name now, as it is there; "" when it has none
 * @ret_uuid: its UUID, or ""
 *
 * Both are to be freed by the caller.
 *
 * Returns: FALSE when no xenstored answers; both are "" then.
 */
gboolean xen_identity(int domid, char **ret_name, char **ret_uuid);

/**
 * xen_device_model: the process that serves domain @domid
 *
 * Returns: its number as the toolstack wrote it down, or 0.
 */
pid_t xen_device_model(int domid);

/**
 * xen_directory: the names below a node of xenstore
 * @path: of the node
 *
 * Returns: an empty list where there are none; free with g_strfreev().
 */
char **xen_directory(const char *path);

/**
 * xen_lookup: a node, where it matters whether it is there
 * @ret: its value, to be freed; NULL when there is no such node
 *
 * Returns: FALSE with an error when xenstored does not say.
 */
gboolean xen_lookup(const char *path, char **ret, GError **errp);

/** xen_list: xen_directory(), and FALSE with an error when it is not said. */
gboolean xen_list(const char *path, char ***ret, GError **errp);

/**
 * xen_await: wait until a node has a value
 * @value: the one that is waited for
 * @pid: the process that is to write it
 * @ms: how long at most, in milliseconds
 *
 * Returns: FALSE when it has not by then, or the process ended, or xenstored
 * does not answer.
 */
gboolean xen_await(const char *path, const char *value, pid_t pid, int ms);

/**
 * xen_write: give a node that is there, or a new one, a value
 *
 * Returns: FALSE with an error when xenstored does not do it. One that was
 * there keeps its permissions.
 */
gboolean xen_write(const char *path, const char *value, GError **errp);

/** xen_remove: remove a node; one that is not there is no error. */
gboolean xen_remove(const char *path, GError **errp);

/** xen_forked: let a child process have a connection of its own. */
void xen_forked(void);

#endif /* PULSAR_XEN_H */
