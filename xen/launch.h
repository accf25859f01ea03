/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What toolstacks expect of the device model beyond upstream's QEMU.
 */
#ifndef PULSAR_LAUNCH_H
#define PULSAR_LAUNCH_H

#include "qom/object.h"

/**
 * pulsar_launch_init: be ready for what toolstacks write
 *
 * Called before the machine is chosen.
 */
void pulsar_launch_init(void);

/**
 * pulsar_launch_device: a device as a toolstack's own QEMU knows it
 * @oc: its class
 * @device: "driver" and properties
 *
 * Returns: @device itself, or the same in upstream's words, which is the
 * caller's. NULL when it is not to be created.
 */
const QDict *pulsar_launch_device(ObjectClass *oc, const QDict *device);

/**
 * pulsar_pci_ids_init: let PCI devices be told their identity
 *
 * hw/pci-ids.c. Called before any device is created.
 */
void pulsar_pci_ids_init(void);

#endif /* PULSAR_LAUNCH_H */
