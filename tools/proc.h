/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel knows of a device model's process. Reading it wakes
 * nobody, and a process that has not run since the last time costs one
 * system call.
 */
#ifndef PULSAR_PROC_H
#define PULSAR_PROC_H

#include <glib.h>
#include <sys/types.h>
#include <time.h>

/** struct ProcThread: one thread and how often it was switched to */
typedef struct ProcThread {
    pid_t tid;
    char name[32];          /* clean */
    guint64 voluntary;      /* it slept, so it was woken that often */
    guint64 involuntary;    /* it had to make room */
    guint64 new_voluntary;  /* since the sample before */
    guint64 new_involuntary;
    gboolean seen;
} ProcThread;

/** struct Proc: a process that is sampled again and again */
typedef struct Proc {
    pid_t pid;
    int dirfd;              /* of /proc/PID: never another process's */
    clockid_t clock;
    guint64 cpu_ns;
    guint64 private_kib;
    gboolean outdated;      /* its program file is gone, or another one now */
    gboolean threads_known; /* the kernel lets us see them */
    GArray *threads;        /* ProcThread */
} Proc;

/**
 * proc_open: begin to sample a process
 *
 * Returns: NULL when there is no such process.
 */
Proc *proc_open(pid_t pid);

void proc_close(Proc *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proc, proc_close)

/**
 * proc_sample: read the figures anew
 *
 * Returns: FALSE when the process is gone; the figures are the last ones.
 */
gboolean proc_sample(Proc *p);

/** struct ProcDm: a process that looks like a Xen device model */
typedef struct ProcDm {
    pid_t pid;
    int domid;
    char *name;             /* of the VM, as on the command line; or NULL */
    char *uuid;
} ProcDm;

/**
 * proc_find_dms: the device models that run, by their command lines
 *
 * Returns: ProcDm, to be freed with g_ptr_array_unref().
 */
GPtrArray *proc_find_dms(void);

/**
 * proc_read: a small file below /proc/PID
 * @ret_len: its length; it may hold NULs, and one more follows
 *
 * Returns: NULL when it cannot be read; to be freed by the caller.
 */
char *proc_read(pid_t pid, const char *file, gsize *ret_len);

#endif /* PULSAR_PROC_H */
