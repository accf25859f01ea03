/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking through a UHCI schedule in guest memory without touching it: which
 * frame is the first that has something to do? Pure C.
 *
 * Source: Universal Host Controller Interface Design Guide, revision 1.1,
 * chapter 3. Nothing that is read is trusted: what makes no sense, is too
 * much or cannot be read counts as work, and is left to the controller.
 */
#ifndef PULSAR_USB_UHCI_SCAN_H
#define PULSAR_USB_UHCI_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PULSAR_UHCI_FRAMES   1024  /* entries of the frame list */
#define PULSAR_UHCI_RETRIES  16    /* see PulsarUhciScan.retry */

/* Queue heads and transfer descriptors that are read at most in one scan. */
#define PULSAR_UHCI_SCAN_MAX 2048

/** struct PulsarUhciView: how a scan gets at the guest and its devices */
typedef struct PulsarUhciView {
    void *opaque;

    /* Copies @len bytes of guest memory; false when it cannot. */
    bool (*read)(void *opaque, uint32_t addr, void *buf, size_t len);

    /*
     * Whether an active transfer descriptor with these second and third
     * words was handed to its device before and waits there for data, so
     * that the device will tell when doing it again makes sense.
     */
    bool (*waits)(void *opaque, uint32_t ctrl, uint32_t token);
} PulsarUhciView;

/** struct PulsarUhciScan: what was found */
typedef struct PulsarUhciScan {
    /*
     * The first frame with something to do, counted from the first looked
     * at: a transfer that does not wait, or an interrupt on completion of
     * one that is complete. PULSAR_UHCI_FRAMES when there is none.
     */
    uint32_t work;

    /*
     * Stands for the transfers that wait, whatever frame comes first; valid
     * unless @work is 0.
     */
    uint32_t schedule;

    /*
     * Frames, counted in the same way, that together have each waiting
     * transfer of the first @due frames at least once (as far as there is
     * room).
     */
    uint32_t retries;
    uint16_t retry[PULSAR_UHCI_RETRIES];
} PulsarUhciScan;

/**
 * pulsar_uhci_scan: look through the whole frame list once
 * @view: the guest
 * @list: guest address of the frame list, a multiple of 4096
 * @first: number of the frame to begin with, any bits above the tenth
 *         ignored
 * @due: for how many frames @ret's retries are wanted
 * @ret: what was found
 *
 * Frames that lead to the same queues are looked through once. The order is
 * the controller's, breadth first: below each queue only its first transfer
 * counts, for what waits holds up what is behind it.
 */
void pulsar_uhci_scan(const PulsarUhciView *view, uint32_t list,
                      uint32_t first, uint32_t due, PulsarUhciScan *ret);

#endif /* PULSAR_USB_UHCI_SCAN_H */
