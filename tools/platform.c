/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMs of xapi and what stands in their platform maps: which VMs are meant,
 * and changes that can be undone.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "lookup.h"
#include "platform.h"
#include "text.h"

static gboolean xapi_is_called(const XapiVm *vm, const char *what)
{
    g_autofree char *clean = text_clean(what);

    return !strcmp(vm->name, clean) || !g_ascii_strcasecmp(vm->uuid, clean);
}

/* By which name xapi knows what runs as a domain; @typed if it is none. */
static char *xapi_name(GPtrArray *all, const char *typed)
{
    g_autoptr(VmPage) page = NULL;
    guint i;

    for (i = 0; i < all->len; i++) {
        if (xapi_is_called(all->pdata[i], typed)) {
            return g_strdup(typed);
        }
    }
    page = lookup_page(typed, NULL);
    return g_strdup(page && page->sure && *page->uuid ? page->uuid : typed);
}

gboolean platform_choose(GPtrArray *names, gboolean every, GPtrArray *all,
                         const char *refused, GPtrArray *chosen,
                         GError **errp)
{
    guint i, k, found;

    for (k = 0; k < names->len; k++) {
        g_autofree char *shown = text_shown(names->pdata[k]);
        g_autofree char *name = xapi_name(all, names->pdata[k]);

        found = 0;
        for (i = 0; i < all->len; i++) {
            XapiVm *vm = all->pdata[i];

            if (!xapi_is_called(vm, name)) {
                continue;
            }
            if (vm->unfit) {
                g_set_error(errp, CLI_ERROR, CLI_USAGE,
                            "'%s' is %s and %s; nothing was changed", shown,
                            vm->unfit, refused);
                return FALSE;
            }
            g_ptr_array_add(chosen, vm);
            found++;
        }
        if (found != 1) {
            g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                        found ? "xapi knows more than one VM '%s', give the "
                        "UUID; nothing was changed" : "xapi knows no VM '%s'; "
                        "nothing was changed", shown);
            return FALSE;
        }
    }
    for (i = 0; every && i < all->len; i++) {
        XapiVm *vm = all->pdata[i];
        g_autofree char *shown = text_shown(vm->name);

        if (vm->unfit) {
            printf("skipped %s (%s): it is %s\n", shown, vm->uuid, vm->unfit);
        } else {
            g_ptr_array_add(chosen, vm);
        }
    }
    return TRUE;
}

/* Beside the platform map, in other-config. */
#define WAS       "pulsar-was-"
#define WAS_NONE  "unset"

void platform_init(PlatformChange *c, const XapiVm *vm)
{
    c->vm = vm;
    c->put = g_ptr_array_new_with_free_func(g_free);
    c->removed = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(c->put, g_strdup("vm-param-set"));
    g_ptr_array_add(c->put, g_strdup_printf("uuid=%s", vm->uuid));
}

void platform_clear(PlatformChange *c)
{
    g_ptr_array_unref(c->put);
    g_ptr_array_unref(c->removed);
}

static void change_remove(PlatformChange *c, const char *map, const char *key)
{
    /* xe takes it for an error when the key is not there. */
    if (g_hash_table_contains(strcmp(map, "platform") ? c->vm->other
                              : c->vm->platform, key)) {
        g_ptr_array_add(c->removed, g_strdup(map));
        g_ptr_array_add(c->removed, g_strdup(key));
    }
}

void platform_put(PlatformChange *c, const char *key, const char *value)
{
    const char *old = g_hash_table_lookup(c->vm->platform, key);
    g_autofree char *was = g_strconcat(WAS, key, NULL);

    if (!g_strcmp0(old, value)) {
        return;
    }
    if (!g_hash_table_contains(c->vm->other, was)) {
        g_ptr_array_add(c->put, g_strdup_printf("other-config:%s=%s", was,
                                                old ? old : WAS_NONE));
    }
    if (value) {
        g_ptr_array_add(c->put, g_strdup_printf("platform:%s=%s", key, value));
    } else {
        change_remove(c, "platform", key);
    }
}

void platform_undo(PlatformChange *c, const char *key)
{
    g_autofree char *was = g_strconcat(WAS, key, NULL);
    const char *value = g_hash_table_lookup(c->vm->other, was);

    if (value && strcmp(value, WAS_NONE)) {
        g_ptr_array_add(c->put, g_strdup_printf("platform:%s=%s", key, value));
    } else {
        change_remove(c, "platform", key);
    }
    change_remove(c, "other-config", was);
}

void platform_forget(PlatformChange *c, const char *key)
{
    g_autofree char *was = g_strconcat(WAS, key, NULL);

    change_remove(c, "other-config", was);
}

gboolean platform_run(const PlatformChange *c, GError **errp)
{
    g_autofree char *uuid = g_strdup_printf("uuid=%s", c->vm->uuid);
    guint i;

    if (c->put->len > 2) {
        g_ptr_array_add(c->put, NULL);
        if (!xapi_run((const char *const *)c->put->pdata, NULL, errp)) {
            return FALSE;
        }
    }
    for (i = 0; i < c->removed->len; i += 2) {
        g_autofree char *map = g_strdup_printf(
            "param-name=%s", (char *)c->removed->pdata[i]);
        g_autofree char *key = g_strdup_printf(
            "param-key=%s", (char *)c->removed->pdata[i + 1]);
        const char *args[] = { "vm-param-remove", uuid, map, key, NULL };

        if (!xapi_run(args, NULL, errp)) {
            return FALSE;
        }
    }
    return TRUE;
}
