/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the frames of a USB controller are looked at. Pure C.
 *
 * A UHCI controller finds its work in guest memory, once a millisecond, and
 * nobody tells it when something was put there. While there is work it is
 * looked at every frame, as upstream does ("at full rate"). When the same
 * schedule had nothing to do for a while it rests: it is looked at less and
 * less, down to every PULSAR_USB_PACE_REST frames, until something happens.
 */
#ifndef PULSAR_USB_PACE_H
#define PULSAR_USB_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Full-rate frames that an idle schedule has to stay the same for, and the
 * same again before that to see what it is. Upstream lets go of a queue that
 * the guest took away after 32 frames without it; it must come to that
 * before frames are passed over.
 */
#define PULSAR_USB_PACE_HOLD     33

/* Full-rate frames before work that is there but pends is judged again. */
#define PULSAR_USB_PACE_PENDING  8

/* Full-rate frames that a look of the guest at a register buys. */
#define PULSAR_USB_PACE_CREDIT   16

/*
 * The longest rest, in frames: a transfer that the guest puts into memory
 * without touching a register starts that much later at worst.
 */
#define PULSAR_USB_PACE_REST     100

/* What pulsar_usb_pace_rest() takes for "no frame has work". */
#define PULSAR_USB_PACE_NO_WORK  UINT32_MAX

/** struct PulsarUsbPace: what is remembered; pulsar_usb_pace_work() inits */
typedef struct PulsarUsbPace {
    uint32_t hold;      /* frames left at full rate */
    uint32_t rest;      /* how long to rest next time, in frames */
    uint32_t credit;    /* frames at full rate that the next look buys */
    uint32_t schedule;  /* what the schedule was when last looked at */
    bool known;         /* @schedule is valid */
} PulsarUsbPace;

/**
 * pulsar_usb_pace_work: something happened
 * @p: the pace
 *
 * A transfer completed, a device has data, the guest wrote to a register or
 * put work where it was not expected. Full rate at once, and a new start of
 * everything that was learned.
 */
void pulsar_usb_pace_work(PulsarUsbPace *p);

/**
 * pulsar_usb_pace_look: the guest read a register (or acknowledged)
 * @p: the pace
 *
 * Often that announces new work, so it buys some frames at full rate. Each
 * time that nothing came of it, the next look buys half as much: a guest
 * that polls its ports four times a second ends up with nothing. Work gives
 * the whole credit back.
 *
 * Returns: true when frames are to be looked at at full rate now.
 */
bool pulsar_usb_pace_look(PulsarUsbPace *p);

/**
 * pulsar_usb_pace_frame: a frame was processed at full rate
 * @p: the pace
 *
 * Returns: true when the next frame is due at full rate as well; false when
 * the schedule has to be examined and pulsar_usb_pace_rest() asked.
 */
bool pulsar_usb_pace_frame(PulsarUsbPace *p);

/**
 * pulsar_usb_pace_seen: the schedule was examined while resting
 * @p: the pace
 * @schedule: a number that stands for what waits in it
 *
 * Returns: true when it is what it was; false when the guest changed it,
 * which counts as pulsar_usb_pace_work().
 */
bool pulsar_usb_pace_seen(PulsarUsbPace *p, uint32_t schedule);

/**
 * pulsar_usb_pace_rest: how long to rest
 * @p: the pace
 * @schedule: a number that stands for what waits in the schedule
 * @work: frames from now to the first that has something to do (0 = the
 *        next one), PULSAR_USB_PACE_NO_WORK when none has
 *
 * Returns: frames until the next look, 1 to PULSAR_USB_PACE_REST: the frame
 * with work is the last of them, or they are over before it. 1 is full rate.
 */
uint32_t pulsar_usb_pace_rest(PulsarUsbPace *p, uint32_t schedule,
                              uint32_t work);

#endif /* PULSAR_USB_PACE_H */
