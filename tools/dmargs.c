/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a device model's command line. No file, no process, no Xen:
 * tests/unit compiles this alone.
 *
 * A value is a list of "key=value" with commas between, and ",," for one
 * comma in a value; the first may be a value alone (QEMU's keyval.c, and
 * qemu-option.c for most of what libxl writes).
 */
#include <stdlib.h>
#include <string.h>

#include "dmargs.h"

/* ---- one value ------------------------------------------------------- */

/* Its parts, commas in them still doubled. */
static GPtrArray *split(const char *value)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    const char *begin = value, *at;

    for (at = value; ; at++) {
        if (*at == ',' && at[1] == ',') {
            at++;
        } else if (!*at || *at == ',') {
            g_ptr_array_add(parts, g_strndup(begin, at - begin));
            begin = at + 1;
            if (!*at) {
                return parts;
            }
        }
    }
}

static char *join(GPtrArray *parts)
{
    g_ptr_array_add(parts, NULL);
    return g_strjoinv(",", (char **)parts->pdata);
}

static char *doubled(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

static char *single(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",,", -1);

    return g_strjoinv(",", parts);
}

static const char *value_after(const char *part, const char *key)
{
    size_t len = strlen(key);

    return !strncmp(part, key, len) && part[len] == '=' ? part + len + 1
                                                        : NULL;
}

/* The value of @key, commas single; NULL when it is not there. */
static char *get(GPtrArray *parts, const char *key)
{
    const char *value;
    guint i;

    for (i = 0; i < parts->len; i++) {
        value = value_after(parts->pdata[i], key);
        if (value) {
            return single(value);
        }
    }
    return NULL;
}

static void drop(GPtrArray *parts, const char *key)
{
    guint i;

    for (i = parts->len; i-- > 0;) {
        if (value_after(parts->pdata[i], key)) {
            g_ptr_array_remove_index(parts, i);
        }
    }
}

static void put_back(GPtrArray *args, guint index, GPtrArray *parts)
{
    g_free(args->pdata[index]);
    args->pdata[index] = join(parts);
}

/* ---- the words ------------------------------------------------------- */

/* Is the word at @index the option @name, "-name" or "--name"? */
static gboolean is_option(GPtrArray *args, guint index, const char *name)
{
    const char *word = args->pdata[index];

    /* A VM may have the name of an option. */
    return word[0] == '-' && !strcmp(word + 1 + (word[1] == '-'), name) &&
           !(index > 0 && !strcmp(args->pdata[index - 1], "-name"));
}

/* Is the word at @index the value of the option @name? */
static gboolean is_value(GPtrArray *args, guint index, const char *name)
{
    return index > 0 && is_option(args, index - 1, name);
}

static gboolean has_id(const char *value, const char *key, const char *id)
{
    g_autoptr(GPtrArray) parts = split(value);
    g_autofree char *found = get(parts, key);

    return found && !strcmp(found, id);
}

void dmargs_drop_start(GPtrArray *args)
{
    static const char *const alone[] = { "S", "daemonize" };
    static const char *const valued[] = { "incoming", "loadvm", "add-fd" };
    guint i, k;

    for (i = args->len; i-- > 0;) {
        gboolean last = i + 1 == args->len;
        guint n = 0;

        for (k = 0; k < G_N_ELEMENTS(alone); k++) {
            n = is_option(args, i, alone[k]) ? 1 : n;
        }
        for (k = 0; !last && k < G_N_ELEMENTS(valued); k++) {
            n = is_option(args, i, valued[k]) ? 2 : n;
        }
        if (!last &&
            ((is_option(args, i, "chardev") &&
              has_id(args->pdata[i + 1], "id", DMARGS_OWN_ID)) ||
             (is_option(args, i, "mon") &&
              has_id(args->pdata[i + 1], "chardev", DMARGS_OWN_ID)) ||
             (is_option(args, i, "device") &&
              g_str_has_prefix(args->pdata[i + 1], DMARGS_DISKS ",")))) {
            n = 2;
        }
        if (n) {
            g_ptr_array_remove_range(args, i, n);
        }
    }
}

void dmargs_add_own(GPtrArray *args, int fd)
{
    g_ptr_array_add(args, g_strdup("-S"));
    g_ptr_array_add(args, g_strdup("-incoming"));
    g_ptr_array_add(args, g_strdup("defer"));
    g_ptr_array_add(args, g_strdup("-chardev"));
    g_ptr_array_add(args, g_strdup_printf("socket,id=" DMARGS_OWN_ID
                                          ",fd=%d", fd));
    g_ptr_array_add(args, g_strdup("-mon"));
    g_ptr_array_add(args, g_strdup("chardev=" DMARGS_OWN_ID
                                   ",mode=control"));
}

void dmargs_add_disks(GPtrArray *args, const char *disks)
{
    g_ptr_array_add(args, g_strdup("-device"));
    g_ptr_array_add(args, g_strconcat(DMARGS_DISKS ",disks=", disks, NULL));
}

void dmargs_add_fd(GPtrArray *args, int fd, int set, const char *opaque)
{
    g_autofree char *quoted = opaque ? doubled(opaque) : NULL;

    g_ptr_array_insert(args, 0, g_strdup_printf(
                           "fd=%d,set=%d%s%s", fd, set,
                           opaque ? ",opaque=" : "", opaque ? quoted : ""));
    g_ptr_array_insert(args, 0, g_strdup("-add-fd"));
}

static void add_numbers(GArray *list, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", -1);
    guint64 value;
    guint i;

    for (i = 0; parts[i]; i++) {
        if (g_ascii_string_to_unsigned(parts[i], 10, 0, G_MAXINT, &value,
                                       NULL)) {
            int number = value;

            g_array_append_val(list, number);
        }
    }
}

GArray *dmargs_numbers(GPtrArray *args)
{
    static const char *const keys[] = { "fd", "fds", "vhostfd", "vhostfds",
                                        "sock-fd" };
    GArray *list = g_array_new(FALSE, FALSE, sizeof(int));
    guint i, k;

    for (i = 0; i < args->len; i++) {
        const char *word = args->pdata[i];
        const char *at;

        if (is_value(args, i, "chardev") || is_value(args, i, "netdev") ||
            is_value(args, i, "net") || is_value(args, i, "device") ||
            is_value(args, i, "object") || is_value(args, i, "nic")) {
            g_autoptr(GPtrArray) parts = split(word);

            for (k = 0; k < G_N_ELEMENTS(keys); k++) {
                g_autofree char *value = get(parts, keys[k]);

                if (value) {
                    add_numbers(list, value);
                }
            }
        } else if (is_value(args, i, "vnc-clipboard-socket-fd")) {
            add_numbers(list, word);
        } else if (is_value(args, i, "drive") &&
                   (at = strstr(word, "nbd:fd:"))) {
            g_autofree char *number = g_strndup(
                at + strlen("nbd:fd:"),
                strspn(at + strlen("nbd:fd:"), "0123456789"));

            add_numbers(list, number);
        }
    }
    return list;
}

char *dmargs_tap(GPtrArray *args, guint index)
{
    g_autoptr(GPtrArray) parts = NULL;
    g_autofree char *type = NULL;

    if (!is_value(args, index, "netdev") && !is_value(args, index, "net")) {
        return NULL;
    }
    parts = split(args->pdata[index]);
    type = get(parts, "type");
    if (strcmp(type ? type : parts->pdata[0], "tap")) {
        return NULL;
    }
    return get(parts, "ifname");
}

void dmargs_set_tap(GPtrArray *args, guint index, int fd)
{
    /* What goes with a tap of its own making only (net/tap.c). */
    static const char *const keys[] = {
        "ifname", "br", "script", "downscript", "helper", "vnet_hdr",
        "queues",
    };
    g_autoptr(GPtrArray) parts = split(args->pdata[index]);
    guint i;

    for (i = 0; i < G_N_ELEMENTS(keys); i++) {
        drop(parts, keys[i]);
    }
    g_ptr_array_add(parts, g_strdup_printf("fd=%d", fd));
    put_back(args, index, parts);
}

void dmargs_set_vnc_port(GPtrArray *args, int port)
{
    guint i;

    for (i = 0; i < args->len; i++) {
        g_autoptr(GPtrArray) parts = NULL;
        g_autofree char *host = NULL;
        char *colon;

        if (!is_value(args, i, "vnc")) {
            continue;
        }
        parts = split(args->pdata[i]);
        colon = strrchr(parts->pdata[0], ':');
        if (!colon || port < 5900 || g_str_has_prefix(parts->pdata[0],
                                                      "unix:")) {
            continue;
        }
        host = g_strndup(parts->pdata[0], colon - (char *)parts->pdata[0]);
        g_free(parts->pdata[0]);
        parts->pdata[0] = g_strdup_printf("%s:%d", host, port - 5900);
        put_back(args, i, parts);
    }
}

gboolean dmargs_vnc_password(GPtrArray *args)
{
    guint i, k;

    for (i = 0; i < args->len; i++) {
        g_autoptr(GPtrArray) parts = NULL;
        g_autofree char *value = NULL;

        if (!is_value(args, i, "vnc")) {
            continue;
        }
        parts = split(args->pdata[i]);
        value = get(parts, "password");
        if (value && strcmp(value, "off")) {
            return TRUE;
        }
        for (k = 1; k < parts->len; k++) {
            if (!strcmp(parts->pdata[k], "password")) {
                return TRUE;
            }
        }
    }
    return FALSE;
}

void dmargs_drop_devices(GPtrArray *args, GHashTable *present)
{
    guint i;

    for (i = args->len; i-- > 0;) {
        g_autoptr(GPtrArray) parts = NULL;
        g_autofree char *id = NULL;

        if (!is_value(args, i, "device")) {
            continue;
        }
        parts = split(args->pdata[i]);
        id = get(parts, "id");
        if (id && !g_hash_table_remove(present, id)) {
            g_ptr_array_remove_range(args, i - 1, 2);
            i--;
        }
    }
}

gboolean dmargs_set_medium(GPtrArray *args, const char *id, const char *file,
                           const char *format)
{
    gboolean found = FALSE;
    guint i;

    for (i = 0; i < args->len; i++) {
        g_autoptr(GPtrArray) parts = NULL;
        g_autofree char *old = NULL;
        g_autofree char *quoted = NULL;

        if (!is_value(args, i, "drive") ||
            !has_id(args->pdata[i], "id", id)) {
            continue;
        }
        found = TRUE;
        parts = split(args->pdata[i]);
        old = get(parts, "file");
        if (g_strcmp0(old && *old ? old : NULL, file)) {
            drop(parts, "file");
            drop(parts, "format");
            if (file) {
                quoted = doubled(file);
                g_ptr_array_add(parts, g_strdup_printf("file=%s", quoted));
                g_ptr_array_add(parts, g_strdup_printf("format=%s", format));
            }
            put_back(args, i, parts);
        }
    }
    return found;
}
