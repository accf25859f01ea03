/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of the subcommands: one table each, from which parsing and help
 * are made. The tests hold the man page and the completion to the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

#define HELP_COLUMN  28

G_DEFINE_QUARK(pulsar-cli-error, cli_error)

static const CliOption help_option = {
    .name = "help", .letter = 'h', .help = "show this and exit",
};

static gboolean takes_argument(const CliOption *opt)
{
    return opt->arg != NULL;
}

static gboolean fail_usage(GError **errp, const CliCommand *cmd,
                           const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* A sentence about the command line, with where to look it up. */
static gboolean fail_usage(GError **errp, const CliCommand *cmd,
                           const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(errp, CLI_ERROR, CLI_USAGE,
                "%s; 'pulsar %s --help' lists what is accepted", what,
                cmd->name);
    return FALSE;
}

static const CliOption *find_long(const CliCommand *cmd, const char *name,
                                  size_t len)
{
    const CliOption *opt;

    for (opt = cmd->options; opt->name; opt++) {
        if (strlen(opt->name) == len && !strncmp(opt->name, name, len)) {
            return opt;
        }
    }
    return len == 4 && !strncmp(name, "help", 4) ? &help_option : NULL;
}

static const CliOption *find_short(const CliCommand *cmd, char letter)
{
    const CliOption *opt;

    for (opt = cmd->options; opt->name; opt++) {
        if (opt->letter == letter) {
            return opt;
        }
    }
    return letter == 'h' ? &help_option : NULL;
}

gboolean cli_number(const char *text, double min, double max, double *ret)
{
    g_autofree char *plain = g_strdelimit(g_strdup(text), ",", '.');
    char *end;
    double value;

    errno = 0;
    value = g_ascii_strtod(plain, &end);
    if (errno || end == plain || *end || !isfinite(value) ||
        value < min || value > max) {
        return FALSE;
    }
    *ret = value;
    return TRUE;
}

static gboolean set_option(const CliOption *opt, char *arg, GError **errp)
{
    g_autofree char *shown = arg ? text_shown(arg) : NULL;
    g_autofree char *words = NULL;
    double number;

    switch (opt->kind) {
    case CLI_FLAG:
        *(gboolean *)opt->target = TRUE;
        return TRUE;
    case CLI_TEXT:
        *(const char **)opt->target = arg;
        return TRUE;
    case CLI_NUMBER:
        if (!cli_number(arg, opt->min, opt->max, &number)) {
            break;
        }
        *(double *)opt->target = number;
        return TRUE;
    case CLI_COUNT:
        if (!cli_number(arg, opt->min, opt->max, &number) ||
            number != floor(number)) {
            break;
        }
        *(unsigned *)opt->target = number;
        return TRUE;
    case CLI_LIST: {
        GPtrArray **list = opt->target;

        if (!*list) {
            *list = g_ptr_array_new();
        }
        g_ptr_array_add(*list, arg);
        return TRUE;
    }
    case CLI_CHOICE:
        if (g_strv_contains(opt->choices, arg)) {
            *(const char **)opt->target = arg;
            return TRUE;
        }
        words = g_strjoinv(", ", (char **)opt->choices);
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "--%s '%s' is not known; accepted are %s",
                    opt->name, shown, words);
        return FALSE;
    }
    g_set_error(errp, CLI_ERROR, CLI_USAGE,
                "--%s '%s' is out of range; accepted is a%s number from %g "
                "to %g", opt->name, shown,
                opt->kind == CLI_COUNT ? " whole" : "", opt->min, opt->max);
    return FALSE;
}

/* "--name", "--name=value", "--name value"; moves *@argv past what it took. */
static const CliOption *take_long(const CliCommand *cmd, char ***argv,
                                  char **ret_arg, GError **errp)
{
    char *name = **argv + 2;
    char *equals = strchr(name, '=');
    g_autofree char *shown = NULL;
    const CliOption *opt;

    opt = find_long(cmd, name, equals ? (size_t)(equals - name)
                                      : strlen(name));
    if (!opt) {
        shown = text_shown(**argv);
        fail_usage(errp, cmd, "unknown option '%s'", shown);
        return NULL;
    }
    *ret_arg = equals ? equals + 1 : NULL;
    if (equals && !takes_argument(opt)) {
        fail_usage(errp, cmd, "option '--%s' takes no value", opt->name);
        return NULL;
    }
    if (takes_argument(opt) && !equals) {
        *ret_arg = (*argv)[1];
        if (!*ret_arg) {
            fail_usage(errp, cmd, "option '--%s' needs %s", opt->name,
                       opt->arg);
            return NULL;
        }
        (*argv)++;
    }
    (*argv)++;
    return opt;
}

/* "-x", "-xvalue", "-x value", "-xyz"; *@at walks through the letters. */
static const CliOption *take_short(const CliCommand *cmd, char ***argv,
                                   char **at, char **ret_arg, GError **errp)
{
    const CliOption *opt = find_short(cmd, **at);
    g_autofree char *shown = NULL;

    if (!opt) {
        shown = text_shown(**argv);
        fail_usage(errp, cmd, "unknown option '%s'", shown);
        return NULL;
    }
    (*at)++;
    *ret_arg = NULL;
    if (takes_argument(opt)) {
        *ret_arg = **at ? *at : (*argv)[1];
        if (!*ret_arg) {
            fail_usage(errp, cmd, "option '-%c' needs %s", opt->letter,
                       opt->arg);
            return NULL;
        }
        if (!**at) {
            (*argv)++;
        }
        *at = "";
    }
    if (!**at) {
        (*argv)++;
    }
    return opt;
}

char **cli_parse(const CliCommand *cmd, char **argv, gboolean *ret_help,
                 GError **errp)
{
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    const CliOption *opt;
    char *letters = "";
    char *arg;

    *ret_help = FALSE;
    while (*letters || *argv) {
        if (*letters) {
            opt = take_short(cmd, &argv, &letters, &arg, errp);
        } else if (!strcmp(*argv, "--")) {
            while (*++argv) {
                g_ptr_array_add(rest, *argv);
            }
            break;
        } else if (g_str_has_prefix(*argv, "--")) {
            opt = take_long(cmd, &argv, &arg, errp);
        } else if (**argv == '-' && (*argv)[1]) {
            letters = *argv + 1;
            continue;
        } else {
            g_ptr_array_add(rest, *argv++);
            continue;
        }
        if (!opt) {
            return NULL;
        }
        if (opt == &help_option) {
            *ret_help = TRUE;
            break;
        }
        if (!set_option(opt, arg, errp)) {
            return NULL;
        }
    }
    g_ptr_array_add(rest, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&rest), FALSE);
}

static void print_option(const CliOption *opt)
{
    g_autofree char *left = NULL;
    int len;

    left = g_strdup_printf("  %c%c%s --%s%s%s",
                           opt->letter ? '-' : ' ',
                           opt->letter ? opt->letter : ' ',
                           opt->letter ? "," : " ", opt->name,
                           opt->arg ? " " : "", opt->arg ? opt->arg : "");
    len = text_width(left);
    fputs(left, stdout);
    if (len + 2 > HELP_COLUMN) {
        printf("\n%*s", HELP_COLUMN, "");
    } else {
        printf("%*s", HELP_COLUMN - len, "");
    }
    text_print(opt->help, HELP_COLUMN, HELP_COLUMN);
}

void cli_help_options(const CliOption *options)
{
    const CliOption *opt;

    puts("\nOptions:");
    for (opt = options; opt->name; opt++) {
        print_option(opt);
    }
    print_option(&help_option);
}

void cli_help(const CliCommand *cmd)
{
    printf("Usage: pulsar %s [OPTION]...%s%s\n\n", cmd->name,
           cmd->args ? " " : "", cmd->args ? cmd->args : "");
    text_print(cmd->text, 0, 0);
    cli_help_options(cmd->options);
    if (cmd->more) {
        cmd->more();
    }
}

gboolean cli_flush(GError **errp)
{
    if (fflush(stdout) || ferror(stdout)) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "cannot write to standard output: %s", g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

gboolean cli_fail(GError **errp, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_propagate_error(errp, g_error_new_valist(CLI_ERROR, code, fmt, ap));
    va_end(ap);
    return FALSE;
}

gboolean cli_fail_errno(GError **errp, const char *fmt, ...)
{
    int err = errno;
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(errp, CLI_ERROR, err == EACCES || err == EPERM ?
                CLI_PERMISSION : CLI_SYSTEM, "%s: %s", what,
                g_strerror(err));
    return FALSE;
}

void cli_fail_later(GError **last, GError *err)
{
    if (*last) {
        fprintf(stderr, "pulsar: %s\n", (*last)->message);
        g_clear_error(last);
    }
    *last = err;
}

static gboolean write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    ssize_t n;

    while (len) {
        n = write(fd, text, len);
        if (n < 0 && errno != EINTR) {
            return FALSE;
        }
        text += MAX(n, 0);
        len -= MAX(n, 0);
    }
    return TRUE;
}

/* A new file in the place of @path; FALSE with errno. */
static gboolean replace_file(const char *path, const char *text,
                             const struct stat *old)
{
    g_autofree char *tmp = g_strdup_printf("%s.XXXXXX", path);
    int fd = g_mkstemp_full(tmp, O_WRONLY | O_CLOEXEC, 0600);
    gboolean ok;
    int err;

    if (fd < 0) {
        return FALSE;
    }
    /* The owner first: a change of it may take bits of the mode away. */
    ok = (!old || (old->st_uid == geteuid() && old->st_gid == getegid()) ||
          !fchown(fd, old->st_uid, old->st_gid)) &&
         !fchmod(fd, old ? old->st_mode & 07777 : 0644) &&
         write_all(fd, text) && !fsync(fd);
    err = errno;
    if (close(fd) && ok) {
        ok = FALSE;
        err = errno;
    }
    if (ok && rename(tmp, path)) {
        ok = FALSE;
        err = errno;
    }
    if (!ok) {
        unlink(tmp);
    }
    errno = err;
    return ok;
}

static gboolean write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    gboolean ok = fd >= 0 && write_all(fd, text);

    return fd >= 0 ? !close(fd) && ok : FALSE;
}

gboolean cli_write_file(const char *path, const char *text, GError **errp)
{
    g_autofree char *shown = NULL;
    struct stat st;
    gboolean there, ok;
    char *real;

    if (!strcmp(path, "-")) {
        fputs(text, stdout);
        return cli_flush(errp);
    }
    real = realpath(path, NULL);
    there = real && !stat(real, &st);
    ok = there && !S_ISREG(st.st_mode) ? write_to(real, text) :
         replace_file(real ? real : path, text, there ? &st : NULL);
    if (!ok) {
        int err = errno;

        shown = text_shown(path);
        errno = err;
        cli_fail_errno(errp, "cannot write file '%s'", shown);
    }
    free(real);
    return ok;
}
