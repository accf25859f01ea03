/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two toolstacks: xapi, which keeps options in its platform map, and xl,
 * for which they stand in pulsar.conf.
 */
#ifndef PULSAR_TOOLSTACK_H
#define PULSAR_TOOLSTACK_H

#include <glib.h>

/** toolstack_names: "xl" and "xapi", for an option --toolstack. */
extern const char *const toolstack_names[];

/**
 * toolstack_is_xapi: is this a host of xapi's?
 * @wanted: what --toolstack says, or NULL to look for the command xe
 */
gboolean toolstack_is_xapi(const char *wanted);

/** toolstack_quote: @word as a shell takes it; to be freed by the caller. */
char *toolstack_quote(const char *word);

/** struct XapiVm: a VM, template or snapshot that xapi knows */
typedef struct XapiVm {
    char *uuid;
    char *name;             /* clean */
    char *power;            /* "running", "halted", "suspended", "paused" */
    char *vgpu;             /* model of its vGPU, clean, or NULL; only after
                               xapi_find_vgpus() */
    const char *unfit;      /* why options do not apply to it, or NULL */
    GHashTable *platform;   /* its platform map, key -> value */
    GHashTable *other;      /* the same of other-config */
} XapiVm;

/**
 * xapi_list: what xapi knows
 * @ret: XapiVm
 */
gboolean xapi_list(GPtrArray **ret, GError **errp);

/**
 * xapi_find_vgpus: which VMs have a vGPU
 * @vms: XapiVm; their field vgpu is filled in
 */
gboolean xapi_find_vgpus(GPtrArray *vms, GError **errp);

/** struct XapiHost: a host of the pool */
typedef struct XapiHost {
    char *name;             /* clean */
    char *lacks;            /* why it cannot start Pulsar, clean, or NULL */
} XapiHost;

/**
 * xapi_hosts: the hosts of the pool, each asked by xapi's plugin "pulsar"
 * @ret: XapiHost
 */
gboolean xapi_hosts(GPtrArray **ret, GError **errp);

/** enum XapiHands: does a key of the platform map reach the device model? */
typedef enum XapiHands {
    XAPI_HANDS_ON,
    XAPI_DROPS,             /* its feature no_platform_filter is off */
    XAPI_HANDS_UNKNOWN,     /* xapi did not say */
} XapiHands;

/**
 * xapi_hands: what xapi does with a key of the platform map
 *
 * Asks xapi once.
 */
XapiHands xapi_hands(const char *key);

/**
 * xapi_run: run one command of xe
 * @args: without "xe" itself, NULL-ended
 * @ret_out: what it printed, or NULL if that is not wanted
 */
gboolean xapi_run(const char *const *args, char **ret_out, GError **errp);

#endif /* PULSAR_TOOLSTACK_H */
