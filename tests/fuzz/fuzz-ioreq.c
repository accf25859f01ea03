/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on the check of synchronous ioreqs: what it lets through is
 * nothing that upstream's handlers abort for. Built by tests/fuzz/check.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xen/ioreq-check.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool have_vmport = size && (data[0] & 1);
    ioreq_t req = { 0 };
    const char *fault;

    if (size) {
        memcpy(&req, data + 1,
               size - 1 < sizeof(req) ? size - 1 : sizeof(req));
    }
    fault = pulsar_ioreq_fault(&req, have_vmport);
    if (fault) {
        CHECK(*fault && strlen(fault) < 100);
        return 0;
    }
    CHECK(req.count <= PULSAR_IOREQ_MAX_COUNT);
    switch (req.type) {
    case IOREQ_TYPE_PIO:
        CHECK(req.size == 1 || req.size == 2 || req.size == 4);
        break;
    case IOREQ_TYPE_COPY:
        CHECK(req.size == 1 || req.size == 2 || req.size == 4 ||
              req.size == 8);
        break;
    case IOREQ_TYPE_PCI_CONFIG:
        CHECK(req.size == 1 || req.size == 2 || req.size == 4);
        CHECK(req.count == 1);
        break;
    case IOREQ_TYPE_VMWARE_PORT:
        CHECK(have_vmport);
        break;
    default:
        CHECK(req.type == IOREQ_TYPE_TIMEOFFSET ||
              req.type == IOREQ_TYPE_INVALIDATE);
    }
    return 0;
}
