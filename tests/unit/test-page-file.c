/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger pages as files: what is made, and what a starting device model may
 * remove.
 */
/* SOURCES: monitor/page-file.c */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/ledger-page.h"
#include "monitor/page-file.h"

static char folder[64];
static int dir_fd;

static int setup(void **state)
{
    strcpy(folder, "/tmp/pulsar-pages.XXXXXX");
    assert_non_null(mkdtemp(folder));
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY);
    return dir_fd < 0;
}

static int teardown(void **state)
{
    char command[96];

    close(dir_fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static bool there(const char *name)
{
    return !faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* A page; it is dead when its descriptor is closed. */
static int page(const char *name, uint32_t st)
{
    PulsarLedgerHeader h = { .magic = "", .state = st, .domid = 1 };
    int fd = pulsar_page_create(dir_fd, name, PULSAR_LEDGER_TOTAL_SIZE);

    assert_true(fd >= 0);
    memcpy(h.magic, PULSAR_LEDGER_MAGIC, sizeof(h.magic));
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
    return fd;
}

static void dead(const char *name, uint32_t st)
{
    close(page(name, st));
}

static bool odd_are_gone(int domid)
{
    return domid % 2;
}

static void test_a_new_page(void **state)
{
    int fd = pulsar_page_create(dir_fd, "x", PULSAR_LEDGER_TOTAL_SIZE), other;
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_size, PULSAR_LEDGER_TOTAL_SIZE);
    assert_true((size_t)st.st_blocks * 512 >= PULSAR_LEDGER_TOTAL_SIZE);
    other = openat(dir_fd, "x", O_RDONLY);
    assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);

    /* Never somebody else's file. */
    assert_int_equal(pulsar_page_create(dir_fd, "x", 1), -1);
    assert_int_equal(errno, EEXIST);
    close(other);
    close(fd);
}

/* A limit on file sizes does as well as a full file system. */
static void test_no_space(void **state)
{
    struct rlimit old, small;

    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(pulsar_page_create(dir_fd, "x", 8192), -1);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(errno, EFBIG);
    assert_false(there("x"));
}

/* Who maps a page holds its lock, without a descriptor. */
static void test_a_mapping_keeps_the_lock(void **state)
{
    int fd = page("2.ledger", PULSAR_LEDGER_EXITED);
    void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(p != MAP_FAILED);
    close(fd);
    pulsar_pages_prune(dir_fd, odd_are_gone);
    assert_true(there("2.ledger"));
    munmap(p, 4096);
    pulsar_pages_prune(dir_fd, odd_are_gone);
    assert_false(there("2.ledger"));
}

static void test_prune(void **state)
{
    int held = page("3.ledger", PULSAR_LEDGER_EXITED);
    int starting = page(".5.ledger.77", PULSAR_LEDGER_STARTING);

    dead("2.ledger", PULSAR_LEDGER_RUNNING);    /* killed, domain lives */
    dead("4.ledger", PULSAR_LEDGER_EXITED);
    dead("1.ledger", PULSAR_LEDGER_RUNNING);    /* killed with its domain */
    dead(".2.ledger.78", PULSAR_LEDGER_STARTING);
    pulsar_pages_prune(dir_fd, odd_are_gone);
    assert_true(there("3.ledger"));
    assert_true(there(".5.ledger.77"));
    assert_true(there("2.ledger"));
    assert_false(there("4.ledger"));
    assert_false(there("1.ledger"));
    assert_false(there(".2.ledger.78"));
    close(held);
    close(starting);
}

/* Other people's files, and names that are only like those of pages. */
static void test_prune_leaves_the_rest(void **state)
{
    static const char *const names[] = {
        "x.ledger", "1.ledger.bak", ".1.ledger", "1.ledge", "-1.ledger",
        "99999999999999999999.ledger", "4294967297.ledger", "1", ".",
        "notes", ".swp", "1.ledgerx",
    };
    char far[96];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i], ".")) {
            dead(names[i], PULSAR_LEDGER_EXITED);
        }
    }
    snprintf(far, sizeof(far), "%s/notes", folder);
    assert_int_equal(mkdirat(dir_fd, "7.ledger", 0700), 0);
    assert_int_equal(mkfifoat(dir_fd, "9.ledger", 0600), 0);
    assert_int_equal(symlinkat(far, dir_fd, "11.ledger"), 0);
    pulsar_pages_prune(dir_fd, odd_are_gone);
    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_true(there(names[i]));
    }
    assert_true(there("7.ledger"));
    assert_true(there("9.ledger"));
    assert_true(there("11.ledger"));
}

/* Its contents may say what they like: only its own file is at stake. */
static void test_a_page_speaks_for_itself_only(void **state)
{
    int fd = openat(dir_fd, "2.ledger", O_RDWR | O_CREAT, 0600);
    int held = page("1.ledger", PULSAR_LEDGER_RUNNING);
    char lies[PULSAR_LEDGER_HEADER_SIZE];

    memset(lies, PULSAR_LEDGER_EXITED, sizeof(lies));
    assert_int_equal(write(fd, lies, sizeof(lies)), sizeof(lies));
    close(fd);
    pulsar_pages_prune(dir_fd, odd_are_gone);
    assert_true(there("1.ledger"));
    assert_true(there("2.ledger"));     /* no page, domain lives */
    close(held);
}

static void test_remove_only_the_own(void **state)
{
    struct stat mine;
    int fd;

    dead("2.ledger", PULSAR_LEDGER_EXITED);
    assert_int_equal(fstatat(dir_fd, "2.ledger", &mine, 0), 0);
    fd = page("new", PULSAR_LEDGER_RUNNING);
    renameat(dir_fd, "new", dir_fd, "2.ledger");
    pulsar_page_remove(dir_fd, "2.ledger", &mine);
    assert_true(there("2.ledger"));
    fstat(fd, &mine);
    pulsar_page_remove(dir_fd, "2.ledger", &mine);
    assert_false(there("2.ledger"));
    pulsar_page_remove(dir_fd, "2.ledger", &mine);
    close(fd);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_page),
        TEST(no_space),
        TEST(a_mapping_keeps_the_lock),
        TEST(prune),
        TEST(prune_leaves_the_rest),
        TEST(a_page_speaks_for_itself_only),
        TEST(remove_only_the_own),
    };

    return cmocka_run_group_tests_name("page-file", tests, NULL, NULL);
}
