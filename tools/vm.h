/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All VMs of this host, sampled again and again: what their device models
 * did between two samples. Those under Pulsar are known by their ledger
 * pages, stock ones by what the kernel tells of their processes.
 */
#ifndef PULSAR_VM_H
#define PULSAR_VM_H

#include <glib.h>

#include "page.h"
#include "proc.h"

#define VM_RECENT_SECONDS  300      /* "the last 5 minutes" */
#define VM_RECENT_ROWS     (VM_RECENT_SECONDS / PULSAR_LEDGER_ROW_SECONDS)

/* What a stock device model's wakes are put down to. */
#define VM_CAUSE_STOCK     "unknown (stock)"

/** struct VmCause: one thing that wakes a device model */
typedef struct VmCause {
    char *name;             /* clean */
    gboolean helper;        /* a thread without a name of its own */
    guint64 wakes, events, busy_ns;             /* since it began */
    guint64 new_wakes, new_events, new_busy_ns; /* in the interval */
} VmCause;

/**
 * struct Vm: one device model
 *
 * Fields named new_… are of the interval between the last two samples, which
 * is @interval seconds long; 0 when there was only one.
 */
typedef struct Vm {
    int domid;
    char *name;             /* clean; "" when nobody knows it */
    char *uuid;             /* the same */
    char *version;          /* of the device model, clean; "" for stock */
    gboolean stock;
    gboolean in_folder;     /* it keeps its page where only root makes files */
    const char *state;      /* "running", "crashed" … */
    char *options;          /* the text of its page; see settings_parse() */
    char *trouble;          /* why its page cannot be read, or NULL */
    int trouble_code;       /* … and the exit status that says so */
    pid_t pid;              /* 0 when not known */

    double interval;
    guint64 wakes, new_wakes;       /* of all its threads */
    PulsarLedgerCounts total;       /* as its page has them */
    PulsarLedgerCounts new_total;
    gboolean recent_known;
    double recent_rate;             /* wakes per second, main loop only */

    gboolean process_known;
    gboolean outdated;              /* its program was upgraded or removed */
    guint64 cpu_ns, new_cpu_ns;
    guint64 private_kib;
    gboolean threads_known;
    guint threads;
    guint64 switches, new_switches; /* voluntary and not, of all threads */

    GPtrArray *page_causes;         /* VmCause, by number in the page */
    GPtrArray *thread_causes;       /* VmCause, by name of the thread */

    struct VmPrivate *priv;
} Vm;

/** struct VmSet: the VMs there are */
typedef struct VmSet VmSet;

/**
 * vmset_new: watch this host
 * @with_stock: also list device models that keep no page, and those that keep
 *              it elsewhere
 */
VmSet *vmset_new(gboolean with_stock);

void vmset_free(VmSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmSet, vmset_free)

/**
 * vmset_sample: look at all VMs again
 *
 * Returns: FALSE with an error when the folder of the pages cannot be read.
 */
gboolean vmset_sample(VmSet *set, GError **errp);

/** vmset_vms: Vm, by domain id; valid until the next sample. */
GPtrArray *vmset_vms(VmSet *set);

/**
 * vm_rate: @count in the interval as a number per second
 *
 * 0 when there is no interval.
 */
double vm_rate(const Vm *vm, guint64 count);

/** vm_title: "web (domain 7)", clean; to be freed by the caller. */
char *vm_title(const Vm *vm);

/**
 * vm_causes: what woke it, most frequent first, helper threads last
 * @in_interval: of the interval; else since it began
 *
 * Causes that did nothing are left out. Threads that have the process's name
 * work for it (libxenstore's reader, RCU): what woke the main loop is nearer
 * to the cause, however much more often they switch.
 *
 * Returns: VmCause that belong to @vm, valid until the next sample; free
 * the array with g_ptr_array_unref().
 */
GPtrArray *vm_causes(const Vm *vm, gboolean in_interval);

/** vm_top_cause: the first of vm_causes(vm, TRUE), or NULL. */
const VmCause *vm_top_cause(const Vm *vm);

#endif /* PULSAR_VM_H */
