/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ttytalk: type on a terminal and wait for what it answers.
 *
 *   ttytalk TTY { send TEXT | expect TEXT MS | tell FILE TEXT }...
 *   ttytalk "!COMMAND" { send TEXT | expect TEXT MS | tell FILE TEXT }...
 *
 * Opens the terminal raw, without making it its own, or runs the shell
 * command on a terminal of its own and ends it afterwards, and does in turn
 * what the words say: "send TEXT" types TEXT, "expect TEXT MS" reads until TEXT
 * came or MS milliseconds passed since, "tell FILE TEXT" writes TEXT into FILE,
 * which may be a pipe. \r, \n, \\ and \e in TEXT are what they are in C. After
 * each expect it prints "MS-IT-TOOK TEXT". Exit 0; 1 for wrong use or when TEXT
 * did not come, with what came instead.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char seen[65536];
static size_t seen_len;

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static char *unescape(const char *text)
{
    char *out = strdup(text);
    char *to = out;

    for (; *text; text++) {
        if (*text != '\\' || !text[1]) {
            *to++ = *text;
            continue;
        }
        text++;
        *to++ = *text == 'r' ? '\r' : *text == 'n' ? '\n' :
                *text == 'e' ? '\033' : *text;
    }
    *to = '\0';
    return out;
}

static int open_tty(const char *path)
{
    struct termios raw;
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || tcgetattr(fd, &raw) < 0) {
        fprintf(stderr, "ttytalk: cannot open the terminal %s: %s\n", path,
                strerror(errno));
        exit(1);
    }
    cfmakeraw(&raw);
    tcsetattr(fd, TCSANOW, &raw);
    return fd;
}

static pid_t run_on_tty(const char *command, int *fd_r)
{
    struct termios raw = { .c_cflag = CS8 | CREAD | B38400 };
    pid_t pid;

    cfmakeraw(&raw);                    /* above all: no echo of its own */
    pid = forkpty(fd_r, NULL, &raw, NULL);

    if (pid < 0) {
        fprintf(stderr, "ttytalk: cannot run '%s' on a terminal: %s\n",
                command, strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return pid;
}

static void send_text(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        fprintf(stderr, "ttytalk: cannot type '%s': %s\n", text,
                strerror(errno));
        exit(1);
    }
}

static void tell(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        fprintf(stderr, "ttytalk: cannot write into %s: %s\n", path,
                strerror(errno));
        exit(1);
    }
    close(fd);
}

static void expect_text(int fd, const char *text, double ms)
{
    double start = now_ms();
    size_t len = strlen(text);

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char *hit = memmem(seen, seen_len, text, len);
        double left = start + ms - now_ms();
        ssize_t n = 0;

        if (hit) {
            hit += len;
            seen_len -= hit - seen;
            memmove(seen, hit, seen_len);
            printf("%.1f %s\n", now_ms() - start, text);
            return;
        }
        if (left > 0 && poll(&p, 1, left + 1) > 0) {
            n = read(fd, seen + seen_len, sizeof(seen) - seen_len);
        }
        if (n <= 0) {
            fprintf(stderr, "ttytalk: '%s' did not come in %g ms, but '%.*s'"
                    "\n", text, ms, (int)seen_len, seen);
            exit(1);
        }
        seen_len += n;
    }
}

int main(int argc, char **argv)
{
    pid_t child = 0;
    int fd;
    int i = 2;

    if (argc < 4) {
        fprintf(stderr, "Usage: ttytalk TTY|!COMMAND "
                "{ send TEXT | expect TEXT MS | tell FILE TEXT }...\n");
        return 1;
    }
    if (argv[1][0] == '!') {
        child = run_on_tty(argv[1] + 1, &fd);
    } else {
        fd = open_tty(argv[1]);
    }
    while (i < argc) {
        if (!strcmp(argv[i], "send") && i + 1 < argc) {
            send_text(fd, unescape(argv[i + 1]));
            i += 2;
        } else if (!strcmp(argv[i], "expect") && i + 2 < argc) {
            expect_text(fd, unescape(argv[i + 1]), atof(argv[i + 2]));
            i += 3;
        } else if (!strcmp(argv[i], "tell") && i + 2 < argc) {
            tell(argv[i + 1], unescape(argv[i + 2]));
            i += 3;
        } else {
            fprintf(stderr, "ttytalk: '%s' is no whole 'send TEXT', 'expect "
                    "TEXT MS' or 'tell FILE TEXT'\n", argv[i]);
            return 1;
        }
    }
    close(fd);
    if (child) {
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    return 0;
}
