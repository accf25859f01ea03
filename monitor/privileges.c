/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where privileges end. See privileges.h. Part of libqemuutil, for upstream's
 * os-posix.c is part of more than the device model.
 */
#include "qemu/osdep.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "privileges.h"

static NotifierList ends = NOTIFIER_LIST_INITIALIZER(ends);

void pulsar_privileges_end_add(Notifier *notifier)
{
    notifier_list_add(&ends, notifier);
}

void pulsar_os_setup_post(void)
{
    notifier_list_notify(&ends, NULL);
}
