/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of `pulsar`: what a subcommand is, its options, and how
 * a run ends.
 */
#ifndef PULSAR_CLI_H
#define PULSAR_CLI_H

#include <glib.h>

/* How the process ends; EXIT_OK is 0. Errors carry these as their code. */
typedef enum CliExit {
    CLI_OK = 0,
    CLI_EXCEEDED = 1,       /* top --check: a VM wakes too often */
    CLI_USAGE = 2,          /* the command line is wrong */
    CLI_NO_SUCH_VM = 3,     /* the VM that was named is not there */
    CLI_NO_VM = 4,          /* no VM at all is there */
    CLI_PERMISSION = 5,     /* something may not be read */
    CLI_BAD_PAGE = 6,       /* a ledger page that cannot be understood */
    CLI_SYSTEM = 7,         /* the system refused: files, memory, terminal */
} CliExit;

#define CLI_ERROR (cli_error_quark())
GQuark cli_error_quark(void);

typedef enum CliKind {
    CLI_FLAG,       /* gboolean: set to TRUE */
    CLI_TEXT,       /* const char *: the argument */
    CLI_NUMBER,     /* double: between min and max */
    CLI_COUNT,      /* unsigned: between min and max */
    CLI_LIST,       /* GPtrArray *: one more argument; made when needed */
    CLI_CHOICE,     /* const char *: one of the words of @choices */
} CliKind;

/** struct CliOption: one option; a table of them ends with name NULL */
typedef struct CliOption {
    const char *name;       /* without the dashes */
    char letter;            /* the short form, or 0 */
    const char *arg;        /* what the help calls the argument, or NULL */
    const char *help;
    CliKind kind;
    void *target;
    double min, max;
    const char *const *choices;
} CliOption;

/**
 * struct CliCommand: one subcommand
 * @more: prints what else its help should say, or NULL
 * @run: does it; @args are what is left of the command line, NULL-ended
 */
typedef struct CliCommand {
    const char *name;
    const char *args;       /* as in the usage line, or NULL */
    const char *summary;    /* one line for `pulsar --help` */
    const char *text;       /* a paragraph for its own --help */
    const CliOption *options;
    void (*more)(void);
    gboolean (*run)(char **args, GError **errp);
} CliCommand;

/**
 * cli_parse: take the options out of a subcommand's command line
 * @cmd: the subcommand
 * @argv: what follows its name, NULL-ended; reordered, not copied
 * @ret_help: set when --help is among them; the rest is then not looked at
 *
 * Returns: what is left, NULL-ended and to be freed with g_free(), or NULL
 * with an error.
 */
char **cli_parse(const CliCommand *cmd, char **argv, gboolean *ret_help,
                 GError **errp);

/** cli_help: print the help of @cmd. */
void cli_help(const CliCommand *cmd);

/** cli_help_options: print @options as a part of a help text. */
void cli_help_options(const CliOption *options);

/**
 * cli_flush: see that all that was printed arrived
 *
 * Returns: FALSE with an error when standard output could not take it.
 */
gboolean cli_flush(GError **errp);

/**
 * cli_number: understand a number
 * @text: with a decimal point or, as people in many places write, a comma
 *
 * Returns: FALSE when it is none, or not between @min and @max.
 */
gboolean cli_number(const char *text, double min, double max, double *ret);

/**
 * cli_write_file: put @text into a file at once, or print it for "-"
 *
 * Readers of the file see the old text or the new one, never a part. It
 * keeps its owner and mode, through links too; a new one has mode 0644,
 * whatever the umask. What is no plain file is written to.
 */
gboolean cli_write_file(const char *path, const char *text, GError **errp);

/**
 * cli_fail: an error in a sentence
 * @code: of CLI_ERROR, the exit status
 *
 * Returns: FALSE.
 */
gboolean cli_fail(GError **errp, int code, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/**
 * cli_fail_errno: an error out of errno
 * @fmt: what could not be done; the reason is put behind it
 *
 * Its code is CLI_PERMISSION or CLI_SYSTEM.
 *
 * Returns: FALSE.
 */
gboolean cli_fail_errno(GError **errp, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/**
 * cli_fail_later: note that something failed, and go on with the rest
 * @last: the failure that was noted before, or NULL; is printed now
 * @err: this one, which becomes @last
 */
void cli_fail_later(GError **last, GError *err);

extern const CliCommand cmd_top;
extern const CliCommand cmd_table;
extern const CliCommand cmd_doctor;
extern const CliCommand cmd_show;
extern const CliCommand cmd_set;
extern const CliCommand cmd_unset;
extern const CliCommand cmd_adopt;
extern const CliCommand cmd_clean;
extern const CliCommand cmd_rrd;
extern const CliCommand cmd_replace;

#endif /* PULSAR_CLI_H */
