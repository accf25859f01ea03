/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar clean: remove the pages of device models that are gone.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "page.h"
#include "text.h"

static struct {
    gboolean dry_run;
} opt;

static const CliOption options[] = {
    { "dry-run", 'n', NULL, "only say what would be removed", CLI_FLAG,
      &opt.dry_run },
    { }
};

/* Removes the page of @domid if nobody owns it. */
static gboolean clean_one(int domid, guint *removed, GError **errp)
{
    g_autofree char *path = page_path(domid);
    g_autofree char *shown = text_shown(path);
    g_autoptr(GError) err = NULL;
    g_autoptr(Page) page = page_open(path, &err);

    if (!page) {
        if (err->code == CLI_NO_SUCH_VM) {
            return TRUE; /* its owner has just removed it */
        }
        g_propagate_error(errp, g_steal_pointer(&err));
        return FALSE;
    }
    if (page_owned(page)) {
        return TRUE;
    }
    if (!opt.dry_run && unlink(path) && errno != ENOENT) {
        g_set_error(errp, CLI_ERROR,
                    errno == EACCES || errno == EPERM ? CLI_PERMISSION
                                                      : CLI_SYSTEM,
                    "cannot remove '%s': %s", shown, g_strerror(errno));
        return FALSE;
    }
    printf("%s %s\n", opt.dry_run ? "would remove" : "removed", shown);
    (*removed)++;
    return TRUE;
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(GArray) domids = NULL;
    guint i, removed = 0;

    if (*args) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar clean' takes no VM; it removes every page whose "
                    "device model is gone");
        return FALSE;
    }
    if (!page_list(&domids, errp)) {
        return FALSE;
    }
    for (i = 0; i < domids->len; i++) {
        if (!clean_one(g_array_index(domids, int, i), &removed, errp)) {
            return FALSE;
        }
    }
    if (!removed) {
        puts("no page of a dead device model was found");
    }
    return cli_flush(errp);
}

const CliCommand cmd_clean = {
    .name = "clean",
    .summary = "remove the ledger pages of device models that are gone",
    .text = "A device model that is killed leaves its ledger page behind, to "
            "be looked at ('pulsar table DOMID'). This removes such pages. "
            "Pages of device models that live are left alone.",
    .options = options,
    .run = run,
};
