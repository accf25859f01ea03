/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the user calls a VM to its ledger page.
 */
#ifndef PULSAR_LOOKUP_H
#define PULSAR_LOOKUP_H

#include <glib.h>

#include "page.h"

/** struct VmPage: a VM's page as it is now */
typedef struct VmPage {
    char *file;
    int domid;              /* -1 when nobody but the page itself says it */
    gboolean owned;         /* its device model lives */
    pid_t pid;              /* … as process; 0 when that is not known */
    uint64_t now_ns;        /* CLOCK_MONOTONIC at the time of the copy */
    void *snapshot;
    /*
     * Who it is, clean. By xenstore and the file's name: a device model that
     * was broken into writes what it likes into its page. Only where no
     * xenstored answers they are what the page says, and then not @sure.
     */
    char *name;
    char *uuid;
    gboolean sure;
    char *version;          /* of the device model, clean */
} VmPage;

void vmpage_free(VmPage *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmPage, vmpage_free)

/** vmpage_header: the header of its snapshot. */
static inline const PulsarLedgerHeader *vmpage_header(const VmPage *vm)
{
    return pulsar_ledger_header(vm->snapshot);
}

/** vmpage_state: "starting", "running", "exited" or "crashed". */
const char *vmpage_state(const VmPage *vm);

/** vmpage_title: "web (domain 7)", clean; to be freed by the caller. */
char *vmpage_title(const VmPage *vm);

/** vmpage_domid: its domain; what the page says where nobody else does. */
int vmpage_domid(const VmPage *vm);

/**
 * ledger_state: the same from a header, whether its owner lives, and whose it
 * is; -1 when that is not known
 */
const char *ledger_state(const PulsarLedgerHeader *h, gboolean owned,
                         int domid);

/**
 * lookup_page: the page of one VM
 * @what: a domain id, a name, a UUID, or a file (anything with a slash)
 */
VmPage *lookup_page(const char *what, GError **errp);

/**
 * lookup_all: the pages of all VMs
 * @ret: VmPage, by domain id
 * @ret_unread: why the others could not be read, GError *
 */
gboolean lookup_all(GPtrArray **ret, GPtrArray **ret_unread, GError **errp);

/** lookup_none: say that there is no VM at all; always FALSE. */
gboolean lookup_none(GError **errp);

#endif /* PULSAR_LOOKUP_H */
