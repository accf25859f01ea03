/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gone: wait until processes have ended.
 *
 *   gone MS PID...
 *
 * Exit 0 when all are gone within MS milliseconds, 1 when one still runs.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    long end;

    if (argc < 3) {
        fprintf(stderr, "Usage: gone MS PID...\n");
        return 1;
    }
    end = now_ms() + atol(argv[1]);
    for (int i = 2; i < argc; i++) {
        struct pollfd p = { .events = POLLIN };
        long left = end - now_ms();

        p.fd = syscall(SYS_pidfd_open, atoi(argv[i]), 0);
        if (p.fd < 0) {
            continue;
        }
        if (poll(&p, 1, left > 0 ? left : 0) != 1) {
            fprintf(stderr, "gone: process %s still runs\n", argv[i]);
            return 1;
        }
        close(p.fd);
    }
    return 0;
}
