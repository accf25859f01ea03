/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the page says of the device model's life. Toolstacks end a restricted
 * one by SIGKILL: what it can say of that it has to say before.
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "system/runstate.h"
#include "ledger-glue.h"

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    if (running) {
        pulsar_ledger_set_state(pulsar_ledger_self(), PULSAR_LEDGER_RUNNING);
    } else if (state == RUN_STATE_SHUTDOWN) {
        pulsar_ledger_set_state(pulsar_ledger_self(), PULSAR_LEDGER_EXITED);
    }
}

static void begin(void)
{
    qemu_add_vm_change_state_handler(vm_state_changed, NULL);
}

opts_init(begin);
