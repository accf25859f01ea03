/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar clean: remove the pages of device models that are gone.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
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

static gboolean fail(const char *path, int err, GError **errp)
{
    g_autofree char *shown = text_shown(path);

    g_set_error(errp, CLI_ERROR, err == EACCES || err == EPERM ?
                CLI_PERMISSION : CLI_SYSTEM, "cannot remove '%s': %s", shown,
                g_strerror(err));
    return FALSE;
}

/*
 * Removes @path if it still is @page. A device model that starts puts its
 * page there at any moment, so the file is taken away first and looked at
 * then; one that is not the dead's is put back, unless there is a newer one.
 */
static gboolean remove_page(const char *path, const Page *page, GError **errp)
{
    g_autofree char *aside = g_strdup_printf("%s.%d.gone", path, getpid());
    struct stat st;

    if (rename(path, aside)) {
        return errno == ENOENT || fail(path, errno, errp);
    }
    if ((stat(aside, &st) || st.st_dev != page->dev ||
         st.st_ino != page->ino) && link(aside, path) && errno != EEXIST) {
        return fail(aside, errno, errp);
    }
    return !unlink(aside) || fail(aside, errno, errp);
}

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
    if (!opt.dry_run && !remove_page(path, page, errp)) {
        return FALSE;
    }
    printf("%s %s\n", opt.dry_run ? "would remove" : "removed", shown);
    (*removed)++;
    return TRUE;
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(GArray) domids = NULL;
    GError *last = NULL;
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
        GError *err = NULL;

        if (!clean_one(g_array_index(domids, int, i), &removed, &err)) {
            cli_fail_later(&last, err);
        }
    }
    if (!removed && !last) {
        puts("no page of a dead device model was found");
    }
    if (last) {
        g_propagate_error(errp, last);
        return FALSE;
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
