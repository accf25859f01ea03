/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory that QEMU has no map of. When a balloon driver gives a guest
 * memory beyond what it was started with, an old Linux has devices access it
 * as any other (-machine allow-unassigned=true of xapi's own QEMU, for which
 * that ends in a failed transfer otherwise). The DMA of PCI devices that hits
 * nothing in QEMU's map of the machine goes to the frame that Xen has there.
 *
 * Below the memory of the whole machine, in an address space for the devices
 * only: what stands in the machine's own is claimed from Xen.
 */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/i386/pc.h"
#include "hw/pci/pci.h"
#include "system/xen-mapcache.h"
#include "hw/xen/pulsar/launch.h"
#include "hw/xen/pulsar/qemu-compat.h"

typedef struct Unassigned {
    AddressSpace as;
    MemoryRegion all, machine, unassigned;
} Unassigned;

/* The memory core splits what is not aligned: no access crosses a frame. */
static void *frame_at(Unassigned *u, hwaddr addr, bool is_write)
{
    return xen_map_cache(&u->unassigned, addr, 0, 0, false, false, is_write);
}

static MemTxResult unassigned_read(void *opaque, hwaddr addr, uint64_t *data,
                                   unsigned int size, MemTxAttrs attrs)
{
    void *host = frame_at(opaque, addr, false);

    *data = -1;
    if (!host) {
        return MEMTX_DECODE_ERROR;
    }
    *data = ldn_he_p(host, size);
    return MEMTX_OK;
}

static MemTxResult unassigned_write(void *opaque, hwaddr addr, uint64_t data,
                                    unsigned int size, MemTxAttrs attrs)
{
    void *host = frame_at(opaque, addr, true);

    if (!host) {
        return MEMTX_DECODE_ERROR;
    }
    stn_he_p(host, size, data);
    xen_hvm_modified_memory(addr, size);
    return MEMTX_OK;
}

static const MemoryRegionOps unassigned_ops = {
    .read_with_attrs = unassigned_read,
    .write_with_attrs = unassigned_write,
    .endianness = DEVICE_NATIVE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static AddressSpace *dma_address_space(PCIBus *bus, void *opaque, int devfn)
{
    return &((Unassigned *)opaque)->as;
}

static const PCIIOMMUOps dma_ops = {
    .get_address_space = dma_address_space,
};

void pulsar_launch_board_made(void)
{
    Object *machine = qdev_get_machine();
    PCIBus *bus = object_dynamic_cast(machine, TYPE_PC_MACHINE) ?
                  PC_MACHINE(machine)->pcibus : NULL;
    Unassigned *u;

    if (!pulsar_launch_allow_unassigned() || !bus || !xen_enabled()) {
        return;
    }
    u = g_new0(Unassigned, 1);
    memory_region_init(&u->all, machine, "pulsar-dma", UINT64_MAX);
    memory_region_init_alias(&u->machine, machine, "pulsar-dma-machine",
                             get_system_memory(), 0, UINT64_MAX);
    memory_region_init_io(&u->unassigned, machine, &unassigned_ops, u,
                          "pulsar-dma-unassigned", UINT64_MAX);
    memory_region_add_subregion(&u->all, 0, &u->machine);
    memory_region_add_subregion_overlap(&u->all, 0, &u->unassigned, -1);
    address_space_init(&u->as, &u->all, "pulsar-dma");
    pci_setup_iommu(bus, &dma_ops, u);
}
