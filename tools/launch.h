/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device model was started with, taken from its process, so that
 * another can be started the same way in its place.
 *
 * The kernel shows a process's arguments and environment out of memory that
 * the process itself can write. Who believes those of a device model that
 * had given up its rights may give them back to whoever broke into it:
 * launch_is_confined() tells.
 */
#ifndef PULSAR_LAUNCH_H
#define PULSAR_LAUNCH_H

#include <glib.h>
#include <json-c/json.h>
#include <sys/resource.h>
#include <sys/types.h>

/** struct Launch: all that it takes, as plain data and open descriptors */
typedef struct Launch {
    pid_t pid;              /* of the process that it was taken from */
    guint64 start;          /* … and when that began, in kernel ticks */
    GPtrArray *args;        /* char *, without the program */
    GPtrArray *env;         /* char * */
    char *program;          /* its name in there */
    struct rlimit limits[RLIM_NLIMITS];
    mode_t umask;
    int oom_score;
    gboolean as_root;       /* it gave up its rights by itself later */
    uid_t uid;
    gid_t gid;
    GArray *groups;         /* gid_t */
    /*
     * Descriptors by what they are for: "exe" the program, "root", "cwd",
     * "ns/NAME", "cgroup/N", and those to be handed over as "N". Values are
     * int; closed with it.
     */
    GHashTable *fds;
} Launch;

/**
 * launch_take: take from process @pid how it was started
 *
 * Returns: NULL with an error that says what cannot be carried over.
 */
Launch *launch_take(pid_t pid, GError **errp);

void launch_free(Launch *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Launch, launch_free)

/** launch_is_confined: had the process fewer rights than root has here? */
gboolean launch_is_confined(const Launch *l);

/**
 * launch_take_fd: also hand over descriptor @number of the process
 *
 * Under the same number; one that is handed over already is no error.
 */
gboolean launch_take_fd(Launch *l, int number, GError **errp);

/** launch_free_number: a number that no descriptor handed over has. */
int launch_free_number(const Launch *l);

/** LaunchBorn: told of a process before it becomes the program, which it does
 * not when this fails or when we end. */
typedef gboolean LaunchBorn(pid_t pid, void *opaque, GError **errp);

/**
 * launch_start: start a program that way
 * @program: its path, which is the name it gets too
 * @exe: the program file, open
 * @args: instead of those of @l
 * @extra: one more descriptor, which becomes @extra_number, or -1
 * @born: told of the process first
 *
 * Returns: the process, our child; 0 with an error when it could not be
 * started.
 */
pid_t launch_start(const Launch *l, const char *program, int exe,
                   GPtrArray *args, int extra, int extra_number,
                   LaunchBorn *born, void *opaque, GError **errp);

/**
 * launch_to_json: all but the descriptors, and of those the numbers
 *
 * Returns: to be put.
 */
json_object *launch_to_json(const Launch *l);

/**
 * launch_from_json: the reverse
 * @keeper: a process that has the descriptors under those numbers; 0: they
 *          are left out
 *
 * Returns: NULL with an error when @o is not such an object, or @keeper has
 * them no more.
 */
Launch *launch_from_json(json_object *o, pid_t keeper, GError **errp);

/** launch_start_time: when a process began, in kernel ticks; 0: it is gone. */
guint64 launch_start_time(pid_t pid);

/** launch_strings: a JSON array from strings, and the reverse. */
json_object *launch_strings(GPtrArray *list);
GPtrArray *launch_string_list(json_object *array);

#endif /* PULSAR_LAUNCH_H */
