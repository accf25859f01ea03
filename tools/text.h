/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that comes from elsewhere and goes to a terminal, a table or a file.
 */
#ifndef PULSAR_TEXT_H
#define PULSAR_TEXT_H

#include <glib.h>

/**
 * text_clean: make foreign text harmless
 * @text: any bytes
 *
 * What is not valid UTF-8, or is a control, formatting or unassigned
 * character, becomes \xNN for each of its bytes.
 *
 * Returns: to be freed with g_free(); valid UTF-8, one line, no escape
 * sequences.
 */
char *text_clean(const char *text);

/**
 * text_shown: text_clean() for this terminal
 *
 * Where the locale is not UTF-8, all that is not ASCII becomes \xNN too.
 */
char *text_shown(const char *text);

/** text_width: how many columns of a terminal clean @text takes. */
int text_width(const char *text);

/**
 * text_fit: clean @text in exactly @width columns
 *
 * Cut with a '~' at the end, or filled up with blanks.
 */
char *text_fit(const char *text, int width);

/**
 * text_print: print clean @text on lines of up to 79 columns
 * @indent: blanks before each line but the first
 * @column: where on its line the first one begins
 */
void text_print(const char *text, int indent, int column);

/** text_rate: a number per second in few characters: "0", "0.33", "1302". */
char *text_rate(double rate);

/** text_memory: a size given in KiB: "812K", "8.4M", "1.2G". */
char *text_memory(guint64 kib);

/** text_duration: seconds as "42 s", "3 min 5 s", "2 h 10 min", "5 d 3 h". */
char *text_duration(double seconds);

#endif /* PULSAR_TEXT_H */
