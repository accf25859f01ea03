/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Context switches by thread: of this process, and of what only looks like
 * /proc.
 */
/* SOURCES: monitor/thread-switches.c */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/thread-switches.h"

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

typedef struct Other {
    pthread_barrier_t barrier;
    pid_t tid;
} Other;

static void *other_thread(void *opaque)
{
    Other *o = opaque;

    prctl(PR_SET_NAME, "other");
    o->tid = gettid();
    pthread_barrier_wait(&o->barrier);
    pthread_barrier_wait(&o->barrier);
    return NULL;
}

static void test_own_threads(void **state)
{
    PulsarLedgerThread t[8];
    int fd = open_dir("/proc/self/task");
    struct rusage usage;
    pthread_t thread;
    bool found = false;
    size_t n, i;
    Other o;

    pthread_barrier_init(&o.barrier, NULL, 2);
    pthread_create(&thread, NULL, other_thread, &o);
    pthread_barrier_wait(&o.barrier);

    n = pulsar_threads_switches(fd, t, 8);
    assert_in_range(n, 2, 8); /* a sanitizer may have one more */
    getrusage(RUSAGE_THREAD, &usage);
    assert_int_equal(t[0].tid, getpid());
    assert_in_range(t[0].voluntary, 0, usage.ru_nvcsw);
    assert_in_range(t[0].involuntary, 0, usage.ru_nivcsw);
    for (i = 0; i < n; i++) {
        if (t[i].tid == o.tid) {
            assert_string_equal(t[i].name, "other");
            found = true;
        }
    }
    assert_true(found);

    /* As many as fit are written, and all are counted; time and again. */
    memset(t, 0, sizeof(t));
    assert_int_equal(pulsar_threads_switches(fd, t, 1), n);
    assert_int_equal(t[1].tid, 0);
    assert_int_equal(pulsar_threads_switches(fd, t, 8), n);

    pthread_barrier_wait(&o.barrier);
    pthread_join(thread, NULL);
    close(fd);
}

static void write_status(const char *dir, const char *tid, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, tid);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s/status", dir, tid);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void remove_status(const char *dir, const char *tid)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s/status", dir, tid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%s", dir, tid);
    rmdir(path);
}

static void test_fields(void **state)
{
    char dir[] = "/tmp/test-thread-switches-XXXXXX";
    PulsarLedgerThread t = { .tid = -7 };
    int fd;

    assert_non_null(mkdtemp(dir));
    write_status(dir, "12", "Name:\ta name that is longer than thirty-one "
                            "bytes\nUmask:\t0022\n"
                            "voluntary_ctxt_switches:\t18446744073709551615\n"
                            "nonvoluntary_ctxt_switches:\t3\n");
    write_status(dir, "13", "Name:\tx\nvoluntary_ctxt_switches:\t5\n");
    write_status(dir, "word", "Name:\tx\nvoluntary_ctxt_switches:\t5\n"
                              "nonvoluntary_ctxt_switches:\t3\n");
    fd = open_dir(dir);

    assert_false(pulsar_thread_switches(fd, "13", &t));
    assert_false(pulsar_thread_switches(fd, "14", &t));
    assert_false(pulsar_thread_switches(fd, "word", &t));
    assert_false(pulsar_thread_switches(fd, "..", &t));
    assert_int_equal(t.tid, -7);

    assert_true(pulsar_thread_switches(fd, "12", &t));
    assert_int_equal(t.tid, 12);
    assert_true(t.voluntary == UINT64_MAX);
    assert_int_equal(t.involuntary, 3);
    assert_string_equal(t.name, "a name that is longer than thir");
    assert_int_equal(pulsar_threads_switches(fd, &t, 1), 1);

    close(fd);
    remove_status(dir, "12");
    remove_status(dir, "13");
    remove_status(dir, "word");
    rmdir(dir);
}

static void test_no_folder(void **state)
{
    PulsarLedgerThread t;

    assert_int_equal(pulsar_threads_switches(-1, &t, 1), 0);
}

/* A thread knows about itself what the folder says of it. */
static void test_self(void **state)
{
    int fd = open_dir("/proc/self/task");
    PulsarLedgerThread before, t, after;

    usleep(1); /* it slept at least once */
    assert_true(pulsar_thread_switches_self(&before));
    assert_int_equal(pulsar_threads_switches(fd, &t, 1) >= 1, 1);
    assert_true(pulsar_thread_switches_self(&after));
    assert_int_equal(before.tid, t.tid);
    assert_string_equal(before.name, t.name);
    assert_true(before.voluntary >= 1);
    assert_in_range(t.voluntary, before.voluntary, after.voluntary);
    assert_in_range(t.involuntary, before.involuntary, after.involuntary);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_threads),
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_no_folder),
    };

    return cmocka_run_group_tests_name("thread-switches", tests, NULL, NULL);
}
