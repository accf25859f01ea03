/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the causes of wakes mean, and what cures them.
 */
#ifndef PULSAR_ADVICE_H
#define PULSAR_ADVICE_H

#include <glib.h>

/* Where else to look for whoever is behind a cause. */
typedef enum AdviceLook {
    LOOK_NOWHERE,
    LOOK_PTY,               /* who has its serial console open */
    LOOK_VNC,               /* who is connected to its display */
    LOOK_QMP,               /* who is connected to its monitor */
} AdviceLook;

/** struct Advice: what is known of some causes */
typedef struct Advice {
    const char *patterns;   /* globs in lower case, separated by blanks */
    const char *words;      /* what happens there; a sentence */
    const char *option;     /* the option that cures it, or NULL */
    const char *value;
    const char *otherwise;  /* what else cures it, or NULL; a sentence */
    AdviceLook look;
} Advice;

/** advice_table: all of it; ends with patterns NULL, which fits the rest. */
extern const Advice advice_table[];

/** advice_find: what is known of @cause; never NULL. */
const Advice *advice_find(const char *cause);

#endif /* PULSAR_ADVICE_H */
