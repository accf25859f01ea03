/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The count behind pulsar-context.h.
 */
#include "qemu/osdep.h"
#include "pulsar-context.h"

#ifdef PULSAR_CHECK_CONTEXT
__thread unsigned int pulsar_context_depth;
#endif
