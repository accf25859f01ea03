/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger pages as files: how they come and go. Linux, no QEMU header.
 *
 * A page is DOMID.ledger in a folder that only root can write. It belongs to
 * whoever holds its lock (flock), which a mapping keeps like a descriptor
 * does. What stands in a page is only believed about that page itself.
 */
#ifndef PULSAR_PAGE_FILE_H
#define PULSAR_PAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/**
 * pulsar_page_create: make a file that will become a page
 * @dir_fd: the folder
 * @name: what it is called for the time being; must not exist
 * @size: its length; all of it is allocated, so that writing to a mapping of
 *        it cannot fail later
 *
 * The file is locked, has mode 0640 and takes the group of its folder, where
 * that is allowed.
 *
 * Returns: a descriptor, or -1 with errno set and nothing left behind.
 */
int pulsar_page_create(int dir_fd, const char *name, size_t size);

/**
 * pulsar_page_remove: remove a file, and no other that takes its place
 * @dir_fd: the folder
 * @name: its name there
 * @mine: the file that is meant
 *
 * Does nothing when @name is another file, or gone.
 */
void pulsar_page_remove(int dir_fd, const char *name, const struct stat *mine);

/**
 * pulsar_pages_prune: remove what device models left behind
 * @dir_fd: the folder; of other names than those of pages nothing is touched
 * @gone: whether a domain exists no more; any thread's, may block
 *
 * Of pages that nobody holds, those go that say they have ended, and those
 * whose domain is gone. One that was killed while its domain lives is kept,
 * for somebody may want to look at it. Files that were to become a page go as
 * well. Never waits for a lock.
 */
void pulsar_pages_prune(int dir_fd, bool (*gone)(int domid));

#endif /* PULSAR_PAGE_FILE_H */
