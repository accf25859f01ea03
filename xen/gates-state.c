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
 */
#include "qemu/osdep.h"
#include "migration/vmstate.h"
#include "qemu/error-report.h"
#include "gates.h"
#include "pulsar-hooks.h"

#define SECTION  "pulsar-gates"

typedef struct GatesState {
    uint8_t text[256];      /* "usb=xhci,dvd=ahci", NUL padded; see below */
} GatesState;

/* Not an option: the drives that dvd=loaded has left out, see gate-dvd.c. */
#define NO_DRIVES  "no-drives"

static GatesState state;
static unsigned altered;    /* a bit for each PulsarOptionId */
static bool checked;        /* the state being loaded has been compared */

void pulsar_gate_altered(PulsarOptionId id)
{
    altered |= 1u << id;
}

void pulsar_gate_unaltered(PulsarOptionId id)
{
    altered &= ~(1u << id);
}

/*
 * What an option has made of the hardware. The tablet may come and go while
 * the guest runs: what counts is whether it is there.
 */
static const char *hardware_text(PulsarOptionId id)
{
    if (id == PULSAR_OPTION_USB_TABLET) {
        return pulsar_gate_usb_has_tablet() ? "true" : "false";
    }
    return pulsar_options_text(pulsar_options(), id);
}

static bool state_needed(void *opaque)
{
    return altered;
}

static int state_pre_save(void *opaque)
{
    g_autoptr(GString) text = g_string_new(NULL);
    PulsarOptionId id;

    for (id = 0; id < PULSAR_OPTION__MAX; id++) {
        if (altered & (1u << id)) {
            g_string_append_printf(text, "%s%s=%s", text->len ? "," : "",
                                   pulsar_option_table[id].name,
                                   hardware_text(id));
        }
    }
    if (*pulsar_gate_dvd_names()) {
        g_string_append_printf(text, "," NO_DRIVES "=%s",
                               pulsar_gate_dvd_names());
    }
    memset(state.text, 0, sizeof(state.text));
    g_strlcpy((char *)state.text, text->str, sizeof(state.text));
    return 0;
}

/* The option of the state that is not the same here, if there is one. */
static bool find_difference(const char *saved, PulsarOptionId *ret_id,
                            char **ret_saved)
{
    g_auto(GStrv) items = g_strsplit(saved, ",", -1);
    unsigned seen = 0;
    PulsarOptionId id;
    size_t i;

    for (i = 0; items[i]; i++) {
        char *equals = strchr(items[i], '=');
        const PulsarOption *opt;

        if (!equals) {
            continue;
        }
        *equals = '\0';
        opt = pulsar_option_find(items[i]);
        if (!opt) {
            continue;   /* a later version's; its sections will tell */
        }
        id = opt - pulsar_option_table;
        seen |= 1u << id;
        if (strcmp(hardware_text(id), equals + 1)) {
            g_autofree char *value = pulsar_printable(equals + 1, -1, 64);

            *ret_id = id;
            *ret_saved = g_strdup_printf("with %s=%s", items[i], value);
            return true;
        }
    }
    for (id = 0; id < PULSAR_OPTION__MAX; id++) {
        if ((altered & ~seen) & (1u << id)) {
            *ret_id = id;
            *ret_saved = g_strdup_printf("with %s as it was given",
                                         pulsar_option_table[id].name);
            return true;
        }
    }
    return false;
}

static int compare(const char *saved)
{
    const char *drives = strstr(saved, "," NO_DRIVES "=");
    g_autofree char *how = NULL;
    g_autofree char *why = NULL;
    PulsarOptionId id;

    checked = true;
    if (drives) {
        pulsar_gate_dvd_restored(drives + strlen("," NO_DRIVES "="));
    }
    if (!find_difference(saved, &id, &how)) {
        return 0;
    }
    why = pulsar_gate_why(id);
    error_report("this guest was saved %s and cannot be restored with %s; "
                 "restore it with the options that it was saved with",
                 how, why);
    return -EINVAL;
}

static int state_post_load(void *opaque, int version_id)
{
    state.text[sizeof(state.text) - 1] = '\0';
    return compare((char *)state.text);
}

static const VMStateDescription vmstate_gates = {
    .name = SECTION,
    .version_id = 1,
    .minimum_version_id = 1,
    .priority = MIG_PRI_MAX,
    .needed = state_needed,
    .pre_save = state_pre_save,
    .post_load = state_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BUFFER(text, GatesState),
        VMSTATE_END_OF_LIST()
    }
};

void pulsar_gates_state_init(void)
{
    vmstate_register(NULL, 0, &vmstate_gates, &state);
}

/* The option that a section of hardware belongs to, when that is closed. */
static bool closed_by_section(const char *section, PulsarOptionId *ret_id)
{
    static const struct {
        const char *part;
        PulsarOptionId id;
    } parts[] = {
        { "usb-ptr", PULSAR_OPTION_USB_TABLET },
        { "usb", PULSAR_OPTION_USB },
        { "uhci", PULSAR_OPTION_USB },
        { "ehci", PULSAR_OPTION_USB },
        { "xhci", PULSAR_OPTION_USB },
        { "ohci", PULSAR_OPTION_USB },
        { "serial", PULSAR_OPTION_SERIAL },
        { "parallel", PULSAR_OPTION_PARALLEL },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(parts); i++) {
        PulsarValue value = pulsar_gate_value(parts[i].id);

        if (strstr(section, parts[i].part) &&
            (value == PULSAR_VALUE_CLOSED ||
             (parts[i].id == PULSAR_OPTION_USB &&
              value != PULSAR_VALUE_GIVEN))) {
            *ret_id = parts[i].id;
            return true;
        }
    }
    return false;
}

bool pulsar_qemu_loadvm_section_start_full(const char *section, bool known)
{
    g_autofree char *shown = NULL;
    g_autofree char *why = NULL;
    PulsarOptionId id;

    /* Memory comes before all devices. */
    if (g_str_equal(section, SECTION) || g_str_equal(section, "ram")) {
        return false;
    }
    if (!checked && compare("")) {
        return true;
    }
    if (known || !closed_by_section(section, &id)) {
        return false;
    }
    shown = pulsar_printable(section, -1, 64);
    why = pulsar_gate_why(id);
    error_report("this guest was saved with hardware that it does not have "
                 "here, '%s', and cannot be restored with %s; restore it with "
                 "the options that it was saved with", shown, why);
    return true;
}
