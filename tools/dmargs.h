/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a device model's command line, as toolstacks write them, and
 * what has to change in them for the one that takes its place.
 */
#ifndef PULSAR_DMARGS_H
#define PULSAR_DMARGS_H

#include <glib.h>

/* The id of the QMP monitor that is ours; see dmargs_add_own(). */
#define DMARGS_OWN_ID "pulsar-replace"

/* Pulsar's device that takes PV disks over; see dmargs_add_disks(). */
#define DMARGS_DISKS "pulsar-pv-rings"

/**
 * dmargs_drop_start: take out what only said how to begin
 * @args: char *, without the program
 *
 * -S, -incoming, -loadvm, -daemonize, -add-fd (descriptors are given anew)
 * and what dmargs_add_own() and dmargs_add_disks() added.
 */
void dmargs_drop_start(GPtrArray *args);

/**
 * dmargs_add_own: let it wait for a state, with a QMP monitor on a socket
 * @fd: that it will have under this number
 */
void dmargs_add_own(GPtrArray *args, int fd);

/**
 * dmargs_add_disks: let it go on with PV disks that are connected
 * @disks: their numbers, "768:51712"
 *
 * A QEMU that would begin anew with them does not start.
 */
void dmargs_add_disks(GPtrArray *args, const char *disks);

/** dmargs_add_fd: hand a descriptor into a set; @opaque may be NULL. */
void dmargs_add_fd(GPtrArray *args, int fd, int set, const char *opaque);

/**
 * dmargs_numbers: descriptors that are named by number
 *
 * Returns: int; free with g_array_unref().
 */
GArray *dmargs_numbers(GPtrArray *args);

/**
 * dmargs_tap: the interface of a -netdev or -net that makes its own tap
 * @index: of the word in @args that has the value
 *
 * Returns: its name, to be freed; NULL for any other word.
 */
char *dmargs_tap(GPtrArray *args, guint index);

/** dmargs_set_tap: let that one take descriptor @fd instead. */
void dmargs_set_tap(GPtrArray *args, guint index, int fd);

/**
 * dmargs_set_vnc_port: let its VNC server have the port that it had
 *
 * Where the command line names a first display and a last one to try, it was
 * not said before.
 */
void dmargs_set_vnc_port(GPtrArray *args, int port);

/** dmargs_vnc_password: does its VNC server ask for one? */
gboolean dmargs_vnc_password(GPtrArray *args);

/**
 * dmargs_drop_devices: take out devices that are there no more
 * @present: set of the ids that are; those that are found are taken out of it
 */
void dmargs_drop_devices(GPtrArray *args, GHashTable *present);

/**
 * dmargs_set_medium: what is in a drive now
 * @id: of the -drive
 * @file: or NULL for nothing
 * @format: of the file
 *
 * Returns: FALSE when there is no such -drive.
 */
gboolean dmargs_set_medium(GPtrArray *args, const char *id,
                           const char *file, const char *format);

#endif /* PULSAR_DMARGS_H */
