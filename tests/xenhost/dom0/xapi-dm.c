/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xapi-dm: libxl starts it as a device model, and it starts the real one as
 * xapi's qemu-wrapper would.
 *
 *   xapi-dm BINARY WORDS [NAME=PATH]... -- LIBXL'S ARGUMENTS...
 *
 * WORDS is a file with the command line of domain 1 of a xapi host, a word a
 * line (tests/standin/xapi.py). It is made one of the domain at hand: number,
 * memory, processors, the network cards' addresses, taps, root folder and user
 * are libxl's, /disks/NAME becomes PATH, and the socket qmp-libxl-N is the one
 * that libxl has opened. Nothing else of what libxl writes is left. File size,
 * namespaces and the clipboard's socket are as qemu-wrapper makes them. A
 * vgabios=PATH is the ROM of the graphics card, which Xen's hvmloader here does
 * not bring along as XCP-ng's does.
 *
 * libxl's probe of the binary, which has no domain, goes through as it is.
 * Exit 1 with a sentence for what it cannot do.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WORDS       512
#define NICS        8
#define FILE_SIZE   (1 << 20)
#define RUN         "/var/run/xen/"

static char *out[WORDS];
static size_t out_count;

/* What libxl says of the domain. */
static const char *domid, *memory, *root, *user, *incoming;
static const char *processors = "1,maxcpus=1";  /* it names more only */
static const char *taps[NICS], *macs[NICS];
static char *monitor[4];                /* -chardev … -mon … of libxl-cmd */
static size_t tap_count, mac_count, monitor_count;

static char **paths;                    /* NAME=PATH, up to a NULL */

static void put(const char *word)
{
    if (out_count == WORDS - 1) {
        errx(1, "more than %d words", WORDS - 1);
    }
    out[out_count++] = strdup(word);
}

static char *format(const char *text, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *text, ...)
{
    va_list args;
    char *result;

    va_start(args, text);
    if (vasprintf(&result, text, args) < 0) {
        err(1, "format");
    }
    va_end(args);
    return result;
}

/* The value of KEY= in an option's list, or NULL. */
static char *value(const char *options, const char *key)
{
    size_t length = strlen(key);

    while (options) {
        if (!strncmp(options, key, length) && options[length] == '=') {
            options += length + 1;
            return strndup(options, strcspn(options, ","));
        }
        options = strchr(options, ',');
        options += options != NULL;
    }
    return NULL;
}

static void note(const char **list, size_t *count, char *text)
{
    if (text && *count < NICS) {
        list[(*count)++] = text;
    }
}

static void read_libxl(char **words)
{
    for (; words[0]; words++) {
        const char *option = words[0];

        if (!words[1] || option[0] != '-') {
            continue;
        }
        if (!strcmp(option, "-xen-domid")) {
            domid = words[1];
        } else if (!strcmp(option, "-m")) {
            memory = words[1];
        } else if (!strcmp(option, "-smp")) {
            processors = words[1];
        } else if (!strcmp(option, "-chroot")) {
            root = words[1];
        } else if (!strcmp(option, "-runas")) {
            user = words[1];
        } else if (!strcmp(option, "-incoming")) {
            incoming = words[1];
        } else if (!strcmp(option, "-netdev")) {
            note(taps, &tap_count, value(words[1], "ifname"));
        } else if (!strcmp(option, "-device")) {
            note(macs, &mac_count, value(words[1], "mac"));
        } else if ((!strcmp(option, "-chardev") || !strcmp(option, "-mon")) &&
                   strstr(words[1], "libxl-cmd") && monitor_count < 4) {
            monitor[monitor_count++] = words[0];
            monitor[monitor_count++] = words[1];
        }
    }
    if (!domid || !memory || monitor_count != 4) {
        errx(1, "no domain, memory or monitor among libxl's arguments");
    }
    if (!root || !user) {
        errx(1, "the domain has to have dm_restrict=1");
    }
}

/* The tap that libxl named, as a descriptor. */
static int open_tap(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        err(1, "tap %s", name);
    }
    return fd;
}

/* Somebody who holds the other end of the clipboard, and has nothing in it. */
static int open_clipboard(void)
{
    int ends[2];
    char byte[256];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) {
        err(1, "socketpair");
    }
    if (!fork()) {
        close(ends[0]);
        for (int fd = 0; fd < 64; fd++) {
            if (fd != ends[1]) {
                close(fd);
            }
        }
        while (read(ends[1], byte, sizeof(byte)) > 0) {
            /* until the device model is gone */
        }
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

/* What NAME=PATH says of a name, or NULL. */
static const char *given(const char *name, size_t length)
{
    for (char **path = paths; *path; path++) {
        if (!strncmp(*path, name, length) && (*path)[length] == '=') {
            return *path + length + 1;
        }
    }
    return NULL;
}

/* The word with what stands from at on replaced, length bytes of it. */
static char *replaced(const char *word, const char *at, size_t length,
                      const char *by)
{
    return format("%.*s%s%s", (int)(at - word), word, by, at + length);
}

/* A word with what was domain 1's made this one's. */
static char *adapt(const char *word)
{
    const char *at;
    char *mac;

    if (!strncmp(word, "tap,id=tapnet", 13)) {
        unsigned long number = strtoul(word + 13, NULL, 10);

        if (number >= tap_count) {
            errx(1, "libxl has no tap %lu", number);
        }
        return format("tap,id=tapnet%lu,fd=%d", number,
                      open_tap(taps[number]));
    }
    at = strstr(word, "netdev=tapnet");
    mac = at ? value(word, "mac") : NULL;
    if (mac) {
        unsigned long number = strtoul(at + 13, NULL, 10);

        if (number >= mac_count) {
            errx(1, "libxl has no network card %lu", number);
        }
        return replaced(word, strstr(word, mac), strlen(mac), macs[number]);
    }
    at = strstr(word, "file=/disks/");
    if (at) {
        size_t length = strcspn(at + 12, ",");
        const char *path = given(at + 12, length);

        if (!path) {
            errx(1, "no %.*s= says where that disk is", (int)length, at + 12);
        }
        return replaced(word, at + 5, 7 + length, path);
    }
    at = strstr(word, ",romfile=,");
    if (at && given("vgabios", 7) && (!strncmp(word, "VGA,", 4) ||
                                      !strncmp(word, "cirrus-vga,", 11))) {
        return replaced(word, at + 9, 0, given("vgabios", 7));
    }
    at = strstr(word, RUN);
    at = at ? strstr(at, "-1") : NULL;
    if (at && (!at[2] || strchr(".,", at[2]))) {
        return replaced(word, at + 1, 1, domid);
    }
    return strdup(word);
}

static char *next(FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, file);

    if (length < 0) {
        return NULL;
    }
    if (length && line[length - 1] == '\n') {
        line[length - 1] = '\0';
    }
    return line;
}

static void build(FILE *file)
{
    char *word;

    while ((word = next(file))) {
        char *argument = NULL;

        if (!strcmp(word, "-xen-domid")) {
            argument = strdup(domid);
        } else if (!strcmp(word, "-m")) {
            argument = format("size=%s", memory);
        } else if (!strcmp(word, "-smp")) {
            argument = strdup(processors);
        } else if (!strcmp(word, "-chroot")) {
            argument = strdup(root);
        } else if (!strcmp(word, "-runas")) {
            argument = strdup(user);
        } else if (!strcmp(word, "-vnc-clipboard-socket-fd")) {
            argument = format("%d", open_clipboard());
        } else if (!strcmp(word, "-qmp")) {
            argument = next(file);
            if (argument && strstr(argument, RUN "qmp-libxl-")) {
                for (size_t i = 0; i < monitor_count; i++) {
                    put(monitor[i]);
                }
                continue;
            }
            put(word);
            put(adapt(argument ?: ""));
            continue;
        }
        put(adapt(word));
        if (argument) {
            put(argument);
            next(file);
        }
    }
    if (incoming) {
        put("-incoming");
        put(incoming);
    }
}

/* /dev/null is all there is in the root folder. */
static void furnish(void)
{
    char *folder = format("%s/dev", root);
    char *null = format("%s/null", folder);

    if ((mkdir(folder, 0755) && errno != EEXIST) ||
        (mknod(null, S_IFCHR | 0666, makedev(1, 3)) && errno != EEXIST) ||
        chmod(null, 0666)) {
        err(1, "%s", null);
    }
}

int main(int argc, char **argv)
{
    const struct rlimit limit = { FILE_SIZE, FILE_SIZE };
    char **libxl = argv;
    FILE *file;

    while (*libxl && strcmp(*libxl, "--")) {
        libxl++;
    }
    if (argc < 4 || !*libxl || libxl < argv + 3) {
        errx(1, "usage: xapi-dm BINARY WORDS [NAME=PATH]... -- ARGUMENTS...");
    }
    *libxl++ = NULL;
    paths = argv + 3;
    for (char **word = libxl; *word; word++) {
        if (!strncmp(*word, "none,accel=xen", 14)) {
            *--libxl = argv[1];
            execv(argv[1], libxl);
            err(1, "%s", argv[1]);
        }
    }
    put(argv[1]);
    read_libxl(libxl);
    file = fopen(argv[2], "r");
    if (!file) {
        err(1, "%s", argv[2]);
    }
    furnish();
    build(file);
    fclose(file);
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) ||
        setrlimit(RLIMIT_FSIZE, &limit)) {
        err(1, "the limits of xapi's wrapper");
    }
    execv(argv[1], out);
    err(1, "%s", argv[1]);
}
