/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who looks at the guest's requests as they are served: whatever observes
 * registers here, and the serving knows none of it.
 */
#ifndef PULSAR_IOREQ_OBSERVER_H
#define PULSAR_IOREQ_OBSERVER_H

#include <xen/hvm/ioreq.h>

/**
 * struct PulsarIoreqObserver: what is told of requests
 *
 * Main loop's thread, BQL held, in the middle of serving: nothing here may
 * block or call back into upstream's devices.
 */
typedef struct PulsarIoreqObserver {
    /** @synchronous: a vCPU waits for the answer; perhaps it is refused. */
    void (*synchronous)(const ioreq_t *req);

    /** @access: a request, synchronous or buffered, that is served now. */
    void (*access)(const ioreq_t *req);

    /**
     * @buffered: entries were taken out of the buffered ring
     * @entries: how many; 0 is fine
     * @own_event: the ring's event channel brought us here, so that it is
     *             the cause of the wake even if the ring was found empty;
     *             otherwise the request that follows is, and is told first
     */
    void (*buffered)(unsigned int entries, bool own_event);
} PulsarIoreqObserver;

/** pulsar_ioreq_observer: the one there is, or NULL; set before a guest runs. */
extern const PulsarIoreqObserver *pulsar_ioreq_observer;

#endif /* PULSAR_IOREQ_OBSERVER_H */
