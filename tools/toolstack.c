/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two toolstacks. xapi is spoken to by its own command, xe.
 */
#include <string.h>

#include "cli.h"
#include "text.h"
#include "toolstack.h"

#define XE_PLACE "/opt/xensource/bin/xe"

const char *const toolstack_names[] = { "xl", "xapi", NULL };

static char *find_xe(void)
{
    char *xe = g_find_program_in_path("xe");

    if (!xe && g_file_test(XE_PLACE, G_FILE_TEST_IS_EXECUTABLE)) {
        xe = g_strdup(XE_PLACE);
    }
    return xe;
}

gboolean toolstack_is_xapi(const char *wanted)
{
    g_autofree char *xe = NULL;

    if (wanted) {
        return !strcmp(wanted, "xapi");
    }
    xe = find_xe();
    return xe != NULL;
}

char *toolstack_quote(const char *word)
{
    const char *p = word;

    while (g_ascii_isalnum(*p) || (*p && strchr("-_.:/=,", *p))) {
        p++;
    }
    return *word && *word != '-' && !*p ? g_strdup(word)
                                        : g_shell_quote(word);
}

gboolean xapi_run(const char *const *args, char **ret_out, GError **errp)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *xe = find_xe();
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) why = NULL;
    int status = 0;

    if (!xe) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "there is no command 'xe' on this host, so it is not "
                    "xapi's; '--toolstack xl' works on pulsar.conf");
        return FALSE;
    }
    g_ptr_array_add(argv, xe);
    for (; *args; args++) {
        g_ptr_array_add(argv, (char *)*args);
    }
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL,
                      NULL, &out, &err, &status, &why) ||
        !g_spawn_check_wait_status(status, &why)) {
        g_autofree char *line = text_clean(err && *err ? g_strchomp(err)
                                                       : why->message);

        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "'xe %s' failed: %s",
                    (char *)argv->pdata[1], line);
        return FALSE;
    }
    if (ret_out) {
        *ret_out = g_steal_pointer(&out);
    }
    return TRUE;
}

static void free_vm(gpointer data)
{
    XapiVm *vm = data;

    g_free(vm->uuid);
    g_free(vm->name);
    g_hash_table_unref(vm->platform);
    g_hash_table_unref(vm->other);
    g_free(vm);
}

static GHashTable *new_map(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* "timeoffset: 0; usb: true; …" */
static void parse_map(GHashTable *ret, const char *map)
{
    g_auto(GStrv) pairs = g_strsplit(map, "; ", -1);
    char **p, *colon;

    for (p = pairs; *p; p++) {
        colon = strchr(*p, ':');
        if (colon) {
            *colon = 0;
            g_hash_table_insert(ret, g_strdup(g_strstrip(*p)),
                                g_strdup(g_strstrip(colon + 1)));
        }
    }
}

/*
 * One field of a record, "  name-label ( RW): web". What is a VM at all, and
 * what keeps options from it, is for xapi to say.
 */
static void parse_field(XapiVm *vm, const char *key, const char *value)
{
    if (!strcmp(key, "uuid")) {
        g_free(vm->uuid);
        vm->uuid = g_strdup(value);
    } else if (!strcmp(key, "name-label")) {
        g_free(vm->name);
        vm->name = text_clean(value);
    } else if (!strcmp(key, "platform")) {
        parse_map(vm->platform, value);
    } else if (!strcmp(key, "other-config")) {
        parse_map(vm->other, value);
    } else if (!strcmp(key, "is-control-domain") && !strcmp(value, "true")) {
        vm->unfit = "a control domain";
    } else if (!strcmp(key, "is-a-snapshot") && !strcmp(value, "true")) {
        vm->unfit = "a snapshot";
    } else if (!strcmp(key, "is-a-template") && !strcmp(value, "true")) {
        vm->unfit = vm->unfit ? vm->unfit : "a template";
    } else if (!strcmp(key, "HVM-boot-policy") && !*value) {
        vm->unfit = vm->unfit ? vm->unfit : "not an HVM guest";
    }
}

gboolean xapi_list(GPtrArray **ret, GError **errp)
{
    static const char *const args[] = {
        "vm-list", "params=uuid,name-label,is-control-domain,is-a-template,"
        "is-a-snapshot,HVM-boot-policy,platform,other-config", NULL
    };
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(free_vm);
    g_autofree char *out = NULL;
    g_auto(GStrv) lines = NULL;
    XapiVm *vm = NULL;
    char **line;

    if (!xapi_run(args, &out, errp)) {
        return FALSE;
    }
    lines = g_strsplit(out, "\n", -1);
    for (line = lines; *line; line++) {
        char *bracket = strchr(*line, '(');
        char *close = bracket ? strchr(bracket, ')') : NULL;
        char *colon = close ? strchr(close, ':') : NULL;
        char *key, *value;

        if (!colon) {
            continue;
        }
        *bracket = 0;
        key = g_strstrip(*line);
        value = g_strstrip(colon + 1);
        if (!strcmp(key, "uuid")) { /* the first of each record */
            vm = g_new0(XapiVm, 1);
            vm->name = g_strdup("");
            vm->platform = new_map();
            vm->other = new_map();
            g_ptr_array_add(list, vm);
        }
        if (vm) {
            parse_field(vm, key, value);
        }
    }
    *ret = g_steal_pointer(&list);
    return TRUE;
}

/* The pool's word on one of its features, or NULL. */
static char *pool_restriction(const char *key)
{
    static const char *const args[] = {
        "pool-list", "params=restrictions", NULL
    };
    g_autoptr(GHashTable) map = new_map();
    g_autofree char *out = NULL;
    const char *begin;

    if (!xapi_run(args, &out, NULL)) {
        return NULL;
    }
    begin = strchr(out, ')');
    begin = begin ? strchr(begin, ':') : NULL;
    parse_map(map, begin ? begin + 1 : "");
    return g_strdup(g_hash_table_lookup(map, key));
}

XapiHands xapi_hands(const char *key)
{
    /* xapi has a use of its own for these. */
    static const char *const known[] = {
        "hvm_serial", "parallel", "usb", "usb_tablet", NULL
    };
    static gboolean asked;
    static XapiHands others;

    if (g_strv_contains(known, key)) {
        return XAPI_HANDS_ON;
    }
    if (!asked) {
        g_autofree char *filter = pool_restriction("platform_filter");

        asked = TRUE;
        others = !filter ? XAPI_HANDS_UNKNOWN :
                 !strcmp(filter, "false") ? XAPI_HANDS_ON : XAPI_DROPS;
    }
    return others;
}
