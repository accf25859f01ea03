/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMs of xapi and what stands in their platform maps.
 */
#ifndef PULSAR_PLATFORM_H
#define PULSAR_PLATFORM_H

#include "toolstack.h"

/**
 * platform_choose: the VMs that are meant
 * @names: as they were typed: names, UUIDs or domain ids, char *
 * @every: each one that fits is meant; the others are named on standard output
 * @all: XapiVm, what xapi_list() gave
 * @refused: what an error says of one that does not fit: "takes no options"
 * @chosen: takes them; they stay @all's
 *
 * Returns: FALSE with an error if one is not there, or not the only one of its
 * name, or does not fit.
 */
gboolean platform_choose(GPtrArray *names, gboolean every, GPtrArray *all,
                         const char *refused, GPtrArray *chosen,
                         GError **errp);

/**
 * struct PlatformChange: what is done to a VM's platform map
 *
 * What a key was before the first change is kept beside it, in other-config,
 * and platform_undo() puts it back.
 */
typedef struct PlatformChange {
    const XapiVm *vm;
    GPtrArray *put;         /* arguments of vm-param-set, char * */
    GPtrArray *removed;     /* pairs of a map's and a key's name, char * */
} PlatformChange;

void platform_init(PlatformChange *c, const XapiVm *vm);
void platform_clear(PlatformChange *c);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PlatformChange, platform_clear)

/** platform_put: set @key to @value, or away with it for NULL. */
void platform_put(PlatformChange *c, const char *key, const char *value);

/** platform_undo: as @key was before the first platform_put(). */
void platform_undo(PlatformChange *c, const char *key);

/** platform_forget: what @key was before is nobody's concern any more. */
void platform_forget(PlatformChange *c, const char *key);

/** platform_run: have xapi do what was noted; once. */
gboolean platform_run(const PlatformChange *c, GError **errp);

#endif /* PULSAR_PLATFORM_H */
