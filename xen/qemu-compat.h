/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the QEMU series that Pulsar is built from (patches/upstream.pin) call
 * differently, under one name. Each #if names the first series that calls it
 * so; one that is true of every series listed goes, and what it named with it.
 */
#ifndef PULSAR_QEMU_COMPAT_H
#define PULSAR_QEMU_COMPAT_H

#define PULSAR_QEMU_SINCE(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if PULSAR_QEMU_SINCE(10, 1)
#include "accel/accel-cpu-ops.h"
#include "system/address-spaces.h"
#include "system/memory.h"
#else
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "system/accel-ops.h"
#endif

/* TypeInfo.class_init's second argument points to this. */
#if PULSAR_QEMU_SINCE(10, 1)
typedef const void PulsarClassData;
#else
typedef void PulsarClassData;
#endif

/* The work that waits for a vCPU's thread, in include/system/cpus.h. */
#if !PULSAR_QEMU_SINCE(10, 2)
#define qemu_process_cpu_events_common qemu_wait_io_event_common
#endif

/* The second callback may fail; nobody here needs it. */
#if PULSAR_QEMU_SINCE(10, 2)
#define pulsar_qdev_add_vm_change_state_handler(dev, cb, opaque) \
    qdev_add_vm_change_state_handler(dev, cb, NULL, opaque)
#else
#define pulsar_qdev_add_vm_change_state_handler(dev, cb, opaque) \
    qdev_add_vm_change_state_handler(dev, cb, opaque)
#endif

/* A chardev's front end, and what Chardev calls the pointer to it. */
#if PULSAR_QEMU_SINCE(10, 2)
#define pulsar_chardev_fe(chr) ((chr)->fe)
#else
#define pulsar_chardev_fe(chr) ((chr)->be)
#define CharFrontend CharBackend
#endif

#endif /* PULSAR_QEMU_COMPAT_H */
