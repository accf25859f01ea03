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
     * The due frames that have to be done, by their bits, counted from the
     * first looked at: each thing in the last of them that has it, so that
     * what hangs in every frame is in the last one only. A thing is a
     * transfer, or an interrupt on completion of one that is complete. All
     * of them, when it could not be told.
     */
    uint32_t todo[PULSAR_UHCI_FRAMES / 32];

    /*
     * The first frame after the due ones with something to do, counted from
     * there: a transfer that does not wait, or an interrupt. 0 when a due
     * frame has such a thing; PULSAR_UHCI_FRAMES when there is none.
     */
    uint32_t work;

    /*
     * Stands for the transfers that wait, whatever frame comes first; valid
     * unless @work is 0.
     */
    uint32_t schedule;
} PulsarUhciScan;

/**
 * pulsar_uhci_scan: look through the whole frame list once
 * @view: the guest
 * @list: guest address of the frame list, a multiple of 4096
 * @first: number of the frame to begin with, any bits above the tenth
 *         ignored
 * @due: how many frames from there are due; more than PULSAR_UHCI_FRAMES
 *       is taken for that
 * @ret: what was found
 *
 * Frames that lead to the same queues are looked through once. The order is
 * the controller's, breadth first: below each queue only its first transfer
 * counts, for what waits holds up what is behind it.
 */
void pulsar_uhci_scan(const PulsarUhciView *view, uint32_t list,
                      uint32_t first, uint32_t due, PulsarUhciScan *ret);

/**
 * pulsar_uhci_scan_todo: whether a frame has to be done
 * @scan: what was found
 * @frame: a due frame, counted from the first looked at
 */
static inline bool pulsar_uhci_scan_todo(const PulsarUhciScan *scan,
                                         uint32_t frame)
{
    return scan->todo[frame / 32] >> frame % 32 & 1;
}

#endif /* PULSAR_USB_UHCI_SCAN_H */
