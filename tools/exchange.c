/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another device model in the place of the one that serves a running guest:
 * the guest is paused while it asks nothing, the old one saves the state of
 * its devices and is ended, the new one is started the same way and loads it.
 *
 * The old one is killed: leaving by itself it would close its back ends and
 * remove the sockets that are handed over. By then it has flushed and let go
 * of its images, as for a migration.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends.h"
#include "cli.h"
#include "dmargs.h"
#include "domain.h"
#include "exchange.h"
#include "json.h"
#include "launch.h"
#include "page.h"
#include "proc.h"
#include "qmp.h"
#include "text.h"
#include "xen.h"

#define fail(errp, ...)  cli_fail(errp, CLI_SYSTEM, __VA_ARGS__)

/* A process that is killed has this long to end. */
#define END_MS  30000

/* In the folder of an exchange; locked while somebody is at it. */
#define LOCK_FILE  "lock"

/* What was done last; what follows it may have been done or not. */
typedef enum Step {
    STEP_NONE,
    STEP_PAUSING,       /* the old process has the guest */
    STEP_ENDING,        /* … or is gone, and its state is saved */
    STEP_STARTING,      /* the old process is gone, there may be another */
    STEP_LOADED,        /* the next process has the state; the guest rests */
    STEP_RESUMING,      /* … the guest may run */
} Step;

typedef struct Exchange {
    int domid;
    char *uuid;
    ExchangeReport *report;
    Domain *domain;
    Launch *launch;         /* of the process that was there first */
    GPtrArray *args;        /* for the next */
    char *program;          /* of the new one; its file is fds["new"] */
    gboolean was_paused;    /* by somebody else */
    gboolean back;          /* the next is to be the old program */
    Step step;
    pid_t keeper, next;
    guint64 keeper_start, next_start;
    int own_number;         /* of the socket that a next one gets */
    Backends *backends;     /* of the old process, while it serves them */
    char *disks;            /* that the next has to go on with */
    gboolean no_way_back;   /* with those, for the old program */
    char *password;         /* of its VNC server, or NULL */
    char *hardware;         /* what is on its PCI buses */
    char *dir;              /* of what is written down */
    int lock;
    Qmp *qmp;               /* to whom has the guest */
    guint64 paused_ns;      /* when it was paused, or 0 */
} Exchange;

static void exchange_free(Exchange *x)
{
    domain_close(x->domain);
    backends_close(x->backends);
    launch_free(x->launch);
    g_clear_pointer(&x->args, g_ptr_array_unref);
    qmp_close(x->qmp);
    g_free(x->uuid);
    g_free(x->program);
    g_free(x->password);
    g_free(x->hardware);
    g_free(x->disks);
    g_free(x->dir);
    if (x->lock >= 0) {
        close(x->lock);
    }
    g_free(x);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Exchange, exchange_free)

void exchange_report_clear(ExchangeReport *r)
{
    g_clear_pointer(&r->old_version, g_free);
    g_clear_pointer(&r->new_version, g_free);
}

static gboolean fail_file(GError **errp, const char *path, const char *what)
{
    int err = errno;
    g_autofree char *shown = text_shown(path);

    errno = err;
    return cli_fail_errno(errp, "'%s' cannot be %s", shown, what);
}

/* ---- processes ------------------------------------------------------- */

/* Of a process that began then; -1 when it is gone. */
static int open_process(pid_t pid, guint64 start)
{
    int fd = pid > 0 ? syscall(SYS_pidfd_open, pid, 0) : -1;

    if (fd >= 0 && (!start || launch_start_time(pid) != start)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static gboolean is_there(pid_t pid, guint64 start)
{
    return pid > 0 && start && launch_start_time(pid) == start;
}

/* Ends a process and waits for its end; one that is gone is no error. */
static gboolean end_process(pid_t pid, guint64 start, GError **errp)
{
    struct pollfd ended = { .fd = open_process(pid, start), .events = POLLIN };
    gboolean ok = TRUE;

    if (ended.fd < 0) {
        return TRUE;
    }
    if (syscall(SYS_pidfd_send_signal, ended.fd, SIGKILL, NULL, 0)) {
        ok = fail(errp, "process %d cannot be ended: %s", pid,
                  g_strerror(errno));
    } else if (poll(&ended, 1, END_MS) != 1) {
        ok = fail(errp, "process %d does not end", pid);
    }
    close(ended.fd);
    if (ok) {
        waitpid(pid, NULL, WNOHANG); /* where it is our child */
    }
    return ok;
}

/* ---- what is written down -------------------------------------------- */

static char *exchange_dir(int domid)
{
    return g_strdup_printf("%s/%d.replace", page_rundir(), domid);
}

static char *file_of(const Exchange *x, const char *name)
{
    return g_build_filename(x->dir, name, NULL);
}

gboolean exchange_left(int domid)
{
    g_autofree char *dir = exchange_dir(domid);
    g_autofree char *file = g_build_filename(dir, "journal", NULL);

    return !access(file, F_OK);
}

/* Nobody else is to have written what we go by. */
static gboolean is_safe(int fd)
{
    struct stat st;

    return !fstat(fd, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & 022);
}

/*
 * One exchange of a domain at a time. The lock is this process's alone: one
 * that children share would outlive us, killed, until they have noticed.
 */
static gboolean lock_dir(Exchange *x, GError **errp)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat st;
    gboolean safe;
    int dir;

    /* Where nothing has had a ledger page since the host started. */
    if (mkdir(page_rundir(), 0755) && errno != EEXIST) {
        return fail_file(errp, page_rundir(), "made");
    }
    for (;;) {
        if (mkdir(x->dir, 0700) && errno != EEXIST) {
            return fail_file(errp, x->dir, "made");
        }
        dir = open(x->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        safe = dir >= 0 && is_safe(dir);
        if (!safe) {
            errno = dir < 0 ? errno : EPERM;
            fail_file(errp, x->dir, "trusted");
        } else {
            x->lock = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW |
                             O_CLOEXEC, 0600);
        }
        if (dir >= 0) {
            close(dir);
        }
        if (!safe) {
            return FALSE;
        }
        if (x->lock < 0 && errno != ENOENT) {
            return fail_file(errp, x->dir, "locked");
        }
        if (x->lock >= 0 && fcntl(x->lock, F_SETLK, &lock)) {
            return fail(errp, "another 'pulsar replace' is at it");
        }
        /* Whoever had it may have removed it since it was opened. */
        if (x->lock >= 0 && !fstat(x->lock, &st) && st.st_nlink) {
            return TRUE;
        }
        if (x->lock >= 0) {
            close(x->lock);
        }
        x->lock = -1;
    }
}

static gboolean write_step(Exchange *x, Step step, GError **errp)
{
    g_autofree char *file = file_of(x, "journal");
    json_object *o = json_object_new_object();
    gboolean ok;

    json_add_number(o, "step", step);
    json_add_number(o, "back", x->back);
    json_add_number(o, "was-paused", x->was_paused);
    json_add_number(o, "keeper", x->keeper);
    json_add_number(o, "keeper-start", x->keeper_start);
    json_add_number(o, "next", x->next);
    json_add_number(o, "next-start", x->next_start);
    json_add_number(o, "own-number", x->own_number);
    json_add_text(o, "uuid", x->uuid);
    json_add_text(o, "program", x->program);
    json_add_text(o, "password", x->password);
    json_add_text(o, "hardware", x->hardware);
    json_add_text(o, "disks", x->disks);
    json_add_number(o, "no-way-back", x->no_way_back);
    json_object_object_add(o, "args", launch_strings(x->args));
    json_object_object_add(o, "launch", launch_to_json(x->launch));
    ok = cli_write_file(file, json_object_to_json_string_ext(
                            o, JSON_C_TO_STRING_PLAIN), errp);
    json_object_put(o);
    if (ok) {
        x->step = step;
    }
    return ok;
}

static gboolean read_journal(Exchange *x, const char *text, GError **errp)
{
    g_autofree char *shown = text_shown(x->dir);
    json_object *o = json_tokener_parse(text);
    json_object *value;

    x->step = json_number(o, "step");
    x->back = json_number(o, "back");
    x->was_paused = json_number(o, "was-paused");
    x->keeper = json_number(o, "keeper");
    x->keeper_start = json_number(o, "keeper-start");
    x->next = json_number(o, "next");
    x->next_start = json_number(o, "next-start");
    x->own_number = json_number(o, "own-number");
    x->uuid = g_strdup(json_text(o, "uuid"));
    x->program = g_strdup(json_text(o, "program"));
    x->password = g_strdup(json_text(o, "password"));
    x->hardware = g_strdup(json_text(o, "hardware"));
    /* One from before disks were handed over has none. */
    x->disks = g_strdup(json_text(o, "disks") ? json_text(o, "disks") : "");
    x->no_way_back = json_number(o, "no-way-back");
    if (json_object_object_get_ex(o, "args", &value)) {
        x->args = launch_string_list(value);
    }
    if (json_object_object_get_ex(o, "launch", &value)) {
        x->launch = launch_from_json(
            value, is_there(x->keeper, x->keeper_start) ? x->keeper : 0,
            errp);
    }
    json_object_put(o);
    if (x->launch && x->args && x->program) {
        return TRUE;
    }
    if (errp && !*errp) {
        fail(errp, "it is not whole");
    }
    g_prefix_error(errp, "what a 'pulsar replace' left in '%s' cannot be "
                   "used: ", shown);
    return FALSE;
}

/* Closes all but what the next device model gets, and @gate: somebody may
 * wait for the end of any other. */
static void close_others(const Exchange *x, int gate)
{
    g_autoptr(GHashTable) kept = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) others = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    GHashTableIter iter;
    const char *name;
    gpointer fd;
    guint i;

    g_hash_table_iter_init(&iter, x->launch->fds);
    while (g_hash_table_iter_next(&iter, NULL, &fd)) {
        g_hash_table_add(kept, fd);
    }
    g_hash_table_add(kept, GINT_TO_POINTER(gate));
    while (dir && (name = g_dir_read_name(dir))) {
        int one = atoi(name);

        if (!g_hash_table_contains(kept, GINT_TO_POINTER(one))) {
            g_array_append_val(others, one);
        }
    }
    for (i = 0; i < others->len; i++) {
        close(g_array_index(others, int, i));
    }
}

static void G_GNUC_NORETURN keep(Exchange *x, int gate)
{
    char byte;

    setsid();
    prctl(PR_SET_NAME, "pulsar-keeper");
    close_others(x, gate);
    if (read(gate, &byte, 1) == 1) {
        for (;;) {
            pause();
        }
    }
    _exit(0);
}

/*
 * A process that holds what cannot be had again once the old one has ended,
 * in case we end too: its descriptors and the files of both programs. It
 * stays once it stands in the journal.
 */
static gboolean start_keeper(Exchange *x, Step step, GError **errp)
{
    pid_t before = x->keeper;
    guint64 before_start = x->keeper_start;
    int ends[2];
    gboolean ok;

    if (pipe2(ends, O_CLOEXEC)) {
        return fail(errp, "no pipe can be made: %s", g_strerror(errno));
    }
    x->keeper = fork();
    if (!x->keeper) {
        keep(x, ends[0]);
    }
    close(ends[0]);
    x->keeper_start = launch_start_time(x->keeper);
    ok = (x->keeper > 0 || fail(errp, "no process can be made: %s",
                                g_strerror(errno))) &&
         write_step(x, step, errp) && write(ends[1], "", 1) == 1 &&
         end_process(before, before_start, errp);
    close(ends[1]);
    return ok;
}

/* It is over: nothing is to be found any more, the journal first. */
static void forget(Exchange *x)
{
    g_autoptr(GDir) dir = g_dir_open(x->dir, 0, NULL);
    g_autofree char *journal = file_of(x, "journal");
    g_autofree char *lock = file_of(x, LOCK_FILE);
    const char *name;

    unlink(journal);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = file_of(x, name);

        if (strcmp(name, LOCK_FILE)) {
            unlink(file);
        }
    }
    /* The next one may make its own as soon as this is gone. */
    unlink(lock);
    rmdir(x->dir);
    end_process(x->keeper, x->keeper_start, NULL);
}

/* ---- what the device model says -------------------------------------- */

/* What stands on its PCI buses: "bus:slot.function class vendor:device". */
static void list_devices(json_object *buses, GString *list)
{
    json_object *devices, *id, *class, *bridge, *bus;
    size_t i, k;

    for (i = 0; i < json_object_array_length(buses); i++) {
        json_object *one = json_object_array_get_idx(buses, i);

        if (!json_object_object_get_ex(one, "devices", &devices)) {
            continue;
        }
        for (k = 0; k < json_object_array_length(devices); k++) {
            json_object *d = json_object_array_get_idx(devices, k);

            json_object_object_get_ex(d, "id", &id);
            json_object_object_get_ex(d, "class_info", &class);
            g_string_append_printf(
                list, "%d:%d.%d %04x %04x:%04x\n",
                (int)json_number(d, "bus"), (int)json_number(d, "slot"),
                (int)json_number(d, "function"),
                (unsigned)json_number(class, "class"),
                (unsigned)json_number(id, "vendor"),
                (unsigned)json_number(id, "device"));
            if (json_object_object_get_ex(d, "pci_bridge", &bridge) &&
                json_object_object_get_ex(bridge, "devices", &bus)) {
                json_object *inner = json_object_new_array();

                json_object_array_add(inner, json_object_get(bridge));
                list_devices(inner, list);
                json_object_put(inner);
            }
        }
    }
}

static char *ask_hardware(Qmp *qmp, GError **errp)
{
    GString *list = g_string_new(NULL);
    json_object *buses;

    if (!qmp_execute(qmp, "query-pci", NULL, -1, &buses, errp)) {
        g_string_free(list, TRUE);
        return NULL;
    }
    list_devices(buses, list);
    json_object_put(buses);
    return g_string_free(list, FALSE);
}

static gboolean check_running(Qmp *qmp, GError **errp)
{
    g_autofree char *shown = NULL;
    json_object *status;
    gboolean running;

    if (!qmp_execute(qmp, "query-status", NULL, -1, &status, errp)) {
        return FALSE;
    }
    running = json_number(status, "running");
    shown = text_shown(qmp_text(status, "status"));
    json_object_put(status);
    return running || fail(errp, "its device model is stopped (\"%s\")",
                           shown);
}

/* QEMU knows of each device whether it can be saved; nobody else does. */
static gboolean check_migratable(Qmp *qmp, GError **errp)
{
    json_object *info, *reasons;
    gboolean ok = TRUE;

    if (!qmp_execute(qmp, "query-migrate", NULL, -1, &info, errp)) {
        return FALSE;
    }
    if (json_object_object_get_ex(info, "blocked-reasons", &reasons) &&
        json_object_array_length(reasons)) {
        const char *why = json_object_get_string(
            json_object_array_get_idx(reasons, 0));
        g_autofree char *shown = text_shown(why ? why : "");

        ok = fail(errp, "its state cannot be saved: %s", shown);
    }
    json_object_put(info);
    return ok;
}

/*
 * Drives with removable media may have another one than at their start. A
 * name that no command line can bring back is found by comparing.
 */
static gboolean take_media(Exchange *x, GError **errp)
{
    json_object *list, *medium, *name;
    gboolean ok = TRUE;
    size_t i;

    if (!qmp_execute(x->qmp, "query-block", NULL, -1, &list, errp)) {
        return FALSE;
    }
    for (i = 0; ok && i < json_object_array_length(list); i++) {
        json_object *drive = json_object_array_get_idx(list, i);
        const char *id = qmp_text(drive, "device");
        const char *file = NULL, *format = "raw";

        if (!json_number(drive, "removable")) {
            continue;
        }
        if (json_object_object_get_ex(drive, "inserted", &medium) &&
            json_object_object_get_ex(medium, "file", &name)) {
            file = json_object_get_string(name);
            format = qmp_text(medium, "drv");
        }
        if (!dmargs_set_medium(x->args, id, file, format) && file) {
            g_autofree char *shown = text_shown(id);

            ok = fail(errp, "drive '%s' has a medium and no -drive of that "
                      "id to put it into", shown);
        }
    }
    json_object_put(list);
    return ok;
}

/* Devices that were plugged in or out, by the toolstack or by the guest. */
static gboolean take_devices(Exchange *x, GError **errp)
{
    g_autoptr(GHashTable) present = g_hash_table_new_full(
        g_str_hash, g_str_equal, g_free, NULL);
    json_object *args = json_object_new_object();
    json_object *list;
    GHashTableIter iter;
    gpointer id;
    size_t i;

    json_add_text(args, "path", "/machine/peripheral");
    if (!qmp_execute(x->qmp, "qom-list", args, -1, &list, errp)) {
        return FALSE;
    }
    for (i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);
        const char *type = qmp_text(one, "type");

        /* PV back ends are made as xenstore says (xen-legacy-backend.c). */
        if (g_str_has_prefix(type, "child<") &&
            strcmp(type, "child<xen-backend>")) {
            g_hash_table_add(present, g_strdup(qmp_text(one, "name")));
        }
    }
    json_object_put(list);
    dmargs_drop_devices(x->args, present);
    g_hash_table_iter_init(&iter, present);
    if (g_hash_table_iter_next(&iter, &id, NULL)) {
        g_autofree char *shown = text_shown(id);

        return fail(errp, "device '%s' was plugged in while it ran, and its "
                    "command line does not name it", shown);
    }
    return TRUE;
}

/* Descriptors that were given to it, then or later. */
static gboolean take_fd_sets(Exchange *x, GError **errp)
{
    json_object *sets, *fds;
    gboolean ok = TRUE;
    size_t i, k;

    if (!qmp_execute(x->qmp, "query-fdsets", NULL, -1, &sets, errp)) {
        return FALSE;
    }
    for (i = 0; ok && i < json_object_array_length(sets); i++) {
        json_object *set = json_object_array_get_idx(sets, i);

        if (!json_object_object_get_ex(set, "fds", &fds)) {
            continue;
        }
        for (k = 0; ok && k < json_object_array_length(fds); k++) {
            json_object *one = json_object_array_get_idx(fds, k);
            g_autofree char *opaque = g_strdup(json_text(one, "opaque"));
            int fd = json_number(one, "fd");

            ok = launch_take_fd(x->launch, fd, errp);
            dmargs_add_fd(x->args, fd, json_number(set, "fdset-id"), opaque);
        }
    }
    json_object_put(sets);
    return ok;
}

static gboolean take_vnc(Exchange *x, GError **errp)
{
    g_autofree char *vm = NULL;
    json_object *info;
    guint64 port;

    if (qmp_execute(x->qmp, "query-vnc", NULL, -1, &info, NULL)) {
        if (g_ascii_string_to_unsigned(qmp_text(info, "service"), 10, 1,
                                       65535, &port, NULL)) {
            dmargs_set_vnc_port(x->args, port);
        }
        json_object_put(info);
    }
    if (!dmargs_vnc_password(x->args)) {
        return TRUE;
    }
    vm = xen_read("/local/domain/%d/vm", x->domid);
    x->password = vm ? xen_read("%s/vncpasswd", vm) : NULL;
    return x->password || fail(errp, "its VNC server has a password, which "
                               "xenstore does not know");
}

/* ---- what its command line names ------------------------------------- */

/* The descriptor of a tap interface in a process; -1 when it has none. */
static int find_tap(pid_t pid, const char *interface)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fdinfo", pid);
    g_autofree char *line = g_strdup_printf("iff:\t%s\n", interface);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_strdup_printf("fdinfo/%s", name);
        g_autofree char *info = NULL;
        gsize len;

        info = proc_read(pid, file, &len);
        if (info && strstr(info, line)) {
            return atoi(name);
        }
    }
    return -1;
}

/*
 * A tap that a device model makes by itself goes with it, and out of its
 * bridge: the next one gets it as it is.
 */
static gboolean take_taps(Exchange *x, GError **errp)
{
    guint i;

    for (i = 0; i < x->args->len; i++) {
        g_autofree char *interface = dmargs_tap(x->args, i);
        int fd = interface ? find_tap(x->launch->pid, interface) : -1;

        if (!interface) {
            continue;
        }
        if (fd < 0) {
            g_autofree char *shown = text_shown(interface);

            return fail(errp, "network interface '%s' is not open in its "
                        "device model", shown);
        }
        if (!launch_take_fd(x->launch, fd, errp)) {
            return FALSE;
        }
        dmargs_set_tap(x->args, i, fd);
    }
    return TRUE;
}

static gboolean take_numbers(Exchange *x, GError **errp)
{
    g_autoptr(GArray) numbers = dmargs_numbers(x->args);
    guint i;

    for (i = 0; i < numbers->len; i++) {
        if (!launch_take_fd(x->launch, g_array_index(numbers, int, i),
                            errp)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- the programs ---------------------------------------------------- */

/*
 * From which version to which it was tried. Others may do, or take a state
 * and go wrong later, which nobody would see here.
 */
static const struct {
    const char *from, *to;
} tried[] = {
    { "7.2", "10.0" },
    { "10.0", "10.0" },
    { "10.0", "10.2" },
    { "10.2", "10.2" },
    { "10.2", "10.0" },
};

static gboolean check_versions(const char *from, const char *to,
                               GError **errp)
{
    g_autoptr(GString) known = g_string_new(NULL);
    guint i;

    for (i = 0; i < G_N_ELEMENTS(tried); i++) {
        if (!strcmp(from, tried[i].from) && !strcmp(to, tried[i].to)) {
            return TRUE;
        }
        g_string_append_printf(known, "%s%s to %s", i ? ", " : "",
                               tried[i].from, tried[i].to);
    }
    return fail(errp, "from QEMU %s to QEMU %s has not been tried; accepted "
                "are %s", from, to, known->str);
}

static char *running_version(Qmp *qmp, GError **errp)
{
    json_object *info, *qemu;
    char *version = NULL;

    if (qmp_execute(qmp, "query-version", NULL, -1, &info, errp)) {
        json_object_object_get_ex(info, "qemu", &qemu);
        version = g_strdup_printf("%d.%d", (int)json_number(qemu, "major"),
                                  (int)json_number(qemu, "minor"));
        json_object_put(info);
    }
    return version;
}

/* "10.0" of a program that says it is QEMU. */
static char *program_version(const char *program, GError **errp)
{
    char *argv[] = { (char *)program, "-version", NULL };
    g_autofree char *shown = text_shown(program);
    g_autofree char *out = NULL;
    int major, minor, status;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                      NULL, &out, NULL, &status, NULL) ||
        sscanf(out, "QEMU emulator version %d.%d", &major, &minor) != 2) {
        fail(errp, "'%s' does not say that it is a QEMU", shown);
        return NULL;
    }
    return g_strdup_printf("%d.%d", major, minor);
}

static gboolean open_program(Exchange *x, GError **errp)
{
    int fd = open(x->program, O_RDONLY | O_CLOEXEC);
    char magic[2] = "";

    if (fd < 0) {
        return fail_file(errp, x->program, "opened");
    }
    g_hash_table_insert(x->launch->fds, g_strdup("new"), GINT_TO_POINTER(fd));
    /* A script is read by its path, which may be another file there. */
    if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
        !memcmp(magic, "#!", sizeof(magic)) &&
        (g_hash_table_contains(x->launch->fds, "root") ||
         g_hash_table_contains(x->launch->fds, "ns/mnt"))) {
        errno = ENOEXEC;
        return fail_file(errp, x->program, "started in another root folder");
    }
    return TRUE;
}

static int program_fd(Exchange *x)
{
    return GPOINTER_TO_INT(g_hash_table_lookup(x->launch->fds, x->back ?
                                               "exe" : "new"));
}

/* ---- PV disks -------------------------------------------------------- */

/* Does a program that is not running yet go on with them? */
static gboolean program_takes_disks(const char *program)
{
    char *argv[] = { (char *)program, "-device", DMARGS_DISKS ",help", NULL };
    g_autofree char *out = NULL;

    return g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                        NULL, &out, NULL, NULL, NULL) &&
           strstr(out, "disks=");
}

/* … or the one that runs, would it be started again? */
static gboolean process_takes_disks(Qmp *qmp)
{
    json_object *args = json_object_new_object();

    json_add_text(args, "typename", DMARGS_DISKS);
    return qmp_execute(qmp, "device-list-properties", args, -1, NULL, NULL);
}

static gboolean take_disks(Exchange *x, GError **errp)
{
    g_autofree char *shown = text_shown(x->program);

    x->disks = g_strdup(backends_disks(x->backends));
    if (!*x->disks) {
        return TRUE;
    }
    if (!program_takes_disks(x->program)) {
        return fail(errp, "its device model serves the guest's PV disk %s "
                    "(qdisk), and '%s' would begin anew with a disk that is "
                    "in use; Pulsar can go on with it", x->disks, shown);
    }
    x->no_way_back = !process_takes_disks(x->qmp);
    dmargs_add_disks(x->args, x->disks);
    return TRUE;
}

static gboolean disks_at_rest(void *opaque)
{
    const Exchange *x = opaque;

    return backends_at_rest(x->backends);
}

/* ---- the checks ------------------------------------------------------ */

static gboolean find_process(Exchange *x, pid_t *ret, GError **errp)
{
    g_autofree char *libxl = xen_read(
        "/local/domain/%d/image/device-model-pid", x->domid);
    g_autoptr(GPtrArray) found = proc_find_dms();
    pid_t pid = xen_device_model(x->domid);
    guint i;

    if (!pid) {
        return fail(errp, "xenstore knows no device model of it");
    }
    if (!libxl) {
        return fail(errp, "xenopsd has started its device model, and would "
                    "take it for crashed");
    }
    for (i = 0; i < found->len; i++) {
        const ProcDm *dm = found->pdata[i];

        if (dm->domid == x->domid && dm->pid == pid) {
            *ret = pid;
            return TRUE;
        }
    }
    return fail(errp, "process %d, which xenstore calls its device model, is "
                "none", pid);
}

/* Private memory of the old one may be needed twice. */
static gboolean check_memory(pid_t pid, GError **errp)
{
    g_autoptr(Proc) proc = proc_open(pid);
    g_autofree char *text = NULL;
    const char *at;
    guint64 available;

    if (!proc || !proc_sample(proc) ||
        !g_file_get_contents("/proc/meminfo", &text, NULL, NULL) ||
        !(at = strstr(text, "MemAvailable:"))) {
        return TRUE;
    }
    available = g_ascii_strtoull(at + strlen("MemAvailable:"), NULL, 10);
    return available >= proc->private_kib ||
           fail(errp, "another device model needs some %" G_GUINT64_FORMAT
                " KiB, and %" G_GUINT64_FORMAT " are free",
                proc->private_kib, available);
}

static gboolean check_versions_of(Exchange *x, GError **errp)
{
    ExchangeReport *r = x->report;

    r->old_version = running_version(x->qmp, errp);
    r->new_version = r->old_version ? program_version(x->program, errp)
                                    : NULL;
    return r->new_version && check_versions(r->old_version, r->new_version,
                                            errp);
}

/* Everything that can be known before anything is done. */
static gboolean plan(Exchange *x, const ExchangeWish *wish, GError **errp)
{
    g_autofree char *name = NULL;
    pid_t pid = 0;
    guint i;

    x->program = g_strdup(wish->program);
    if (!xen_identity(x->domid, &name, &x->uuid)) {
        return fail(errp, "no xenstored answers");
    }
    if (!find_process(x, &pid, errp) ||
        !(x->launch = launch_take(pid, errp))) {
        return FALSE;
    }
    x->report->before = pid;
    if (launch_is_confined(x->launch) && !wish->believe) {
        return fail(errp, "its device model has given up its rights, and only "
                    "it can say what it was started with; if it was broken "
                    "into, that is not true. --believe takes it for true");
    }
    x->args = g_ptr_array_new_with_free_func(g_free);
    for (i = 0; i < x->launch->args->len; i++) {
        g_ptr_array_add(x->args, g_strdup(x->launch->args->pdata[i]));
    }
    dmargs_drop_start(x->args);
    x->backends = backends_open(x->domid, errp);
    if (!x->backends || !check_memory(pid, errp) ||
        !open_program(x, errp) || !domain_find_server(x->domain, errp) ||
        !domain_paused(x->domain, &x->was_paused, errp)) {
        return FALSE;
    }
    x->qmp = qmp_connect(pid, errp);
    if (!x->qmp || !check_versions_of(x, errp) ||
        !check_running(x->qmp, errp) || !check_migratable(x->qmp, errp) ||
        !take_devices(x, errp) || !take_media(x, errp) ||
        !take_vnc(x, errp) || !take_taps(x, errp) ||
        !take_numbers(x, errp) || !take_fd_sets(x, errp) ||
        !take_disks(x, errp)) {
        return FALSE;
    }
    domain_also_rests(x->domain, disks_at_rest, x);
    x->hardware = ask_hardware(x->qmp, errp);
    x->own_number = launch_free_number(x->launch);
    dmargs_add_own(x->args, x->own_number);
    return x->hardware != NULL;
}

/* ---- the old one ----------------------------------------------------- */

static gboolean pause_guest(Exchange *x, GError **errp)
{
    if (x->was_paused) {
        return domain_at_rest(x->domain) ||
               fail(errp, "it was paused while it waits for its device "
                    "model; it has to run on first");
    }
    x->paused_ns = page_now();
    if (!domain_pause_at_rest(x->domain, errp)) {
        x->paused_ns = 0;
        return FALSE;
    }
    return TRUE;
}

static gboolean unpause_guest(Exchange *x, GError **errp)
{
    gboolean paused;

    if (x->was_paused) {
        return TRUE;
    }
    /* Whether it was done is not known after we were broken off. */
    if (!domain_paused(x->domain, &paused, errp) ||
        (paused && !domain_unpause(x->domain, errp))) {
        return FALSE;
    }
    if (x->paused_ns) {
        x->report->paused = (page_now() - x->paused_ns) / 1e9;
    }
    return TRUE;
}

/* The state goes through a descriptor: the process may see no file. */
static gboolean save_state(Exchange *x, GError **errp)
{
    g_autofree char *file = file_of(x, "state");
    g_autofree char *name = NULL;
    json_object *args, *set = NULL;
    struct stat st;
    gboolean ok;
    int fd;

    fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_file(errp, file, "written");
    }
    ok = qmp_execute(x->qmp, "stop", NULL, -1, NULL, errp) &&
         qmp_execute(x->qmp, "add-fd", NULL, fd, &set, errp);
    if (ok) {
        name = g_strdup_printf("/dev/fdset/%d",
                               (int)json_number(set, "fdset-id"));
        args = json_object_new_object();
        json_add_text(args, "filename", name);
        ok = qmp_execute(x->qmp, "xen-save-devices-state", args, -1, NULL,
                         errp);
        if (!ok) {
            args = json_object_new_object();
            json_add_number(args, "fdset-id", json_number(set, "fdset-id"));
            qmp_execute(x->qmp, "remove-fd", args, -1, NULL, NULL);
        }
    }
    json_object_put(set);
    ok = ok && (!fstat(fd, &st) || fail_file(errp, file, "read")) &&
         (st.st_size > 0 || fail(errp, "the state that it saved is empty"));
    close(fd);
    return ok;
}

/* The machine of process @pid, which has the guest's state, goes on. */
static gboolean let_run(Exchange *x, pid_t pid, GError **errp)
{
    json_object *status;
    gboolean running;

    if (!x->qmp) {
        x->qmp = qmp_connect(pid, errp);
    }
    if (!x->qmp ||
        !qmp_execute(x->qmp, "query-status", NULL, -1, &status, errp)) {
        return FALSE;
    }
    running = json_number(status, "running");
    json_object_put(status);
    if (!running && !qmp_execute(x->qmp, "cont", NULL, -1, NULL, errp)) {
        return FALSE;
    }
    return TRUE;
}

/* It has the guest again, or still. */
static gboolean keep_old(Exchange *x, GError **errp)
{
    if (!let_run(x, x->launch->pid, errp)) {
        return FALSE;
    }
    if (!unpause_guest(x, errp)) {
        return FALSE;
    }
    x->report->result = EXCHANGE_KEPT;
    x->report->after = x->launch->pid;
    forget(x);
    return TRUE;
}

/* ---- the next one ---------------------------------------------------- */

static gboolean prepare_xenstore(Exchange *x, GError **errp)
{
    g_autofree char *state = g_strdup_printf(
        "/local/domain/0/device-model/%d/state", x->domid);

    return xen_remove(state, errp) && backends_reset(x->domid, errp);
}

/* No process that a run that was broken off started is to be forgotten. */
static gboolean next_born(pid_t pid, void *opaque, GError **errp)
{
    Exchange *x = opaque;

    x->next = pid;
    x->next_start = launch_start_time(pid);
    return write_step(x, STEP_STARTING, errp);
}

static gboolean start_next(Exchange *x, GError **errp)
{
    int ends[2];

    g_clear_pointer(&x->qmp, qmp_close);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        return fail(errp, "no socket can be made: %s", g_strerror(errno));
    }
    if (!launch_start(x->launch, x->back ? x->launch->program : x->program,
                      program_fd(x), x->args, ends[1], x->own_number,
                      next_born, x, errp)) {
        close(ends[0]);
        close(ends[1]);
        return FALSE;
    }
    close(ends[1]);
    x->qmp = qmp_attach(ends[0], errp);
    return x->qmp != NULL;
}

static gboolean load_state(Exchange *x, GError **errp)
{
    g_autofree char *file = file_of(x, "state");
    json_object *args = json_object_new_object();
    json_object *caps = json_object_new_array();
    json_object *events = json_object_new_object();
    json_object *name = json_object_new_object();
    json_object *uri = json_object_new_object();
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    gboolean ok;

    json_add_text(events, "capability", "events");
    json_object_object_add(events, "state", json_object_new_boolean(TRUE));
    json_object_array_add(caps, events);
    json_object_object_add(args, "capabilities", caps);
    json_add_text(name, "fdname", DMARGS_OWN_ID);
    json_add_text(uri, "uri", "fd:" DMARGS_OWN_ID);
    if (fd < 0) {
        json_object_put(args);
        json_object_put(name);
        json_object_put(uri);
        return fail_file(errp, file, "read");
    }
    ok = qmp_execute(x->qmp, "migrate-set-capabilities", args, -1, NULL,
                     errp);
    ok = qmp_execute(x->qmp, "getfd", name, fd, NULL, ok ? errp : NULL) && ok;
    ok = qmp_execute(x->qmp, "migrate-incoming", uri, -1, NULL,
                     ok ? errp : NULL) && ok;
    close(fd);
    return ok && qmp_await_migration(x->qmp, errp);
}

static gboolean check_hardware(Exchange *x, GError **errp)
{
    g_autofree char *now = ask_hardware(x->qmp, errp);

    return now && (!strcmp(now, x->hardware) ||
                   fail(errp, "it has other hardware than the old one"));
}

static gboolean set_password(Exchange *x, GError **errp)
{
    json_object *args;

    if (!x->password) {
        return TRUE;
    }
    args = json_object_new_object();
    json_add_text(args, "password", x->password);
    return qmp_execute(x->qmp, "change-vnc-password", args, -1, NULL, errp);
}

/* What the toolstack wrote down about the process: its number, by which it
 * ends it, has to be right. */
static gboolean tell_toolstack(Exchange *x, GError **errp)
{
    g_autofree char *home = g_strdup_printf("/local/domain/%d", x->domid);
    g_autofree char *pid = g_strdup_printf("%d", x->next);
    g_autofree char *pid_node = g_strconcat(home, "/image/device-model-pid",
                                            NULL);
    g_autofree char *vnc_node = g_strconcat(home, "/console/vnc-port", NULL);
    g_autofree char *had_vnc = xen_read("%s", vnc_node);
    json_object *list, *info;
    size_t i;

    if (!xen_write(pid_node, pid, errp)) {
        return FALSE;
    }
    if (had_vnc &&
        qmp_execute(x->qmp, "query-vnc", NULL, -1, &info, NULL)) {
        if (strcmp(had_vnc, qmp_text(info, "service"))) {
            xen_write(vnc_node, qmp_text(info, "service"), NULL);
        }
        json_object_put(info);
    }
    if (!qmp_execute(x->qmp, "query-chardev", NULL, -1, &list, errp)) {
        return FALSE;
    }
    for (i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);
        const char *label = qmp_text(one, "label");
        const char *file = qmp_text(one, "filename");

        if (g_str_has_prefix(label, "serial") &&
            g_str_has_prefix(file, "pty:")) {
            g_autofree char *node = g_strdup_printf(
                "%s/serial/%s/tty", home, label + strlen("serial"));
            g_autofree char *had = xen_read("%s", node);

            if (had) {
                xen_write(node, file + strlen("pty:"), NULL);
            }
        }
    }
    json_object_put(list);
    return TRUE;
}

/* The next one has the state: it gets the guest. */
static gboolean hand_over(Exchange *x, GError **errp)
{
    if (!let_run(x, x->next, errp)) {
        return FALSE;
    }
    if (!tell_toolstack(x, errp) || !write_step(x, STEP_RESUMING, errp) ||
        !unpause_guest(x, errp)) {
        return FALSE;
    }
    x->report->after = x->next;
    forget(x);
    return TRUE;
}

/* One process in the place of the one that is gone. */
static gboolean try_next(Exchange *x, GError **errp)
{
    /* One that does not have the guest. */
    return end_process(x->next, x->next_start, errp) &&
           write_step(x, STEP_STARTING, errp) &&
           domain_destroy_servers(x->domain, errp) &&
           prepare_xenstore(x, errp) && start_next(x, errp) &&
           load_state(x, errp) && check_hardware(x, errp) &&
           set_password(x, errp) &&
           backends_await(x->domid, x->disks, x->next, errp) &&
           write_step(x, STEP_LOADED, errp) && hand_over(x, errp);
}

static gboolean fail_for_good(Exchange *x, const GError *first,
                              const GError *second, GError **errp)
{
    g_autofree char *dir = text_shown(x->dir);
    g_autofree char *rest = g_strdup_printf(
        "the guest is paused, its state is kept in '%s', and 'pulsar replace' "
        "tries again", dir);
    const char *why = first ? first->message : "it was broken off";

    x->report->result = EXCHANGE_LOST;
    end_process(x->next, x->next_start, NULL);
    x->back = FALSE;
    write_step(x, STEP_STARTING, NULL);
    if (x->no_way_back) {
        return fail(errp, "the new device model could not take over (%s), "
                    "nor at a second try (%s), and the old program cannot go "
                    "on with PV disk %s; %s", why, second->message, x->disks,
                    rest);
    }
    return fail(errp, "neither the new device model could take over (%s) nor "
                "the old program (%s); %s", why, second->message, rest);
}

/* From the end of the old process on: forward, or else back. */
static gboolean go_on(Exchange *x, GError **errp)
{
    g_autoptr(GError) first = NULL, second = NULL;

    if (!x->back) {
        if (try_next(x, &first)) {
            x->report->result = EXCHANGE_DONE;
            return TRUE;
        }
        if (x->step == STEP_RESUMING) {
            /* The guest may run, on that process or on none. */
            x->report->result = EXCHANGE_LOST;
            return fail(errp, "the new device model has its state, but %s",
                        first->message);
        }
        /* An old program that would begin anew with disks is none to go back
         * to; what failed once may not fail again. */
        x->back = !x->no_way_back;
    }
    if (!try_next(x, &second)) {
        return fail_for_good(x, first, second, errp);
    }
    if (!x->back) {
        x->report->result = EXCHANGE_DONE;
        return TRUE;
    }
    x->report->result = EXCHANGE_BACK;
    return fail(errp, "the new device model could not take over (%s); the "
                "old program runs again",
                first ? first->message : "it was broken off");
}

/* ---- all of it ------------------------------------------------------- */

static gboolean do_it(Exchange *x, GError **errp)
{
    GError *err = NULL;

    if (start_keeper(x, STEP_PAUSING, &err) && pause_guest(x, &err) &&
        backends_check(x->backends, &err) && save_state(x, &err) &&
        (domain_at_rest(x->domain) ||
         fail(&err, "a request came while it was stopped")) &&
        write_step(x, STEP_ENDING, &err) &&
        end_process(x->launch->pid, x->launch->start, &err)) {
        g_clear_pointer(&x->backends, backends_close);
        return go_on(x, errp);
    }
    g_propagate_error(errp, err);
    if (!keep_old(x, NULL)) {
        x->report->result = EXCHANGE_LOST;
        g_prefix_error(errp, "the guest is paused and 'pulsar replace' tries "
                       "to let it go on, for ");
    }
    return FALSE;
}

/*
 * One that was broken off. Returns whether there is nothing left to be done:
 * not, where it was taken back before anything had happened.
 */
static gboolean recover(Exchange *x, const char *journal, gboolean *ret_over,
                        GError **errp)
{
    g_autofree char *name = NULL, *uuid = NULL;
    gboolean known, paused;

    *ret_over = TRUE;
    known = xen_identity(x->domid, &name, &uuid);
    if (!read_journal(x, journal, errp)) {
        x->report->result = EXCHANGE_LOST;
        return FALSE;
    }
    x->report->before = x->launch->pid;
    if (known && strcmp(uuid, x->uuid ? x->uuid : "")) {
        /* Of another domain that had this number. */
        end_process(x->next, x->next_start, NULL);
        forget(x);
        *ret_over = FALSE;
        return TRUE;
    }
    x->report->result = EXCHANGE_LOST;
    if (is_there(x->launch->pid, x->launch->start)) {
        /* Also if it has saved its state: the guest may have run since. */
        *ret_over = FALSE;
        return keep_old(x, errp);
    }
    if (x->step <= STEP_PAUSING) {
        forget(x);
        return fail(errp, "its device model ended before it had saved its "
                    "state");
    }
    if (x->step >= STEP_LOADED && is_there(x->next, x->next_start)) {
        if (!hand_over(x, errp)) {
            return FALSE;
        }
        x->report->result = x->back ? EXCHANGE_BACK : EXCHANGE_FINISHED;
        return !x->back || fail(errp, "an exchange that was broken off is "
                                "taken back; the old program runs again");
    }
    if (!domain_paused(x->domain, &paused, errp)) {
        return FALSE;
    }
    if (x->step == STEP_RESUMING || !paused) {
        forget(x);
        return fail(errp, "an exchange was broken off, and since then the "
                    "guest was let run and its device model ended");
    }
    if (!g_hash_table_size(x->launch->fds)) {
        g_autofree char *shown = text_shown(x->dir);

        return fail(errp, "process %d, which kept what the next device model "
                    "needs, is gone; the guest is paused, and the state of "
                    "its devices is in '%s'", x->keeper, shown);
    }
    if (!start_keeper(x, x->step, errp) || !go_on(x, errp)) {
        return FALSE;
    }
    x->report->result = EXCHANGE_FINISHED;
    return TRUE;
}

static Exchange *new_exchange(const ExchangeWish *wish, ExchangeReport *report,
                              GError **errp)
{
    g_autoptr(Exchange) x = g_new0(Exchange, 1);

    x->domid = wish->domid;
    x->report = report;
    x->lock = -1;
    x->dir = exchange_dir(wish->domid);
    x->domain = domain_open(wish->domid, errp);
    return x->domain ? g_steal_pointer(&x) : NULL;
}

/* A program that we are told to end by does not leave a guest paused. */
static void heed_signals(gboolean yes)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
                                   SIGPIPE };
    guint i;

    for (i = 0; i < G_N_ELEMENTS(signals); i++) {
        signal(signals[i], yes ? SIG_DFL : SIG_IGN);
    }
}

static gboolean run_locked(const ExchangeWish *wish, ExchangeReport *ret,
                           GError **errp)
{
    g_autoptr(Exchange) x = new_exchange(wish, ret, errp);
    g_autoptr(Exchange) left = NULL;
    g_autofree char *file = NULL;
    g_autofree char *journal = NULL;
    gboolean over;

    if (!x || !lock_dir(x, errp)) {
        return FALSE;
    }
    file = file_of(x, "journal");
    if (g_file_get_contents(file, &journal, NULL, NULL)) {
        left = g_steal_pointer(&x);
        if (!recover(left, journal, &over, errp) || over) {
            return ret->result == EXCHANGE_FINISHED;
        }
        ret->result = EXCHANGE_REFUSED;
        x = new_exchange(wish, ret, errp);
        if (!x || !lock_dir(x, errp)) {
            return FALSE;
        }
    }
    if (!plan(x, wish, errp)) {
        forget(x);
        return FALSE;
    }
    return do_it(x, errp);
}

gboolean exchange_run(const ExchangeWish *wish, ExchangeReport *ret,
                      GError **errp)
{
    gboolean ok;

    memset(ret, 0, sizeof(*ret));
    if (wish->dry_run) {
        g_autoptr(Exchange) x = new_exchange(wish, ret, errp);

        if (exchange_left(wish->domid)) {
            return fail(errp, "an exchange was broken off, and would be "
                        "finished or taken back first");
        }
        ok = x && plan(x, wish, errp);
        ret->result = ok ? EXCHANGE_POSSIBLE : EXCHANGE_REFUSED;
        return ok;
    }
    heed_signals(FALSE);
    ok = run_locked(wish, ret, errp);
    heed_signals(TRUE);
    return ok;
}
