/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments that toolstacks write and QEMU does not take any more, put into
 * what it does take. Pure C, no QEMU header.
 */
#ifndef PULSAR_LAUNCH_ARGS_H
#define PULSAR_LAUNCH_ARGS_H

#include <stddef.h>
#include <stdint.h>

/**
 * pulsar_launch_runas: the argument of -runas for -run-with user=
 * @arg: "NAME", "UID:GID" or, as it once was, "UID.GID"
 *
 * Returns: "NAME" or "UID:GID", to g_free(). A name with a dot that is not
 * two numbers stays a name.
 */
char *pulsar_launch_runas(const char *arg);

/* What a file name is of which pulsar_launch_nbd_fd() was asked. */
typedef enum PulsarNbdName {
    PULSAR_NBD_OTHER,       /* upstream's to read */
    PULSAR_NBD_FD,          /* as it should be */
    PULSAR_NBD_WRONG,       /* begins like one and goes on otherwise */
} PulsarNbdName;

/**
 * pulsar_launch_nbd_fd: read "nbd:fd:N[:exportname=NAME]"
 * @filename: what a QMP client gave
 * @max_export: how many bytes of NAME are accepted
 * @ret_fdset: N, a decimal number that fits in 63 bits
 * @ret_export: NAME inside @filename, to its end; "" when there is none
 *
 * The results are written for PULSAR_NBD_FD only.
 */
PulsarNbdName pulsar_launch_nbd_fd(const char *filename, size_t max_export,
                                   uint64_t *ret_fdset,
                                   const char **ret_export);

#endif /* PULSAR_LAUNCH_ARGS_H */
