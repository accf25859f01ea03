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
    g_free(vm->power);
    g_free(vm->vgpu);
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
 * The records that a command of xe prints, "  name-label ( RW): web" a field;
 * the first of each is its uuid. Returns a map of names to values for each.
 */
static gboolean xapi_records(const char *const *args, GPtrArray **ret,
                             GError **errp)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(
        (GDestroyNotify)g_hash_table_unref);
    g_autofree char *out = NULL;
    g_auto(GStrv) lines = NULL;
    GHashTable *record = NULL;
    char **line;

    if (!xapi_run(args, &out, errp)) {
        return FALSE;
    }
    lines = g_strsplit(out, "\n", -1);
    for (line = lines; *line; line++) {
        char *bracket = strchr(*line, '(');
        char *close = bracket ? strchr(bracket, ')') : NULL;
        char *colon = close ? strchr(close, ':') : NULL;
        char *key;

        if (!colon) {
            continue;
        }
        *bracket = 0;
        key = g_strstrip(*line);
        if (!strcmp(key, "uuid")) {
            record = new_map();
            g_ptr_array_add(list, record);
        }
        if (record) {
            g_hash_table_insert(record, g_strdup(key),
                                g_strdup(g_strstrip(colon + 1)));
        }
    }
    *ret = g_steal_pointer(&list);
    return TRUE;
}

static const char *field(GHashTable *record, const char *key)
{
    const char *value = g_hash_table_lookup(record, key);

    return value ? value : "";
}

/* What is a VM at all, and what keeps options from it, xapi has to say. */
static const char *unfit(GHashTable *record)
{
    if (!strcmp(field(record, "is-control-domain"), "true")) {
        return "a control domain";
    }
    if (!strcmp(field(record, "is-a-snapshot"), "true")) {
        return "a snapshot";
    }
    if (!strcmp(field(record, "is-a-template"), "true")) {
        return "a template";
    }
    return *field(record, "HVM-boot-policy") ? NULL : "not an HVM guest";
}

gboolean xapi_list(GPtrArray **ret, GError **errp)
{
    static const char *const args[] = {
        "vm-list", "params=uuid,name-label,power-state,is-control-domain,"
        "is-a-template,is-a-snapshot,HVM-boot-policy,platform,other-config",
        NULL
    };
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(free_vm);
    g_autoptr(GPtrArray) records = NULL;
    guint i;

    if (!xapi_records(args, &records, errp)) {
        return FALSE;
    }
    for (i = 0; i < records->len; i++) {
        GHashTable *record = records->pdata[i];
        XapiVm *vm = g_new0(XapiVm, 1);

        vm->uuid = g_strdup(field(record, "uuid"));
        vm->name = text_clean(field(record, "name-label"));
        vm->power = g_strdup(field(record, "power-state"));
        vm->unfit = unfit(record);
        vm->platform = new_map();
        parse_map(vm->platform, field(record, "platform"));
        vm->other = new_map();
        parse_map(vm->other, field(record, "other-config"));
        g_ptr_array_add(list, vm);
    }
    *ret = g_steal_pointer(&list);
    return TRUE;
}

gboolean xapi_find_vgpus(GPtrArray *vms, GError **errp)
{
    static const char *const args[] = {
        "vgpu-list", "params=uuid,vm-uuid,type-model-name", NULL
    };
    g_autoptr(GPtrArray) records = NULL;
    guint i, k;

    if (!xapi_records(args, &records, errp)) {
        return FALSE;
    }
    for (i = 0; i < records->len; i++) {
        const char *model = field(records->pdata[i], "type-model-name");

        /* A whole card is a PCI device like others. */
        for (k = 0; strcmp(model, "passthrough") && k < vms->len; k++) {
            XapiVm *vm = vms->pdata[k];

            if (!strcmp(vm->uuid, field(records->pdata[i], "vm-uuid"))) {
                g_free(vm->vgpu);
                vm->vgpu = text_clean(model);
            }
        }
    }
    return TRUE;
}

static void free_host(gpointer data)
{
    XapiHost *host = data;

    g_free(host->name);
    g_free(host->lacks);
    g_free(host);
}

gboolean xapi_hosts(GPtrArray **ret, GError **errp)
{
    static const char *const args[] = {
        "host-list", "params=uuid,name-label", NULL
    };
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(free_host);
    g_autoptr(GPtrArray) records = NULL;
    guint i;

    if (!xapi_records(args, &records, errp)) {
        return FALSE;
    }
    for (i = 0; i < records->len; i++) {
        g_autofree char *uuid = g_strdup_printf(
            "host-uuid=%s", field(records->pdata[i], "uuid"));
        const char *ask[] = { "host-call-plugin", uuid, "plugin=pulsar",
                              "fn=status", NULL };
        g_autofree char *answer = NULL;
        g_autoptr(GError) err = NULL;
        XapiHost *host = g_new0(XapiHost, 1);

        host->name = text_clean(field(records->pdata[i], "name-label"));
        if (!xapi_run(ask, &answer, &err)) {
            host->lacks = g_strdup(err->message);
        } else if (strcmp(g_strstrip(answer), "ready")) {
            host->lacks = text_clean(answer);
        }
        g_ptr_array_add(list, host);
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
