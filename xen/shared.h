/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What upstream has one of for each vCPU or each bus, and an idle device model
 * needs but once.
 */
#ifndef PULSAR_SHARED_H
#define PULSAR_SHARED_H

struct CPUState;

/**
 * pulsar_shared_vcpus_init: keep no thread for a vCPU
 *
 * xen/vcpus.c. Called before the machine is created; main thread.
 */
void pulsar_shared_vcpus_init(void);

/**
 * pulsar_shared_map_hold: do not draw the memory map before the board is there
 *
 * xen/memory-map.c. Called when a vCPU is made, of which a board has the first
 * before it has anything that answers to an address. Does nothing when the
 * board is complete (a vCPU that is plugged in). Main thread, with the BQL.
 */
void pulsar_shared_map_hold(void);

/**
 * pulsar_shared_map_draw: draw it
 * @cpu: any
 *
 * AccelOpsClass.synchronize_post_init: called by qdev_machine_creation_done()
 * before those are told who wait for the board and may look up what is where,
 * and again when a state has been read. Main thread, with the BQL.
 */
void pulsar_shared_map_draw(struct CPUState *cpu);

/**
 * pulsar_shared_xenstore_init: keep one connection to xenstore
 *
 * xen/xenstore.c. For whoever of upstream opens one until the machine is
 * there; later ones get their own, since a restricted device model cannot open
 * any. Called before the machine is created; main thread.
 */
void pulsar_shared_xenstore_init(void);

/**
 * pulsar_shared_ide_init: keep no pages of zeros for drives
 *
 * hw/ide-buffers.c. They go when the board is complete, before a saved state
 * is read. Called before the machine is created; main thread.
 */
void pulsar_shared_ide_init(void);

#endif /* PULSAR_SHARED_H */
