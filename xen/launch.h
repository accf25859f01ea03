/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What toolstacks expect of the device model beyond upstream's QEMU.
 */
#ifndef PULSAR_LAUNCH_H
#define PULSAR_LAUNCH_H

#include "gates.h"

/**
 * pulsar_launch_init: be ready for what toolstacks write
 *
 * Called before the machine is chosen.
 */
void pulsar_launch_init(void);

/**
 * pulsar_launch_device: a device as a toolstack's own QEMU knows it
 *
 * As the judge of a gate: it is replaced by the same in upstream's words,
 * or left out where the guest has none any more.
 */
PulsarVerdict pulsar_launch_device(const PulsarAsked *asked,
                                   QDict **ret_device, Error **errp);

/**
 * pulsar_pci_ids_init: let PCI devices be told their identity
 *
 * hw/pci-ids.c. Called before any device is created.
 */
void pulsar_pci_ids_init(void);

#endif /* PULSAR_LAUNCH_H */
