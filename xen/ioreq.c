/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Synchronous ioreqs: counted by device, and checked before upstream's
 * handler, which takes a request that Xen never sends for a reason to abort.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "hw/xen/xen-hvm-common.h"
#include "ioreq-check.h"
#include "ioreq-observer.h"
#include "pulsar-context.h"
#include "launch.h"
#include "pulsar-hooks.h"
#include "trace.h"

const PulsarIoreqObserver *pulsar_ioreq_observer;

static bool have_vmport;

static void refuse(ioreq_t *req, const char *fault)
{
    static bool complained;

    trace_pulsar_ioreq_refused(fault, req->type, req->size, req->count);
    if (!complained) {
        complained = true;
        warn_report("xen: an I/O request with %s (type %u, size %u, count %u, "
                    "address 0x%" PRIx64 ") was refused (further ones are "
                    "logged with -d guest_errors only)", fault,
                    req->type, req->size, req->count, req->addr);
    } else {
        qemu_log_mask(LOG_GUEST_ERROR, "xen: I/O request with %s refused\n",
                      fault);
    }
    req->data = ~0ULL;
}

void pulsar_xen_hvm_init_pc(const void *shared_page)
{
    xen_pfn_t pfn;

    if (!shared_page) {
        error_report("xen: domain %u gets no ioreq server: another device "
                     "model serves it, or it is no HVM domain that is being "
                     "built", xen_domid);
        exit(1);
    }
    /* Once restricted we may not ask any more. */
    have_vmport = !xen_get_vmport_regs_pfn(xen_xc, xen_domid, &pfn);
}

void pulsar_handle_ioreq(XenIOState *state, ioreq_t *req,
                         PulsarIoreqHandler *handler)
{
    const char *fault = pulsar_ioreq_fault(req, have_vmport);

    pulsar_assert_main_loop();
    if (pulsar_ioreq_observer) {
        pulsar_ioreq_observer->synchronous(req);
    }
    if (fault) {
        refuse(req, fault);
    } else {
        if (req->type == IOREQ_TYPE_TIMEOFFSET) {
            pulsar_launch_timeoffset(req->data);
        }
        if (pulsar_ioreq_observer) {
            pulsar_ioreq_observer->access(req);
        }
        handler(state, req);
    }
}
