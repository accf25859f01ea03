/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that stops a DMA transfer of IDE or AHCI.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "hw/ide/ide-dma.h"
#include "qemu/main-loop.h"
#include "hw/xen/pulsar/pulsar-hooks.h"

/*
 * A part of the transfer does not begin while the drive is drained, or before
 * another channel's transfer gives back the bounce buffer that they share.
 * None waits for the guest.
 */
void pulsar_ide_cancel_dma_sync(IDEDMA *dma)
{
    while (dma->aiocb) {
        aio_poll(qemu_get_aio_context(), true);
    }
}
