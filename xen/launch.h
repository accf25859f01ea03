/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What toolstacks expect of the device model beyond upstream's QEMU.
 */
#ifndef PULSAR_LAUNCH_H
#define PULSAR_LAUNCH_H

#include "gates.h"

struct BlockBackend;

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
 * pulsar_launch_trad_compat: whether the machine is xapi's old one
 *
 * Returns: what -machine trad_compat= said, false by default.
 */
bool pulsar_launch_trad_compat(void);

/**
 * pulsar_launch_by_xapi: whether it was started by xapi
 *
 * Returns: whether -machine trad_compat= was given at all: each generation of
 * xapi's qemu-wrapper writes it, nobody else does.
 */
bool pulsar_launch_by_xapi(void);

/**
 * pulsar_launch_allow_unassigned: whether devices may access guest memory
 * that QEMU does not know of
 *
 * Returns: what -machine allow-unassigned= said, false by default.
 */
bool pulsar_launch_allow_unassigned(void);

/**
 * pulsar_launch_board_made: let them do so
 *
 * hw/dma-unassigned.c. Called when the board is made and before a device of
 * the command line is.
 */
void pulsar_launch_board_made(void);

/**
 * pulsar_launch_close_drive: drop a drive that no device has any more
 * @blk: the drive; nothing happens to one that no -drive has named
 *
 * hw/xen-unplug.c. The image is closed with the last reference. Main loop
 * thread, BQL held.
 */
void pulsar_launch_close_drive(struct BlockBackend *blk);

/**
 * pulsar_launch_timeoffset: the guest has set its clock
 * @seconds: by how much; the guest decides, so any value
 *
 * hw/rtc.c. Sends QMP RTC_CHANGE, at once for a burst of 16; what is beyond is
 * summed up and sent within a second. Main loop thread, BQL held.
 */
void pulsar_launch_timeoffset(int64_t seconds);

/**
 * pulsar_launch_machine_init: know xapi's machine of BIOS guests by its name
 *
 * hw/machine-xapi.c. Called before the machine is chosen and before the
 * gates look at all of them.
 */
void pulsar_launch_machine_init(void);

/**
 * pulsar_launch_cpu_init: let a vCPU be unplugged by device_del
 *
 * hw/cpu-unplug.c. Called before any device is created.
 */
void pulsar_launch_cpu_init(void);

/**
 * pulsar_launch_tablet_init: have xapi's old machine have its old tablet
 *
 * hw/tablet-xapi.c. Called before any device is created.
 */
void pulsar_launch_tablet_init(void);

/**
 * pulsar_launch_nbd_init: know the file names "nbd:fd:N:exportname=X"
 *
 * xen/launch-nbd.c. Called before any image is opened.
 */
void pulsar_launch_nbd_init(void);

/**
 * pulsar_launch_clipboard: have a socket to the guest's clipboard
 * @arg: its number as the command line gives it
 *
 * ui/clipboard-socket.c. Called while the command line is read; the socket is
 * used once the machine is ready. Ends the process with a sentence when there
 * is no such socket.
 */
void pulsar_launch_clipboard(const char *arg);

/**
 * pulsar_launch_check_state: see whose state it is that comes
 *
 * xen/launch-state.c. Called before the state is read, main loop thread,
 * perhaps in a coroutine. Ends the process with a sentence when the state is
 * one of xapi's own QEMU.
 */
void pulsar_launch_check_state(void);

/**
 * pulsar_launch_place_device: have a device where a saved guest had it
 * @section: a section of a state that nothing here can read
 *
 * hw/pvdevice-slot.c. Moves a xen-pvdevice to the slot that @section names,
 * in the place of an Ethernet card if need be; does nothing otherwise. A state
 * comes from anywhere: when the slot cannot take it that is reported, and
 * upstream refuses the section. Called in between sections, main loop thread,
 * BQL held.
 */
void pulsar_launch_place_device(const char *section);

/**
 * pulsar_pci_ids_init: let PCI devices be told their identity
 *
 * hw/pci-ids.c. Called before any device is created.
 */
void pulsar_pci_ids_init(void);

#endif /* PULSAR_LAUNCH_H */
