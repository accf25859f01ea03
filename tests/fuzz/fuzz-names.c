/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on names that come from outside: arguments of toolstacks, channels
 * and xenstore nodes that a guest has named. The first byte of the input says
 * which. Built by tests/fuzz/check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "monitor/channel-name.h"
#include "xen/launch-args.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

/* UID.GID may become UID:GID, and nothing else changes. */
static void runas(const char *text)
{
    g_autofree char *modern = pulsar_launch_runas(text);
    const char *dot = strchr(text, '.');

    CHECK(strlen(modern) == strlen(text));
    if (strcmp(modern, text)) {
        CHECK(dot && modern[dot - text] == ':');
        modern[dot - text] = '.';
        CHECK(!strcmp(modern, text));
        CHECK(strspn(text, "0123456789.") == strlen(text));
        CHECK(!strchr(dot + 1, '.'));
    }
}

static void nbd_fd(const char *text)
{
    static const char prefix[] = "nbd:fd:";
    uint64_t fdset = 77;
    const char *export = NULL;
    PulsarNbdName what = pulsar_launch_nbd_fd(text, 16, &fdset, &export);

    CHECK((what == PULSAR_NBD_OTHER) == !g_str_has_prefix(text, prefix));
    if (what != PULSAR_NBD_FD) {
        CHECK(fdset == 77 && !export);
        return;
    }
    CHECK(fdset <= INT64_MAX);
    CHECK(export > text && export <= text + strlen(text));
    CHECK(export + strlen(export) == text + strlen(text));
    CHECK(strlen(export) <= 16);
    CHECK(g_ascii_strtoull(text + strlen(prefix), NULL, 10) == fdset);
}

/* What the guest names must not get into the ledger's causes. */
static void node(const char *text)
{
    char cause[64];

    pulsar_xenstore_cause(text, cause, sizeof(cause));
    CHECK(g_str_has_prefix(cause, "xenstore:"));
    CHECK(strlen(cause) <= strlen("xenstore:") + 16);
    CHECK(strspn(cause, "abcdefghijklmnopqrstuvwxyz0123456789-_:") ==
          strlen(cause));
}

static void channel(const char *text, size_t size)
{
    g_autofree char *cause = g_malloc(size + 1);

    memset(cause, 'x', size + 1);
    pulsar_channel_cause(text, cause, size + 1);
    CHECK(memchr(cause, 0, size + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = NULL;

    if (!size) {
        return 0;
    }
    text = g_strndup((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        runas(text);
        break;
    case 1:
        nbd_fd(text);
        break;
    case 2:
        node(text);
        break;
    case 3:
        channel(text, data[0] / 4);
        break;
    }
    return 0;
}
