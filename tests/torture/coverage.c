/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into the device model that is built for torture: which code has run,
 * for those who look for inputs that reach more of it.
 *
 * The compiler calls this at each basic block (gcc's -fsanitize-coverage=
 * trace-pc). TORTURE_COVERAGE names a file of COVERAGE_SIZE bytes that is
 * shared with the test; a byte that is set stands for a block that has run.
 * Compiled without any sanitiser itself.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define COVERAGE_BITS  18
#define COVERAGE_SIZE  (1 << COVERAGE_BITS)

extern const char __executable_start[];

void __sanitizer_cov_trace_pc(void);

static unsigned char nobody_looks[COVERAGE_SIZE];
static unsigned char *seen = nobody_looks;

__attribute__((constructor))
static void coverage_open(void)
{
    const char *path = getenv("TORTURE_COVERAGE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map;

    if (fd < 0) {
        return;
    }
    map = mmap(NULL, COVERAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) {
        seen = map;
    }
}

void __sanitizer_cov_trace_pc(void)
{
    uint32_t at = (uintptr_t)__builtin_return_address(0) -
                  (uintptr_t)__executable_start;
    unsigned char *block = &seen[at * 0x9e3779b1u >> (32 - COVERAGE_BITS)];

    if (!*block) {
        *block = 1;
    }
}
