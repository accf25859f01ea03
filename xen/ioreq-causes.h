/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which device the guest's requests are for: counting in the ledger.
 */
#ifndef PULSAR_IOREQ_CAUSES_H
#define PULSAR_IOREQ_CAUSES_H

#include <xen/hvm/ioreq.h>

/**
 * pulsar_count_ioreq: count a synchronous request by kind and device
 * @req: the request; only type, dir and addr are looked at
 *
 * Main loop thread, BQL held. The first request to a port or page after the
 * memory map has changed costs a look-up, later ones a table access.
 */
void pulsar_count_ioreq(const ioreq_t *req);

/**
 * pulsar_notice_display: refresh the display when a request touches it
 * @req: the request; only type and addr are looked at
 *
 * Costs nothing unless somebody looks at a display that has been still.
 */
void pulsar_notice_display(const ioreq_t *req);

/**
 * pulsar_count_buffered: count entries taken out of the buffered ring
 * @entries: how many; 0 is fine
 * @own_event: the ring's event channel brought us here, so that it is the
 *             cause of the wake even if the ring was found empty; otherwise
 *             the request that follows is, and is counted first
 */
void pulsar_count_buffered(unsigned int entries, bool own_event);

#endif /* PULSAR_IOREQ_CAUSES_H */
