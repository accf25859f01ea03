/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CD drive has to tell its guest about its medium. Pure C.
 *
 * The drive keeps the events that GET EVENT STATUS NOTIFICATION reports, one a
 * command, until the guest has asked for them. A guest that has asked to be
 * notified is told that there are some. Sources: MMC-6, GET EVENT STATUS
 * NOTIFICATION; Serial ATA, asynchronous notification.
 */
#ifndef PULSAR_DVD_EVENTS_H
#define PULSAR_DVD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/* Event codes of the media class. */
typedef enum PulsarDvdEvent {
    PULSAR_DVD_NO_CHANGE = 0,
    PULSAR_DVD_EJECT_REQUEST = 1,
    PULSAR_DVD_NEW_MEDIA = 2,
    PULSAR_DVD_MEDIA_REMOVAL = 3,
} PulsarDvdEvent;

/** struct PulsarDvdEvents: what is remembered; zeroed to begin with */
typedef struct PulsarDvdEvents {
    bool enabled;           /* the guest has asked to be notified */
    bool present;           /* there is a medium, and the tray is closed */
    bool owed;              /* a notification is due; not in a saved state */
    bool removal, new_media, eject_request;     /* not asked for yet */
} PulsarDvdEvents;

/**
 * pulsar_dvd_events_reset: the drive is reset
 * @e: the events
 * @present: there is a medium, and the tray is closed
 *
 * Notification is off. What was not asked for is forgotten; a medium is a new
 * one to whoever asks next.
 */
void pulsar_dvd_events_reset(PulsarDvdEvents *e, bool present);

/**
 * pulsar_dvd_events_enable: the guest wants to be notified, or not any more
 * @e: the events
 * @enable: it does
 *
 * What it has not asked for so far is notified at once.
 */
void pulsar_dvd_events_enable(PulsarDvdEvents *e, bool enable);

/**
 * pulsar_dvd_events_medium: the tray or the medium may have changed
 * @e: the events
 * @present: there is a medium, and the tray is closed
 *
 * One that is gone again before the guest has asked for it was never there.
 */
void pulsar_dvd_events_medium(PulsarDvdEvents *e, bool present);

/** pulsar_dvd_events_eject: somebody would like the guest to eject it. */
void pulsar_dvd_events_eject(PulsarDvdEvents *e);

/**
 * pulsar_dvd_events_take: the guest asks what has happened
 * @e: the events
 *
 * Returns: the oldest event, which is over with that. When there are more,
 * another notification is due.
 */
PulsarDvdEvent pulsar_dvd_events_take(PulsarDvdEvents *e);

/**
 * pulsar_dvd_events_due: is a notification to be sent?
 * @e: the events
 * @ready: it can be now
 *
 * Returns: true when it shall be sent; it is no longer due then.
 */
bool pulsar_dvd_events_due(PulsarDvdEvents *e, bool ready);

/** pulsar_dvd_events_pack: all of it, for a saved state. */
uint8_t pulsar_dvd_events_pack(const PulsarDvdEvents *e);

/**
 * pulsar_dvd_events_unpack: the same from a saved state
 * @e: the events; untouched when @packed is not accepted
 * @packed: comes from anywhere
 *
 * What the guest has not asked for is notified once more, in case that the
 * first one was lost on the way.
 *
 * Returns: false when @packed is nothing that _pack() makes.
 */
bool pulsar_dvd_events_unpack(PulsarDvdEvents *e, uint8_t packed);

#endif /* PULSAR_DVD_EVENTS_H */
