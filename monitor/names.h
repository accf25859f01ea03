/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for callbacks. A stripped binary cannot tell what a function pointer
 * is called, so the places that hand one to a timer or a descriptor note its
 * spelling: names-timer.h, names-main-loop.h and names-aio.h wrap upstream's
 * registration functions in macros of the same name (a macro is not expanded
 * again inside itself, so the function is what gets called).
 *
 * Each is included in the upstream header that declares what it wraps, behind
 * that; the files that define the wrapped functions undefine the macros first.
 */
#ifndef PULSAR_NAMES_H
#define PULSAR_NAMES_H

/**
 * pulsar_name: remember what a callback is called in the source
 * @fn: the callback; NULL is fine and remembers nothing
 * @spelling: the expression that yielded it; "a ? fn : NULL" becomes "fn"
 *
 * The first spelling wins. Safe from any thread.
 *
 * Returns: @fn
 */
void *pulsar_name(void *fn, const char *spelling);

/* The same, keeping the pointer's type. */
#define PULSAR_NAMED(fn) \
    ((__typeof__(1 ? (fn) : (fn)))pulsar_name((void *)(fn), #fn))

#endif /* PULSAR_NAMES_H */
