/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which VMs the user means.
 */
#include <string.h>

#include "cli.h"
#include "select.h"
#include "text.h"

/* Does the user mean @vm when he says @what? */
static gboolean vm_is_called(const Vm *vm, const char *what)
{
    g_autofree char *clean = text_clean(what);
    g_autofree char *domid = g_strdup_printf("%d", vm->domid);

    return !strcmp(domid, what) || !strcmp(vm->name, clean) ||
           (*vm->uuid && !g_ascii_strcasecmp(vm->uuid, clean));
}

GPtrArray *select_vms(VmSet *set, GPtrArray *wanted)
{
    GPtrArray *all = vmset_vms(set);
    GPtrArray *ret = g_ptr_array_new();
    gboolean take;
    guint i, k;

    for (i = 0; i < all->len; i++) {
        take = !wanted || !wanted->len;
        for (k = 0; !take && k < wanted->len; k++) {
            take = vm_is_called(all->pdata[i], wanted->pdata[k]);
        }
        if (take) {
            g_ptr_array_add(ret, all->pdata[i]);
        }
    }
    return ret;
}

gboolean select_check(VmSet *set, GPtrArray *wanted, GError **errp)
{
    GPtrArray *all = vmset_vms(set);
    guint i, k;

    for (k = 0; wanted && k < wanted->len; k++) {
        const char *what = wanted->pdata[k];

        for (i = 0; i < all->len; i++) {
            if (vm_is_called(all->pdata[i], what)) {
                break;
            }
        }
        if (i == all->len) {
            g_autofree char *shown = text_shown(what);

            g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                        "there is no VM '%s'; accepted are a domain id, a "
                        "name and a UUID, and 'pulsar top --once' lists them",
                        shown);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean select_none(gboolean with_stock, GError **errp)
{
    g_autofree char *shown = text_shown(page_rundir());

    g_set_error(errp, CLI_ERROR, CLI_NO_VM,
                "no VM is running here: there is no ledger page in '%s'%s",
                shown, with_stock ? " and no other device model" : "");
    return FALSE;
}
