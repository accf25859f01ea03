/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what was found behind an address.
 */
/* SOURCES: */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/ledger-glue.h"
#include "monitor/cause-cache.h"

static PulsarCauseCache cache;

static bool known(uint64_t address)
{
    bool ret;

    pulsar_cause_cache_find(&cache, address, &ret);
    return ret;
}

static void test_found_again(void **state)
{
    static const struct {
        uint64_t first, last;
    } ports[] = { /* those of the devices that a PC always has */
        { 0x60, 0x64 }, { 0x170, 0x177 }, { 0x1f0, 0x1f7 }, { 0x376, 0x376 },
        { 0x3f6, 0x3f6 }, { 0x3f8, 0x3ff },
    };
    uint64_t port;
    size_t i;
    int round;

    memset(&cache, 0, sizeof(cache));
    for (round = 0; round < 2; round++) {
        for (i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
            for (port = ports[i].first; port <= ports[i].last; port++) {
                assert_int_equal(known(port), round);
            }
        }
    }
    pulsar_cause_cache_forget(&cache);
    assert_false(known(0x1f7));
    assert_true(known(0x1f7));
}

/* A newer answer takes the place of an older one, and is not taken for it. */
static void test_any_address(void **state)
{
    uint64_t a;

    memset(&cache, 0, sizeof(cache));
    assert_false(known(0));
    for (a = 0; a < 100000; a++) {
        known(a * 0x1001);
    }
    assert_false(known(1ULL << 63));
    assert_true(known(1ULL << 63));
    assert_false(known(UINT64_MAX));
}

/* However hard a guest tries, this is all that is kept about it. */
static void test_memory(void **state)
{
    size_t page = PULSAR_LEDGER_TOTAL_SIZE;
    size_t callbacks = PULSAR_LEDGER_SLOTS * PULSAR_LEDGER_SLOT_SIZE;
    size_t addresses = 2 * sizeof(PulsarCauseCache);
    size_t all = page + callbacks + addresses;

    printf("# the ledger's tables: page %zu, callbacks %zu, addresses %zu: "
           "%.1f KiB\n", page, callbacks, addresses, all / 1024.0);
    fflush(stdout);
    assert_true(all <= 100 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_again),
        cmocka_unit_test(test_any_address),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests_name("cause-cache", tests, NULL, NULL);
}
