/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar show: the effective options of a VM and where each came from.
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "cli.h"
#include "lookup.h"
#include "settings.h"
#include "text.h"

static struct {
    gboolean all;
    gboolean json;
} opt;

static const CliOption options[] = {
    { "all", 'a', NULL, "every VM that has a ledger page", CLI_FLAG,
      &opt.all },
    { "json", 'j', NULL, "print one JSON object a line", CLI_FLAG,
      &opt.json },
    { }
};

static void print_text(const VmPage *vm)
{
    g_autoptr(GPtrArray) list = settings_parse(page_text(vm->snapshot));
    g_autofree char *title = vmpage_title(vm);
    g_autofree char *name = text_shown(title);
    guint i;

    printf("VM %s, %s, %s\n", name, vmpage_state(vm),
           *vm->version ? vm->version : "version unknown");
    for (i = 0; i < list->len; i++) {
        Setting *s = list->pdata[i];
        g_autofree char *left = g_strdup_printf("%s=%s", s->key, s->value);
        g_autofree char *shown = text_shown(left);
        g_autofree char *source = text_shown(s->source);

        printf("  %-24s %s\n", shown, source);
    }
    if (!list->len) {
        puts("  its page names no options");
    }
}

static void print_json(const VmPage *vm)
{
    g_autoptr(GPtrArray) list = settings_parse(page_text(vm->snapshot));
    json_object *o = json_object_new_object();
    json_object *settings = json_object_new_object();
    guint i;

    json_object_object_add(o, "domid",
                           json_object_new_int(vmpage_domid(vm)));
    json_object_object_add(o, "name", json_object_new_string(vm->name));
    json_object_object_add(o, "uuid", json_object_new_string(vm->uuid));
    json_object_object_add(o, "version", json_object_new_string(vm->version));
    json_object_object_add(o, "state",
                           json_object_new_string(vmpage_state(vm)));
    json_object_object_add(o, "pid",
                           vm->pid ? json_object_new_int(vm->pid) : NULL);
    for (i = 0; i < list->len; i++) {
        Setting *s = list->pdata[i];
        json_object *one = json_object_new_object();

        json_object_object_add(one, "value",
                               json_object_new_string(s->value));
        json_object_object_add(one, "source",
                               json_object_new_string(s->source));
        json_object_object_add(settings, s->key, one);
    }
    json_object_object_add(o, "options", settings);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static gboolean show_all(GError **errp)
{
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) unread = NULL;
    GError *last = NULL;
    guint i;

    if (!lookup_all(&all, &unread, errp)) {
        return FALSE;
    }
    for (i = 0; i < all->len; i++) {
        (opt.json ? print_json : print_text)(all->pdata[i]);
    }
    if (!cli_flush(errp)) {
        return FALSE;
    }
    for (i = 0; i < unread->len; i++) {
        cli_fail_later(&last, g_error_copy(unread->pdata[i]));
    }
    if (last) {
        g_propagate_error(errp, last);
        return FALSE;
    }
    return all->len || lookup_none(errp);
}

static gboolean run(char **args, GError **errp)
{
    char **what;

    if (!*args == !opt.all) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar show' takes either VMs, by domain id, name, UUID "
                    "or ledger page, or --all");
        return FALSE;
    }
    if (opt.all) {
        return show_all(errp);
    }
    for (what = args; *what; what++) {
        g_autoptr(VmPage) vm = lookup_page(*what, errp);

        if (!vm) {
            return FALSE;
        }
        (opt.json ? print_json : print_text)(vm);
    }
    return cli_flush(errp);
}

const CliCommand cmd_show = {
    .name = "show",
    .args = "VM...|--all",
    .summary = "the effective options of a VM and where each came from",
    .text = "Prints the options under which the device model of each VM runs "
            "(a domain id, a name, a UUID or the file of a ledger page), and "
            "where each value came from: the command line, xenstore, "
            "pulsar.conf or the default.",
    .options = options,
    .run = run,
};
