/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CD drive of dvd=notify; see dvd-notify.c. */
#ifndef PULSAR_DVD_NOTIFY_H
#define PULSAR_DVD_NOTIFY_H

/* An "ide-cd" with the same properties, for a bus of AHCI. */
#define TYPE_PULSAR_NOTIFY_CD "pulsar-notify-cd"

#endif /* PULSAR_DVD_NOTIFY_H */
