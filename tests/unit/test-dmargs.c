/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a device model's command line. Those here are what libxl
 * 4.17's libxl_dm.c writes, unless another source is named.
 */
/* SOURCES: tools/dmargs.c */
/* PKGS: glib-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "tools/dmargs.h"

static GPtrArray *words(const char *line)
{
    GPtrArray *args = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) parts = g_strsplit(line, " ", -1);
    guint i;

    for (i = 0; parts[i]; i++) {
        g_ptr_array_add(args, g_strdup(parts[i]));
    }
    return args;
}

static void assert_words(GPtrArray *args, const char *line)
{
    g_autoptr(GString) have = g_string_new(NULL);
    guint i;

    for (i = 0; i < args->len; i++) {
        g_string_append_printf(have, "%s%s", i ? " " : "",
                               (char *)args->pdata[i]);
    }
    assert_string_equal(have->str, line);
    g_ptr_array_unref(args);
}

static void start_is_dropped(void **state)
{
    GPtrArray *args = words(
        "-xen-domid 7 -S -add-fd fd=3,set=1 -name -S --incoming fd:12 "
        "-loadvm x -chardev socket,id=libxl-cmd,fd=19 -daemonize");

    dmargs_drop_start(args);
    assert_words(args, "-xen-domid 7 -name -S "
                 "-chardev socket,id=libxl-cmd,fd=19");
}

static void own_words_go_as_they_came(void **state)
{
    GPtrArray *args = words("-xen-domid 7 -mon chardev=libxl-cmd");

    dmargs_add_own(args, 20);
    assert_string_equal(args->pdata[args->len - 3],
                        "socket,id=pulsar-replace,fd=20");
    dmargs_add_disks(args, "768:51712");
    assert_string_equal(args->pdata[args->len - 1],
                        "pulsar-pv-rings,disks=768:51712");
    dmargs_drop_start(args);
    assert_words(args, "-xen-domid 7 -mon chardev=libxl-cmd");
}

static void numbers_are_found(void **state)
{
    static const int wanted[] = { 19, 5, 6, 7, 9, 33 };
    g_autoptr(GPtrArray) args = words(
        "-chardev socket,id=libxl-cmd,fd=19,server=on,wait=off "
        "-name a,fd=4 -netdev tap,id=n,fds=5:6,vhostfd=7 "
        "-netdev type=tap,id=m,fd=named "
        "-vnc-clipboard-socket-fd 9 "
        "-drive file=nbd:fd:33:exportname=x,if=none -incoming fd:12");
    g_autoptr(GArray) found = dmargs_numbers(args);

    assert_int_equal(found->len, G_N_ELEMENTS(wanted));
    assert_memory_equal(found->data, wanted, sizeof(wanted));
}

static void taps_are_handed_over(void **state)
{
    GPtrArray *args = words(
        "-device rtl8139,id=nic0,netdev=net0 -netdev "
        "type=tap,id=net0,ifname=vif7.0-emu,br=xenbr0,script=no,"
        "downscript=no -netdev user,id=u,ifname=x");
    g_autofree char *name = dmargs_tap(args, 3);

    assert_string_equal(name, "vif7.0-emu");
    assert_null(dmargs_tap(args, 1));
    assert_null(dmargs_tap(args, 5));
    dmargs_set_tap(args, 3, 24);
    assert_null(dmargs_tap(args, 3));
    assert_words(args, "-device rtl8139,id=nic0,netdev=net0 -netdev "
                 "type=tap,id=net0,fd=24 -netdev user,id=u,ifname=x");
}

static void screen_stays_where_it_is(void **state)
{
    GPtrArray *args = words("-vnc 127.0.0.1:0,to=99");

    dmargs_set_vnc_port(args, 5917);
    assert_words(args, "-vnc 127.0.0.1:17,to=99");
    args = words("-vnc [::1]:0,to=99");
    dmargs_set_vnc_port(args, 5900);
    assert_words(args, "-vnc [::1]:0,to=99");
    /* xenopsd's */
    args = words("-vnc unix:/var/run/xen/vnc-7,lock-key-sync=off");
    dmargs_set_vnc_port(args, 5917);
    assert_words(args, "-vnc unix:/var/run/xen/vnc-7,lock-key-sync=off");
    args = words("-vnc none");
    dmargs_set_vnc_port(args, 5917);
    assert_words(args, "-vnc none");
}

static void password_is_seen(void **state)
{
    static const struct {
        const char *line;
        gboolean asks;
    } cases[] = {
        { "-vnc 127.0.0.1:0,password=on,to=99", TRUE },
        { "-vnc 127.0.0.1:0,password,to=99", TRUE },
        { "-vnc 127.0.0.1:0,password=off", FALSE },
        { "-vnc 127.0.0.1:0,to=99", FALSE },
        { "-name password=on", FALSE },
    };
    guint i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) args = words(cases[i].line);

        assert_int_equal(dmargs_vnc_password(args), cases[i].asks);
    }
}

static void devices_that_are_gone_go(void **state)
{
    g_autoptr(GHashTable) present = g_hash_table_new_full(
        g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *args = words(
        "-device VGA,vgamem_mb=16 -device rtl8139,id=nic0,netdev=net0 "
        "-device e1000,id=nic1,netdev=net1");

    g_hash_table_add(present, g_strdup("nic1"));
    g_hash_table_add(present, g_strdup("plugged"));
    dmargs_drop_devices(args, present);
    assert_int_equal(g_hash_table_size(present), 1);
    assert_true(g_hash_table_contains(present, "plugged"));
    assert_words(args, "-device VGA,vgamem_mb=16 "
                 "-device e1000,id=nic1,netdev=net1");
}

static void medium_is_the_one_of_now(void **state)
{
    GPtrArray *args = words("-drive if=none,readonly=on,id=ide-5632 "
                            "-drive file=/d,if=ide,index=0");

    assert_false(dmargs_set_medium(args, "ide-9", "/x", "raw"));
    assert_true(dmargs_set_medium(args, "ide-5632", NULL, "raw"));
    assert_string_equal(args->pdata[1], "if=none,readonly=on,id=ide-5632");
    assert_true(dmargs_set_medium(args, "ide-5632", "/a,b.iso", "raw"));
    assert_string_equal(args->pdata[1], "if=none,readonly=on,id=ide-5632,"
                        "file=/a,,b.iso,format=raw");
    assert_true(dmargs_set_medium(args, "ide-5632", "/a,b.iso", "raw"));
    assert_true(dmargs_set_medium(args, "ide-5632", NULL, "raw"));
    assert_words(args, "-drive if=none,readonly=on,id=ide-5632 "
                 "-drive file=/d,if=ide,index=0");
}

static void a_line_cut_short_is_no_trouble(void **state)
{
    static const char *const lines[] = {
        "-incoming", "-chardev", "-mon", "-vnc", "-netdev", "-device",
        "-drive", "-add-fd", "-", "--", "", "-vnc ,", "-netdev ,,",
        "-device ,id=", "-drive ,,,",
    };
    guint i, k;

    for (i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GHashTable) present = g_hash_table_new(g_str_hash,
                                                         g_str_equal);
        g_autoptr(GPtrArray) args = words(lines[i]);
        g_autoptr(GArray) numbers = dmargs_numbers(args);

        for (k = 0; k < args->len; k++) {
            g_free(dmargs_tap(args, k));
        }
        assert_int_equal(numbers->len, 0);
        dmargs_set_vnc_port(args, 5901);
        dmargs_vnc_password(args);
        dmargs_set_medium(args, "", "x", "raw");
        dmargs_drop_devices(args, present);
        dmargs_drop_start(args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_is_dropped),
        cmocka_unit_test(own_words_go_as_they_came),
        cmocka_unit_test(numbers_are_found),
        cmocka_unit_test(taps_are_handed_over),
        cmocka_unit_test(screen_stays_where_it_is),
        cmocka_unit_test(password_is_seen),
        cmocka_unit_test(devices_that_are_gone_go),
        cmocka_unit_test(medium_is_the_one_of_now),
        cmocka_unit_test(a_line_cut_short_is_no_trouble),
    };

    return cmocka_run_group_tests_name("dmargs", tests, NULL, NULL);
}
