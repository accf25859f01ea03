/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger pages as files: finding them, reading them, and telling whether
 * the device model behind one still lives. Nothing here writes to a page or
 * wakes its owner.
 */
#ifndef PULSAR_PAGE_H
#define PULSAR_PAGE_H

#include <dirent.h>
#include <glib.h>
#include <sys/types.h>

#include "monitor/ledger.h"

#define PAGE_SUFFIX ".ledger"

/** struct Page: an open ledger page */
typedef struct Page {
    char *path;
    int fd;
    dev_t dev;
    ino_t ino;
} Page;

/** page_rundir: where the pages are: $PULSAR_RUNDIR or the built-in place. */
const char *page_rundir(void);

/**
 * page_domid: the domain that a file in that folder belongs to
 * @file: its name without the folder
 *
 * Returns: -1 for a file that is no ledger page.
 */
int page_domid(const char *file);

/**
 * page_dir: open the folder of the pages
 * @ret: it, or NULL when it does not exist, which is an empty one
 */
gboolean page_dir(DIR **ret, GError **errp);

/**
 * page_list: the domains that have a page
 * @ret: int, in ascending order; to be freed by the caller
 */
gboolean page_list(GArray **ret, GError **errp);

/** page_path: the file of domain @domid; to be freed by the caller. */
char *page_path(int domid);

/** page_open: open the page in file @path for reading. */
Page *page_open(const char *path, GError **errp);

void page_close(Page *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Page, page_close)

/**
 * page_read: copy a page
 * @p: the page
 * @ret: PULSAR_LEDGER_TOTAL_SIZE bytes, of use only on success
 */
gboolean page_read(Page *p, void *ret, GError **errp);

/**
 * page_changed: has a page been written to?
 * @p: the page
 * @seq: the sequence number of the copy at hand
 *
 * Costs one small read. TRUE when in doubt.
 */
gboolean page_changed(Page *p, uint32_t seq);

/** page_owned: does the process that made the page still live? */
gboolean page_owned(Page *p);

/**
 * page_owners: the processes that own a page
 *
 * From the kernel's list of file locks, so the numbers are those of this
 * process's own PID namespace.
 *
 * Returns: to be given to page_owner() and freed with
 * g_hash_table_unref().
 */
GHashTable *page_owners(void);

/**
 * page_owner: the process that owns a page
 * @p: the page
 * @owners: from page_owners()
 *
 * Returns: its number, or 0 when nobody owns it or the kernel does not say.
 */
pid_t page_owner(const Page *p, GHashTable *owners);

/**
 * page_ended: did the owner of a page end as device models should?
 *
 * Its page is of use only to who asks for that VM.
 */
gboolean page_ended(const PulsarLedgerHeader *h);

/** page_text: the text of a snapshot. */
static inline const char *page_text(const void *snapshot)
{
    return (const char *)snapshot + PULSAR_LEDGER_TEXT_OFFSET;
}

/** page_now: CLOCK_MONOTONIC, as the times in a page. */
uint64_t page_now(void);

/**
 * page_of_process: the ledger page that a process has mapped
 *
 * For those that were told by "-pulsar ledger=PATH" to keep it elsewhere.
 * Needs the right to look into the process.
 *
 * Returns: its file, or NULL when it has none; to be freed by the caller.
 */
char *page_of_process(pid_t pid);

#endif /* PULSAR_PAGE_H */
