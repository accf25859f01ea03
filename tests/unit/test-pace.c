/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a watched display is refreshed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ui/pace.h"

#define BASE 30
#define IDLE 3000

static void a_still_screen(void **state)
{
    uint64_t interval = BASE, now = 0;
    int wakes = 0;

    while (now < 12000) {
        now += interval;
        interval = pulsar_pace_still(interval, IDLE);
    }
    assert_int_equal(interval, IDLE);
    while (now < 22000) {
        now += interval;
        interval = pulsar_pace_still(interval, IDLE);
        wakes++;
    }
    assert_in_range(wakes, 1, 4);
}

static void it_always_grows(void **state)
{
    uint64_t interval;

    for (interval = 0; interval < IDLE; interval++) {
        assert_true(pulsar_pace_still(interval, IDLE) > interval);
        assert_true(pulsar_pace_still(interval, IDLE) <= IDLE);
    }
    assert_int_equal(pulsar_pace_still(IDLE, IDLE), IDLE);
}

static void changes(void **state)
{
    assert_int_equal(pulsar_pace_changed(IDLE, false), IDLE / 4);
    assert_int_equal(pulsar_pace_changed(IDLE, true), 0);
}

static void after_input(void **state)
{
    uint64_t interval = BASE, now = 0;
    int wakes = 0;

    while (now < 29000) {
        interval = pulsar_pace_still(interval, pulsar_pace_longest(now, IDLE));
        assert_in_range(interval, BASE, 900);
        now += interval;
        wakes++;
    }
    assert_in_range(wakes, 30, 60);
    while (now < 40000) {
        interval = pulsar_pace_still(interval, pulsar_pace_longest(now, IDLE));
        now += interval;
    }
    assert_int_equal(interval, IDLE);
    assert_int_equal(pulsar_pace_longest(0, 500), 500);
}

static void naps(void **state)
{
    assert_int_equal(pulsar_pace_nap(0, 0, IDLE), 0);
    assert_int_equal(pulsar_pace_nap(1ull << 40, 0, IDLE), 0);
    assert_int_equal(pulsar_pace_nap(29999, 30, IDLE), 0);
    assert_int_equal(pulsar_pace_nap(30000, 30, IDLE), 30000);
    assert_int_equal(pulsar_pace_nap(1ull << 40, 30, IDLE), 30000);
    assert_int_equal(pulsar_pace_nap(999, 1, IDLE), 0);
    assert_int_equal(pulsar_pace_nap(1000, 1, IDLE), IDLE);
    assert_int_equal(pulsar_pace_nap(86400000, 86400, IDLE), 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_still_screen),
        cmocka_unit_test(it_always_grows),
        cmocka_unit_test(changes),
        cmocka_unit_test(after_input),
        cmocka_unit_test(naps),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
