/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger pages as files. See page-file.h.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ledger-page.h"
#include "page-file.h"

#define SUFFIX  ".ledger"

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is @name still the file that @fd has open? */
static bool is_there(int dir_fd, const char *name, const struct stat *st)
{
    struct stat there;

    return !fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) &&
           is_same(st, &there);
}

/* Makes @fd what it has to be; 0 or an error number. */
static int prepare(int dir_fd, int fd, const char *name, size_t size)
{
    struct stat st, dir;
    int err;

    if (fstat(fd, &st) || fstat(dir_fd, &dir)) {
        return errno;
    }
    /* Until it is locked somebody may take it for a leftover. */
    if (flock(fd, LOCK_EX | LOCK_NB) || !is_there(dir_fd, name, &st)) {
        return EAGAIN;
    }
    if (fchown(fd, -1, dir.st_gid)) {
        errno = 0; /* not root: it keeps our group */
    }
    if (fchmod(fd, 0640)) {
        return errno;
    }
    do {
        err = posix_fallocate(fd, 0, size);
    } while (err == EINTR);
    return err;
}

int pulsar_page_create(int dir_fd, const char *name, size_t size)
{
    int fd, err;

    do {
        fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) {
            return -1;
        }
        err = prepare(dir_fd, fd, name, size);
        if (!err) {
            return fd;
        }
        if (err != EAGAIN) {
            unlinkat(dir_fd, name, 0);
        }
        close(fd);
    } while (err == EAGAIN);
    errno = err;
    return -1;
}

void pulsar_page_remove(int dir_fd, const char *name, const struct stat *mine)
{
    char aside[NAME_MAX + 1];

    if (!is_there(dir_fd, name, mine)) {
        return;
    }
    /*
     * Another device model may put its page in this place at any moment. So
     * the file is taken away first and looked at then; one that is not meant
     * is put back, unless there is a newer one by now.
     */
    snprintf(aside, sizeof(aside), ".%.200s.%d", name, getpid());
    if (renameat(dir_fd, name, dir_fd, aside)) {
        return;
    }
    if (!is_there(dir_fd, aside, mine)) {
        /* It fails when there is a newer one, and that is right. */
        (void)!linkat(dir_fd, aside, dir_fd, name, 0);
    }
    unlinkat(dir_fd, aside, 0);
}

/*
 * Whose page @name is or was to become; -1 when it is none. The latter begin
 * with a dot and have something behind.
 */
static int domid_of(const char *name, bool *ret_leftover)
{
    bool dot = *name == '.';
    unsigned long domid;
    char *end;

    name += dot;
    if (!isdigit((unsigned char)*name)) {
        return -1;
    }
    errno = 0;
    domid = strtoul(name, &end, 10);
    if (errno || domid > INT_MAX || strncmp(end, SUFFIX, strlen(SUFFIX)) ||
        end[strlen(SUFFIX)] != (dot ? '.' : 0)) {
        return -1;
    }
    *ret_leftover = dot;
    return domid;
}

/* What is said here is only about the page itself. */
static bool says_ended(int fd)
{
    PulsarLedgerHeader h;

    return pread(fd, &h, sizeof(h), 0) == sizeof(h) &&
           !memcmp(h.magic, PULSAR_LEDGER_MAGIC, sizeof(h.magic)) &&
           h.state == PULSAR_LEDGER_EXITED;
}

static void prune_one(int dir_fd, const char *name, bool (*gone)(int domid))
{
    bool leftover;
    int domid = domid_of(name, &leftover);
    struct stat st;
    int fd;

    if (domid < 0) {
        return;
    }
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                              O_NOCTTY);
    if (fd < 0) {
        return;
    }
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
        !flock(fd, LOCK_EX | LOCK_NB)) {
        if (leftover) {
            if (is_there(dir_fd, name, &st)) {
                unlinkat(dir_fd, name, 0);
            }
        } else if (says_ended(fd) || gone(domid)) {
            pulsar_page_remove(dir_fd, name, &st);
        }
    }
    close(fd); /* and with it the lock */
}

void pulsar_pages_prune(int dir_fd, bool (*gone)(int domid))
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((e = readdir(dir))) {
        prune_one(dir_fd, e->d_name, gone);
    }
    closedir(dir);
}
