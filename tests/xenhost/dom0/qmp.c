/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp: talk to a device model as xenopsd does.
 *
 *   qmp SOCKET { COMMAND | add-fd FILE | hold }...
 *
 * Connects, greets, and does in turn what the words say: COMMAND is one of QMP,
 * in JSON; %d in it stands for the number of the last set of descriptors.
 * "add-fd FILE" opens FILE to be read and hands it over as a set. "hold" goes
 * on listening until the device model is gone. All that comes is printed,
 * events and answers. Exit 0; 1 for wrong use, a command that failed, or when
 * the device model went during one.
 */

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static FILE *stream;
static int fdset = -1;

/* Sends a line, with a descriptor unless fd is negative. */
static void tell(const char *text, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec parts[] = {
        { (void *)text, strlen(text) }, { (void *)"\n", 1 },
    };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    ssize_t length = parts[0].iov_len + 1;

    if (fd >= 0) {
        struct cmsghdr *header = (struct cmsghdr *)control;

        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    if (sendmsg(fileno(stream), &message, MSG_NOSIGNAL) != length) {
        err(1, "send");
    }
}

/* Prints what comes up to an answer; false at the end. */
static bool answer(void)
{
    static char *line;
    static size_t size;

    while (getline(&line, &size, stream) > 0) {
        const char *set = strstr(line, "\"fdset-id\": ");

        fputs(line, stdout);
        fflush(stdout);
        if (set) {
            fdset = atoi(set + 12);
        }
        if (!strncmp(line, "{\"error\"", 8)) {
            exit(1);
        }
        if (!strncmp(line, "{\"return\"", 9)) {
            return true;
        }
    }
    return false;
}

static void command(const char *text, int fd)
{
    tell(text, fd);
    if (!answer()) {
        errx(1, "no answer to %s", text);
    }
}

/* A command of the user's, with the number of the set of descriptors. */
static void run(const char *text)
{
    const char *at = strstr(text, "%d");
    char *whole;

    if (!at) {
        command(text, -1);
        return;
    }
    if (asprintf(&whole, "%.*s%d%s", (int)(at - text), text, fdset,
                 at + 2) < 0) {
        err(1, "asprintf");
    }
    command(whole, -1);
    free(whole);
}

static void open_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errx(1, "'%s' is too long for a socket", path);
    }
    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        err(1, "%s", path);
    }
    stream = fdopen(fd, "r");
    if (!stream) {
        err(1, "%s", path);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        errx(1, "usage: qmp SOCKET { COMMAND | add-fd FILE | hold }...");
    }
    open_socket(argv[1]);
    command("{\"execute\": \"qmp_capabilities\"}", -1);
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "add-fd") && argv[i + 1]) {
            int fd = open(argv[++i], O_RDONLY);

            if (fd < 0) {
                err(1, "%s", argv[i]);
            }
            command("{\"execute\": \"add-fd\"}", fd);
            close(fd);
        } else if (!strcmp(argv[i], "hold")) {
            while (answer()) {
                /* until it is gone */
            }
        } else {
            run(argv[i]);
        }
    }
    return 0;
}
