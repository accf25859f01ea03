/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VBE register by which the VGA BIOS of xapi finds the frame buffer.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/display/vga_int.h"
#include "hw/xen/pulsar/launch.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

#define VBE_INDEX_FRAME_BUFFER  0xb     /* of xapi's own QEMU */

uint32_t pulsar_vbe_ioport_read_data(struct VGACommonState *s)
{
    Object *pci = object_dynamic_cast(memory_region_owner(&s->vram),
                                      TYPE_PCI_DEVICE);
    pcibus_t at = pci ? PCI_DEVICE(pci)->io_regions[0].addr :
                        PCI_BAR_UNMAPPED;

    if (s->vbe_index != VBE_INDEX_FRAME_BUFFER ||
        !pulsar_launch_trad_compat() || at == PCI_BAR_UNMAPPED) {
        return 0;
    }
    return extract64(at, 16, 16);
}
