/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the frames of a USB controller are looked at. Pure C.
 *
 * A UHCI controller finds its work in guest memory, once a millisecond, and
 * nobody tells it when something was put there. While there is work it is
 * looked at every frame, as upstream does ("at full rate"). When the same
 * schedule had nothing to do for a while it rests: it is looked at less and
 * less, down to every PULSAR_USB_PACE_REST frames, until something happens.
 * A guest whose work was found in memory during such a rest, so that nothing
 * had told of it, is looked at more often for a while.
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

/* The longest rest of a guest that is known to do that; and how long it is. */
#define PULSAR_USB_PACE_BRISK      8
#define PULSAR_USB_PACE_BRISK_FOR  10000

/* What pulsar_usb_pace_rest() takes for "no frame has work". */
#define PULSAR_USB_PACE_NO_WORK  UINT32_MAX

/** struct PulsarUsbPace: what is remembered; pulsar_usb_pace_start() inits */
typedef struct PulsarUsbPace {
    uint32_t hold;      /* frames left at full rate */
    uint32_t rest;      /* how long to rest next time, in frames */
    uint32_t credit;    /* frames at full rate that the next look buys */
    uint64_t brisk;     /* frame from which rests may be long again */
    uint32_t schedule;  /* what the schedule was when last looked at */
    bool known;         /* @schedule is valid */
} PulsarUsbPace;

/**
 * pulsar_usb_pace_start: begin at full rate, with nothing known of the guest
 * @p: the pace
 */
void pulsar_usb_pace_start(PulsarUsbPace *p);

/**
 * pulsar_usb_pace_work: something happened
 * @p: the pace
 *
 * A transfer completed, a device has data, the guest wrote to a register or
 * put work where it was not expected. Full rate at once, and a new start of
 * everything that was learned but what pulsar_usb_pace_found() tells.
 */
void pulsar_usb_pace_work(PulsarUsbPace *p);

/**
 * pulsar_usb_pace_found: a look at the end of a rest found a transfer that
 * was put into memory meanwhile
 * @p: the pace
 * @now: number of the present frame, counted by the clock
 * @passed: frames since the look before
 *
 * Such a guest is likely to do it again. Unless the rest was a short one
 * anyway, no rest is longer than PULSAR_USB_PACE_BRISK frames for the next
 * PULSAR_USB_PACE_BRISK_FOR.
 */
void pulsar_usb_pace_found(PulsarUsbPace *p, uint64_t now, uint64_t passed);

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
 * pulsar_usb_pace_rest: how long to rest
 * @p: the pace
 * @now: number of the present frame, counted by the clock
 * @schedule: a number that stands for what waits in the schedule; another
 *            one than before counts as pulsar_usb_pace_work()
 * @work: frames from now to the first that has something to do (0 = the
 *        next one), PULSAR_USB_PACE_NO_WORK when none has
 *
 * Returns: frames until the next look, 1 to PULSAR_USB_PACE_REST: the frame
 * with work is the last of them, or they are over before it. 1 is full rate.
 */
uint32_t pulsar_usb_pace_rest(PulsarUsbPace *p, uint64_t now,
                              uint32_t schedule, uint32_t work);

#endif /* PULSAR_USB_PACE_H */
