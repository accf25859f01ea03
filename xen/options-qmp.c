/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options through QMP: query-pulsar-options, and pulsar-set for those
 * that can change while the VM runs.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-block.h"
#include "qapi/qapi-commands-pulsar.h"
#include "qemu/error-report.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
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

static bool is_cd(DeviceState *dev)
{
    return dev && (object_dynamic_cast(OBJECT(dev), "ide-cd") ||
                   object_dynamic_cast(OBJECT(dev), "scsi-cd"));
}

/* The medium can go while the VM runs, the drive cannot. */
static PulsarSetResult *eject_all(Error **errp)
{
    ERRP_GUARD();
    PulsarSetResult *ret;
    BlockBackend *blk;
    unsigned ejected = 0;

    for (blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        DeviceState *dev = blk_get_attached_dev(blk);
        const char *name = blk_name(blk);
        g_autofree char *path = NULL;

        if (!is_cd(dev) || !blk_bs(blk)) {
            continue;
        }
        if (!*name) {
            path = object_get_canonical_path(OBJECT(dev));
        }
        qmp_eject(*name ? name : NULL, path, true, false, errp);
        if (*errp) {
            return NULL;
        }
        ejected++;
    }
    ret = g_new0(PulsarSetResult, 1);
    ret->note = g_strdup_printf("%u of the CD drives had a medium, and it is "
                                "out; the drives themselves go at the next "
                                "start", ejected);
    info_report("options: dvd=none while the guest runs: %s", ret->note);
    return ret;
}

static const char *note_for(PulsarOptionId id)
{
    PulsarValue value = pulsar_gate_value(id);

    switch (id) {
    case PULSAR_OPTION_USB_TABLET:
        return value == PULSAR_VALUE_VIEWER ?
               "the tablet is plugged in while a VNC client looks" :
               value == PULSAR_VALUE_CLOSED ? "the tablet is unplugged" :
               !pulsar_gate_usb_has_tablet() ? "there is no tablet" :
                                              "the tablet is plugged in";
    case PULSAR_OPTION_MONITOR:
        return value == PULSAR_VALUE_FULL ? "the human monitors are open" :
                                            "the human monitors are closed";
    default:
        return "the guest sees no difference";
    }
}

PulsarSetResult *qmp_pulsar_set(const char *key, const char *value,
                                Error **errp)
{
    PulsarSetResult *ret;
    PulsarOptionId id;

    if (g_str_equal(key, pulsar_option_table[PULSAR_OPTION_DVD].name) &&
        !g_ascii_strcasecmp(value, "none") &&
        !pulsar_gate_closed(PULSAR_OPTION_DVD)) {
        return eject_all(errp);
    }
    if (!pulsar_options_set_running(key, value, &id, errp)) {
        return NULL;
    }
    ret = g_new0(PulsarSetResult, 1);
    ret->changed = true;
    ret->note = g_strdup(note_for(id));
    return ret;
}
