/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The per-VM options: every value of every option from every source, the
 * strength of the sources, and every way to get them wrong.
 */
/* SOURCES: xen/options.c */
/* PKGS: glib-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

#define PLATFORM "/local/domain/7/platform/"

/* What each option takes, spelled here a second time on purpose. */
static const struct {
    const char *option;
    const char *text;       /* as written */
    const char *shown;      /* as shown */
    PulsarValue value;
} accepted[] = {
    { "monitor", "full", "full", PULSAR_VALUE_FULL },
    { "monitor", "qmp", "qmp", PULSAR_VALUE_QMP },
    { "monitor", "QMP", "qmp", PULSAR_VALUE_QMP },
    { "monitor", "none", "none", PULSAR_VALUE_CLOSED },
    { "serial", "given", "given", PULSAR_VALUE_GIVEN },
    { "serial", "none", "none", PULSAR_VALUE_CLOSED },
    { "parallel", "given", "given", PULSAR_VALUE_GIVEN },
    { "parallel", "none", "none", PULSAR_VALUE_CLOSED },
    { "usb", "given", "given", PULSAR_VALUE_GIVEN },
    { "usb", "true", "given", PULSAR_VALUE_GIVEN },
    { "usb", "on", "given", PULSAR_VALUE_GIVEN },
    { "usb", "yes", "given", PULSAR_VALUE_GIVEN },
    { "usb", "1", "given", PULSAR_VALUE_GIVEN },
    { "usb", "False", "false", PULSAR_VALUE_CLOSED },
    { "usb", "off", "false", PULSAR_VALUE_CLOSED },
    { "usb", "no", "false", PULSAR_VALUE_CLOSED },
    { "usb", "0", "false", PULSAR_VALUE_CLOSED },
    { "usb", "uhci", "uhci", PULSAR_VALUE_UHCI },
    { "usb", "ehci", "ehci", PULSAR_VALUE_EHCI },
    { "usb", "xhci", "xhci", PULSAR_VALUE_XHCI },
    { "usb_tablet", "given", "given", PULSAR_VALUE_GIVEN },
    { "usb_tablet", "true", "true", PULSAR_VALUE_TRUE },
    { "usb_tablet", "ON", "true", PULSAR_VALUE_TRUE },
    { "usb_tablet", "yes", "true", PULSAR_VALUE_TRUE },
    { "usb_tablet", "1", "true", PULSAR_VALUE_TRUE },
    { "usb_tablet", "false", "false", PULSAR_VALUE_CLOSED },
    { "usb_tablet", "off", "false", PULSAR_VALUE_CLOSED },
    { "usb_tablet", "no", "false", PULSAR_VALUE_CLOSED },
    { "usb_tablet", "0", "false", PULSAR_VALUE_CLOSED },
    { "usb_tablet", "viewer", "viewer", PULSAR_VALUE_VIEWER },
    { "dvd", "given", "given", PULSAR_VALUE_GIVEN },
    { "dvd", "none", "none", PULSAR_VALUE_CLOSED },
    { "dvd", "loaded", "loaded", PULSAR_VALUE_LOADED },
    { "dvd", "ahci", "ahci", PULSAR_VALUE_AHCI },
    { "dvd", "Notify", "notify", PULSAR_VALUE_NOTIFY },
    { "vnc_idle", "off", "off", PULSAR_VALUE_CLOSED },
    { "vnc_idle", "false", "off", PULSAR_VALUE_CLOSED },
    { "vnc_idle", "0", "off", PULSAR_VALUE_CLOSED },
    { "vnc_idle", "1", "1", PULSAR_VALUE_NUMBER },
    { "vnc_idle", "0030", "30", PULSAR_VALUE_NUMBER },
    { "vnc_idle", "86400", "86400", PULSAR_VALUE_NUMBER },
    { "ledger", "auto", "auto", PULSAR_VALUE_AUTO },
    { "ledger", "off", "off", PULSAR_VALUE_CLOSED },
    { "ledger", "/run/x", "/run/x", PULSAR_VALUE_PATH },
    { "config", "auto", "auto", PULSAR_VALUE_AUTO },
    { "config", "off", "off", PULSAR_VALUE_CLOSED },
    { "config", "/etc/x", "/etc/x", PULSAR_VALUE_PATH },
};

static const struct {
    const char *option;
    const char *text;
} refused[] = {
    { "monitor", "" }, { "monitor", "true" }, { "monitor", "hmp" },
    { "serial", "" }, { "serial", "pty" }, { "serial", "false" },
    { "serial", "none " }, { "parallel", "/dev/parport0" },
    { "parallel", "null" }, { "usb", "blue" }, { "usb", "none" },
    { "usb", "2" }, { "usb", "uhc" }, { "usb_tablet", "xhci" },
    { "usb_tablet", "tru" }, { "dvd", "true" }, { "dvd", "off" },
    { "vnc_idle", "true" }, { "vnc_idle", "-1" }, { "vnc_idle", "+1" },
    { "vnc_idle", "1.5" }, { "vnc_idle", "86401" }, { "vnc_idle", "30s" },
    { "vnc_idle", " 30" }, { "vnc_idle", "99999999999999999999" },
    { "ledger", "" }, { "ledger", "run/x" }, { "ledger", "on" },
    { "config", "false" }, { "config", "./x" },
};

static const struct {
    PulsarOptionId id;
    const char *name;
    const char *platform_key;
    const char *text;       /* the default */
    PulsarValue value;
} defaults[] = {
    { PULSAR_OPTION_MONITOR, "monitor", "monitor", "full",
      PULSAR_VALUE_FULL },
    { PULSAR_OPTION_SERIAL, "serial", "hvm_serial", "given",
      PULSAR_VALUE_GIVEN },
    { PULSAR_OPTION_PARALLEL, "parallel", "parallel", "given",
      PULSAR_VALUE_GIVEN },
    { PULSAR_OPTION_USB, "usb", "usb", "given", PULSAR_VALUE_GIVEN },
    { PULSAR_OPTION_USB_TABLET, "usb_tablet", "usb_tablet", "given",
      PULSAR_VALUE_GIVEN },
    { PULSAR_OPTION_DVD, "dvd", "dvd", "given", PULSAR_VALUE_GIVEN },
    { PULSAR_OPTION_VNC_IDLE, "vnc_idle", "vnc_idle", "off",
      PULSAR_VALUE_CLOSED },
    { PULSAR_OPTION_LEDGER, "ledger", NULL, "auto", PULSAR_VALUE_AUTO },
    { PULSAR_OPTION_CONFIG, "config", NULL, "auto", PULSAR_VALUE_AUTO },
};

static PulsarOptionId id_of(const char *name)
{
    const PulsarOption *opt = pulsar_option_find(name);

    assert_non_null(opt);
    return opt - pulsar_option_table;
}

static bool add_args(PulsarOptions *o, const char *key, const char *value,
                     char **ret_error)
{
    g_autofree char *args = g_strdup_printf("%s=%s", key, value);

    return pulsar_options_add_args(o, args, ret_error);
}

static bool add_platform(PulsarOptions *o, const char *key, const char *value,
                         char **ret_error)
{
    g_autofree char *path = g_strconcat(PLATFORM, key, NULL);
    const PulsarOption *opt = pulsar_option_find_platform(key);

    assert_non_null(opt);
    return pulsar_options_add_platform(o, opt, path, value, strlen(value),
                                       ret_error);
}

/* Writes @text to a file of its own and reads that as pulsar.conf. */
static bool add_conf_bytes(PulsarOptions *o, const char *text, size_t len,
                           const char *vm_name, const char *vm_uuid,
                           char **ret_error)
{
    char path[] = "/tmp/pulsar-conf-XXXXXX";
    int fd = g_mkstemp(path);
    bool ok;

    assert_true(fd >= 0);
    assert_true(write(fd, text, len) == (ssize_t)len);
    close(fd);
    ok = pulsar_options_add_conf(o, path, true, vm_name, vm_uuid, NULL,
                                 ret_error);
    unlink(path);
    return ok;
}

static bool add_conf(PulsarOptions *o, const char *text, const char *vm_name,
                     const char *vm_uuid, char **ret_error)
{
    return add_conf_bytes(o, text, strlen(text), vm_name, vm_uuid, ret_error);
}

static bool add_conf_default(PulsarOptions *o, const char *key,
                             const char *value, char **ret_error)
{
    g_autofree char *text = g_strdup_printf("[defaults]\n%s=%s\n", key, value);

    return add_conf(o, text, "vm", NULL, ret_error);
}

static void assert_ok(bool ok, char *error)
{
    if (!ok) {
        fail_msg("%s", error);
    }
    assert_null(error);
}

/* A sentence: one line, printable, no stop, with all these parts in it. */
static void assert_sentence(bool ok, char *error, ...)
{
    const char *part;
    va_list ap;

    assert_false(ok);
    assert_non_null(error);
    for (const char *p = error; *p; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            fail_msg("not printable: %s", error);
        }
    }
    assert_true(strlen(error) > 20 && strlen(error) < 400);
    assert_int_not_equal(error[strlen(error) - 1], '.');
    va_start(ap, error);
    while ((part = va_arg(ap, const char *))) {
        if (!strstr(error, part)) {
            fail_msg("no '%s' in: %s", part, error);
        }
    }
    va_end(ap);
    g_free(error);
}

static void test_table(void **state)
{
    size_t i;

    assert_int_equal(G_N_ELEMENTS(defaults), PULSAR_OPTION__MAX);
    for (i = 0; i < G_N_ELEMENTS(defaults); i++) {
        const PulsarOption *opt = &pulsar_option_table[defaults[i].id];

        assert_string_equal(opt->name, defaults[i].name);
        assert_ptr_equal(pulsar_option_find(opt->name), opt);
        if (defaults[i].platform_key) {
            assert_string_equal(opt->platform_key, defaults[i].platform_key);
            assert_ptr_equal(pulsar_option_find_platform(opt->platform_key),
                             opt);
        } else {
            assert_null(opt->platform_key);
        }
        assert_true(strlen(opt->help) > 10);
        /* What closes something says what is lost. */
        assert_true(!opt->platform_key || opt->cost);
        assert_true(opt->in_conf || opt == &pulsar_option_table[
                                               PULSAR_OPTION_CONFIG]);
    }
    assert_null(pulsar_option_find("usbb"));
    assert_null(pulsar_option_find(""));
    assert_null(pulsar_option_find_platform("serial"));
}

static void test_defaults(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(defaults); i++) {
        assert_int_equal(pulsar_options_value(o, i), defaults[i].value);
        assert_string_equal(pulsar_options_text(o, i), defaults[i].text);
        assert_int_equal(pulsar_options_source(o, i), PULSAR_SOURCE_DEFAULT);
        assert_string_equal(pulsar_options_source_text(o, i), "default");
        assert_int_equal(pulsar_options_number(o, i), 0);
    }
    pulsar_options_free(o);
    pulsar_options_free(NULL);
}

/* Every value from every source that the option may come from. */
static void test_values_from_sources(void **state)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(accepted); i++) {
        const PulsarOption *opt = pulsar_option_find(accepted[i].option);
        PulsarOptionId id = id_of(accepted[i].option);
        g_autofree char *path = NULL;
        int way;

        for (way = 0; way < 3; way++) {
            PulsarOptions *o = pulsar_options_new();
            char *error = NULL;

            if (way == 0) {
                assert_ok(add_args(o, opt->name, accepted[i].text, &error),
                          error);
                assert_string_equal(pulsar_options_source_text(o, id),
                                    "command line");
            } else if (way == 1 && opt->platform_key) {
                path = g_strconcat("xenstore ", PLATFORM, opt->platform_key,
                                   NULL);
                assert_ok(add_platform(o, opt->platform_key, accepted[i].text,
                                       &error), error);
                assert_string_equal(pulsar_options_source_text(o, id), path);
            } else if (way == 2 && opt->in_conf) {
                assert_ok(add_conf_default(o, opt->name, accepted[i].text,
                                           &error), error);
                assert_non_null(strstr(pulsar_options_source_text(o, id),
                                       " [defaults]"));
            } else {
                pulsar_options_free(o);
                continue;
            }
            assert_int_equal(pulsar_options_value(o, id), accepted[i].value);
            assert_int_equal(pulsar_options_closed(o, id),
                             accepted[i].value == PULSAR_VALUE_CLOSED);
            assert_string_equal(pulsar_options_text(o, id), accepted[i].shown);
            assert_int_equal(pulsar_options_number(o, id),
                             accepted[i].value == PULSAR_VALUE_NUMBER ?
                             (unsigned)atoi(accepted[i].text) : 0);
            pulsar_options_free(o);
        }
    }
}

static void test_refused_values(void **state)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(refused); i++) {
        const PulsarOption *opt = pulsar_option_find(refused[i].option);
        PulsarOptionId id = id_of(refused[i].option);
        g_autofree char *takes = g_strconcat(opt->name, " takes ",
                                             opt->words[0].name, NULL);
        g_autofree char *value = g_strconcat("'", refused[i].text, "'", NULL);
        PulsarOptions *o = pulsar_options_new();
        char *error = NULL;
        bool ok;

        ok = add_args(o, opt->name, refused[i].text, &error);
        assert_sentence(ok, error, "-pulsar: ", opt->name, value, takes, NULL);
        if (opt->in_conf && *refused[i].text != ' ' &&
            !g_str_has_suffix(refused[i].text, " ")) {
            error = NULL;
            ok = add_conf_default(o, opt->name, refused[i].text, &error);
            assert_sentence(ok, error, "/tmp/pulsar-conf-", "[defaults]",
                            value, takes, NULL);
        }
        if (opt->platform_key &&
            (!opt->platform_own || !*refused[i].text ||
             !g_str_has_prefix(refused[i].text, opt->platform_own))) {
            error = NULL;
            ok = add_platform(o, opt->platform_key, refused[i].text, &error);
            assert_sentence(ok, error, "xenstore " PLATFORM, opt->platform_key,
                            value, " takes ", NULL);
        }
        assert_int_equal(pulsar_options_source(o, id), PULSAR_SOURCE_DEFAULT);
        pulsar_options_free(o);
    }
}

/* The toolstack's own values of hvm_serial and parallel close nothing. */
static void test_platform_own(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    bool ok;

    assert_ok(add_platform(o, "hvm_serial", "none", &error), error);
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_SERIAL));
    assert_ok(add_platform(o, "hvm_serial", "pty", &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_SERIAL), "given");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_SERIAL),
                     PULSAR_SOURCE_XENSTORE);
    assert_ok(add_platform(o, "hvm_serial", "tcp:10.0.0.1:7001", &error),
              error);
    assert_ok(add_platform(o, "parallel", "/dev/parport1", &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_PARALLEL),
                        "given");
    ok = add_platform(o, "parallel", "/dev/sda", &error);
    assert_sentence(ok, error, "'/dev/sda'", "parallel takes given or none",
                    "/dev/parport", NULL);
    error = NULL;
    ok = add_platform(o, "hvm_serial", "", &error);
    assert_sentence(ok, error, "hvm_serial takes given or none", NULL);
    pulsar_options_free(o);
}

/* What xapi makes of usb and usb_tablet, and the keys beside them. */
static void test_platform_word(void **state)
{
    static const struct {
        const char *key, *word, *text;
    } rows[] = {
        { "true", NULL, "given" },
        { "true", "xhci", "xhci" },
        { NULL, "ehci", "ehci" },
        { "true", "given", "given" },
        { "true", "false", "false" },
        { "false", "xhci", "false" },
        { "false", NULL, "false" },
    };
    PulsarOptions *o;
    char *error = NULL;
    size_t i;
    bool ok;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        o = pulsar_options_new();
        if (rows[i].key) {
            assert_ok(add_platform(o, "usb", rows[i].key, &error), error);
        }
        if (rows[i].word) {
            assert_ok(add_platform(o, "pulsar_usb", rows[i].word, &error),
                      error);
        }
        assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB),
                            rows[i].text);
        pulsar_options_free(o);
    }

    o = pulsar_options_new();
    assert_ok(add_platform(o, "usb_tablet", "true", &error), error);
    assert_ok(add_platform(o, "pulsar_usb_tablet", "viewer", &error), error);
    assert_string_equal(pulsar_options_source_text(o,
                                                   PULSAR_OPTION_USB_TABLET),
                        "xenstore " PLATFORM "pulsar_usb_tablet");
    ok = add_platform(o, "pulsar_usb_tablet", "spectator", &error);
    assert_sentence(ok, error, PLATFORM "pulsar_usb_tablet", "'spectator'",
                    "pulsar_usb_tablet takes given, true, false or viewer",
                    NULL);
    /* Also where it does not count. */
    error = NULL;
    assert_ok(add_platform(o, "usb", "false", &error), error);
    ok = add_platform(o, "pulsar_usb", "blue", &error);
    assert_sentence(ok, error, "'blue'", NULL);
    /* The command line is stronger than both. */
    error = NULL;
    assert_ok(pulsar_options_add_args(o, "usb=uhci", &error), error);
    assert_ok(add_platform(o, "pulsar_usb", "xhci", &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "uhci");
    pulsar_options_free(o);
}

static void test_strength(void **state)
{
    static const char conf[] =
        "# the host's\n"
        "[defaults]\nusb=uhci\ndvd=none\nmonitor=qmp\nserial=none\n"
        "[vm web]\nusb=ehci\ndvd=loaded\nmonitor=none\n"
        "[vm 6b3c1f0e-0000-4000-8000-0123456789ab]\nusb=xhci\ndvd=ahci\n"
        "[vm other]\nparallel=none\n";
    static const char *const uuid = "6B3C1F0E-0000-4000-8000-0123456789AB";
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;

    assert_ok(pulsar_options_add_args(o, "usb=false", &error), error);
    assert_ok(add_platform(o, "dvd", "none", &error), error);
    assert_ok(add_platform(o, "usb", "uhci", &error), error);
    assert_ok(add_conf(o, conf, "web", uuid, &error), error);

    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "false");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_USB),
                     PULSAR_SOURCE_COMMAND_LINE);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_DVD), "none");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_DVD),
                     PULSAR_SOURCE_XENSTORE);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_MONITOR), "none");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_MONITOR),
                     PULSAR_SOURCE_CONF_NAME);
    assert_non_null(strstr(pulsar_options_source_text(o,
                                                      PULSAR_OPTION_MONITOR),
                           " [vm web]"));
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_SERIAL), "none");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_SERIAL),
                     PULSAR_SOURCE_CONF_DEFAULTS);
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_PARALLEL),
                     PULSAR_SOURCE_DEFAULT);
    pulsar_options_free(o);

    /* The order of the groups in the file does not matter. */
    o = pulsar_options_new();
    assert_ok(add_conf(o, "[vm 1-2]\nusb=xhci\n[vm web]\nusb=ehci\n"
                       "[defaults]\nusb=uhci\n", "web", "1-2", &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "xhci");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_USB),
                     PULSAR_SOURCE_CONF_UUID);
    pulsar_options_free(o);
}

static void test_later_wins(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;

    assert_ok(pulsar_options_add_args(o, "usb=uhci,dvd=none,usb=xhci", &error),
              error);
    assert_ok(pulsar_options_add_args(o, "dvd=loaded", &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "xhci");
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_DVD), "loaded");
    pulsar_options_free(o);
}

static void test_implied(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;

    assert_ok(pulsar_options_add_args(o, "usb_tablet=viewer", &error), error);
    assert_ok(add_platform(o, "usb", "false", &error), error);
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_USB_TABLET));
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB_TABLET),
                        "false");
    assert_int_equal(pulsar_options_source(o, PULSAR_OPTION_USB_TABLET),
                     PULSAR_SOURCE_IMPLIED);
    assert_string_equal(pulsar_options_source_text(o,
                                                   PULSAR_OPTION_USB_TABLET),
                        "implied by usb=false");
    /* A stronger usb lifts it again. */
    assert_ok(pulsar_options_add_args(o, "usb=xhci", &error), error);
    assert_int_equal(pulsar_options_value(o, PULSAR_OPTION_USB_TABLET),
                     PULSAR_VALUE_VIEWER);
    pulsar_options_free(o);

    /* Said outright it is not implied. */
    o = pulsar_options_new();
    assert_ok(pulsar_options_add_args(o, "usb=0,usb_tablet=0", &error), error);
    assert_string_equal(pulsar_options_source_text(o,
                                                   PULSAR_OPTION_USB_TABLET),
                        "command line");
    pulsar_options_free(o);
}

static void test_args_syntax(void **state)
{
    static const struct {
        const char *args;
        const char *part;
    } bad[] = {
        { "", "'' is not of the form KEY=VALUE" },
        { "usb", "'usb' is not of the form KEY=VALUE" },
        { "usb=xhci,", "'' is not of the form KEY=VALUE" },
        { ",usb=xhci", "'' is not of the form KEY=VALUE" },
        { "usb=xhci,dvd", "'dvd' is not of the form" },
        { "=xhci", "there is no option ''" },
        { "usbb=xhci", "there is no option 'usbb'; the options are monitor, " },
        { "USB=xhci", "there is no option 'USB'" },
        { "hvm_serial=none", "'hvm_serial' (here it is called serial)" },
        { "usb=xhci,\x1b[31m=1", "'\\x1b[31m'" },
        { "usb=\x1b[31m", "'\\x1b[31m'" },
        { "usb==xhci", "'=xhci'" },
        { "usb=xhci,,dvd=none", "'xhci,dvd=none'" },
        { "ledger=/a\\b", "backslash" },
    };
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    size_t i;

    assert_ok(pulsar_options_add_args(o, "ledger=/a,,b=c,,,dvd=none", &error),
              error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_LEDGER),
                        "/a,b=c,");
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_DVD), "none");

    for (i = 0; i < G_N_ELEMENTS(bad); i++) {
        bool ok = pulsar_options_add_args(o, bad[i].args, &error);

        assert_sentence(ok, error, "-pulsar: ", bad[i].part, NULL);
        error = NULL;
        /* Nothing half-done: the good part was not taken either. */
        assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB),
                            "given");
        assert_false(pulsar_options_add_args(o, bad[i].args, NULL));
    }
    pulsar_options_free(o);
}

static void test_bounds(void **state)
{
    g_autofree char *longest = g_strnfill(PULSAR_OPTION_VALUE_MAX, 'a');
    g_autofree char *longer = g_strnfill(PULSAR_OPTION_VALUE_MAX + 1, 'a');
    g_autofree char *huge = g_strnfill(3 << 20, 'k');
    const PulsarOption *usb = pulsar_option_find_platform("usb");
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    bool ok;

    longest[0] = longer[0] = '/';
    longest[PULSAR_OPTION_VALUE_MAX - 1] = '\n';
    ok = add_args(o, "ledger", longest, &error);
    assert_sentence(ok, error, "ledger", "not printable", NULL);
    error = NULL;
    longest[PULSAR_OPTION_VALUE_MAX - 1] = 'a';
    assert_ok(add_args(o, "ledger", longest, &error), error);
    ok = add_args(o, "ledger", longer, &error);
    assert_sentence(ok, error, "ledger", "1024 bytes", "at most 1023", "...'",
                    NULL);
    error = NULL;
    ok = add_args(o, huge, "1", &error);
    assert_sentence(ok, error, "there is no option 'kkk", "kkk...'", NULL);
    error = NULL;
    ok = add_platform(o, "usb", huge, &error);
    assert_sentence(ok, error, "usb", "3145728 bytes", NULL);
    error = NULL;

    /* Bytes from xenstore: no end, a NUL, a line break, not ASCII. */
    ok = pulsar_options_add_platform(o, usb, PLATFORM "usb", "falsetto", 5,
                                     &error);
    assert_ok(ok, error);
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_USB));
    ok = pulsar_options_add_platform(o, usb, PLATFORM "usb", "true\0", 5,
                                     &error);
    assert_sentence(ok, error, "'true\\x00'", "not printable", NULL);
    error = NULL;
    ok = pulsar_options_add_platform(o, usb, PLATFORM "usb", "true\n", 5,
                                     &error);
    assert_sentence(ok, error, "'true\\x0a'", "not printable", NULL);
    error = NULL;
    ok = add_platform(o, "hvm_serial", "pty\xc3\xa4", &error);
    assert_sentence(ok, error, "'pty\\xc3\\xa4'", NULL);
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_USB));
    pulsar_options_free(o);
}

static void test_printable(void **state)
{
    static const struct {
        const char *text;
        long len;
        size_t max;
        const char *shown;
    } cases[] = {
        { "plain text", -1, 64, "plain text" },
        { "", -1, 64, "" },
        { "a\tb\x7f\\", -1, 64, "a\\x09b\\x7f\\x5c" },
        { "\x1f ~\x80", -1, 64, "\\x1f ~\\x80" },
        { "a\0b", 3, 64, "a\\x00b" },
        { "abcdef", -1, 3, "abc..." },
        { "abc", -1, 3, "abc" },
        { "abcdef", 2, 3, "ab" },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *s = pulsar_printable(cases[i].text, cases[i].len,
                                              cases[i].max);

        assert_string_equal(s, cases[i].shown);
    }
}

static void test_conf_groups(void **state)
{
    static const struct {
        const char *text;
        const char *usb;
    } good[] = {
        { "", "given" },
        { "# nothing\n\n", "given" },
        { "[defaults]\n", "given" },
        { "[vm web]\nusb = xhci  \n", "xhci" },
        { "[vm   web ]\nusb=xhci\n", "xhci" },
        { "[vm web]\nusb=uhci\nusb=xhci\n", "xhci" },
        { "[vm web]\nusb=uhci\n[vm web]\nusb=xhci\n", "xhci" },
        { "[vm WEB]\nusb=xhci\n", "given" },
        { "[vm webserver]\nusb=xhci\n", "given" },
        /* Another VM's group is that VM's business. */
        { "[vm other]\nusb=blue\nfoo=bar\n", "given" },
        { "[vm my long name]\nusb=xhci\n", "given" },
    };
    static const struct {
        const char *text;
        const char *part;
    } bad[] = {
        { "[default]\n", "the group [default] is not accepted; a group is "
          "[defaults], [vm NAME] or [vm UUID]" },
        { "[web]\n", "the group [web] is not accepted" },
        { "[vm]\n", "the group [vm] is not accepted" },
        { "[vm ]\n", "the group [vm ] is not accepted" },
        { "[vmweb]\n", "the group [vmweb] is not accepted" },
        { "usb=xhci\n", "cannot be read: " },
        { "[vm web]\nusb\n", "cannot be read: " },
        { "[vm web\nusb=xhci\n", "cannot be read: " },
        { "[vm web]\nusb[de]=xhci\n", "there is no option 'usb[de]'" },
        { "[vm web]\nusbb=xhci\n", "[vm web]: there is no option 'usbb'" },
        { "[vm web]\nusb=xhci\nconfig=/x\n",
          "config cannot be given here, only on the command line" },
        { "[vm web]\nusb=\x01\n", "'\\x01'" },
        { "[vm web]\nusb=\n", "''" },
    };
    char *error = NULL;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(good); i++) {
        PulsarOptions *o = pulsar_options_new();

        assert_ok(add_conf(o, good[i].text, "web", "1-2", &error), error);
        if (strcmp(pulsar_options_text(o, PULSAR_OPTION_USB), good[i].usb)) {
            fail_msg("usb=%s from %s", pulsar_options_text(o, 3),
                     good[i].text);
        }
        pulsar_options_free(o);
    }
    for (i = 0; i < G_N_ELEMENTS(bad); i++) {
        PulsarOptions *o = pulsar_options_new();
        bool ok = add_conf(o, bad[i].text, "web", NULL, &error);

        assert_sentence(ok, error, "/tmp/pulsar-conf-", bad[i].part, NULL);
        error = NULL;
        assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB),
                            "given");
        pulsar_options_free(o);
    }
}

/* In front of GLib's, which reads past the end of what is not UTF-8. */
char *g_str_to_ascii(const char *str, const char *from_locale)
{
    char *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, __func__);

    assert_true(g_utf8_validate(str, -1, NULL));
    return next(str, from_locale);
}

/* What is quoted of it may end inside a character. */
static void test_conf_not_utf8(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    bool ok = add_conf(o, "[vm web]\n[vm web\xe2=1\n", "web", NULL, &error);

    assert_sentence(ok, error, "/tmp/pulsar-conf-",
                    "Invalid key name: [vm web?", NULL);
    pulsar_options_free(o);
}

/* What is no VM's own is passed over for a device model, and told. */
static void test_conf_warnings(void **state)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_strdup("/tmp/pulsar-conf-XXXXXX");
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    bool ok;

    close(g_mkstemp(path));
    assert_true(g_file_set_contents(path, "[defaults]\nusb=blue\ndvd=none\n"
                                    "[what]\n[vm web]\nserial=none\n", -1,
                                    NULL));
    assert_ok(pulsar_options_add_conf(o, path, true, "web", NULL, warnings,
                                      &error), error);
    assert_int_equal(warnings->len, 2);
    assert_non_null(strstr(warnings->pdata[0], "'blue'"));
    assert_non_null(strstr(warnings->pdata[1], "[what]"));
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_DVD));
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_SERIAL));

    assert_true(g_file_set_contents(path, "[vm web]\nserial=blue\n", -1,
                                    NULL));
    ok = pulsar_options_add_conf(o, path, true, "web", NULL, warnings, &error);
    assert_sentence(ok, error, "[vm web]", "'blue'", NULL);
    assert_int_equal(warnings->len, 2);
    unlink(path);
    pulsar_options_free(o);
}

static void test_conf_names(void **state)
{
    static const char conf[] = "[vm my vm (1)]\nusb=xhci\n"
                               "[vm b\xc3\xa4r]\nusb=ehci\n";
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;

    /* A domain with no name and no UUID gets the defaults. */
    assert_ok(add_conf(o, "[vm x]\nusb=xhci\n[defaults]\ndvd=none\n", NULL,
                       NULL, &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "given");
    assert_true(pulsar_options_closed(o, PULSAR_OPTION_DVD));
    pulsar_options_free(o);

    o = pulsar_options_new();
    assert_ok(add_conf(o, conf, "my vm (1)", NULL, &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "xhci");
    pulsar_options_free(o);

    o = pulsar_options_new();
    assert_ok(add_conf(o, conf, "b\xc3\xa4r", NULL, &error), error);
    assert_string_equal(pulsar_options_text(o, PULSAR_OPTION_USB), "ehci");
    assert_non_null(strstr(pulsar_options_source_text(o, PULSAR_OPTION_USB),
                           "[vm b\\xc3\\xa4r]"));
    pulsar_options_free(o);
}

static void test_conf_files(void **state)
{
    g_autofree char *big = g_strnfill(PULSAR_OPTION_CONF_MAX + 1, '\n');
    char dir[] = "/tmp/pulsar-conf-dir-XXXXXX";
    g_autofree char *fifo = NULL;
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    bool ok;

    assert_non_null(g_mkdtemp(dir));
    fifo = g_build_filename(dir, "fifo", NULL);
    assert_int_equal(mkfifo(fifo, 0600), 0);

    assert_ok(pulsar_options_add_conf(o, "/nonexistent/pulsar.conf", false,
                                      "web", NULL, NULL, &error), error);
    ok = pulsar_options_add_conf(o, "/nonexistent/pulsar.conf", true, "web",
                                 NULL, NULL, &error);
    assert_sentence(ok, error, "/nonexistent/pulsar.conf cannot be read: ",
                    NULL);
    error = NULL;
    ok = pulsar_options_add_conf(o, "/dev/null/x", false, "web", NULL, NULL,
                                 &error);
    assert_sentence(ok, error, "/dev/null/x cannot be read: ", NULL);
    error = NULL;
    ok = pulsar_options_add_conf(o, dir, false, "web", NULL, NULL,
                                 &error);
    assert_sentence(ok, error, dir, "not a regular file", NULL);
    error = NULL;
    ok = pulsar_options_add_conf(o, fifo, false, "web", NULL, NULL,
                                 &error);
    assert_sentence(ok, error, fifo, "not a regular file", NULL);
    error = NULL;
    ok = add_conf_bytes(o, "[defaults]\nusb=false\0\n", 22, NULL, NULL,
                        &error);
    assert_sentence(ok, error, "not a text file", NULL);
    error = NULL;
    assert_ok(add_conf_bytes(o, big, PULSAR_OPTION_CONF_MAX, NULL, NULL,
                             &error), error);
    ok = add_conf_bytes(o, big, PULSAR_OPTION_CONF_MAX + 1, NULL, NULL,
                        &error);
    assert_sentence(ok, error, "longer than 1048576 bytes", NULL);

    unlink(fifo);
    rmdir(dir);
    pulsar_options_free(o);
}

static void test_check(void **state)
{
    char *error = NULL;
    bool ok;

    assert_true(pulsar_option_check("usb", "xhci", PULSAR_SOURCE_XENSTORE,
                                    NULL));
    assert_true(pulsar_option_check("hvm_serial", "pty",
                                    PULSAR_SOURCE_XENSTORE, NULL));
    assert_true(pulsar_option_check("serial", "none",
                                    PULSAR_SOURCE_CONF_DEFAULTS, NULL));
    assert_false(pulsar_option_check("serial", "pty",
                                     PULSAR_SOURCE_CONF_DEFAULTS, NULL));
    ok = pulsar_option_check("serial", "none", PULSAR_SOURCE_XENSTORE, &error);
    assert_sentence(ok, error, "'serial' (here it is called hvm_serial)",
                    NULL);
    error = NULL;
    ok = pulsar_option_check("ledger", "off", PULSAR_SOURCE_XENSTORE, &error);
    assert_sentence(ok, error, "there is no option 'ledger'", NULL);
    error = NULL;
    ok = pulsar_option_check("config", "off", PULSAR_SOURCE_CONF_NAME, &error);
    assert_sentence(ok, error, "only on the command line", NULL);
    error = NULL;
    ok = pulsar_option_check("usb", "blue", PULSAR_SOURCE_XENSTORE, &error);
    assert_sentence(ok, error, "usb takes given, true, false, uhci, ehci or "
                    "xhci", NULL);
}

static void test_change(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        bool running;
    } cases[] = {
        { "usb_tablet", "true", true }, { "usb_tablet", "false", true },
        { "usb_tablet", "viewer", true }, { "usb_tablet", "given", true },
        { "vnc_idle", "30", true }, { "vnc_idle", "off", true },
        { "monitor", "qmp", true }, { "monitor", "full", true },
        { "monitor", "none", false }, { "serial", "none", false },
        { "parallel", "none", false },
        { "usb", "xhci", false }, { "dvd", "none", false },
        { "ledger", "off", false }, { "config", "off", false },
    };
    PulsarOptions *o = pulsar_options_new();
    char *error = NULL;
    PulsarOptionId id;
    bool ok;
    size_t i;

    assert_ok(pulsar_options_add_args(o, "usb_tablet=false", &error), error);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        id = PULSAR_OPTION__MAX;
        ok = pulsar_options_change(o, cases[i].key, cases[i].value, &id,
                                   &error);
        if (cases[i].running) {
            assert_ok(ok, error);
            assert_int_equal(id, id_of(cases[i].key));
            assert_string_equal(pulsar_options_text(o, id), cases[i].value);
            assert_string_equal(pulsar_options_source_text(o, id), "running");
        } else {
            assert_sentence(ok, error, cases[i].key, cases[i].value,
                            "next start", NULL);
            error = NULL;
            assert_int_equal(id, PULSAR_OPTION__MAX);
            assert_string_not_equal(
                pulsar_options_text(o, id_of(cases[i].key)), cases[i].value);
        }
    }
    ok = pulsar_options_change(o, "usb_tablet", "blue", &id, &error);
    assert_sentence(ok, error, "usb_tablet takes", NULL);
    error = NULL;
    ok = pulsar_options_change(o, "tablet", "true", &id, &error);
    assert_sentence(ok, error, "there is no option 'tablet'", NULL);
    error = NULL;

    assert_ok(pulsar_options_add_args(o, "usb=false", &error), error);
    ok = pulsar_options_change(o, "usb_tablet", "viewer", &id, &error);
    assert_sentence(ok, error, "usb_tablet=viewer needs a USB controller",
                    "usb=false", NULL);
    error = NULL;
    assert_ok(pulsar_options_change(o, "usb_tablet", "false", &id, &error),
              error);

    /* What it is already is no change, whatever it is. */
    assert_ok(pulsar_options_change(o, "usb", "off", &id, &error), error);
    assert_int_equal(id, PULSAR_OPTION_USB);
    assert_string_equal(pulsar_options_source_text(o, id), "command line");
    ok = pulsar_options_change(o, "usb", "xhci", &id, &error);
    assert_sentence(ok, error, "next start", NULL);
    pulsar_options_free(o);
}

static void test_copy(void **state)
{
    PulsarOptions *o = pulsar_options_new();
    PulsarOptions *copy;
    char *error = NULL;
    PulsarOptionId id;

    assert_ok(pulsar_options_add_args(o, "vnc_idle=30,usb_tablet=true",
                                      &error), error);
    copy = pulsar_options_copy(o);
    assert_ok(pulsar_options_change(copy, "vnc_idle", "60", &id, &error),
              error);
    assert_ok(pulsar_options_change(o, "usb_tablet", "viewer", &id, &error),
              error);
    pulsar_options_free(o);
    assert_int_equal(pulsar_options_number(copy, PULSAR_OPTION_VNC_IDLE), 60);
    assert_string_equal(pulsar_options_text(copy, PULSAR_OPTION_USB_TABLET),
                        "true");
    assert_string_equal(pulsar_options_source_text(copy,
                                                   PULSAR_OPTION_USB_TABLET),
                        "command line");
    assert_ok(pulsar_options_add_args(copy, "usb=false", &error), error);
    assert_true(pulsar_options_closed(copy, PULSAR_OPTION_USB_TABLET));
    pulsar_options_free(copy);
}

static void test_render(void **state)
{
    g_autofree char *longest = g_strnfill(PULSAR_OPTION_VALUE_MAX, 'a');
    PulsarOptions *o = pulsar_options_new();
    g_autofree char *text = NULL;
    g_autofree char *text2 = NULL;
    char *error = NULL;

    assert_ok(pulsar_options_add_args(o, "usb=false,dvd=ahci,vnc_idle=30",
                                      &error), error);
    assert_ok(add_platform(o, "hvm_serial", "none", &error), error);
    text = pulsar_options_render(o);
    assert_string_equal(text,
        "monitor=full\tdefault\n"
        "serial=none\txenstore " PLATFORM "hvm_serial\n"
        "parallel=given\tdefault\n"
        "usb=false\tcommand line\n"
        "usb_tablet=false\timplied by usb=false\n"
        "dvd=ahci\tcommand line\n"
        "vnc_idle=30\tcommand line\n"
        "ledger=auto\tdefault\n"
        "config=auto\tdefault\n");

    longest[0] = '/';
    assert_ok(add_args(o, "ledger", longest, &error), error);
    assert_ok(add_args(o, "config", longest, &error), error);
    text2 = pulsar_options_render(o);
    assert_true(strlen(text2) < 4096);
    pulsar_options_free(o);
}

static void test_help(void **state)
{
    g_autofree char *help = pulsar_option_help();
    g_auto(GStrv) lines = g_strsplit(help, "\n", -1);
    const PulsarOptionWord *w;
    size_t i;

    for (i = 0; lines[i]; i++) {
        assert_true(strlen(lines[i]) <= 79);
        assert_false(g_str_has_suffix(lines[i], " "));
    }
    assert_true(g_str_has_suffix(help, "\n"));
    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *opt = &pulsar_option_table[i];
        g_autofree char *head = g_strdup_printf("\n\n%s ", opt->name);
        const char *section = strstr(help, head);

        assert_non_null(section);
        for (w = opt->words; w->name; w++) {
            g_autofree char *word = g_strdup_printf("\n    %s ", w->name);

            assert_true(!w->help || strstr(section, word));
        }
        if (opt->platform_key && strcmp(opt->platform_key, opt->name)) {
            assert_non_null(strstr(section, opt->platform_key));
        }
        assert_non_null(strstr(section, "(default)"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values_from_sources),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_platform_own),
        cmocka_unit_test(test_platform_word),
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_later_wins),
        cmocka_unit_test(test_implied),
        cmocka_unit_test(test_args_syntax),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_conf_groups),
        cmocka_unit_test(test_conf_not_utf8),
        cmocka_unit_test(test_conf_warnings),
        cmocka_unit_test(test_conf_names),
        cmocka_unit_test(test_conf_files),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
