/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar adopt: which VMs of xapi have Pulsar for a device model. It sets a
 * key of their platform maps; our qemu-wrapper reads it when xenopsd starts a
 * VM (packaging/xapi/qemu-wrapper).
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "platform.h"
#include "text.h"

#define KEY    "device_model_variant"
#define VALUE  "pulsar"

static struct {
    gboolean all;
    gboolean undo;
    gboolean dry_run;
} opt;

static const CliOption options[] = {
    { "all", 'a', NULL, "every HVM VM that xapi knows", CLI_FLAG, &opt.all },
    { "undo", 'u', NULL, "back to xapi's own QEMU", CLI_FLAG, &opt.undo },
    { "dry-run", 'n', NULL, "only say what would be done", CLI_FLAG,
      &opt.dry_run },
    { }
};

/* What becomes of a VM that was changed, and from when on. */
static char *outlook(const XapiVm *vm)
{
    const char *next = opt.undo ? "xapi's own QEMU" : "Pulsar";

    if (!strcmp(vm->power, "suspended")) {
        return g_strdup_printf("it is suspended, and is resumed by the QEMU "
                               "that has saved it; it has %s from its next "
                               "start on", next);
    }
    if (strcmp(vm->power, "halted")) {
        return g_strdup_printf("it runs and keeps its device model, also when "
                               "it is suspended or migrated; it has %s when "
                               "it was shut down and started again", next);
    }
    return g_strdup_printf("it has %s from its next start on", next);
}

static gboolean is_adopted(const XapiVm *vm)
{
    return !g_strcmp0(g_hash_table_lookup(vm->platform, KEY), VALUE);
}

/* A VM with the name by which it is spoken of. */
static char *title(const XapiVm *vm)
{
    g_autofree char *whom = g_strdup_printf("%s (%s)", vm->name, vm->uuid);

    return text_shown(whom);
}

static gboolean change(const XapiVm *vm, GError **errp)
{
    g_autofree char *shown = title(vm);
    g_autofree char *then = outlook(vm);
    g_auto(PlatformChange) c;

    platform_init(&c, vm);
    if (opt.undo) {
        platform_undo(&c, KEY);
    } else {
        platform_put(&c, KEY, VALUE);
    }
    if (is_adopted(vm) != opt.undo) {
        printf("%s is %s\n", shown,
               opt.undo ? "not adopted" : "adopted already");
        return TRUE;
    }
    if (!opt.dry_run && !platform_run(&c, errp)) {
        return FALSE;
    }
    printf("%s %s: %s\n", opt.undo ? opt.dry_run ? "would release" : "released"
           : opt.dry_run ? "would adopt" : "adopted", shown, then);
    return TRUE;
}

/* VMs whose devices only xapi's QEMU knows are none for Pulsar. */
static gboolean leave_out_vgpus(GPtrArray *chosen, GError **errp)
{
    guint i = 0;

    while (i < chosen->len) {
        XapiVm *vm = chosen->pdata[i];
        g_autofree char *shown = NULL;
        g_autofree char *model = NULL;

        if (!vm->vgpu) {
            i++;
            continue;
        }
        shown = title(vm);
        model = text_shown(vm->vgpu);
        if (!opt.all) {
            g_set_error(errp, CLI_ERROR, CLI_USAGE,
                        "%s has a vGPU (%s), which only xapi's own QEMU can "
                        "show; nothing was changed", shown, model);
            return FALSE;
        }
        printf("skipped %s: it has a vGPU (%s)\n", shown, model);
        g_ptr_array_remove_index(chosen, i);
    }
    return TRUE;
}

/* A platform key that xapi drops adopts nothing. */
static gboolean check_key(GError **errp)
{
    switch (xapi_hands(KEY)) {
    case XAPI_DROPS:
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "xapi drops platform:" KEY " here, for its feature "
                    "no_platform_filter is off, so no VM can be adopted; "
                    "nothing was changed");
        return FALSE;
    case XAPI_HANDS_UNKNOWN:
        puts("note: xapi does not say whether it hands platform:" KEY " on; "
             "'pulsar show' tells after a start");
        return TRUE;
    default:
        return TRUE;
    }
}

static void say_which_hosts(void)
{
    g_autoptr(GPtrArray) hosts = NULL;
    g_autoptr(GError) err = NULL;
    guint i;

    if (!xapi_hosts(&hosts, &err)) {
        g_autofree char *why = text_shown(err->message);

        printf("note: xapi does not say which hosts have Pulsar: %s\n", why);
        return;
    }
    for (i = 0; i < hosts->len; i++) {
        XapiHost *host = hosts->pdata[i];
        g_autofree char *name = text_shown(host->name);
        g_autofree char *lacks = host->lacks ? text_shown(host->lacks) : NULL;

        if (lacks) {
            printf("note: host %s is not ready for Pulsar: %s; what starts "
                   "there has xapi's own QEMU, and a VM that runs under Pulsar "
                   "must not be migrated to it or resumed on it\n", name,
                   lacks);
        }
    }
}

static gboolean prepare(char **args, GPtrArray *chosen, GPtrArray **ret_all,
                        GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (; *args; args++) {
        g_ptr_array_add(names, *args);
    }
    if (!names->len == !opt.all) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE, "'pulsar adopt' takes either "
                    "VMs or --all; nothing was changed");
        return FALSE;
    }
    if (!toolstack_is_xapi(NULL)) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "there is no command 'xe' on this host, so it is not "
                    "xapi's; xl takes device_model_override= in a guest's "
                    "configuration");
        return FALSE;
    }
    if (!xapi_list(ret_all, errp) ||
        !(opt.undo || xapi_find_vgpus(*ret_all, errp)) ||
        !platform_choose(names, opt.all, *ret_all, "cannot be adopted", chosen,
                         errp)) {
        return FALSE;
    }
    return opt.undo || (leave_out_vgpus(chosen, errp) && check_key(errp));
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    g_autoptr(GPtrArray) all = NULL;
    guint i, failed = 0;

    if (!prepare(args, chosen, &all, errp)) {
        return FALSE;
    }
    for (i = 0; i < chosen->len; i++) {
        g_autoptr(GError) err = NULL;

        if (!change(chosen->pdata[i], &err)) {
            g_autofree char *shown = title(chosen->pdata[i]);
            g_autofree char *why = text_shown(err->message);

            printf("skipped %s: %s\n", shown, why);
            failed++;
        }
    }
    if (!opt.undo) {
        say_which_hosts();
    }
    if (failed) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "%u of %u VMs could not be changed; they are named above",
                    failed, chosen->len);
        return FALSE;
    }
    return cli_flush(errp);
}

const CliCommand cmd_adopt = {
    .name = "adopt",
    .args = "VM...|--all",
    .summary = "under xapi: which VMs have Pulsar for a device model",
    .text = "Names the VMs (names, UUIDs or, for those that run, domain ids) "
            "that xapi is to start with Pulsar, by their platform key " KEY
            ". A VM that runs or is suspended keeps the device model that it "
            "has until it is started anew. VMs with a vGPU stay with xapi's "
            "own QEMU. Hosts of the pool that cannot start Pulsar are named.",
    .options = options,
    .run = run,
};
