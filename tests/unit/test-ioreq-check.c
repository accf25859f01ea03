/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which synchronous requests are served and which are refused.
 */
/* SOURCES: xen/ioreq-check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "xen/ioreq-check.h"

static bool sound(uint8_t type, uint32_t size, uint32_t count)
{
    ioreq_t req = { .type = type, .size = size, .count = count };

    return !pulsar_ioreq_fault(&req, false);
}

static void sizes(void **state)
{
    static const struct {
        uint8_t type;
        uint32_t max;
    } kinds[] = {
        { IOREQ_TYPE_PIO, 4 },
        { IOREQ_TYPE_COPY, 8 },
        { IOREQ_TYPE_PCI_CONFIG, 4 },
    };
    size_t i;
    uint32_t size;

    for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        for (size = 0; size < 70000; size++) {
            bool power = size == 1 || size == 2 || size == 4 || size == 8;

            assert_int_equal(sound(kinds[i].type, size, 1),
                             power && size <= kinds[i].max);
        }
        assert_false(sound(kinds[i].type, 0x80000000u, 1));
        assert_false(sound(kinds[i].type, 0xffffffffu, 1));
    }
}

static void counts(void **state)
{
    assert_true(sound(IOREQ_TYPE_COPY, 4, PULSAR_IOREQ_MAX_COUNT));
    assert_false(sound(IOREQ_TYPE_COPY, 4, PULSAR_IOREQ_MAX_COUNT + 1));
    assert_false(sound(IOREQ_TYPE_PIO, 4, 0xffffffffu));
    assert_true(sound(IOREQ_TYPE_PIO, 4, 0));
    assert_false(sound(IOREQ_TYPE_PCI_CONFIG, 4, 2));
    assert_false(sound(IOREQ_TYPE_PCI_CONFIG, 4, 0));
}

static void types(void **state)
{
    ioreq_t vmport = { .type = IOREQ_TYPE_VMWARE_PORT, .size = 4, .count = 1 };
    int type;

    for (type = 0; type < 256; type++) {
        assert_int_equal(sound(type, 4, 1),
                         type == IOREQ_TYPE_PIO || type == IOREQ_TYPE_COPY ||
                         type == IOREQ_TYPE_PCI_CONFIG ||
                         type == IOREQ_TYPE_TIMEOFFSET ||
                         type == IOREQ_TYPE_INVALIDATE);
    }
    assert_null(pulsar_ioreq_fault(&vmport, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(counts),
        cmocka_unit_test(types),
    };

    return cmocka_run_group_tests_name("ioreq-check", tests, NULL, NULL);
}
