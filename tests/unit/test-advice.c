/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doctor's advice: what it names exists, and every row can be reached.
 */
/* SOURCES: tools/advice.c xen/options.c */
/* PKGS: glib-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "tools/advice.h"
#include "xen/options.h"

/* An advice that no device model would accept is worse than none. */
static void test_cures_are_accepted(void **state)
{
    const Advice *a;

    for (a = advice_table; a->patterns; a++) {
        const PulsarOption *opt;
        g_autofree char *why = NULL;

        if (!a->option) {
            assert_null(a->value);
            continue;
        }
        opt = pulsar_option_find(a->option);
        assert_non_null(opt);
        if (!pulsar_option_check(a->option, a->value,
                                 PULSAR_SOURCE_COMMAND_LINE, &why) ||
            !pulsar_option_check(opt->platform_key, a->value,
                                 PULSAR_SOURCE_XENSTORE, &why)) {
            fail_msg("%s=%s: %s", a->option, a->value, why);
        }
        assert_non_null(opt->cost);
    }
}

/* A sample of each pattern of a row leads to that row, not to one before. */
static void test_every_pattern_is_reached(void **state)
{
    const Advice *a;
    char **p;

    for (a = advice_table; a->patterns; a++) {
        g_auto(GStrv) list = g_strsplit(a->patterns, " ", -1);

        for (p = list; *p; p++) {
            g_autofree char *sample = g_strdup(*p);

            if (!**p) {
                continue;
            }
            g_strdelimit(sample, "*", '-');
            g_strdelimit(sample, "?", ' ');
            if (advice_find(sample) != a) {
                fail_msg("'%s' (pattern %s) finds: %s", sample, *p,
                         advice_find(sample)->words);
            }
        }
    }
}

static void test_sentences(void **state)
{
    const Advice *a = advice_table;

    do {
        assert_true(g_str_has_suffix(a->words, "."));
        assert_true(!a->otherwise || g_str_has_suffix(a->otherwise, "."));
    } while ((a++)->patterns);
}

/* Names as device models write them. */
static void test_known_causes(void **state)
{
    static const struct {
        const char *cause, *option;
    } known[] = {
        { "timer:uhci_frame_timer", "usb" },
        { "pio-read:piix3-usb-uhci", "usb" },
        { "mmio-write:usb-ehci", "usb" },
        { "mmio-read:nec-usb-xhci", "usb" },
        { "timer:ehci_work_timer", "usb" },
        { "pio-read:piix3-ide", "dvd" },
        { "pio-write:ide", "dvd" },
        { "mmio-read:ich9-ahci", "dvd" },
        { "pio-read:isa-serial", "serial" },
        { "pio-write:serial", "serial" },
        { "fd:pty_slave_opened", "serial" },
        { "chardev:pty", "serial" },
        { "fd:chardev-pty-serial0", "serial" },
        { "timer:pty_chr_timer", "serial" },
        { "pio-read:isa-parallel", "parallel" },
        { "timer:gui_update", "vnc_idle" },
        { "fd:vnc-server", "vnc_idle" },
        { "bh:vnc_jobs_bh", "vnc_idle" },
        { "thread:vnc_worker", "vnc_idle" },
        { "fd:chardev-tcp-server-libxl-cmd", NULL },
        { "bh:monitor_accept_input", NULL },
        { "mmio-write:VGA", NULL },
        { "pio-write:rtl8139", NULL },
        { "thread:jemalloc_bg_thd", NULL },
        { "bufioreq", NULL },
        { "vnc:client", "vnc_idle" },
        { "fd:on_read", "vnc_idle" },
        { "thread:SPICE Worker", "vnc_idle" },
        { "evtchn:ioreq", NULL },
        { "evtchn:pv-backend", NULL },
        { "qmp:libxl-cmd", NULL },
        { "xenstore:/local/domain/7/physmap", NULL },
        { "tap:net0", NULL },
        { "block:io_uring", NULL },
        { "unclaimed", NULL },
        { "something new", NULL },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(known); i++) {
        const Advice *a = advice_find(known[i].cause);

        if (g_strcmp0(a->option, known[i].option)) {
            fail_msg("%s: option %s, wanted %s", known[i].cause, a->option,
                     known[i].option);
        }
    }
    assert_non_null(strstr(advice_find("fd:chardev-tcp-server-qmp")->words,
                           "monitor"));
    assert_non_null(strstr(advice_find("mmio-write:VGA")->words, "display"));
    assert_non_null(strstr(advice_find("timer:rtl8139_timer")->words,
                           "network"));
    assert_non_null(strstr(advice_find("fd:watch_event")->words, "xenstore"));
    assert_non_null(strstr(advice_find("xenstore:/local/domain/7/device-model/"
                                       "7/backends/vif")->words, "xenstore"));
    assert_non_null(strstr(advice_find("block:linux-aio")->words, "disk"));
    assert_non_null(strstr(advice_find("tap:net0")->words, "network"));
    assert_non_null(strstr(advice_find("block:ide-5632")->words, "disk"));
    assert_non_null(strstr(advice_find("evtchn:qdisk-51712")->words, "PV"));
    assert_non_null(strstr(advice_find("qmp:libxl-cmd")->words, "monitor"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cures_are_accepted),
        cmocka_unit_test(test_every_pattern_is_reached),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_known_causes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
