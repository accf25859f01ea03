/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to a device model through its QMP socket. Only `pulsar set` does
 * so: everything else reads, and wakes nobody.
 */
#ifndef PULSAR_QMP_H
#define PULSAR_QMP_H

#include <glib.h>
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

#endif /* PULSAR_QMP_H */
