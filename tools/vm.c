/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All VMs of this host, sampled again and again.
 *
 * 500 sleeping VMs are to cost next to nothing, so a page whose sequence
 * number has not moved is not copied, and a process whose processor time has
 * not moved is not looked into.
 */
#include <dirent.h>
#include <string.h>

#include "cli.h"
#include "lookup.h"
#include "rows.h"
#include "text.h"
#include "vm.h"
#include "xen.h"

/* How often stock device models and new names are searched for. */
#define SEARCH_NS  (5 * 1000000000ULL)

/* Of a stock device model its wakes are remembered, every so often. */
#define PAST_NS    (10 * 1000000000ULL)

typedef struct Past {
    guint64 when_ns;
    guint64 wakes;
} Past;

struct VmPrivate {
    Page *page;
    guint64 entry_ino;      /* as the folder names it: a new file is seen */
    Proc *proc;
    PulsarLedgerHeader header;
    gboolean owned;         /* its device model lives */
    gboolean read;          /* @header is that of the last copy */
    gboolean sampled;       /* there is a sample before */
    gboolean proc_sampled;
    guint64 when_ns;        /* of the last sample */
    guint64 named_ns;       /* when its name was asked for */
    uint64_t row[VM_RECENT_ROWS];   /* index of the newest rows … */
    guint64 row_wakes[VM_RECENT_ROWS];  /* … and their wakes */
    GQueue past;            /* Past, oldest first */
    gboolean seen;
};

struct VmSet {
    gboolean with_stock;
    GHashTable *pages;      /* domid -> Vm */
    GHashTable *found;      /* pid -> Vm, by their command lines */
    GHashTable *ours;       /* set of the pids that have a page */
    GPtrArray *vms;         /* all of them, sorted */
    guint64 searched_ns;
    guint64 sampled_ns;
    GHashTable *owners;     /* of this sample, made when needed */
    char *buf;              /* for one page */
};

static void free_cause(gpointer data)
{
    VmCause *c = data;

    g_free(c->name);
    g_free(c);
}

static void vm_free(gpointer data)
{
    Vm *vm = data;

    page_close(vm->priv->page);
    proc_close(vm->priv->proc);
    g_queue_clear_full(&vm->priv->past, g_free);
    g_free(vm->priv);
    g_ptr_array_unref(vm->page_causes);
    g_ptr_array_unref(vm->thread_causes);
    g_free(vm->name);
    g_free(vm->uuid);
    g_free(vm->version);
    g_free(vm->options);
    g_free(vm->trouble);
    g_free(vm);
}

static Vm *vm_new(int domid, gboolean stock)
{
    Vm *vm = g_new0(Vm, 1);

    vm->priv = g_new0(struct VmPrivate, 1);
    g_queue_init(&vm->priv->past);
    vm->domid = domid;
    vm->stock = stock;
    vm->state = "running";
    vm->name = g_strdup("");
    vm->uuid = g_strdup("");
    vm->version = g_strdup("");
    vm->options = g_strdup("");
    vm->page_causes = g_ptr_array_new_with_free_func(free_cause);
    vm->thread_causes = g_ptr_array_new_with_free_func(free_cause);
    return vm;
}

VmSet *vmset_new(gboolean with_stock)
{
    VmSet *set = g_new0(VmSet, 1);

    set->with_stock = with_stock;
    set->pages = g_hash_table_new_full(NULL, NULL, NULL, vm_free);
    set->found = g_hash_table_new_full(NULL, NULL, NULL, vm_free);
    set->ours = g_hash_table_new(NULL, NULL);
    set->vms = g_ptr_array_new();
    set->buf = g_malloc0(PULSAR_LEDGER_TOTAL_SIZE);
    return set;
}

void vmset_free(VmSet *set)
{
    if (set) {
        g_ptr_array_unref(set->vms);
        g_hash_table_unref(set->pages);
        g_hash_table_unref(set->found);
        g_hash_table_unref(set->ours);
        g_clear_pointer(&set->owners, g_hash_table_unref);
        g_free(set->buf);
        g_free(set);
    }
}

GPtrArray *vmset_vms(VmSet *set)
{
    return set->vms;
}

static void set_text(char **text, const char *value)
{
    if (value && *value) {
        g_free(*text);
        *text = text_clean(value);
    }
}

/*
 * Who it is by xenstore; what the device model itself says is for where none
 * answers. A VM that is gone keeps the name by which it was known.
 */
static void set_names(Vm *vm, const char *name, const char *uuid)
{
    g_autofree char *real_name = NULL;
    g_autofree char *real_uuid = NULL;
    gboolean sure = xen_identity(vm->domid, &real_name, &real_uuid);

    set_text(&vm->name, sure ? real_name : name);
    set_text(&vm->uuid, sure ? real_uuid : uuid);
}

/* ---- the process ----------------------------------------------------- */

static VmCause *thread_cause(Vm *vm, const char *name)
{
    VmCause *c;
    guint i;

    for (i = 0; i < vm->thread_causes->len; i++) {
        c = vm->thread_causes->pdata[i];
        if (!strcmp(c->name, name)) {
            return c;
        }
    }
    c = g_new0(VmCause, 1);
    c->name = g_strdup(name);
    g_ptr_array_add(vm->thread_causes, c);
    return c;
}

/*
 * The ledger counts what wakes the main loop; the other threads are put
 * down to their names. Stock's main loop is just one more thread.
 */
static void count_threads(Vm *vm)
{
    Proc *proc = vm->priv->proc;
    gboolean first = !vm->priv->proc_sampled;
    const char *main_name = NULL;
    guint i;

    for (i = 0; i < proc->threads->len; i++) {
        ProcThread *t = &g_array_index(proc->threads, ProcThread, i);

        if (t->tid == vm->pid) {
            main_name = t->name;
        }
    }
    vm->switches = 0;
    vm->new_switches = 0;
    for (i = 0; i < vm->thread_causes->len; i++) {
        VmCause *c = vm->thread_causes->pdata[i];

        c->new_wakes = 0;
        c->new_events = 0;
    }
    for (i = 0; i < proc->threads->len; i++) {
        ProcThread *t = &g_array_index(proc->threads, ProcThread, i);
        g_autofree char *name = NULL;
        VmCause *c;

        vm->switches += t->voluntary + t->involuntary;
        vm->new_switches += t->new_voluntary + t->new_involuntary;
        if (t->tid == vm->pid && !vm->stock) {
            continue;
        }
        name = t->tid == vm->pid ? g_strdup(VM_CAUSE_STOCK)
                                 : g_strconcat("thread:", t->name, NULL);
        c = thread_cause(vm, name);
        c->helper = t->tid != vm->pid && main_name &&
                    !strcmp(t->name, main_name);
        c->new_wakes += t->new_voluntary;
        c->wakes += t->new_voluntary;
        c->new_events = c->new_wakes;
        c->events = c->wakes;
    }
    if (first) {
        vm->new_switches = 0;
        for (i = 0; i < vm->thread_causes->len; i++) {
            VmCause *c = vm->thread_causes->pdata[i];

            c->new_wakes = 0;
            c->new_events = 0;
        }
    }
}

/* FALSE when the process is gone. */
static gboolean sample_process(Vm *vm)
{
    Proc *proc = vm->priv->proc;
    guint64 before = vm->cpu_ns;

    if (!proc || !proc_sample(proc)) {
        proc_close(proc);
        vm->priv->proc = NULL;
        vm->priv->proc_sampled = FALSE;
        vm->process_known = FALSE;
        vm->outdated = FALSE;
        vm->threads_known = FALSE;
        vm->new_cpu_ns = 0;
        vm->new_switches = 0;
        g_ptr_array_set_size(vm->thread_causes, 0);
        return FALSE;
    }
    vm->process_known = TRUE;
    vm->cpu_ns = proc->cpu_ns;
    vm->new_cpu_ns = vm->priv->proc_sampled ? proc->cpu_ns - before : 0;
    vm->private_kib = proc->private_kib;
    vm->outdated = proc->outdated;
    vm->threads_known = proc->threads_known;
    vm->threads = proc->threads->len;
    count_threads(vm);
    vm->priv->proc_sampled = TRUE;
    return TRUE;
}

/* ---- the page -------------------------------------------------------- */

static void subtract(PulsarLedgerCounts *ret, const PulsarLedgerCounts *now,
                     const PulsarLedgerCounts *before)
{
    guint64 *r = (guint64 *)ret;
    const guint64 *a = (const guint64 *)now, *b = (const guint64 *)before;
    guint i;

    for (i = 0; i < sizeof(*ret) / sizeof(*r); i++) {
        r[i] = a[i] >= b[i] ? a[i] - b[i] : 0;
    }
}

/* What a page says of its causes, beside what it said before. */
static void take_causes(Vm *vm, const char *page)
{
    const PulsarLedgerCause *from = pulsar_ledger_causes(page);
    guint n = pulsar_ledger_header(page)->cause_count;
    guint i;

    for (i = 0; i < n; i++) {
        VmCause *c;

        if (i == vm->page_causes->len) {
            c = g_new0(VmCause, 1);
            c->name = text_clean(from[i].name);
            g_ptr_array_add(vm->page_causes, c);
        }
        c = vm->page_causes->pdata[i];
        c->new_wakes = MAX(from[i].wakes, c->wakes) - c->wakes;
        c->new_events = MAX(from[i].events, c->events) - c->events;
        c->new_busy_ns = MAX(from[i].busy_ns, c->busy_ns) - c->busy_ns;
        c->wakes = from[i].wakes;
        c->events = from[i].events;
        c->busy_ns = from[i].busy_ns;
    }
}

static void forget_changes(Vm *vm)
{
    guint i;

    memset(&vm->new_total, 0, sizeof(vm->new_total));
    for (i = 0; i < vm->page_causes->len; i++) {
        VmCause *c = vm->page_causes->pdata[i];

        c->new_wakes = 0;
        c->new_events = 0;
        c->new_busy_ns = 0;
    }
}

static void take_rows(Vm *vm, const char *page)
{
    struct VmPrivate *p = vm->priv;
    uint64_t last = pulsar_ledger_header(page)->row_last;
    PulsarLedgerCounts n;
    guint i;

    for (i = 0; i < VM_RECENT_ROWS; i++) {
        p->row[i] = last > i && pulsar_ledger_row(page, last - i, &n)
                    ? last - i : 0;
        p->row_wakes[i] = p->row[i] ? n.wakes : 0;
    }
}

/* Wakes per second in the 5 minutes before @now_ns, in whole rows. */
static void recent_rate(Vm *vm, guint64 now_ns)
{
    struct VmPrivate *p = vm->priv;
    guint64 end = rows_end(&p->header, p->owned, now_ns);
    guint64 last = MAX(rows_index(&p->header, end), p->row[0]);
    guint64 first = last > VM_RECENT_ROWS ? last - VM_RECENT_ROWS + 1 : 1;
    double begin = p->header.start_ns / 1e9 +
                   (first - 1) * (double)PULSAR_LEDGER_ROW_SECONDS;
    double seconds = end / 1e9 - begin;
    guint64 wakes = 0;
    guint i;

    for (i = 0; i < VM_RECENT_ROWS; i++) {
        if (p->row[i] >= first) {
            wakes += p->row_wakes[i];
        }
    }
    vm->recent_known = p->owned;
    vm->recent_rate = seconds > 0 ? wakes / seconds : 0;
}

static void trouble(Vm *vm, GError *err)
{
    vm->interval = 0;
    vm->trouble_code = err->code;
    g_free(vm->trouble);
    vm->trouble = g_strdup(err->message);
    vm->state = "unreadable";
    forget_changes(vm);
}

/* The page's process, as it is called in our PID namespace. */
static pid_t owner_pid(VmSet *set, Vm *vm)
{
    pid_t pid;

    if (!set->owners) {
        set->owners = page_owners();
    }
    pid = page_owner(vm->priv->page, set->owners);
    /* Where the kernel does not say, the toolstack may. */
    return pid ? pid : xen_device_model(vm->domid);
}

static void take_header(VmSet *set, Vm *vm)
{
    const PulsarLedgerHeader *h = pulsar_ledger_header(set->buf);

    if (!vm->priv->read) {
        g_free(vm->version);
        vm->version = text_clean(h->version);
    }
    if (strcmp(vm->options, page_text(set->buf))) {
        g_free(vm->options);
        vm->options = g_strdup(page_text(set->buf));
    }
    vm->priv->header = *h;
    vm->priv->read = TRUE;
}

/* Now and then: VMs may be given other names. */
static void renew_names(Vm *vm, guint64 now_ns)
{
    struct VmPrivate *p = vm->priv;

    if (!p->named_ns || now_ns - p->named_ns >= SEARCH_NS) {
        p->named_ns = now_ns;
        set_names(vm, p->header.name, p->header.uuid);
    }
}

static void sample_page(VmSet *set, Vm *vm)
{
    struct VmPrivate *p = vm->priv;
    g_autoptr(GError) err = NULL;
    PulsarLedgerCounts before = vm->total;
    gboolean owned, born;
    guint64 now_ns;

    if (!p->page) {
        renew_names(vm, page_now());
        return; /* it could not be opened, and that was said */
    }
    owned = p->owned = page_owned(p->page);
    forget_changes(vm);
    if (!p->read || page_changed(p->page, p->header.seq)) {
        if (!page_read(p->page, set->buf, &err)) {
            trouble(vm, err);
            renew_names(vm, page_now());
            return;
        }
        take_header(set, vm);
        take_causes(vm, set->buf);
        take_rows(vm, set->buf);
        vm->total = p->header.total;
        subtract(&vm->new_total, &vm->total, &before);
    }
    now_ns = page_now();
    renew_names(vm, now_ns);
    g_clear_pointer(&vm->trouble, g_free);
    vm->state = ledger_state(&p->header, owned, vm->domid);

    /* Who began after the last sample began with nothing. */
    born = !p->sampled && set->sampled_ns &&
           p->header.start_ns >= set->sampled_ns &&
           p->header.start_ns <= now_ns;
    if (!owned) {
        vm->interval = 0; /* nothing is of now */
    } else if (p->sampled) {
        vm->interval = (now_ns - p->when_ns) / 1e9;
    } else if (born) {
        vm->interval = (now_ns - p->header.start_ns) / 1e9;
    } else {
        forget_changes(vm);
        vm->interval = 0;
    }
    p->when_ns = now_ns;
    p->sampled = TRUE;
    recent_rate(vm, now_ns);

    if (owned && !p->proc) {
        vm->pid = owner_pid(set, vm);
        p->proc = vm->pid > 0 ? proc_open(vm->pid) : NULL;
    }
    if (!sample_process(vm) && !owned) {
        vm->pid = 0;
    }
}

/* Opens the pages that are new, or are not the files they were. */
static gboolean find_pages(VmSet *set, GError **errp)
{
    const char *rundir = page_rundir();
    struct dirent *e;
    GError *err = NULL;
    GHashTableIter it;
    gpointer value;
    DIR *d;

    g_hash_table_iter_init(&it, set->pages);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        ((Vm *)value)->priv->seen = FALSE;
    }

    if (!page_dir(&d, errp)) {
        return FALSE;
    }
    while (d && (e = readdir(d))) {
        int domid = page_domid(e->d_name);
        Vm *vm;

        if (domid < 0) {
            continue;
        }
        vm = g_hash_table_lookup(set->pages, GINT_TO_POINTER(domid));
        if (!vm || !vm->priv->page || vm->priv->entry_ino != e->d_ino) {
            g_autofree char *path = g_build_filename(rundir, e->d_name, NULL);
            Page *page = page_open(path, &err);

            if (!page && err->code == CLI_NO_SUCH_VM) {
                g_clear_error(&err); /* gone in this moment */
                continue;
            }
            vm = vm_new(domid, FALSE);
            vm->in_folder = TRUE;
            vm->priv->entry_ino = e->d_ino;
            vm->priv->page = page;
            if (!page) {
                trouble(vm, err);
                g_clear_error(&err);
            }
            g_hash_table_insert(set->pages, GINT_TO_POINTER(domid), vm);
        }
        vm->priv->seen = TRUE;
    }
    if (d) {
        closedir(d);
    }

    g_hash_table_iter_init(&it, set->pages);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        if (!((Vm *)value)->priv->seen) {
            g_hash_table_iter_remove(&it);
        }
    }
    return TRUE;
}

/* ---- device models without a page in the folder ---------------------- */

/* One with a page elsewhere, or a stock one; NULL when it is gone. */
static Vm *vm_of_process(const ProcDm *dm)
{
    g_autofree char *path = page_of_process(dm->pid);
    Page *page = path ? page_open(path, NULL) : NULL;
    Proc *proc;
    Vm *vm;

    if (page) {
        vm = vm_new(dm->domid, FALSE);
        vm->priv->page = page;
        return vm;
    }
    proc = proc_open(dm->pid);
    if (!proc) {
        return NULL;
    }
    vm = vm_new(dm->domid, TRUE);
    vm->pid = dm->pid;
    vm->priv->proc = proc;
    set_names(vm, dm->name, dm->uuid);
    return vm;
}

static void find_processes(VmSet *set)
{
    g_autoptr(GPtrArray) dms = proc_find_dms();
    guint i;

    for (i = 0; i < dms->len; i++) {
        ProcDm *dm = dms->pdata[i];
        Vm *vm = g_hash_table_lookup(set->found, GINT_TO_POINTER(dm->pid));

        if ((vm && vm->domid == dm->domid) ||
            g_hash_table_contains(set->ours, GINT_TO_POINTER(dm->pid))) {
            continue;
        }
        vm = vm_of_process(dm);
        if (vm) {
            g_hash_table_insert(set->found, GINT_TO_POINTER(dm->pid), vm);
        }
    }
}

/* The rate over the last 5 minutes, as far as we have been watching. */
static void remember(Vm *vm, guint64 now_ns)
{
    GQueue *past = &vm->priv->past;
    Past *p = g_queue_peek_tail(past), *next;

    if (!p || now_ns - p->when_ns >= PAST_NS) {
        p = g_new(Past, 1);
        p->when_ns = now_ns;
        p->wakes = vm->wakes;
        g_queue_push_tail(past, p);
    }
    while ((next = g_queue_peek_nth(past, 1)) &&
           now_ns - next->when_ns >= VM_RECENT_SECONDS * 1000000000ULL) {
        g_free(g_queue_pop_head(past));
    }
    p = g_queue_peek_head(past);
    vm->recent_known = now_ns > p->when_ns;
    if (vm->recent_known) {
        vm->recent_rate = (vm->wakes - p->wakes) /
                          ((now_ns - p->when_ns) / 1e9);
    }
}

/* FALSE when it is gone. */
static gboolean sample_stock(Vm *vm)
{
    struct VmPrivate *p = vm->priv;
    guint64 now_ns;

    if (!sample_process(vm)) {
        return FALSE;
    }
    now_ns = page_now();
    vm->interval = p->sampled ? (now_ns - p->when_ns) / 1e9 : 0;
    p->when_ns = now_ns;
    p->sampled = TRUE;
    return TRUE;
}

/* FALSE when it is gone. */
static gboolean sample_found(VmSet *set, Vm *vm)
{
    if (vm->stock) {
        return sample_stock(vm);
    }
    sample_page(set, vm);
    return page_owned(vm->priv->page);
}

/* ---- all of them ----------------------------------------------------- */

static void sum_up(Vm *vm)
{
    guint i;

    vm->wakes = vm->total.wakes;
    vm->new_wakes = vm->new_total.wakes;
    for (i = 0; i < vm->thread_causes->len; i++) {
        const VmCause *c = vm->thread_causes->pdata[i];

        vm->wakes += c->wakes;
        vm->new_wakes += c->new_wakes;
    }
    if (vm->stock) {
        remember(vm, vm->priv->when_ns);
    }
}

static gint by_domid(gconstpointer a, gconstpointer b)
{
    const Vm *x = *(Vm *const *)a, *y = *(Vm *const *)b;

    return x->domid != y->domid ? (x->domid < y->domid ? -1 : 1)
                                : (x->pid > y->pid) - (x->pid < y->pid);
}

gboolean vmset_sample(VmSet *set, GError **errp)
{
    guint64 now_ns = page_now();
    GHashTableIter it;
    gpointer pid, value;

    g_ptr_array_set_size(set->vms, 0);
    g_hash_table_remove_all(set->ours);
    g_clear_pointer(&set->owners, g_hash_table_unref);
    if (!find_pages(set, errp)) {
        return FALSE;
    }
    g_hash_table_iter_init(&it, set->pages);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        Vm *vm = value;

        sample_page(set, vm);
        g_hash_table_add(set->ours, GINT_TO_POINTER(vm->pid));
        /* What ended as it should is nobody's concern any more. */
        if (vm->trouble || vm->priv->owned || strcmp(vm->state, "exited")) {
            g_ptr_array_add(set->vms, vm);
        }
    }
    if (set->with_stock &&
        (!set->searched_ns || now_ns - set->searched_ns >= SEARCH_NS)) {
        set->searched_ns = now_ns;
        find_processes(set);
    }
    g_hash_table_iter_init(&it, set->found);
    while (g_hash_table_iter_next(&it, &pid, &value)) {
        if (sample_found(set, value) &&
            !g_hash_table_contains(set->ours, pid)) {
            g_ptr_array_add(set->vms, value);
        } else {
            g_hash_table_iter_remove(&it);
        }
    }
    g_ptr_array_foreach(set->vms, (GFunc)(void (*)(void))sum_up, NULL);
    g_ptr_array_sort(set->vms, by_domid);
    set->sampled_ns = now_ns;
    return TRUE;
}

double vm_rate(const Vm *vm, guint64 count)
{
    return vm->interval > 0 ? count / vm->interval : 0;
}

char *vm_title(const Vm *vm)
{
    return *vm->name ? g_strdup_printf("%s (domain %d)", vm->name, vm->domid)
                     : g_strdup_printf("domain %d", vm->domid);
}

static gint by_new_wakes(gconstpointer a, gconstpointer b)
{
    const VmCause *x = *(VmCause *const *)a, *y = *(VmCause *const *)b;

    if (x->helper != y->helper && x->new_wakes && y->new_wakes) {
        return x->helper ? 1 : -1;
    }
    if (x->new_wakes != y->new_wakes) {
        return x->new_wakes > y->new_wakes ? -1 : 1;
    }
    if (x->new_events != y->new_events) {
        return x->new_events > y->new_events ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static gint by_wakes(gconstpointer a, gconstpointer b)
{
    const VmCause *x = *(VmCause *const *)a, *y = *(VmCause *const *)b;

    if (x->helper != y->helper && x->wakes && y->wakes) {
        return x->helper ? 1 : -1;
    }
    if (x->wakes != y->wakes) {
        return x->wakes > y->wakes ? -1 : 1;
    }
    if (x->events != y->events) {
        return x->events > y->events ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

GPtrArray *vm_causes(const Vm *vm, gboolean in_interval)
{
    GPtrArray *lists[] = { vm->page_causes, vm->thread_causes };
    GPtrArray *ret = g_ptr_array_new();
    guint i, k;

    for (k = 0; k < G_N_ELEMENTS(lists); k++) {
        for (i = 0; i < lists[k]->len; i++) {
            VmCause *c = lists[k]->pdata[i];

            if (in_interval ? c->new_wakes || c->new_events
                            : c->wakes || c->events) {
                g_ptr_array_add(ret, c);
            }
        }
    }
    g_ptr_array_sort(ret, in_interval ? by_new_wakes : by_wakes);
    return ret;
}

const VmCause *vm_top_cause(const Vm *vm)
{
    GPtrArray *lists[] = { vm->page_causes, vm->thread_causes };
    const VmCause *top = NULL;
    guint i, k;

    for (k = 0; k < G_N_ELEMENTS(lists); k++) {
        for (i = 0; i < lists[k]->len; i++) {
            const VmCause *c = lists[k]->pdata[i];

            if ((c->new_wakes || c->new_events) &&
                (!top || by_new_wakes(&c, &top) < 0)) {
                top = c;
            }
        }
    }
    return top;
}
