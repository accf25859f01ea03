/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the frames of a USB controller are looked at: see usb-pace.h.
 */
#include "usb-pace.h"

void pulsar_usb_pace_start(PulsarUsbPace *p)
{
    p->brisk = 0;
    pulsar_usb_pace_work(p);
}

void pulsar_usb_pace_work(PulsarUsbPace *p)
{
    p->hold = PULSAR_USB_PACE_HOLD;
    p->rest = 2;
    p->credit = PULSAR_USB_PACE_CREDIT;
    p->known = false;
}

void pulsar_usb_pace_found(PulsarUsbPace *p, uint64_t now, uint64_t passed)
{
    if (passed >= 2 * PULSAR_USB_PACE_BRISK || now < p->brisk) {
        p->brisk = now + PULSAR_USB_PACE_BRISK_FOR;
    }
}

bool pulsar_usb_pace_look(PulsarUsbPace *p)
{
    if (p->hold == 0) {
        p->hold = p->credit;
        p->credit /= 2;
    }
    return p->hold > 0;
}

bool pulsar_usb_pace_frame(PulsarUsbPace *p)
{
    if (p->hold > 0) {
        p->hold--;
    }
    return p->hold > 0;
}

uint32_t pulsar_usb_pace_rest(PulsarUsbPace *p, uint64_t now,
                              uint32_t schedule, uint32_t work)
{
    uint32_t longest = now < p->brisk ? PULSAR_USB_PACE_BRISK :
        PULSAR_USB_PACE_REST;
    uint32_t frames;

    if (work == 0) {
        p->hold = PULSAR_USB_PACE_PENDING;
        return 1;
    }
    if (!p->known || p->schedule != schedule) {
        pulsar_usb_pace_work(p);
        p->schedule = schedule;
        p->known = true;
        return 1;
    }
    frames = p->rest < longest ? p->rest : longest;
    p->rest = frames < longest / 2 ? frames * 2 : longest;
    return work < frames ? work + 1 : frames;
}
