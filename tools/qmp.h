/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to a device model through its QMP socket. Only `pulsar set` and
 * `pulsar replace` do so: everything else reads, and wakes nobody.
 */
#ifndef PULSAR_QMP_H
#define PULSAR_QMP_H

#include <glib.h>
#include <json-c/json.h>
#include <sys/types.h>

typedef struct Qmp Qmp;

/**
 * qmp_connect: find a QMP socket of process @pid that answers
 *
 * A socket that has a client is left alone, one that does not greet is passed
 * over after a second, and one that another process serves is told nothing.
 *
 * Returns: NULL with an error when none answers.
 */
Qmp *qmp_connect(pid_t pid, GError **errp);

/**
 * qmp_attach: talk to a device model that was given a socket
 * @fd: its other end, now @q's
 *
 * Waits for the greeting, however long it takes, or for the other end to be
 * closed.
 *
 * Returns: NULL with an error when the device model ended before it greeted.
 */
Qmp *qmp_attach(int fd, GError **errp);

void qmp_close(Qmp *q);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_close)

/**
 * qmp_set: change an option of the VM while it runs
 * @ret_changed: whether it has the new value now
 * @ret_note: what the device model says to it, clean; to be freed
 *
 * An option that cannot be changed now is no error: @ret_note says why.
 */
gboolean qmp_set(Qmp *q, const char *key, const char *value,
                 gboolean *ret_changed, char **ret_note, GError **errp);

/**
 * qmp_execute: carry out a command
 * @args: its arguments, or NULL; now @q's
 * @fd: a descriptor to go with it, which stays the caller's, or -1
 * @ret: what it returned, to be put; or NULL if that is not wanted
 *
 * Returns: FALSE with an error that has the device model's own words.
 */
gboolean qmp_execute(Qmp *q, const char *command, json_object *args, int fd,
                     json_object **ret, GError **errp);

/**
 * qmp_await_migration: wait for the end of an incoming migration
 *
 * Of a device model with the migration capability "events", to be called
 * right after "migrate-incoming".
 */
gboolean qmp_await_migration(Qmp *q, GError **errp);

/** qmp_text: the string at @key, or "" when there is none. */
const char *qmp_text(json_object *o, const char *key);

#endif /* PULSAR_QMP_H */
