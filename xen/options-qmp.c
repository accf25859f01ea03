/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options through QMP: query-pulsar-options, and pulsar-set for those
 * that can change while the VM runs.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-pulsar.h"
#include "gates.h"
#include "options-glue.h"

PulsarOptionInfoList *qmp_query_pulsar_options(Error **errp)
{
    const PulsarOptions *o = pulsar_options();
    PulsarOptionInfoList *ret = NULL, **tail = &ret;
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        PulsarOptionInfo *info = g_new0(PulsarOptionInfo, 1);

        info->key = g_strdup(pulsar_option_table[i].name);
        info->value = g_strdup(pulsar_options_text(o, i));
        info->source = g_strdup(pulsar_options_source_text(o, i));
        info->running = pulsar_option_table[i].running;
        QAPI_LIST_APPEND(tail, info);
    }
    return ret;
}

static const char *note_for(PulsarOptionId id)
{
    const PulsarGate *gate = pulsar_gate_of(id);

    return gate && gate->changed_note ? gate->changed_note() :
                                        "the guest sees no difference";
}

PulsarSetResult *qmp_pulsar_set(const char *key, const char *value,
                                Error **errp)
{
    ERRP_GUARD();
    const PulsarOption *opt = pulsar_option_find(key);
    const PulsarGate *gate = opt ? pulsar_gate_of(opt - pulsar_option_table) :
                                   NULL;
    PulsarSetResult *ret;
    PulsarOptionId id;
    char *note;

    if (gate && gate->do_now && gate->do_now(value, &note, errp)) {
        ret = g_new0(PulsarSetResult, 1);
        ret->note = note;
        return ret;
    }
    if (*errp || !pulsar_options_set_running(key, value, &id, errp)) {
        return NULL;
    }
    ret = g_new0(PulsarSetResult, 1);
    ret->changed = true;
    ret->note = g_strdup(note_for(id));
    return ret;
}
