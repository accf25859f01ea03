/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options inside QEMU: -pulsar on the command line, and the moment at
 * which all sources have spoken.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/xen/xen.h"
#include "system/system.h"
#include "gates.h"
#include "launch.h"
#include "options-glue.h"
#include "pulsar-dirs.h"
#include "pulsar-hooks.h"
#include "shared.h"

#define CONF  PULSAR_SYSCONFDIR "/pulsar.conf"

static PulsarOptions *options;

/* Who the VM is; the command line's name comes first. */
static PulsarVm vm;

static G_NORETURN void option_error(char *why)
{
    error_report("%s", why);
    g_free(why);
    exit(1);
}

static PulsarOptions *get_options(void)
{
    if (!options) {
        options = pulsar_options_new();
    }
    return options;
}

const PulsarOptions *pulsar_options(void)
{
    return get_options();
}

void pulsar_parse_option(const char *optarg)
{
    char *why = NULL;

    if (g_str_equal(optarg, "help")) {
        g_autofree char *help = pulsar_option_help();

        fputs(help, stdout);
        exit(0);
    }
    if (!pulsar_options_add_args(get_options(), optarg, &why)) {
        option_error(why);
    }
}

static void read_conf(void)
{
    PulsarValue value = pulsar_options_value(options, PULSAR_OPTION_CONFIG);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    bool asked = value == PULSAR_VALUE_PATH;
    char *why = NULL;
    guint i;

    if (value != PULSAR_VALUE_CLOSED &&
        !pulsar_options_add_conf(options, asked ?
                                 pulsar_options_text(options,
                                                     PULSAR_OPTION_CONFIG) :
                                 CONF, asked, vm.name, vm.uuid, warnings,
                                 &why)) {
        option_error(why);
    }
    for (i = 0; i < warnings->len; i++) {
        warn_report("%s; passed over", (char *)warnings->pdata[i]);
    }
}

/* One line, so that the log tells how this VM was started. */
static void log_options(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        g_autofree char *why = pulsar_gate_why(i);

        g_string_append_printf(text, "%s%s", i ? ", " : "", why);
    }
    info_report("options: %s", text->str);
}

/* Makes the hardware as an option says that has just changed. */
static bool change_hardware(PulsarOptionId id, Error **errp)
{
    const PulsarGate *gate = pulsar_gate_of(id);

    return !gate || !gate->changed || gate->changed(errp);
}

bool pulsar_options_set_running(const char *key, const char *value,
                                PulsarOptionId *ret_id, Error **errp)
{
    PulsarOptions *old = options;
    g_autofree char *why = NULL;

    options = pulsar_options_copy(old);
    if (!pulsar_options_change(options, key, value, ret_id, &why)) {
        error_setg(errp, "%s", why);
    } else if (change_hardware(*ret_id, errp)) {
        pulsar_options_free(old);
        pulsar_gates_tell(&vm);
        why = pulsar_gate_why(*ret_id);
        info_report("options: %s", why);
        return true;
    }
    pulsar_options_free(options);
    options = old;
    return false;
}

void pulsar_options_resolve(void)
{
    g_autofree char *name = NULL;
    char *uuid = NULL;
    char *why = NULL;

    get_options();
    pulsar_launch_init();
    pulsar_shared_vcpus_init();
    pulsar_shared_xenstore_init();
    pulsar_shared_ide_init();
    if (xen_domid) {
        if (!pulsar_options_add_xenstore(options, xen_domid, &name, &uuid,
                                         &why)) {
            option_error(why);
        }
        vm = (PulsarVm) {
            .domid = xen_domid,
            .name = g_strdup(qemu_get_vm_name() ?: name),
            .uuid = uuid,
        };
        read_conf();
        log_options();
    }
    pulsar_gates_init();
    if (xen_domid) {
        pulsar_gates_tell(&vm);
    }
}
