/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `pulsar` command: which device models are awake, and why. Reads the
 * ledger pages that the device models keep, and talks to none of them to do so:
 * watching wakes nobody.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

static const CliCommand *const commands[] = {
    &cmd_top, &cmd_table, &cmd_doctor, &cmd_show, &cmd_set, &cmd_unset,
    &cmd_adopt, &cmd_replace, &cmd_clean, &cmd_rrd,
};

static const CliOption main_options[] = {
    { "version", 'V', NULL, "print the version and exit" },
    { }
};

static void print_help(void)
{
    guint i;

    puts("Usage: pulsar [COMMAND [OPTION]... [VM]...]\n\n"
         "Shows which Xen device models are awake, and what wakes them.\n\n"
         "Commands:");
    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    cli_help_options(main_options);
    puts("\nWithout a command it is 'pulsar top'. 'pulsar COMMAND --help' "
         "says more.");
}

static const CliCommand *find_command(const char *name, GError **errp)
{
    g_autoptr(GString) known = g_string_new(NULL);
    g_autofree char *shown = NULL;
    guint i;

    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(commands[i]->name, name)) {
            return commands[i];
        }
        g_string_append_printf(known, "%s%s", i ? ", " : "",
                               commands[i]->name);
    }
    shown = text_shown(name);
    g_set_error(errp, CLI_ERROR, CLI_USAGE,
                "there is no command '%s'; accepted are %s", shown,
                known->str);
    return NULL;
}

static gboolean run(char **argv, GError **errp)
{
    const CliCommand *cmd = commands[0];
    g_autofree char **rest = NULL;
    gboolean help;

    if (argv[1] && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        print_help();
        return cli_flush(errp);
    }
    if (argv[1] && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
        puts("pulsar " PULSAR_VERSION);
        return cli_flush(errp);
    }
    if (argv[1] && argv[1][0] != '-') {
        cmd = find_command(argv[1], errp);
        argv++;
    }
    rest = cmd ? cli_parse(cmd, argv + 1, &help, errp) : NULL;
    if (!rest) {
        return FALSE;
    }
    if (help) {
        cli_help(cmd);
        return cli_flush(errp);
    }
    return cmd->run(rest, errp);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) err = NULL;

    setlocale(LC_ALL, "");
    /* Numbers are for programs too, whatever people here write. */
    setlocale(LC_NUMERIC, "C");
    if (run(argc ? argv : (char *[]){ "pulsar", NULL }, &err)) {
        return CLI_OK;
    }
    fflush(stdout);
    fprintf(stderr, "pulsar: %s\n", err->message);
    return err->code;
}
