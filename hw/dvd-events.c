/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CD drive has to tell its guest; see dvd-events.h for the contract. */
#include <string.h>

#include "dvd-events.h"

enum {
    ENABLED = 1 << 0,
    PRESENT = 1 << 1,
    REMOVAL = 1 << 2,
    NEW_MEDIA = 1 << 3,
    EJECT_REQUEST = 1 << 4,
    ALL = (1 << 5) - 1,
};

static bool has_events(const PulsarDvdEvents *e)
{
    return e->removal || e->new_media || e->eject_request;
}

static void owe(PulsarDvdEvents *e)
{
    e->owed = e->enabled && has_events(e);
}

void pulsar_dvd_events_reset(PulsarDvdEvents *e, bool present)
{
    memset(e, 0, sizeof(*e));
    e->present = e->new_media = present;
}

void pulsar_dvd_events_enable(PulsarDvdEvents *e, bool enable)
{
    e->enabled = enable;
    owe(e);
}

void pulsar_dvd_events_medium(PulsarDvdEvents *e, bool present)
{
    if (present == e->present) {
        return;
    }
    e->present = present;
    e->eject_request = false;
    if (present) {
        e->new_media = true;
    } else if (e->new_media) {
        e->new_media = false;
    } else {
        e->removal = true;
    }
    owe(e);
}

void pulsar_dvd_events_eject(PulsarDvdEvents *e)
{
    e->eject_request = true;
    owe(e);
}

PulsarDvdEvent pulsar_dvd_events_take(PulsarDvdEvents *e)
{
    PulsarDvdEvent event = PULSAR_DVD_NO_CHANGE;

    if (e->removal) {
        e->removal = false;
        event = PULSAR_DVD_MEDIA_REMOVAL;
    } else if (e->new_media) {
        e->new_media = false;
        event = PULSAR_DVD_NEW_MEDIA;
    } else if (e->eject_request) {
        e->eject_request = false;
        event = PULSAR_DVD_EJECT_REQUEST;
    }
    owe(e);
    return event;
}

bool pulsar_dvd_events_due(PulsarDvdEvents *e, bool ready)
{
    bool due = e->owed && ready;

    if (due) {
        e->owed = false;
    }
    return due;
}

uint8_t pulsar_dvd_events_pack(const PulsarDvdEvents *e)
{
    return (e->enabled ? ENABLED : 0) | (e->present ? PRESENT : 0) |
           (e->removal ? REMOVAL : 0) | (e->new_media ? NEW_MEDIA : 0) |
           (e->eject_request ? EJECT_REQUEST : 0);
}

bool pulsar_dvd_events_unpack(PulsarDvdEvents *e, uint8_t packed)
{
    bool present = packed & PRESENT, new_media = packed & NEW_MEDIA;

    if ((packed & ~ALL) || (new_media && !present)) {
        return false;
    }
    e->enabled = packed & ENABLED;
    e->present = present;
    e->removal = packed & REMOVAL;
    e->new_media = new_media;
    e->eject_request = packed & EJECT_REQUEST;
    owe(e);
    return true;
}
