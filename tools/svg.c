/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A chart of the 30-second table. The counts run from 0 to hundreds of
 * thousands and 0 is what matters most, so the scale is logarithmic with a
 * true zero: 0, 1, 10, 100 … are at equal distances.
 */
#include <math.h>
#include <string.h>

#include "svg.h"
#include "text.h"

#define WIDTH    760.0
#define HEIGHT   330.0
#define LEFT     64.0
#define RIGHT    16.0
#define TOP      64.0
#define BOTTOM   52.0
#define PLOT_W   (WIDTH - LEFT - RIGHT)
#define PLOT_H   (HEIGHT - TOP - BOTTOM)

typedef struct Bar {
    guint column;           /* of the table */
    const char *colour;
    const char *words;
} Bar;

static const Bar bars[] = {
    { 1, "#4c78a8", "timer" },
    { 2, "#e1812c", "read" },
    { 3, "#3a923a", "write" },
};

static const Bar wakes = { 0, "#333333", "wakes" };

/* Glib's formats follow the locale; SVG wants a point. */
static void G_GNUC_PRINTF(2, 3) add(GString *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(s, fmt, ap);
    va_end(ap);
}

static const char *num(double value)
{
    static char buf[8][G_ASCII_DTOSTR_BUF_SIZE];
    static guint next;

    next = (next + 1) % G_N_ELEMENTS(buf);
    return g_ascii_formatd(buf[next], sizeof(buf[next]), "%.1f", value);
}

/* 0 → 0, 1 → 1, 10 → 2, 100 → 3 … */
static double steps(double n)
{
    return n < 1 ? n : 1 + log10(n);
}

static double y_of(double n, double top)
{
    return TOP + PLOT_H * (1 - steps(n) / steps(top));
}

static double scale_top(const Rows *rows)
{
    double top = 10;
    guint i, k;

    for (i = 0; i < rows->len; i++) {
        for (k = 0; k < 4; k++) {
            while (rows_column(&rows->n[i], k) > top) {
                top *= 10;
            }
        }
    }
    return top;
}

static void add_grid(GString *s, double top)
{
    g_autofree char *label = NULL;
    double n;

    for (n = 0; n <= top; n = n ? n * 10 : 1) {
        add(s, "<path d=\"M%s %sh%s\" stroke=\"%s\"/>\n", num(LEFT),
            num(y_of(n, top)), num(PLOT_W), n ? "#dddddd" : "#333333");
        add(s, "<text x=\"%s\" y=\"%s\" text-anchor=\"end\">%.0f</text>\n",
            num(LEFT - 6), num(y_of(n, top) + 4), n);
    }
}

static void add_row(GString *s, const Rows *rows, guint i, double top)
{
    double slot = PLOT_W / rows->len;
    double bar = slot * 0.8 / G_N_ELEMENTS(bars);
    double left = LEFT + i * slot;
    guint64 n;
    guint k;

    for (k = 0; k < G_N_ELEMENTS(bars); k++) {
        n = rows_column(&rows->n[i], bars[k].column);
        if (n) {
            add(s, "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" "
                "fill=\"%s\"/>\n", num(left + slot * 0.1 + k * bar),
                num(y_of(n, top)), num(bar),
                num(TOP + PLOT_H - y_of(n, top)), bars[k].colour);
        }
    }
}

/* As many labels below the axis as have room. */
static void add_axis(GString *s, const Rows *rows)
{
    double slot = PLOT_W / rows->len;
    guint every = MAX(1, ceil(34 / slot));
    guint i;

    for (i = 0; i < rows->len; i += every) {
        add(s, "<text x=\"%s\" y=\"%s\" text-anchor=\"middle\">"
            "%" G_GUINT64_FORMAT "</text>\n", num(LEFT + (i + 0.5) * slot),
            num(TOP + PLOT_H + 16), rows->first + i - 1);
    }
    add(s, "<text x=\"%s\" y=\"%s\" text-anchor=\"middle\">row of 30 s"
        "</text>\n", num(LEFT + PLOT_W / 2), num(TOP + PLOT_H + 36));
}

static void add_wakes(GString *s, const Rows *rows, double top)
{
    double slot = PLOT_W / rows->len;
    guint i;

    add(s, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"",
        wakes.colour);
    for (i = 0; i < rows->len; i++) {
        add(s, "%c%s %s", i ? 'L' : 'M', num(LEFT + (i + 0.5) * slot),
            num(y_of(rows->n[i].wakes, top)));
    }
    add(s, "\"/>\n");
}

static void add_legend(GString *s, const VmPage *vm)
{
    const PulsarLedgerCounts *total = &vmpage_header(vm)->total;
    double x = LEFT;
    guint k;

    for (k = 0; k <= G_N_ELEMENTS(bars); k++) {
        const Bar *b = k < G_N_ELEMENTS(bars) ? &bars[k] : &wakes;

        add(s, "<rect x=\"%s\" y=\"%s\" width=\"10\" height=\"%s\" "
            "fill=\"%s\"/>\n", num(x), num(b == &wakes ? 43 : 38),
            b == &wakes ? "2" : "10", b->colour);
        add(s, "<text x=\"%s\" y=\"47\">%s: %" G_GUINT64_FORMAT
            "</text>\n", num(x + 14), b->words,
            rows_column(total, b->column));
        x += 160;
    }
}

char *svg_table(const VmPage *vm, const Rows *rows)
{
    GString *s = g_string_new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    g_autofree char *title = vmpage_title(vm);
    g_autofree char *name = g_markup_escape_text(title, -1);
    g_autofree char *age = text_duration(rows->seconds);
    double top = scale_top(rows);
    guint i;

    add(s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %s %s\" "
        "width=\"%s\" height=\"%s\" font-family=\"sans-serif\" "
        "font-size=\"11\" fill=\"#333333\">\n", num(WIDTH), num(HEIGHT),
        num(WIDTH), num(HEIGHT));
    add(s, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
    add(s, "<text x=\"%s\" y=\"24\" font-size=\"15\">What disturbed the "
        "device model of %s in %s</text>\n", num(LEFT), name, age);
    add_legend(s, vm);
    add_grid(s, top);
    for (i = 0; i < rows->len; i++) {
        add_row(s, rows, i, top);
    }
    add_wakes(s, rows, top);
    add_axis(s, rows);
    add(s, "</svg>\n");
    return g_string_free(s, FALSE);
}
