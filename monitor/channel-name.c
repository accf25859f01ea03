/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of channels and of xenstore nodes: see channel-name.h.
 */
#include <stdio.h>
#include <string.h>

#include "channel-name.h"

/* The first that a name begins with decides; longer ones stand first. */
static const struct {
    const char *begins;
    const char *becomes;
    int keep_rest;
} kinds[] = {
    { "chardev-tcp-listener-", "chardev-listener:", 1 },
    { "chardev-tcp-server-", "chardev:", 1 },
    { "chardev-tcp-client-", "chardev:", 1 },
    { "chardev-file-in-", "chardev:", 1 },
    { "chardev-file-out-", "chardev:", 1 },
    { "chardev-websocket-server-", "chardev:", 1 },
    { "chardev-tls-server-", "chardev:", 1 },
    { "chardev-tls-client-", "chardev:", 1 },
    { "chardev-pty-", "chardev:", 1 },
    { "chardev-udp-", "chardev:", 1 },
    { "vnc-listen", "vnc:listener", 0 },
    { "vnc-ws-listen", "vnc:listener", 0 },
    { "vnc-", "vnc:client", 0 },
};

void pulsar_channel_cause(const char *channel, char *ret, size_t size)
{
    size_t i, len;

    for (i = 0; channel && i < sizeof(kinds) / sizeof(*kinds); i++) {
        len = strlen(kinds[i].begins);
        if (!strncmp(channel, kinds[i].begins, len)) {
            snprintf(ret, size, "%s%s", kinds[i].becomes,
                     kinds[i].keep_rest ? channel + len : "");
            return;
        }
    }
    snprintf(ret, size, "fd:%s", channel ? channel : "channel");
}

/* One part of a path, made of what such names are made of. */
static size_t plain(const char *part)
{
    size_t len = strspn(part, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return part[len] == '/' || !part[len] ? len : 0;
}

static const char *skip_parts(const char *path, int parts)
{
    while (path && parts--) {
        path = strchr(path, '/');
        path = path ? path + 1 : NULL;
    }
    return path;
}

void pulsar_xenstore_cause(const char *path, char *ret, size_t size)
{
    static const char home[] = "/local/domain/";
    const char *part = NULL;
    size_t len = 0;

    if (!strncmp(path, home, strlen(home))) {
        /* Behind the domain: "backend/TYPE", "device/TYPE", or what it is. */
        part = skip_parts(path + strlen(home), 1);
        if (part && (!strncmp(part, "backend/", 8) ||
                     !strncmp(part, "device/", 7))) {
            part = skip_parts(part, 1);
        }
        len = part ? plain(part) : 0;
    }
    if (!len || len > 16) {
        part = "other";
        len = strlen(part);
    }
    snprintf(ret, size, "xenstore:%.*s", (int)len, part);
}
