/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates and the state of a saved guest: a state that was saved with
 * other hardware is refused with the name of the option, before QEMU finds
 * out in its own words.
 *
 * A device model whose hardware is not what its command line says puts a
 * section "pulsar-gates" before all others, with the options that made the
 * difference. Without a difference there is no section, so that states go
 * from stock QEMU to here and back.
 *
 * Under xapi the section is always there, with an empty text if need be: by it
 * Pulsar's qemu-wrapper tells such a state from one of xapi's own QEMU, which
 * has to be restored by that (packaging/xapi/qemu-wrapper).
 */
#include "qemu/osdep.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "gates.h"
#include "launch.h"
#include "options-glue.h"
#include "pulsar-hooks.h"

#define SECTION  "pulsar-gates"

/* "usb=xhci,no-drives=ide-1+", NUL padded. */
#define TEXT_V1  256
#define TEXT_V2  4096

typedef struct GatesState {
    uint8_t text_v1[TEXT_V1];
    uint8_t text[TEXT_V2];
} GatesState;

static GatesState state;
static bool checked;        /* the state being loaded has been compared */

/* What an option has made of the hardware. */
static const char *hardware(const PulsarGate *gate)
{
    return gate->hardware ? gate->hardware() :
           pulsar_options_text(pulsar_options(), gate->option);
}

static bool state_needed(void *opaque)
{
    PulsarGate *gate;

    PULSAR_GATES_FOREACH(gate) {
        if (gate->altered) {
            return true;
        }
    }
    return pulsar_launch_by_xapi();
}

static void add_item(GString *text, const char *name, const char *value)
{
    g_string_append_printf(text, "%s%s=%s", text->len ? "," : "", name, value);
}

static int state_pre_save(void *opaque)
{
    g_autoptr(GString) text = g_string_new(NULL);
    PulsarGate *gate;

    PULSAR_GATES_FOREACH(gate) {
        if (gate->altered) {
            add_item(text, pulsar_option_table[gate->option].name,
                     hardware(gate));
        }
    }
    PULSAR_GATES_FOREACH(gate) {
        if (gate->more && *gate->more()) {
            add_item(text, gate->more_name, gate->more());
        }
    }
    if (text->len >= TEXT_V2) {
        error_report("the state cannot be saved: what the options made of the "
                     "hardware takes %zu bytes to say, and %d are accepted",
                     text->len, TEXT_V2 - 1);
        return -E2BIG;
    }
    memset(state.text, 0, sizeof(state.text));
    memcpy(state.text, text->str, text->len);
    return 0;
}

/*
 * An option that changes while the VM runs is set to what the guest was saved
 * with: somebody may have set it since the start.
 */
static bool take_over(const PulsarGate *gate, const char *value)
{
    const PulsarOption *opt = &pulsar_option_table[gate->option];
    Error *err = NULL;
    PulsarOptionId id;

    if (!opt->running ||
        !pulsar_options_set_running(opt->name, value, &id, &err)) {
        error_free(err);
        return false;
    }
    info_report("options: %s=%s, as the guest was saved", opt->name,
                hardware(gate));
    return true;
}

static bool is_refused(const PulsarGate *gate, const char *saved, Error **errp)
{
    g_autofree char *value = NULL;
    g_autofree char *how = NULL;
    g_autofree char *why = NULL;
    const char *name = pulsar_option_table[gate->option].name;

    if (saved ? !strcmp(hardware(gate), saved) : !gate->altered) {
        return false;
    }
    if (take_over(gate, saved ?: "given") &&
        (!saved || !strcmp(hardware(gate), saved))) {
        return false;
    }
    value = saved ? pulsar_printable(saved, -1, 64) : NULL;
    how = saved ? g_strdup_printf("with %s=%s", name, value) :
                  g_strdup_printf("with %s as it was given", name);
    why = pulsar_gate_why(gate->option);
    error_setg(errp, "this guest was saved %s and cannot be restored with %s; "
               "restore it with the options that it was saved with", how, why);
    return true;
}

/* The value of @name in the state's text, or NULL; "" names none. */
static const char *find_item(char **items, const char *name)
{
    const char *value;
    size_t i;

    for (i = 0; items[i]; i++) {
        value = strchr(items[i], '=');
        if (value && (size_t)(value - items[i]) == strlen(name) &&
            g_str_has_prefix(items[i], name)) {
            return value + 1;
        }
    }
    return NULL;
}

/* Items that no gate knows are a later version's; its sections will tell. */
static bool compare(const char *saved, Error **errp)
{
    g_auto(GStrv) items = g_strsplit(saved, ",", -1);
    PulsarGate *gate;

    checked = true;
    PULSAR_GATES_FOREACH(gate) {
        const char *more = gate->restored ?
                           find_item(items, gate->more_name) : NULL;

        if (more) {
            gate->restored(more);
        }
    }
    PULSAR_GATES_FOREACH(gate) {
        const char *name = pulsar_option_table[gate->option].name;

        if (is_refused(gate, find_item(items, name), errp)) {
            return false;
        }
    }
    return true;
}

static int state_post_load(void *opaque, int version_id)
{
    char *text = (char *)(version_id < 2 ? state.text_v1 : state.text);
    Error *err = NULL;

    text[(version_id < 2 ? TEXT_V1 : TEXT_V2) - 1] = '\0';
    if (!compare(text, &err)) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}

static bool is_v1(void *opaque, int version_id)
{
    return version_id < 2;
}

static const VMStateDescription vmstate_gates = {
    .name = SECTION,
    .version_id = 2,
    .minimum_version_id = 1,
    .priority = MIG_PRI_MAX,
    .needed = state_needed,
    .pre_save = state_pre_save,
    .post_load = state_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STATIC_BUFFER(text_v1, GatesState, 0, is_v1, 0, TEXT_V1),
        VMSTATE_STATIC_BUFFER(text, GatesState, 2, NULL, 0, TEXT_V2),
        VMSTATE_END_OF_LIST()
    }
};

void pulsar_gates_state_init(void)
{
    vmstate_register(NULL, 0, &vmstate_gates, &state);
}

void pulsar_qemu_loadvm_state(void)
{
    pulsar_launch_check_state();
    checked = false;
}

/* Has the option closed the hardware, or put another one in its place? */
static bool is_shut(const PulsarGate *gate)
{
    return pulsar_gate_closed(gate->option) ||
           (gate->judge &&
            pulsar_gate_value(gate->option) != PULSAR_VALUE_GIVEN);
}

/* The gate that a section of hardware stands behind, when that is shut. */
static PulsarGate *gate_of_section(const char *section)
{
    PulsarOptionId id;
    size_t i;

    for (id = PULSAR_OPTION__MAX; id-- > 0; ) {
        PulsarGate *gate = pulsar_gate_of(id);

        if (!gate || !gate->sections || !is_shut(gate)) {
            continue;
        }
        for (i = 0; gate->sections[i]; i++) {
            if (strstr(section, gate->sections[i])) {
                return gate;
            }
        }
    }
    return NULL;
}

static bool is_section_refused(const char *section, bool known, Error **errp)
{
    g_autofree char *shown = NULL;
    g_autofree char *why = NULL;
    PulsarGate *gate;

    /* Memory comes before all devices. */
    if (g_str_equal(section, SECTION) || g_str_equal(section, "ram")) {
        return false;
    }
    if (!checked && !compare("", errp)) {
        return true;
    }
    gate = known ? NULL : gate_of_section(section);
    if (!known && !gate) {
        pulsar_launch_place_device(section);
    }
    if (!gate) {
        return false;
    }
    shown = pulsar_printable(section, -1, 64);
    why = pulsar_gate_why(gate->option);
    error_setg(errp, "this guest was saved with hardware that it does not have "
               "here, '%s', and cannot be restored with %s; restore it with "
               "the options that it was saved with", shown, why);
    return true;
}

bool pulsar_qemu_loadvm_section_start_full(const char *section, bool known,
                                           Error **errp)
{
    Error *err = NULL;

    if (!is_section_refused(section, known, &err)) {
        return false;
    }
    if (errp) {
        error_propagate(errp, err);
    } else {
        error_report_err(err);
    }
    return true;
}
