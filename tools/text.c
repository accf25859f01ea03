/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that comes from elsewhere and goes to a terminal, a table or a file.
 */
#include <stdio.h>
#include <string.h>

#include "text.h"

#define PRINT_WIDTH 79

static gboolean is_harmless(gunichar c, gboolean utf8)
{
    if (c < 0x80) {
        return c >= 0x20 && c != 0x7f;
    }
    /* Not "Cf" either: text must not change its direction, or hide. */
    return utf8 && g_unichar_isprint(c) &&
           g_unichar_type(c) != G_UNICODE_FORMAT &&
           g_unichar_type(c) != G_UNICODE_LINE_SEPARATOR &&
           g_unichar_type(c) != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static char *clean(const char *text, gboolean utf8)
{
    GString *s = g_string_new(NULL);
    const char *p = text, *next;
    gunichar c;

    while (*p) {
        c = g_utf8_get_char_validated(p, -1);
        next = p + 1;
        if (c != (gunichar)-1 && c != (gunichar)-2) {
            next = g_utf8_next_char(p);
            if (is_harmless(c, utf8)) {
                g_string_append_unichar(s, c);
                p = next;
                continue;
            }
        }
        for (; p < next; p++) {
            g_string_append_printf(s, "\\x%02x", (unsigned char)*p);
        }
    }
    return g_string_free(s, FALSE);
}

static int char_width(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

char *text_clean(const char *text)
{
    return clean(text, TRUE);
}

char *text_shown(const char *text)
{
    return clean(text, g_get_charset(NULL));
}

int text_width(const char *text)
{
    int width = 0;

    for (; *text; text = g_utf8_next_char(text)) {
        width += char_width(g_utf8_get_char(text));
    }
    return width;
}

char *text_fit(const char *text, int width)
{
    GString *s = g_string_new(NULL);
    gboolean cut = text_width(text) > width;
    int room = cut ? width - 1 : width;
    int w;

    for (; *text; text = g_utf8_next_char(text)) {
        w = char_width(g_utf8_get_char(text));
        if (w > room) {
            break;
        }
        room -= w;
        g_string_append_unichar(s, g_utf8_get_char(text));
    }
    while (room-- > 0) {
        g_string_append_c(s, ' ');
    }
    if (cut && width > 0) {
        g_string_append_c(s, '~');
    }
    return g_string_free(s, FALSE);
}

void text_print(const char *text, int indent, int column)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    gboolean first = TRUE;
    int i, len;

    for (i = 0; words[i]; i++) {
        len = text_width(words[i]);
        if (!first && column + 1 + len > PRINT_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
            first = TRUE;
        }
        printf("%s%s", first ? "" : " ", words[i]);
        column += len + !first;
        first = FALSE;
    }
    putchar('\n');
}

char *text_rate(double rate)
{
    if (rate == 0) {
        return g_strdup("0");
    }
    if (rate < 0.01) {
        return g_strdup("<0.01");
    }
    if (rate < 9.995) {
        return g_strdup_printf("%.2f", rate);
    }
    if (rate < 99.95) {
        return g_strdup_printf("%.1f", rate);
    }
    if (rate < 999999.5) {
        return g_strdup_printf("%.0f", rate);
    }
    return g_strdup_printf("%.3g", rate);
}

char *text_memory(guint64 kib)
{
    if (kib < 1000) {
        return g_strdup_printf("%" G_GUINT64_FORMAT "K", kib);
    }
    if (kib < 1000 * 1024) {
        return g_strdup_printf("%.1fM", kib / 1024.0);
    }
    return g_strdup_printf("%.1fG", kib / (1024.0 * 1024));
}

char *text_duration(double seconds)
{
    guint64 s = seconds < 0 ? 0 : (guint64)(seconds + 0.5);

    if (s < 60) {
        return g_strdup_printf("%d s", (int)s);
    }
    if (s < 3600) {
        return g_strdup_printf("%d min %d s", (int)(s / 60), (int)(s % 60));
    }
    if (s < 86400) {
        return g_strdup_printf("%d h %d min", (int)(s / 3600),
                               (int)(s % 3600 / 60));
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT " d %d h", s / 86400,
                           (int)(s % 86400 / 3600));
}
