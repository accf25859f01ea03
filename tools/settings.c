/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The effective options, as a device model writes them into its page.
 */
#include <string.h>

#include "settings.h"
#include "text.h"

static void free_setting(gpointer data)
{
    Setting *s = data;

    g_free(s->key);
    g_free(s->value);
    g_free(s->source);
    g_free(s);
}

GPtrArray *settings_parse(const char *text)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_setting);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    char **line, *equals, *tab;
    Setting *s;

    for (line = lines; *line; line++) {
        equals = strchr(*line, '=');
        if (!equals) {
            continue;
        }
        *equals = 0;
        tab = strchr(equals + 1, '\t');
        if (tab) {
            *tab = 0;
        }
        s = g_new0(Setting, 1);
        s->key = text_clean(*line);
        s->value = text_clean(equals + 1);
        s->source = text_clean(tab ? tab + 1 : "");
        g_ptr_array_add(list, s);
    }
    return list;
}

char *settings_value(const char *text, const char *key)
{
    g_autoptr(GPtrArray) list = settings_parse(text);
    guint i;

    for (i = 0; i < list->len; i++) {
        Setting *s = list->pdata[i];

        if (!strcmp(s->key, key)) {
            return g_steal_pointer(&s->value);
        }
    }
    return NULL;
}

gboolean settings_fits_conf(const char *name)
{
    /*
     * Blanks around a name are not part of it there, and what was made clean
     * by a backslash is not the name.
     */
    return *name && *name != ' ' && !g_str_has_suffix(name, " ") &&
           !strpbrk(name, "[]\\");
}
