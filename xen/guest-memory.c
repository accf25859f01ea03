/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory that is not there. Xen maps guest memory frame by frame, and a
 * frame that the guest has given back (ballooned out) cannot be mapped. A
 * guest that has a device access it gets what hardware would give: reads are
 * all ones, writes are lost. Upstream dereferences NULL, or tries for ever.
 */
#include "qemu/osdep.h"
#include "qemu/log.h"
#include "system/xen-mapcache.h"
#include "pulsar-hooks.h"
#include "qemu-compat.h"

#define FRAME  4096     /* of Xen's, whatever the host's pages are */

/* How far it is from @addr to the end of its frame. */
static hwaddr rest_of_frame(hwaddr addr)
{
    return FRAME - addr % FRAME;
}

/*
 * What is read and written instead. Shared by all who meet a hole at the same
 * time; an access of up to 8 bytes may begin at the end of a frame.
 */
static void *hole(hwaddr addr)
{
    static uint8_t nowhere[FRAME + 8];

    qemu_log_mask(LOG_GUEST_ERROR, "DMA to 0x%" HWADDR_PRIx ", where the "
                  "guest has no memory\n", addr);
    memset(nowhere, 0xff, sizeof(nowhere));
    return nowhere + addr % FRAME;
}

void *pulsar_qemu_ram_ptr_length(MemoryRegion *mr, hwaddr addr, hwaddr len,
                                 hwaddr *size, hwaddr block, bool lock,
                                 bool is_write)
{
    void *host = xen_map_cache(mr, addr, len, block, lock, lock, is_write);

    if (host || xen_mr_is_grants(mr)) {
        return host;
    }
    if (size && len > rest_of_frame(addr)) {
        *size = rest_of_frame(addr);
        host = xen_map_cache(mr, addr, *size, block, lock, lock, is_write);
    }
    return host || lock ? host : hole(addr);
}

bool pulsar_address_space_map(MemoryRegion *mr, hwaddr offset, hwaddr *size)
{
    hwaddr block, addr;

    if (!xen_enabled() || !xen_mr_is_memory(mr) || xen_mr_is_grants(mr)) {
        return false;
    }
    block = memory_region_get_ram_addr(mr);
    addr = block + offset;
    if (xen_map_cache(mr, addr, 0, block, false, false, true)) {
        return false;
    }
    *size = MIN(*size, rest_of_frame(addr));
    return true;
}
