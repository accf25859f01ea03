/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on the options: whatever -pulsar, xenstore, pulsar.conf or a
 * monitor says, it is taken whole or refused with one printable sentence and
 * nothing changed.
 *
 * The first byte of the input says where the rest comes from. Built by
 * tests/fuzz/check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tests/fuzz/conf-file.h"
#include "xen/options.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

static void check_printable(const char *text, size_t max, const char *besides)
{
    size_t i;

    CHECK(*text && strlen(text) <= max);
    for (i = 0; text[i]; i++) {
        CHECK((text[i] >= ' ' && text[i] <= '~') || strchr(besides, text[i]));
    }
}

static bool add_platform(PulsarOptions *o, const uint8_t *data, size_t size,
                         char **error)
{
    const PulsarOption *opt;
    g_autofree char *path = NULL;

    if (!size) {
        return true;
    }
    opt = &pulsar_option_table[data[0] % PULSAR_OPTION__MAX];
    path = g_strconcat("/local/domain/7/platform/",
                       data[0] & 128 && opt->platform_word ?
                       opt->platform_word :
                       opt->platform_key ? opt->platform_key : "none", NULL);
    return pulsar_options_add_platform(o, opt, path, (const char *)data + 1,
                                       size - 1, error);
}

static bool add_conf(PulsarOptions *o, const uint8_t *data, size_t size,
                     char **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    return pulsar_options_add_conf(o, conf_file(data, size), true, "web",
                                   "6b3c1f0e-3f8e-4d0e-9a51-0123456789ab",
                                   size % 2 ? warnings : NULL, error);
}

static bool change(PulsarOptions *o, const char *text, char **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "=", 2);
    PulsarOptionId id = PULSAR_OPTION__MAX;
    bool ok;

    if (!parts[0] || !parts[1]) {
        return true;
    }
    ok = pulsar_options_change(o, parts[0], parts[1], &id, error);
    CHECK(!ok || id < PULSAR_OPTION__MAX);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PulsarOptions *o = pulsar_options_new();
    g_autofree char *before = pulsar_options_render(o);
    g_autofree char *after = NULL;
    g_autofree char *error = NULL;
    g_autofree char *text = NULL;
    PulsarOptionId id;
    bool ok = true;

    if (size) {
        text = g_strndup((const char *)data + 1, size - 1);
        switch (data[0] % 4) {
        case 0:
            ok = pulsar_options_add_args(o, text, &error);
            break;
        case 1:
            ok = add_platform(o, data + 1, size - 1, &error);
            break;
        case 2:
            ok = add_conf(o, data + 1, size - 1, &error);
            break;
        case 3:
            ok = change(o, text, &error);
            break;
        }
    }
    after = pulsar_options_render(o);
    check_printable(after, 4095, "\t\n");
    CHECK(ok == !error);
    if (error) {
        check_printable(error, 1000, "");
        CHECK(!strcmp(before, after));
    }
    for (id = 0; id < PULSAR_OPTION__MAX; id++) {
        CHECK(pulsar_options_number(o, id) <= PULSAR_OPTION_SECONDS_MAX);
        CHECK(strlen(pulsar_options_source_text(o, id)) <= 160);
    }
    pulsar_options_free(o);
    return 0;
}
