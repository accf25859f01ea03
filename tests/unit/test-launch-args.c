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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
