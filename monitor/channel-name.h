/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the name of an I/O channel to the cause that people know. Pure C.
 */
#ifndef PULSAR_CHANNEL_NAME_H
#define PULSAR_CHANNEL_NAME_H

#include <stddef.h>

/**
 * pulsar_channel_cause: what to call a channel's wakes
 * @channel: the channel's name as QEMU gave it, or NULL
 * @ret: the cause, always ended by a NUL, cut where it does not fit
 * @size: size of @ret, at least 1
 *
 * "chardev-pty-serial0" becomes "chardev:serial0", "vnc-server" becomes
 * "vnc:client"; a name of no known kind gets "fd:" in front.
 *
 * Source: the callers of qio_channel_set_name() in QEMU.
 */
void pulsar_channel_cause(const char *channel, char *ret, size_t size);

#endif /* PULSAR_CHANNEL_NAME_H */
