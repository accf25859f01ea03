/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the name of an I/O channel or xenstore node to the cause that people
 * know. Pure C.
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

/**
 * pulsar_xenstore_cause: what to call the wakes of a watch
 * @path: the node that has changed
 * @ret: the cause, always ended by a NUL, cut where it does not fit
 * @size: size of @ret, at least 1
 *
 * "/local/domain/7/device/vkbd/0/state" and "/local/domain/0/backend/vkbd/7"
 * become "xenstore:vkbd": the guest may name the nodes below, so nothing of
 * them is kept.
 */
void pulsar_xenstore_cause(const char *path, char *ret, size_t size);

#endif /* PULSAR_CHANNEL_NAME_H */
