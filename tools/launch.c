/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device model was started with, taken from its process.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "json.h"
#include "launch.h"

/* Those that a process can join by itself; of the others none is left out. */
static const char *const joined[] = { "mnt", "ipc", "net", "uts", "cgroup" };
static const char *const shared[] = { "pid", "user", "time" };

static void close_fd(gpointer fd)
{
    close(GPOINTER_TO_INT(fd));
}

static Launch *new_launch(void)
{
    Launch *l = g_new0(Launch, 1);

    l->args = g_ptr_array_new_with_free_func(g_free);
    l->env = g_ptr_array_new_with_free_func(g_free);
    l->groups = g_array_new(FALSE, FALSE, sizeof(gid_t));
    l->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                   close_fd);
    return l;
}

void launch_free(Launch *l)
{
    if (l) {
        g_ptr_array_unref(l->args);
        g_ptr_array_unref(l->env);
        g_array_unref(l->groups);
        g_hash_table_unref(l->fds);
        g_free(l->program);
        g_free(l);
    }
}

/* ---- taking ---------------------------------------------------------- */

/* A file below /proc/PID, whole. */
static char *read_proc(pid_t pid, const char *file, gsize *ret_len,
                       GError **errp)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, file);
    char *text;

    errno = 0;
    if (!g_file_get_contents(path, &text, ret_len, NULL)) {
        cli_fail_errno(errp, "%s cannot be read", path);
        return NULL;
    }
    return text;
}

static gboolean take_strings(pid_t pid, const char *file, GPtrArray *list,
                             GError **errp)
{
    gsize len;
    g_autofree char *text = read_proc(pid, file, &len, errp);
    const char *at;

    for (at = text; text && at < text + len; at += strlen(at) + 1) {
        g_ptr_array_add(list, g_strdup(at));
    }
    return text != NULL;
}

guint64 launch_start_time(pid_t pid)
{
    gsize len;
    g_autofree char *text = read_proc(pid, "stat", &len, NULL);
    const char *at = text ? strrchr(text, ')') : NULL;
    guint64 start = 0;
    char state = 'X';

    /* Field 3 is the state, 22 the time (proc(5)). */
    if (at && sscanf(at, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%*s %*s %*s %*s %*s %*s %*s %" G_GUINT64_FORMAT,
                     &state, &start) != 2) {
        return 0;
    }
    return state == 'Z' || state == 'X' ? 0 : start;
}

static gboolean take_status(Launch *l, GError **errp)
{
    gsize len;
    g_autofree char *text = read_proc(l->pid, "status", &len, errp);
    const char *at;
    unsigned long mask;
    char *end;

    if (!text) {
        return FALSE;
    }
    at = strstr(text, "\nUid:");
    l->uid = at ? strtoul(at + strlen("\nUid:"), NULL, 10) : (uid_t)-1;
    at = strstr(text, "\nGid:");
    l->gid = at ? strtoul(at + strlen("\nGid:"), NULL, 10) : (gid_t)-1;
    at = strstr(text, "\nUmask:");
    mask = at ? strtoul(at + strlen("\nUmask:"), NULL, 8) : 022;
    l->umask = mask;
    at = strstr(text, "\nGroups:");
    for (at = at ? at + strlen("\nGroups:") : ""; *at && *at != '\n';
         at = end) {
        gid_t gid = strtoul(at, &end, 10);

        if (end == at) {
            break;
        }
        g_array_append_val(l->groups, gid);
        end += strspn(end, " \t");
    }
    return TRUE;
}

/* As /proc/PID/limits calls them; prlimit(2) asks for a capability more. */
static const char *const limit_names[RLIM_NLIMITS] = {
    [RLIMIT_CPU] = "Max cpu time",
    [RLIMIT_FSIZE] = "Max file size",
    [RLIMIT_DATA] = "Max data size",
    [RLIMIT_STACK] = "Max stack size",
    [RLIMIT_CORE] = "Max core file size",
    [RLIMIT_RSS] = "Max resident set",
    [RLIMIT_NPROC] = "Max processes",
    [RLIMIT_NOFILE] = "Max open files",
    [RLIMIT_MEMLOCK] = "Max locked memory",
    [RLIMIT_AS] = "Max address space",
    [RLIMIT_LOCKS] = "Max file locks",
    [RLIMIT_SIGPENDING] = "Max pending signals",
    [RLIMIT_MSGQUEUE] = "Max msgqueue size",
    [RLIMIT_NICE] = "Max nice priority",
    [RLIMIT_RTPRIO] = "Max realtime priority",
    [RLIMIT_RTTIME] = "Max realtime timeout",
};

static rlim_t parse_limit(const char *text)
{
    return g_str_has_prefix(text, "unlimited") ? RLIM_INFINITY
                                               : strtoull(text, NULL, 10);
}

static gboolean take_limits(Launch *l, GError **errp)
{
    gsize len;
    g_autofree char *text = read_proc(l->pid, "limits", &len, errp);
    char soft[32], hard[32];
    guint i;

    for (i = 0; text && i < RLIM_NLIMITS; i++) {
        const char *at = strstr(text, limit_names[i]);
        struct rlimit own;

        if (!at || sscanf(at + strlen(limit_names[i]), "%31s %31s", soft,
                          hard) != 2) {
            errno = EINVAL;
            return cli_fail_errno(errp, "the limits of process %d cannot be "
                                  "read", l->pid);
        }
        l->limits[i].rlim_cur = parse_limit(soft);
        l->limits[i].rlim_max = parse_limit(hard);
        /* May we give it as much? Tried here, where nothing is lost. */
        if (getrlimit(i, &own) ||
            (l->limits[i].rlim_max > own.rlim_max &&
             (own.rlim_max = l->limits[i].rlim_max, setrlimit(i, &own)))) {
            return cli_fail_errno(errp, "what limits process %d, '%s', "
                                  "cannot be had", l->pid, limit_names[i]);
        }
    }
    return text != NULL;
}

static gboolean take_oom_score(Launch *l, GError **errp)
{
    gsize len;
    g_autofree char *text = read_proc(l->pid, "oom_score_adj", &len, errp);

    l->oom_score = text ? atoi(text) : 0;
    return text != NULL;
}

static gboolean add_file(Launch *l, const char *role, const char *path,
                         int flags, GError **errp)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0) {
        return cli_fail_errno(errp, "%s cannot be opened", path);
    }
    g_hash_table_insert(l->fds, g_strdup(role), GINT_TO_POINTER(fd));
    return TRUE;
}

static gboolean same_file(const char *a, const char *b)
{
    struct stat x, y;

    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static gboolean take_namespaces(Launch *l, GError **errp)
{
    guint i;

    for (i = 0; i < G_N_ELEMENTS(shared) + G_N_ELEMENTS(joined); i++) {
        const char *name = i < G_N_ELEMENTS(shared) ? shared[i] :
                           joined[i - G_N_ELEMENTS(shared)];
        g_autofree char *own = g_strdup_printf("/proc/self/ns/%s", name);
        g_autofree char *path = g_strdup_printf("/proc/%d/ns/%s", l->pid,
                                                name);
        g_autofree char *role = g_strdup_printf("ns/%s", name);

        if (access(own, F_OK) || same_file(own, path)) {
            continue;
        }
        if (i < G_N_ELEMENTS(shared)) {
            g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                        "process %d has a %s namespace of its own", l->pid,
                        name);
            return FALSE;
        }
        if (!add_file(l, role, path, O_RDONLY, errp)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Where in the file system is the control group of a line of /proc/PID/cgroup?
 * NULL where that hierarchy is not mounted. */
static char *cgroup_file(const char *controllers, const char *path)
{
    gsize len;
    g_autofree char *text = read_proc(getpid(), "mountinfo", &len, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    guint i;

    for (i = 0; lines[i]; i++) {
        char root[512], point[512], type[32], options[512];

        if (sscanf(lines[i], "%*s %*s %*s %511s %511s", root, point) != 2 ||
            !strstr(lines[i], " - ") ||
            sscanf(strstr(lines[i], " - "), " - %31s %*s %511s", type,
                   options) != 2 ||
            !g_str_has_prefix(path, strcmp(root, "/") ? root : "")) {
            continue;
        }
        if (*controllers) {
            g_auto(GStrv) has = g_strsplit(options, ",", -1);
            g_auto(GStrv) want = g_strsplit(controllers, ",", -1);

            if (strcmp(type, "cgroup") ||
                !g_strv_contains((const char *const *)has, want[0])) {
                continue;
            }
        } else if (strcmp(type, "cgroup2")) {
            continue;
        }
        return g_strdup_printf("%s%s/cgroup.procs", point,
                               path + (strcmp(root, "/") ? strlen(root) : 0));
    }
    return NULL;
}

/* The groups that it is in and we are not. */
static gboolean take_cgroups(Launch *l, GError **errp)
{
    gsize len;
    g_autofree char *own = read_proc(getpid(), "cgroup", &len, NULL);
    g_autofree char *text = read_proc(l->pid, "cgroup", &len, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    g_auto(GStrv) ours = g_strsplit(own ? own : "", "\n", -1);
    guint i;

    for (i = 0; lines[i] && *lines[i]; i++) {
        g_auto(GStrv) part = g_strsplit(lines[i], ":", 3);
        g_autofree char *role = g_strdup_printf("cgroup/%u", i);
        g_autofree char *file = NULL;

        if (g_strv_length(part) != 3 ||
            g_strv_contains((const char *const *)ours, lines[i])) {
            continue;
        }
        file = cgroup_file(part[1], part[2]);
        if (file && !add_file(l, role, file, O_WRONLY, errp)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Does it have an option, as "-x" or "--x", that begins so? */
static gboolean has_option(const Launch *l, const char *name,
                           const char *value)
{
    guint i;

    for (i = 0; i < l->args->len; i++) {
        const char *arg = l->args->pdata[i];

        if (*arg == '-' && !strcmp(arg + 1 + (arg[1] == '-'), name) &&
            (!value || (i + 1 < l->args->len &&
                        strstr(l->args->pdata[i + 1], value)))) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean take_place(Launch *l, GError **errp)
{
    g_autofree char *exe = g_strdup_printf("/proc/%d/exe", l->pid);
    g_autofree char *root = g_strdup_printf("/proc/%d/root", l->pid);
    g_autofree char *cwd = g_strdup_printf("/proc/%d/cwd", l->pid);
    gboolean by_itself = has_option(l, "chroot", NULL) ||
                         has_option(l, "run-with", "chroot=");

    l->as_root = !l->uid || has_option(l, "runas", NULL) ||
                 has_option(l, "run-with", "user=");
    if (!add_file(l, "exe", exe, O_RDONLY, errp)) {
        return FALSE;
    }
    /* Where it shut itself in we go along with it from outside. */
    return by_itself ||
           ((same_file(root, "/") ||
             add_file(l, "root", root, O_RDONLY | O_DIRECTORY, errp)) &&
            add_file(l, "cwd", cwd, O_RDONLY | O_DIRECTORY, errp));
}

Launch *launch_take(pid_t pid, GError **errp)
{
    g_autoptr(Launch) l = new_launch();
    int i;

    l->pid = pid;
    l->start = launch_start_time(pid);
    if (!take_strings(pid, "cmdline", l->args, errp) ||
        !take_strings(pid, "environ", l->env, errp) ||
        !take_status(l, errp) || !take_limits(l, errp) ||
        !take_oom_score(l, errp)) {
        return NULL;
    }
    if (!l->start || !l->args->len) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "process %d has ended", pid);
        return NULL;
    }
    l->program = g_ptr_array_steal_index(l->args, 0);
    if (!take_namespaces(l, errp) || !take_cgroups(l, errp) ||
        !take_place(l, errp)) {
        return NULL;
    }
    for (i = 0; i <= 2; i++) {
        if (!launch_take_fd(l, i, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&l);
}

gboolean launch_is_confined(const Launch *l)
{
    g_autofree char *root = g_strdup_printf("/proc/%d/root", l->pid);

    return l->uid || !same_file(root, "/");
}

static int get_fd(pid_t pid, int number)
{
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    int fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, number, 0);
    int err = errno;

    if (pidfd >= 0) {
        close(pidfd);
    }
    errno = err;
    return fd;
}

gboolean launch_take_fd(Launch *l, int number, GError **errp)
{
    g_autofree char *role = g_strdup_printf("%d", number);
    int fd;

    if (g_hash_table_contains(l->fds, role)) {
        return TRUE;
    }
    fd = get_fd(l->pid, number);
    if (fd < 0) {
        return cli_fail_errno(errp, "descriptor %d of process %d cannot be "
                              "taken over", number, l->pid);
    }
    g_hash_table_insert(l->fds, g_steal_pointer(&role), GINT_TO_POINTER(fd));
    return TRUE;
}

int launch_free_number(const Launch *l)
{
    GHashTableIter iter;
    gpointer role;
    int number = 3;

    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, NULL)) {
        if (isdigit(*(char *)role)) {
            number = MAX(number, atoi(role) + 1);
        }
    }
    return number;
}

/* ---- starting -------------------------------------------------------- */

/* What the child tells of a step that failed; ends it. */
static void G_GNUC_NORETURN give_up(int pipe, const char *what)
{
    g_autofree char *text = g_strdup_printf("%s: %s", what,
                                            g_strerror(errno));

    (void)!write(pipe, text, strlen(text));
    _exit(127);
}

static void go_into_place(const Launch *l, int pipe)
{
    GHashTableIter iter;
    gpointer role, fd;

    /* Written "0", a control group takes who writes. */
    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, &fd)) {
        if (g_str_has_prefix(role, "cgroup/") &&
            write(GPOINTER_TO_INT(fd), "0", 1) != 1) {
            give_up(pipe, "its control group");
        }
    }
    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, &fd)) {
        if (g_str_has_prefix(role, "ns/") && setns(GPOINTER_TO_INT(fd), 0)) {
            give_up(pipe, role);
        }
    }
    if (g_hash_table_lookup_extended(l->fds, "root", NULL, &fd) &&
        (fchdir(GPOINTER_TO_INT(fd)) || chroot("."))) {
        give_up(pipe, "its root folder");
    }
    if (g_hash_table_lookup_extended(l->fds, "cwd", NULL, &fd) ?
        fchdir(GPOINTER_TO_INT(fd)) : chdir("/")) {
        give_up(pipe, "its working folder");
    }
}

/* Puts the descriptors where they belong, @keep out of their way. */
static void place_fds(const Launch *l, int extra, int extra_number, int *keep,
                      int pipe)
{
    int above = MAX(launch_free_number(l), extra_number + 1);
    GHashTableIter iter;
    gpointer role, fd;

    /* All of them first go up, to where nothing is placed; @keep may be one
     * of them. */
    *keep = fcntl(*keep, F_DUPFD_CLOEXEC, above);
    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, &fd)) {
        int up = fcntl(GPOINTER_TO_INT(fd), F_DUPFD_CLOEXEC, above);

        if (up < 0) {
            give_up(pipe, "its descriptors");
        }
        g_hash_table_iter_replace(&iter, GINT_TO_POINTER(up));
    }
    extra = extra < 0 ? -1 : fcntl(extra, F_DUPFD_CLOEXEC, above);
    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, &fd)) {
        if (isdigit(*(char *)role) &&
            dup2(GPOINTER_TO_INT(fd), atoi(role)) < 0) {
            give_up(pipe, "its descriptors");
        }
    }
    if (extra >= 0 && dup2(extra, extra_number) < 0) {
        give_up(pipe, "its descriptors");
    }
}

static void take_rights(const Launch *l, int pipe)
{
    g_autofree char *score = g_strdup_printf("%d", l->oom_score);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    guint i;

    /* Where /proc is not to be seen, it is inherited from us. */
    if (fd >= 0) {
        (void)!write(fd, score, strlen(score));
        close(fd);
    }
    umask(l->umask);
    for (i = 0; i < RLIM_NLIMITS; i++) {
        if (setrlimit(i, &l->limits[i])) {
            give_up(pipe, "its limits");
        }
    }
    if (!l->as_root &&
        (setgroups(l->groups->len, (gid_t *)l->groups->data) ||
         setresgid(l->gid, l->gid, l->gid) ||
         setresuid(l->uid, l->uid, l->uid))) {
        give_up(pipe, "its user and groups");
    }
}

static void G_GNUC_NORETURN become(const Launch *l, const char *program,
                                   int exe, char **argv, char **envp,
                                   int extra, int extra_number, int pipe)
{
    struct stat wanted, there;
    sigset_t none;
    int sig;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (sig = 1; sig < NSIG; sig++) {
        signal(sig, SIG_DFL);
    }
    /* The pipe first, so that nothing is placed on it. */
    pipe = fcntl(pipe, F_DUPFD_CLOEXEC,
                 MAX(launch_free_number(l), extra_number + 1));
    place_fds(l, extra, extra_number, &exe, pipe);
    go_into_place(l, pipe);
    take_rights(l, pipe);
    /* By its path if it still has one there: the process is named by it. */
    if (!fstat(exe, &wanted) && !stat(program, &there) &&
        wanted.st_dev == there.st_dev && wanted.st_ino == there.st_ino) {
        execve(program, argv, envp);
    } else {
        fexecve(exe, argv, envp);
    }
    give_up(pipe, "the program");
}

static char **to_vector(const char *first, GPtrArray *list)
{
    GPtrArray *v = g_ptr_array_new();
    guint i;

    if (first) {
        g_ptr_array_add(v, (char *)first);
    }
    for (i = 0; i < list->len; i++) {
        g_ptr_array_add(v, list->pdata[i]);
    }
    g_ptr_array_add(v, NULL);
    return (char **)g_ptr_array_free(v, FALSE);
}

static void close_pipe(const int *ends)
{
    int i;

    for (i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
}

pid_t launch_start(const Launch *l, const char *program, int exe,
                   GPtrArray *args, int extra, int extra_number,
                   LaunchBorn *born, void *opaque, GError **errp)
{
    g_autofree char **argv = to_vector(program, args);
    g_autofree char **envp = to_vector(NULL, l->env);
    int ends[2] = { -1, -1 }, gate[2] = { -1, -1 };
    char why[256] = "";
    pid_t ret = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) || pipe2(gate, O_CLOEXEC)) {
        cli_fail_errno(errp, "%s cannot be started", program);
        goto out;
    }
    pid = fork();
    if (!pid) {
        /* It begins when we say so, and not if we end before. */
        close(gate[1]);
        if (read(gate[0], why, 1) != 1) {
            _exit(127);
        }
        become(l, program, exe, argv, envp, extra, extra_number, ends[1]);
    }
    if (pid < 0) {
        cli_fail_errno(errp, "%s cannot be started", program);
        goto out;
    }
    close(ends[1]);
    ends[1] = -1;
    if (!born(pid, opaque, errp)) {
        goto out;
    }
    n = write(gate[1], "", 1) == 1 ? read(ends[0], why, sizeof(why) - 1) : -1;
    /* Nothing comes when the program took over. */
    if (n == 0) {
        ret = pid;
    } else {
        why[MAX(n, 0)] = 0;
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "%s cannot be started: %s",
                    program, why);
    }
out:
    close_pipe(ends);
    close_pipe(gate);
    return ret;
}

/* ---- as JSON --------------------------------------------------------- */

json_object *launch_strings(GPtrArray *list)
{
    json_object *o = json_object_new_array();
    guint i;

    for (i = 0; i < list->len; i++) {
        json_object_array_add(o, json_object_new_string(list->pdata[i]));
    }
    return o;
}

GPtrArray *launch_string_list(json_object *array)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    size_t i, n = json_object_is_type(array, json_type_array) ?
                  json_object_array_length(array) : 0;

    for (i = 0; i < n; i++) {
        const char *text = json_object_get_string(
            json_object_array_get_idx(array, i));

        g_ptr_array_add(list, g_strdup(text ? text : ""));
    }
    return list;
}

json_object *launch_to_json(const Launch *l)
{
    json_object *o = json_object_new_object();
    json_object *limits = json_object_new_array();
    json_object *groups = json_object_new_array();
    json_object *fds = json_object_new_object();
    GHashTableIter iter;
    gpointer role, fd;
    guint i;

    json_add_number(o, "pid", l->pid);
    json_add_number(o, "start", l->start);
    json_add_number(o, "umask", l->umask);
    json_add_number(o, "oom-score", l->oom_score);
    json_add_number(o, "as-root", l->as_root);
    json_add_number(o, "uid", l->uid);
    json_add_number(o, "gid", l->gid);
    json_object_object_add(o, "program", json_object_new_string(l->program));
    json_object_object_add(o, "args", launch_strings(l->args));
    json_object_object_add(o, "env", launch_strings(l->env));
    for (i = 0; i < RLIM_NLIMITS; i++) {
        json_object_array_add(limits, json_object_new_int64(
                                  l->limits[i].rlim_cur));
        json_object_array_add(limits, json_object_new_int64(
                                  l->limits[i].rlim_max));
    }
    json_object_object_add(o, "limits", limits);
    for (i = 0; i < l->groups->len; i++) {
        json_object_array_add(groups, json_object_new_int64(
                                  g_array_index(l->groups, gid_t, i)));
    }
    json_object_object_add(o, "groups", groups);
    g_hash_table_iter_init(&iter, l->fds);
    while (g_hash_table_iter_next(&iter, &role, &fd)) {
        json_add_number(fds, role, GPOINTER_TO_INT(fd));
    }
    json_object_object_add(o, "fds", fds);
    return o;
}

Launch *launch_from_json(json_object *o, pid_t keeper, GError **errp)
{
    g_autoptr(Launch) l = new_launch();
    json_object *value;
    size_t i;

    l->pid = json_number(o, "pid");
    l->start = json_number(o, "start");
    l->umask = json_number(o, "umask");
    l->oom_score = json_number(o, "oom-score");
    l->as_root = json_number(o, "as-root");
    l->uid = json_number(o, "uid");
    l->gid = json_number(o, "gid");
    l->program = g_strdup(json_text(o, "program"));
    if (json_object_object_get_ex(o, "args", &value)) {
        g_ptr_array_unref(l->args);
        l->args = launch_string_list(value);
    }
    if (json_object_object_get_ex(o, "env", &value)) {
        g_ptr_array_unref(l->env);
        l->env = launch_string_list(value);
    }
    if (json_object_object_get_ex(o, "groups", &value)) {
        for (i = 0; i < json_object_array_length(value); i++) {
            gid_t gid = json_object_get_int64(
                json_object_array_get_idx(value, i));

            g_array_append_val(l->groups, gid);
        }
    }
    if (!l->program || !l->args->len ||
        !json_object_object_get_ex(o, "limits", &value) ||
        json_object_array_length(value) != 2 * RLIM_NLIMITS) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "it is not whole");
        return NULL;
    }
    for (i = 0; i < RLIM_NLIMITS; i++) {
        l->limits[i].rlim_cur = json_object_get_int64(
            json_object_array_get_idx(value, 2 * i));
        l->limits[i].rlim_max = json_object_get_int64(
            json_object_array_get_idx(value, 2 * i + 1));
    }
    if (keeper && json_object_object_get_ex(o, "fds", &value)) {
        json_object_object_foreach(value, role, number) {
            int fd = get_fd(keeper, json_object_get_int(number));

            if (fd < 0) {
                cli_fail_errno(errp, "what process %d kept open is lost",
                               keeper);
                return NULL;
            }
            g_hash_table_insert(l->fds, g_strdup(role), GINT_TO_POINTER(fd));
        }
    }
    return g_steal_pointer(&l);
}
