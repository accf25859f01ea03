/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the wakes of an I/O channel are called.
 */
/* SOURCES: monitor/channel-name.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "monitor/channel-name.h"

static void names(void **state)
{
    static const char *const pairs[][2] = {
        { "chardev-pty-serial0", "chardev:serial0" },
        { "chardev-tcp-server-libxl-cmd", "chardev:libxl-cmd" },
        { "chardev-tcp-listener-libxl-cmd", "chardev-listener:libxl-cmd" },
        { "chardev-file-in-compat_monitor0", "chardev:compat_monitor0" },
        { "vnc-server", "vnc:client" },
        { "vnc-ws-server-tls", "vnc:client" },
        { "vnc-listen", "vnc:listener" },
        { "pr-manager-helper", "fd:pr-manager-helper" },
        { "", "fd:" },
        { NULL, "fd:channel" },
    };
    char got[72];
    size_t i;

    for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        pulsar_channel_cause(pairs[i][0], got, sizeof(got));
        assert_string_equal(got, pairs[i][1]);
    }
}

/* Of what the guest may have named nothing is kept. */
static void nodes(void **state)
{
    static const char *const pairs[][2] = {
        { "/local/domain/7/device/vkbd/0/state", "xenstore:vkbd" },
        { "/local/domain/7/device/vkbd/0/anything", "xenstore:vkbd" },
        { "/local/domain/0/backend/qdisk/7/768/online", "xenstore:qdisk" },
        { "/local/domain/0/backend/console/7", "xenstore:console" },
        { "/local/domain/0/device-model/7/command", "xenstore:device-model" },
        { "/local/domain/7/control/shutdown", "xenstore:control" },
        { "/local/domain/7/console/vnc-port", "xenstore:console" },
        { "/local/domain/7/device/a-type-longer-than-any/0",
          "xenstore:other" },
        { "/local/domain/7/device/vkbd[2J/0", "xenstore:other" },
        { "/local/domain/7/device/", "xenstore:other" },
        { "/local/domain/7", "xenstore:other" },
        { "/local/domain/", "xenstore:other" },
        { "/vm/12345678-9abc-def0-1234-56789abcdef0/x", "xenstore:other" },
        { "@releaseDomain", "xenstore:other" },
        { "backend/vkbd", "xenstore:other" },
        { "", "xenstore:other" },
    };
    char got[72];
    size_t i;

    for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        pulsar_xenstore_cause(pairs[i][0], got, sizeof(got));
        assert_string_equal(got, pairs[i][1]);
    }
}

static void a_long_name_is_cut(void **state)
{
    char got[8];

    pulsar_channel_cause("chardev-pty-a-very-long-label", got, sizeof(got));
    assert_string_equal(got, "chardev");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(nodes),
        cmocka_unit_test(a_long_name_is_cut),
    };

    return cmocka_run_group_tests_name("channel-name", tests, NULL, NULL);
}
