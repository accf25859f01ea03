/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments that toolstacks write and QEMU does not take any more, put into
 * what it does take. Pure C, no QEMU header.
 */
#ifndef PULSAR_LAUNCH_ARGS_H
#define PULSAR_LAUNCH_ARGS_H

/**
 * pulsar_launch_runas: the argument of -runas for -run-with user=
 * @arg: "NAME", "UID:GID" or, as it once was, "UID.GID"
 *
 * Returns: "NAME" or "UID:GID", to g_free(). A name with a dot that is not
 * two numbers stays a name.
 */
char *pulsar_launch_runas(const char *arg);

#endif /* PULSAR_LAUNCH_ARGS_H */
