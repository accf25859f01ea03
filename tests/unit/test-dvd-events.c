/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CD drive tells its guest about its medium, and when. */
/* SOURCES: hw/dvd-events.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hw/dvd-events.h"

static PulsarDvdEvents enabled(bool present)
{
    PulsarDvdEvents e;

    memset(&e, 0xff, sizeof(e));
    pulsar_dvd_events_reset(&e, present);
    pulsar_dvd_events_enable(&e, true);
    while (pulsar_dvd_events_take(&e) != PULSAR_DVD_NO_CHANGE) {
    }
    assert_false(pulsar_dvd_events_due(&e, true));
    return e;
}

/* A line of "+" in, "-" out, "!" eject request; then what is asked for. */
static void check(bool present, const char *happens, const char *told)
{
    PulsarDvdEvents e = enabled(present);
    const char *code = "0!+-";

    for (; *happens; happens++) {
        if (*happens == '!') {
            pulsar_dvd_events_eject(&e);
        } else {
            pulsar_dvd_events_medium(&e, *happens == '+');
        }
    }
    for (; *told; told++) {
        assert_true(pulsar_dvd_events_due(&e, true));
        assert_false(pulsar_dvd_events_due(&e, true));
        assert_int_equal(code[pulsar_dvd_events_take(&e)], *told);
    }
    assert_false(pulsar_dvd_events_due(&e, true));
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NO_CHANGE);
}

static void test_events(void **state)
{
    check(false, "", "");
    check(false, "-", "");
    check(true, "+", "");
    check(false, "+", "+");
    check(true, "-", "-");
    check(true, "-+", "-+");
    check(true, "-+-", "-");
    check(true, "-+-+", "-+");
    check(false, "+-+", "+");
    check(true, "!", "!");
    check(false, "!", "!");
    check(true, "!!", "!");
    check(true, "!-", "-");
    check(true, "-+!", "-+!");
    check(true, "!-+", "-+");
}

/* What is gone before it was asked for is not told, once it was announced. */
static void test_gone(void **state)
{
    PulsarDvdEvents e = enabled(false);

    pulsar_dvd_events_medium(&e, true);
    assert_true(pulsar_dvd_events_due(&e, true));
    pulsar_dvd_events_medium(&e, false);
    assert_false(pulsar_dvd_events_due(&e, true));
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NO_CHANGE);
}

static void test_again(void **state)
{
    PulsarDvdEvents e = enabled(true);

    /* A guest that never asks is told of each. */
    for (int i = 0; i < 3; i++) {
        pulsar_dvd_events_medium(&e, false);
        assert_true(pulsar_dvd_events_due(&e, true));
        pulsar_dvd_events_medium(&e, true);
        assert_true(pulsar_dvd_events_due(&e, true));
    }
    /* Not ready: later. */
    pulsar_dvd_events_medium(&e, false);
    assert_false(pulsar_dvd_events_due(&e, false));
    assert_true(pulsar_dvd_events_due(&e, true));
    assert_false(pulsar_dvd_events_due(&e, true));
}

static void test_disabled(void **state)
{
    PulsarDvdEvents e = enabled(true);

    pulsar_dvd_events_enable(&e, false);
    pulsar_dvd_events_medium(&e, false);
    assert_false(pulsar_dvd_events_due(&e, true));
    pulsar_dvd_events_enable(&e, true);
    assert_true(pulsar_dvd_events_due(&e, true));
    /* Switched off before it could be sent. */
    pulsar_dvd_events_medium(&e, true);
    pulsar_dvd_events_enable(&e, false);
    assert_false(pulsar_dvd_events_due(&e, true));
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_MEDIA_REMOVAL);
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NEW_MEDIA);
}

static void test_reset(void **state)
{
    PulsarDvdEvents e = enabled(true);

    pulsar_dvd_events_eject(&e);
    pulsar_dvd_events_reset(&e, true);
    assert_false(e.enabled);
    assert_false(pulsar_dvd_events_due(&e, true));
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NEW_MEDIA);
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NO_CHANGE);
    pulsar_dvd_events_reset(&e, false);
    assert_int_equal(pulsar_dvd_events_take(&e), PULSAR_DVD_NO_CHANGE);
}

/* All values of the saved byte: accepted as they were, or not at all. */
static void test_state(void **state)
{
    unsigned accepted = 0;

    for (unsigned packed = 0; packed < 256; packed++) {
        PulsarDvdEvents e, before;

        memset(&e, 0, sizeof(e));
        before = e;
        if (!pulsar_dvd_events_unpack(&e, packed)) {
            assert_memory_equal(&e, &before, sizeof(e));
            continue;
        }
        accepted++;
        assert_int_equal(pulsar_dvd_events_pack(&e), packed);
        before = e;
        assert_int_equal(pulsar_dvd_events_due(&e, true), e.enabled &&
                         pulsar_dvd_events_take(&before) !=
                         PULSAR_DVD_NO_CHANGE);
    }
    /* Five bits, and no new medium without a medium. */
    assert_int_equal(accepted, 24);
}

/* What a guest is told is the same whether it was saved in between or not. */
static void test_saved(void **state)
{
    PulsarDvdEvents e = enabled(true), restored;

    pulsar_dvd_events_medium(&e, false);
    pulsar_dvd_events_medium(&e, true);
    assert_true(pulsar_dvd_events_due(&e, true));
    memset(&restored, 0, sizeof(restored));
    assert_true(pulsar_dvd_events_unpack(&restored,
                                         pulsar_dvd_events_pack(&e)));
    /* Told once more: the first one may have been lost. */
    assert_true(pulsar_dvd_events_due(&restored, true));
    assert_int_equal(pulsar_dvd_events_take(&restored),
                     PULSAR_DVD_MEDIA_REMOVAL);
    assert_int_equal(pulsar_dvd_events_take(&restored), PULSAR_DVD_NEW_MEDIA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_disabled),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_saved),
    };

    return cmocka_run_group_tests_name("dvd-events", tests, NULL, NULL);
}
