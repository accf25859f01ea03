/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks on synchronous ioreqs: see ioreq-check.h.
 */
#include <stddef.h>

#include "ioreq-check.h"

static bool size_in(uint32_t size, uint32_t max)
{
    return size && size <= max && !(size & (size - 1));
}

const char *pulsar_ioreq_fault(const ioreq_t *req, bool have_vmport)
{
    if (req->count > PULSAR_IOREQ_MAX_COUNT) {
        return "too many repetitions";
    }
    switch (req->type) {
    case IOREQ_TYPE_PIO:
        return size_in(req->size, 4) ? NULL : "a bad port access size";
    case IOREQ_TYPE_COPY:
        return size_in(req->size, 8) ? NULL : "a bad memory access size";
    case IOREQ_TYPE_PCI_CONFIG:
        if (req->count != 1) {
            return "a repeated configuration access";
        }
        return size_in(req->size, 4) ? NULL : "a bad configuration access "
                                              "size";
    case IOREQ_TYPE_TIMEOFFSET:
    case IOREQ_TYPE_INVALIDATE:
        return NULL;
    case IOREQ_TYPE_VMWARE_PORT:
        return have_vmport ? NULL : "the VMware port, which is not set up";
    default:
        return "an unknown type";
    }
}
