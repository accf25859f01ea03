/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel knows of a device model's process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/thread-switches.h"
#include "proc.h"
#include "text.h"

#define FILE_MAX 65536

/* All of a small file into @buf, ended with a NUL; its length or -1. */
static ssize_t read_at(int dirfd, const char *file, char *buf, size_t size)
{
    int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0) {
        len += n;
    }
    close(fd);
    buf[len] = 0;
    return len;
}

Proc *proc_open(pid_t pid)
{
    g_autoptr(Proc) p = g_new0(Proc, 1);
    char path[32];

    p->pid = pid;
    p->threads = g_array_new(FALSE, TRUE, sizeof(ProcThread));
    p->dirfd = -1;
    snprintf(path, sizeof(path), "/proc/%d", pid);
    p->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dirfd < 0 || clock_getcpuclockid(pid, &p->clock)) {
        return NULL;
    }
    return g_steal_pointer(&p);
}

void proc_close(Proc *p)
{
    if (p) {
        if (p->dirfd >= 0) {
            close(p->dirfd);
        }
        g_array_unref(p->threads);
        g_free(p);
    }
}

static ProcThread *find_thread(Proc *p, pid_t tid)
{
    ProcThread fresh = { .tid = tid };
    guint i;

    for (i = 0; i < p->threads->len; i++) {
        ProcThread *t = &g_array_index(p->threads, ProcThread, i);

        if (t->tid == tid) {
            return t;
        }
    }
    g_array_append_val(p->threads, fresh);
    return &g_array_index(p->threads, ProcThread, p->threads->len - 1);
}

/* The threads as they are now; those that are gone are forgotten. */
static void sample_threads(Proc *p)
{
    PulsarLedgerThread now;
    struct dirent *e;
    ProcThread *t;
    guint i;
    int fd;
    DIR *d;

    fd = openat(p->dirfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (i = 0; i < p->threads->len; i++) {
        t = &g_array_index(p->threads, ProcThread, i);
        t->seen = FALSE;
    }
    while ((e = readdir(d))) {
        g_autofree char *name = NULL;

        if (!pulsar_thread_switches(fd, e->d_name, &now)) {
            continue;
        }
        name = text_clean(now.name);
        t = find_thread(p, now.tid);
        g_strlcpy(t->name, name, sizeof(t->name));
        t->new_voluntary = now.voluntary - t->voluntary;
        t->new_involuntary = now.involuntary - t->involuntary;
        t->voluntary = now.voluntary;
        t->involuntary = now.involuntary;
        t->seen = TRUE;
        p->threads_known = TRUE;
    }
    closedir(d);
    for (i = p->threads->len; i-- > 0;) {
        if (!g_array_index(p->threads, ProcThread, i).seen) {
            g_array_remove_index(p->threads, i);
        }
    }
}

/* Resident memory that no file and no other process stands behind. */
static void sample_memory(Proc *p)
{
    guint64 resident, shared;
    char statm[128];

    if (read_at(p->dirfd, "statm", statm, sizeof(statm)) > 0 &&
        sscanf(statm, "%*s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
               &resident, &shared) == 2) {
        p->private_kib = (resident - MIN(shared, resident)) *
                         (sysconf(_SC_PAGESIZE) / 1024);
    }
}

/* An upgrade puts another file in the place of a program that runs. */
static void sample_program(Proc *p)
{
    char path[PATH_MAX];
    ssize_t n = readlinkat(p->dirfd, "exe", path, sizeof(path) - 1);

    path[MAX(n, 0)] = 0;
    p->outdated = g_str_has_suffix(path, " (deleted)");
}

gboolean proc_sample(Proc *p)
{
    struct timespec ts;
    guint64 cpu_ns;
    guint i;

    if (clock_gettime(p->clock, &ts) || faccessat(p->dirfd, "stat", F_OK, 0)) {
        return FALSE;
    }
    sample_program(p);
    cpu_ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
    if (p->threads_known && cpu_ns == p->cpu_ns) {
        /* No thread has run, so nothing that it can change has changed. */
        for (i = 0; i < p->threads->len; i++) {
            ProcThread *t = &g_array_index(p->threads, ProcThread, i);

            t->new_voluntary = 0;
            t->new_involuntary = 0;
        }
        return TRUE;
    }
    p->cpu_ns = cpu_ns;
    sample_memory(p);
    sample_threads(p);
    return TRUE;
}

char *proc_read(pid_t pid, const char *file, gsize *ret_len)
{
    static char buf[FILE_MAX];
    char path[64];
    ssize_t len;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    len = read_at(AT_FDCWD, path, buf, sizeof(buf));
    if (len < 0) {
        return NULL;
    }
    *ret_len = len;
    return g_memdup2(buf, len + 1);
}

/* "web", "guest=web,debug-threads=on": up to the first single comma. */
static char *name_argument(const char *arg)
{
    GString *s = g_string_new(NULL);

    if (g_str_has_prefix(arg, "guest=")) {
        arg += strlen("guest=");
    }
    for (; *arg; arg++) {
        if (*arg == ',' && *++arg != ',') {
            break;
        }
        g_string_append_c(s, *arg);
    }
    return g_string_free(s, FALSE);
}

static void free_dm(gpointer data)
{
    ProcDm *dm = data;

    g_free(dm->name);
    g_free(dm->uuid);
    g_free(dm);
}

/* Is this, @len bytes of strings, the command line of a device model? */
static ProcDm *parse_command_line(pid_t pid, const char *text, gsize len)
{
    g_autofree ProcDm *dm = g_new0(ProcDm, 1);
    g_autofree char *name = NULL, *uuid = NULL;
    const char *arg = text, *value, *end = text + len;
    const char *base = strrchr(arg, '/');
    guint64 domid = G_MAXUINT64;
    char *rest;

    if (!strstr(base ? base : arg, "qemu")) {
        return NULL; /* a script, a shell or strace around it */
    }
    for (arg += strlen(arg) + 1; arg < end; arg += strlen(arg) + 1) {
        value = arg + strlen(arg) + 1;
        if (value >= end) {
            break;
        }
        if (!strcmp(arg, "-xen-domid")) {
            domid = g_ascii_strtoull(value, &rest, 10);
            if (*rest || rest == value) {
                return NULL;
            }
        } else if (!strcmp(arg, "-name")) {
            g_free(name);
            name = name_argument(value);
        } else if (!strcmp(arg, "-uuid")) {
            g_free(uuid);
            uuid = g_strdup(value);
        }
    }
    if (domid > G_MAXINT) {
        return NULL;
    }
    dm->pid = pid;
    dm->domid = domid;
    dm->name = g_steal_pointer(&name);
    dm->uuid = g_steal_pointer(&uuid);
    return g_steal_pointer(&dm);
}

GPtrArray *proc_find_dms(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_dm);
    DIR *d = opendir("/proc");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        g_autofree char *text = NULL;
        ProcDm *dm = NULL;
        gsize len;

        if (!g_ascii_isdigit(e->d_name[0])) {
            continue;
        }
        text = proc_read(atoi(e->d_name), "cmdline", &len);
        if (text && len) {
            dm = parse_command_line(atoi(e->d_name), text, len);
        }
        if (dm) {
            g_ptr_array_add(list, dm);
        }
    }
    if (d) {
        closedir(d);
    }
    return list;
}
