/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wakecount: how often the threads of a process were switched to and fro, and
 * how long they ran.
 *
 *   wakecount [-i SECONDS] [-n ROWS] PID...
 *
 * Reads status and schedstat in /proc/PID/task/TID of every thread at the start
 * and the end of each of ROWS windows of SECONDS (1 row of 30), which does not
 * disturb the process, and prints CSV: one line a thread that had any switch
 * and one line with tid 0 for all threads together. A thread that appeared in
 * the window counts from its birth. Exit: 0; 1 for wrong use or a PID that is
 * not there; 3 when a process ended before the last row.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct thread {
    int tid;
    char name[32];
    uint64_t voluntary;
    uint64_t involuntary;
    uint64_t cpu_ns;
};

struct sample {
    int count;
    int room;
    struct thread *threads;
};

struct process {
    int pid;
    struct sample samples[2];   /* of this row and the last, in turn */
};

static void *resized(void *old, size_t count, size_t size)
{
    void *memory = reallocarray(old, count, size);

    if (!memory) {
        perror("wakecount");
        exit(1);
    }
    return memory;
}

static bool read_thread(int pid, struct thread *thread)
{
    char path[64];
    char line[128];
    FILE *f;
    int fields = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, thread->tid);
    f = fopen(path, "r");
    if (!f) {
        return false;
    }
    while (fgets(line, sizeof(line), f)) {
        fields += sscanf(line, "Name: %31[^\n]", thread->name) == 1;
        fields += sscanf(line, "voluntary_ctxt_switches: %lu",
                         &thread->voluntary) == 1;
        fields += sscanf(line, "nonvoluntary_ctxt_switches: %lu",
                         &thread->involuntary) == 1;
    }
    fclose(f);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid,
             thread->tid);
    f = fopen(path, "r");
    if (!f) {
        return false;
    }
    fields += fscanf(f, "%lu", &thread->cpu_ns) == 1;
    fclose(f);
    return fields == 4;
}

static bool read_process(int pid, struct sample *sample)
{
    char path[64];
    DIR *dir;
    struct dirent *entry;

    sample->count = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    if (!dir) {
        return false;
    }
    while ((entry = readdir(dir))) {
        struct thread thread = { .tid = atoi(entry->d_name) };

        if (thread.tid <= 0 || !read_thread(pid, &thread)) {
            continue;
        }
        if (sample->count == sample->room) {
            sample->room += 8;
            sample->threads = resized(sample->threads, sample->room,
                                      sizeof(thread));
        }
        sample->threads[sample->count++] = thread;
    }
    closedir(dir);
    return sample->count > 0;
}

static const struct thread *find(const struct sample *sample, int tid)
{
    for (int i = 0; i < sample->count; i++) {
        if (sample->threads[i].tid == tid) {
            return &sample->threads[i];
        }
    }
    return NULL;
}

static void print_line(int row, double seconds, int pid,
                       const struct thread *thread)
{
    printf("%d,%g,%d,%d,%s,%lu,%lu,%lu\n", row, seconds, pid, thread->tid,
           thread->name, thread->voluntary, thread->involuntary,
           thread->cpu_ns);
}

static void print_row(int row, double seconds, int pid,
                      const struct sample *before, const struct sample *after)
{
    struct thread all = { .name = "all" };

    for (int i = 0; i < after->count; i++) {
        struct thread delta = after->threads[i];
        const struct thread *old = find(before, delta.tid);

        if (old) {
            delta.voluntary -= old->voluntary;
            delta.involuntary -= old->involuntary;
            delta.cpu_ns -= old->cpu_ns;
        }
        all.voluntary += delta.voluntary;
        all.involuntary += delta.involuntary;
        all.cpu_ns += delta.cpu_ns;
        if (delta.voluntary || delta.involuntary) {
            print_line(row, seconds, pid, &delta);
        }
    }
    print_line(row, seconds, pid, &all);
}

static int open_timer(double seconds)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct timespec step = {
        .tv_sec = seconds,
        .tv_nsec = (seconds - (time_t)seconds) * 1e9,
    };
    struct itimerspec when = { .it_interval = step, .it_value = step };

    if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0) {
        perror("wakecount: timerfd");
        exit(1);
    }
    return fd;
}

static void usage(void)
{
    fprintf(stderr, "Usage: wakecount [-i SECONDS] [-n ROWS] PID...\n");
    exit(1);
}

int main(int argc, char **argv)
{
    struct process *processes;
    struct pollfd *fds;
    double seconds = 30;
    int rows = 1;
    int n;
    int opt;

    while ((opt = getopt(argc, argv, "i:n:")) != -1) {
        if (opt == 'i') {
            seconds = atof(optarg);
        } else if (opt == 'n') {
            rows = atoi(optarg);
        } else {
            usage();
        }
    }
    n = argc - optind;
    if (n < 1 || !(seconds >= 0.001) || rows < 1) {
        usage();
    }
    processes = resized(NULL, n, sizeof(*processes));
    fds = resized(NULL, n + 1, sizeof(*fds));
    for (int i = 0; i < n; i++) {
        int pid = atoi(argv[optind + i]);

        processes[i] = (struct process) { .pid = pid };
        fds[i].fd = syscall(SYS_pidfd_open, pid, 0);
        fds[i].events = POLLIN;
        if (pid < 1 || fds[i].fd < 0) {
            fprintf(stderr, "wakecount: there is no process '%s'\n",
                    argv[optind + i]);
            return 1;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("row,seconds,pid,tid,name,voluntary,involuntary,cpu_ns\n");

    fds[n].fd = open_timer(seconds);
    fds[n].events = POLLIN;
    for (int i = 0; i < n; i++) {
        read_process(processes[i].pid, &processes[i].samples[0]);
    }
    for (int row = 0; row < rows; row++) {
        uint64_t ticks;

        while (poll(fds, n + 1, -1) < 0 && errno == EINTR) {
            /* again */
        }
        for (int i = 0; i < n; i++) {
            if (fds[i].revents) {
                fprintf(stderr, "wakecount: process %d ended\n",
                        processes[i].pid);
                return 3;
            }
        }
        for (int i = 0; i < n; i++) {
            if (!read_process(processes[i].pid,
                              &processes[i].samples[(row + 1) % 2])) {
                fprintf(stderr, "wakecount: process %d ended\n",
                        processes[i].pid);
                return 3;
            }
        }
        if (read(fds[n].fd, &ticks, sizeof(ticks)) != sizeof(ticks) ||
            ticks != 1) {
            fprintf(stderr, "wakecount: could not keep up with a row of %g "
                    "seconds; make it longer\n", seconds);
            return 1;
        }
        for (int i = 0; i < n; i++) {
            print_row(row, seconds, processes[i].pid,
                      &processes[i].samples[row % 2],
                      &processes[i].samples[(row + 1) % 2]);
        }
    }
    return 0;
}
