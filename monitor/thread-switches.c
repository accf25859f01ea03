/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Context switches by thread. See thread-switches.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "thread-switches.h"

/* A status file is some 1300 bytes long, more on machines with many cores. */
#define STATUS_MAX 8192

static bool field(const char *status, const char *key, uint64_t *ret)
{
    const char *at = strstr(status, key);

    if (at) {
        *ret = strtoull(at + strlen(key), NULL, 10);
    }
    return at;
}

bool pulsar_thread_switches(int task_fd, const char *tid,
                            PulsarLedgerThread *ret)
{
    PulsarLedgerThread t = { .tid = atoi(tid) };
    char path[32], status[STATUS_MAX];
    size_t len = 0, name;
    ssize_t n;
    int fd;

    if (t.tid <= 0) {
        return false; /* "." and ".." */
    }
    snprintf(path, sizeof(path), "%d/status", t.tid);
    fd = openat(task_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    while (len < sizeof(status) - 1 &&
           (n = read(fd, status + len, sizeof(status) - 1 - len)) > 0) {
        len += n;
    }
    close(fd);
    status[len] = 0;

    if (!field(status, "\nvoluntary_ctxt_switches:", &t.voluntary) ||
        !field(status, "\nnonvoluntary_ctxt_switches:", &t.involuntary)) {
        return false;
    }
    if (!strncmp(status, "Name:\t", 6)) {
        name = strcspn(status + 6, "\n");
        memcpy(t.name, status + 6,
               name < sizeof(t.name) ? name : sizeof(t.name) - 1);
    }
    *ret = t;
    return true;
}

size_t pulsar_threads_switches(int task_fd, PulsarLedgerThread *ret,
                               size_t max)
{
    int fd = openat(task_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    PulsarLedgerThread t;
    struct dirent *e;
    size_t n = 0;

    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    while ((e = readdir(dir))) {
        if (pulsar_thread_switches(task_fd, e->d_name, &t)) {
            if (n < max) {
                ret[n] = t;
            }
            n++;
        }
    }
    closedir(dir);
    return n;
}

bool pulsar_thread_switches_self(PulsarLedgerThread *ret)
{
    PulsarLedgerThread t = { .tid = gettid() };
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) || prctl(PR_GET_NAME, t.name)) {
        return false;
    }
    t.voluntary = usage.ru_nvcsw;
    t.involuntary = usage.ru_nivcsw;
    *ret = t;
    return true;
}
