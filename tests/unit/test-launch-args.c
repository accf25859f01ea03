/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arguments of toolstacks in their old forms.
 */
/* SOURCES: xen/launch-args.c */
/* PKGS: glib-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>

#include "launch-args.h"

static void test_runas(void **state)
{
    static const struct {
        const char *arg;
        const char *modern;
    } cases[] = {
        { "65542:997", "65542:997" }, { "65542.997", "65542:997" },
        { "0.0", "0:0" }, { "xen-qemuuser-domid7", "xen-qemuuser-domid7" },
        { "john.doe", "john.doe" }, { "1.x", "1.x" }, { "1.", "1." },
        { ".1", ".1" }, { "1", "1" }, { "1.2.3", "1.2.3" },
        { "1.2:3", "1.2:3" }, { "", "" },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *modern = pulsar_launch_runas(cases[i].arg);

        assert_string_equal(modern, cases[i].modern);
    }
}

static void test_nbd_fd(void **state)
{
    static const struct {
        const char *filename;
        PulsarNbdName what;
        uint64_t fdset;
        const char *export;
    } cases[] = {
        { "nbd:fd:3:exportname=disk", PULSAR_NBD_FD, 3, "disk" },
        { "nbd:fd:0:exportname=/a:b", PULSAR_NBD_FD, 0, "/a:b" },
        { "nbd:fd:12", PULSAR_NBD_FD, 12, "" },
        { "nbd:fd:3:exportname=", PULSAR_NBD_FD, 3, "" },
        { "nbd:fd:9223372036854775807", PULSAR_NBD_FD, INT64_MAX, "" },
        { "nbd:fd:9223372036854775808", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:99999999999999999999999", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:x", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:-1", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd: 1", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:3:", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:3:export=disk", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:3x", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:fd:3:exportname=12345", PULSAR_NBD_WRONG, 0, NULL },
        { "nbd:unix:/s:exportname=disk", PULSAR_NBD_OTHER, 0, NULL },
        { "nbd:fdx:10809", PULSAR_NBD_OTHER, 0, NULL },
        { "nbd://host/disk", PULSAR_NBD_OTHER, 0, NULL },
        { "/disks/cd", PULSAR_NBD_OTHER, 0, NULL },
        { "", PULSAR_NBD_OTHER, 0, NULL },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t fdset = 77;
        const char *export = NULL;

        assert_int_equal(pulsar_launch_nbd_fd(cases[i].filename, 4, &fdset,
                                              &export), cases[i].what);
        if (cases[i].what == PULSAR_NBD_FD) {
            assert_int_equal(fdset, cases[i].fdset);
            assert_string_equal(export, cases[i].export);
        } else {
            assert_int_equal(fdset, 77);
            assert_null(export);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runas),
        cmocka_unit_test(test_nbd_fd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
