/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the user calls a VM to its ledger page.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "lookup.h"
#include "proc.h"
#include "text.h"
#include "xen.h"

void vmpage_free(VmPage *vm)
{
    if (vm) {
        g_free(vm->file);
        g_free(vm->snapshot);
        g_free(vm->name);
        g_free(vm->uuid);
        g_free(vm->version);
        g_free(vm);
    }
}

const char *ledger_state(const PulsarLedgerHeader *h, gboolean owned,
                         int domid)
{
    /* Toolstacks kill the restricted, with their domain. */
    if (page_ended(h) || (!owned && domid >= 0 && xen_gone(domid))) {
        return "exited";
    }
    if (!owned) {
        return "crashed";
    }
    return h->state == PULSAR_LEDGER_RUNNING ? "running" : "starting";
}

const char *vmpage_state(const VmPage *vm)
{
    return ledger_state(vmpage_header(vm), vm->owned, vm->domid);
}

int vmpage_domid(const VmPage *vm)
{
    return vm->domid >= 0 ? vm->domid : vmpage_header(vm)->domid;
}

char *vmpage_title(const VmPage *vm)
{
    int domid = vmpage_domid(vm);

    return *vm->name ? g_strdup_printf("%s (domain %d)", vm->name, domid)
                     : g_strdup_printf("domain %d", domid);
}

/* @domid is whom the page belongs to, or -1. */
static VmPage *read_page(const char *path, int domid, GError **errp)
{
    g_autoptr(VmPage) vm = g_new0(VmPage, 1);
    const PulsarLedgerHeader *h;
    g_autofree char *name = NULL;
    g_autofree char *uuid = NULL;
    g_autoptr(GHashTable) owners = NULL;
    g_autoptr(Page) page = NULL;

    page = page_open(path, errp);
    if (!page) {
        return NULL;
    }
    vm->snapshot = g_malloc0(PULSAR_LEDGER_TOTAL_SIZE);
    vm->owned = page_owned(page);
    if (!page_read(page, vm->snapshot, errp)) {
        return NULL;
    }
    vm->now_ns = page_now();
    owners = page_owners();
    vm->pid = page_owner(page, owners);
    vm->file = g_strdup(path);

    vm->domid = domid;
    h = vmpage_header(vm);
    vm->sure = domid >= 0 && xen_identity(domid, &name, &uuid);
    vm->name = text_clean(vm->sure ? name : h->name);
    vm->uuid = text_clean(vm->sure ? uuid : h->uuid);
    vm->version = text_clean(h->version);
    return g_steal_pointer(&vm);
}

gboolean lookup_all(GPtrArray **ret, GPtrArray **ret_unread, GError **errp)
{
    g_autoptr(GArray) domids = NULL;
    guint i;

    if (!page_list(&domids, errp)) {
        return FALSE;
    }
    *ret = g_ptr_array_new_with_free_func((GDestroyNotify)vmpage_free);
    *ret_unread = g_ptr_array_new_with_free_func((GDestroyNotify)g_error_free);
    for (i = 0; i < domids->len; i++) {
        int domid = g_array_index(domids, int, i);
        g_autofree char *path = page_path(domid);
        g_autoptr(GError) err = NULL;
        VmPage *vm = read_page(path, domid, &err);

        if (vm) {
            g_ptr_array_add(*ret, vm);
        } else if (err->code != CLI_NO_SUCH_VM) { /* it may have just ended */
            g_ptr_array_add(*ret_unread, g_steal_pointer(&err));
        }
    }
    return TRUE;
}

gboolean lookup_none(GError **errp)
{
    g_autofree char *dir = text_shown(page_rundir());

    g_set_error(errp, CLI_ERROR, CLI_NO_VM,
                "no VM is running under Pulsar here: '%s' holds no ledger "
                "page", dir);
    return FALSE;
}

/*
 * The page of the process that serves @what, which is not where pages are.
 * NULL without an error when there is no such process, and with one that
 * says so when it is a stock device model.
 */
static VmPage *find_served(const char *what, GError **errp)
{
    g_autoptr(GPtrArray) dms = proc_find_dms();
    guint i;

    for (i = 0; i < dms->len; i++) {
        ProcDm *dm = dms->pdata[i];
        g_autofree char *domid = g_strdup_printf("%d", dm->domid);
        g_autofree char *name = NULL;
        g_autofree char *uuid = NULL;
        g_autofree char *path = NULL;
        g_autofree char *shown = NULL;
        gboolean sure = xen_identity(dm->domid, &name, &uuid);

        if (strcmp(what, domid) && g_strcmp0(what, sure ? name : dm->name) &&
            g_strcmp0(what, sure ? uuid : dm->uuid)) {
            continue;
        }
        path = page_of_process(dm->pid);
        if (path) {
            return read_page(path, dm->domid, errp);
        }
        shown = text_shown(what);
        g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                    "VM '%s' keeps no ledger page in '%s': process %d serves "
                    "it, which is a stock device model or one started with "
                    "ledger=off", shown, page_rundir(), dm->pid);
        return NULL;
    }
    return NULL;
}

static gboolean is_called(const VmPage *vm, const char *name)
{
    g_autofree char *clean = text_clean(name);

    return !strcmp(vm->name, clean) ||
           (*vm->uuid && !g_ascii_strcasecmp(vm->uuid, clean));
}

/* The page of the VM with that name or UUID; a living one before a dead. */
static VmPage *find_called(const char *name, GError **errp)
{
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) unread = NULL;
    g_autofree char *shown = text_shown(name);
    VmPage *vm, *found = NULL;
    GError *err = NULL;
    guint i;

    if (!lookup_all(&all, &unread, errp)) {
        return NULL;
    }
    for (i = 0; i < all->len; i++) {
        vm = all->pdata[i];
        if (!is_called(vm, name)) {
            continue;
        }
        if (found && found->owned && vm->owned) {
            g_set_error(errp, CLI_ERROR, CLI_USAGE,
                        "more than one VM is called '%s', domains %d and %d "
                        "among them; give the domain id", shown,
                        found->domid, vm->domid);
            return NULL;
        }
        if (!found || vm->owned) {
            found = vm;
        }
    }
    if (found) {
        g_ptr_array_find(all, found, &i);
        return g_ptr_array_steal_index(all, i);
    }

    vm = find_served(name, &err);
    if (vm || err) {
        if (err) {
            g_propagate_error(errp, err);
        }
        return vm;
    }
    if (unread->len) {
        g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                    "no VM '%s' among those whose page can be read; %s",
                    shown, ((GError *)unread->pdata[0])->message);
    } else if (!all->len) {
        lookup_none(errp);
    } else {
        g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                    "there is no VM '%s'; accepted are a domain id, a name, a "
                    "UUID or a ledger page's file, and 'pulsar top' lists "
                    "them", shown);
    }
    return NULL;
}

/* Only in the folder of the pages a file's name means something. */
static int domid_of_file(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);
    struct stat a, b;

    return !stat(dir, &a) && !stat(page_rundir(), &b) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino ? page_domid(base)
                                                        : -1;
}

VmPage *lookup_page(const char *what, GError **errp)
{
    g_autofree char *file = g_strconcat(what, PAGE_SUFFIX, NULL);
    g_autofree char *path = NULL;

    if (strchr(what, '/')) {
        return read_page(what, domid_of_file(what), errp);
    }
    if (page_domid(file) >= 0) {
        path = page_path(page_domid(file));
        if (!access(path, F_OK)) {
            return read_page(path, page_domid(file), errp);
        }
    }
    return find_called(what, errp);
}
