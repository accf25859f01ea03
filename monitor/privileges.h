/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place where privileges end: pulsar_os_setup_post() in
 * xen/pulsar-hooks.h.
 */
#ifndef PULSAR_PRIVILEGES_H
#define PULSAR_PRIVILEGES_H

#include "qemu/notify.h"

/**
 * pulsar_privileges_end_add: be told when privileges end
 * @notifier: called once, in the process that serves the guest, before its
 *            root folder and user are changed. What needs a privilege is done
 *            there; what must not survive (a folder's descriptor above all)
 *            is given up. May end the process with a sentence and exit 1.
 *
 * Main loop thread, BQL held, both here and there. The one that was
 * added last is called first.
 */
void pulsar_privileges_end_add(Notifier *notifier);

#endif /* PULSAR_PRIVILEGES_H */
