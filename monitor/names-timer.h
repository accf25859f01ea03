/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Included at the end of include/qemu/timer.h: see names.h. */
#ifndef PULSAR_NAMES_TIMER_H
#define PULSAR_NAMES_TIMER_H

#include "names.h"

#define timer_new(type, scale, cb, opaque) \
    timer_new(type, scale, PULSAR_NAMED(cb), opaque)
#define timer_new_ns(type, cb, opaque) \
    timer_new_ns(type, PULSAR_NAMED(cb), opaque)
#define timer_new_us(type, cb, opaque) \
    timer_new_us(type, PULSAR_NAMED(cb), opaque)
#define timer_new_ms(type, cb, opaque) \
    timer_new_ms(type, PULSAR_NAMED(cb), opaque)
#define timer_init_ns(ts, type, cb, opaque) \
    timer_init_ns(ts, type, PULSAR_NAMED(cb), opaque)
#define timer_init_us(ts, type, cb, opaque) \
    timer_init_us(ts, type, PULSAR_NAMED(cb), opaque)
#define timer_init_ms(ts, type, cb, opaque) \
    timer_init_ms(ts, type, PULSAR_NAMED(cb), opaque)

#endif /* PULSAR_NAMES_TIMER_H */
