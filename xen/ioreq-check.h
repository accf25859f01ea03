/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a synchronous ioreq may ask for. Pure C: Xen's public ABI headers
 * only.
 */
#ifndef PULSAR_IOREQ_CHECK_H
#define PULSAR_IOREQ_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/hvm/ioreq.h>

/* VMware port requests: in Xen, but not in its public headers. */
#ifndef IOREQ_TYPE_VMWARE_PORT
#define IOREQ_TYPE_VMWARE_PORT 3
#endif

/* Xen cuts repeated string instructions at 4096; beyond this is no ioreq. */
#define PULSAR_IOREQ_MAX_COUNT 65536

/**
 * pulsar_ioreq_fault: what is wrong with a request
 * @req: a private copy of it
 * @have_vmport: the VMware port is set up
 *
 * Sound: port access of 1, 2 or 4 bytes; memory access of 1, 2, 4 or 8;
 * PCI configuration access of 1, 2 or 4 bytes, once; time offset and
 * invalidation of any size; VMware port where it is set up. At most
 * PULSAR_IOREQ_MAX_COUNT repetitions.
 *
 * Source: xen/include/public/hvm/ioreq.h; hvmemul_do_io() of
 * xen/arch/x86/hvm/emulate.c for what Xen sends.
 *
 * Returns: NULL when sound, else a constant string that completes "an I/O
 * request with …".
 */
const char *pulsar_ioreq_fault(const ioreq_t *req, bool have_vmport);

#endif /* PULSAR_IOREQ_CHECK_H */
