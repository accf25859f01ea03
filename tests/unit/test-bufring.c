/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buffered ioreq ring: what comes out of good and bad rings, and when a
 * stream is polled.
 */
/* SOURCES: xen/bufring.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xen/bufring.h"

#define SLOTS IOREQ_BUFFER_SLOT_NUM
#define MS    1000000LL

static buffered_iopage_t *page;
static PulsarBufwrite got;
static const char *why;

static int setup(void **state)
{
    page = aligned_alloc(4096, 4096);
    memset(page, 0, 4096);
    memset(&got, 0, sizeof(got));
    why = NULL;
    return 0;
}

static int teardown(void **state)
{
    free(page);
    return 0;
}

static void put_slot(uint8_t type, uint8_t dir, uint8_t log2size,
                     uint32_t addr, uint32_t data)
{
    buf_ioreq_t *slot = &page->buf_ioreq[page->write_pointer % SLOTS];

    *slot = (buf_ioreq_t) {
        .type = type, .dir = dir, .size = log2size, .addr = addr, .data = data,
    };
    page->write_pointer++;
}

static void put(uint8_t type, uint8_t log2size, uint32_t addr, uint32_t data)
{
    put_slot(type, IOREQ_WRITE, log2size, addr, data);
}

static void expect(PulsarBufringResult result)
{
    assert_int_equal(pulsar_bufring_next(page, &got, &why), result);
}

static void expect_entry(uint8_t type, uint8_t size, uint64_t addr,
                         uint64_t data)
{
    expect(PULSAR_BUFRING_ENTRY);
    assert_int_equal(got.type, type);
    assert_int_equal(got.size, size);
    assert_int_equal(got.addr, addr);
    assert_int_equal(got.data, data);
    pulsar_bufring_done(page, got.slots);
}

static void empty_ring(void **state)
{
    expect(PULSAR_BUFRING_EMPTY);
    page->read_pointer = page->write_pointer = 0xfffffff0u;
    expect(PULSAR_BUFRING_EMPTY);
}

static void each_size_and_type(void **state)
{
    put(IOREQ_TYPE_PIO, 0, 0x3c4, 0x12);
    put(IOREQ_TYPE_PIO, 1, 0x3c4, 0x1234);
    put(IOREQ_TYPE_PIO, 2, 0xcf8, 0x12345678);
    put(IOREQ_TYPE_COPY, 2, 0xa0000, 0xdeadbeef);
    put(IOREQ_TYPE_COPY, 3, 0xfffff, 0x11111111);
    put(0, 0, 0, 0x22222222); /* the upper half; only its data counts */
    put(IOREQ_TYPE_TIMEOFFSET, 3, 0, 5);
    put(0, 0, 0, 0);
    put(IOREQ_TYPE_INVALIDATE, 2, 0, 0);

    expect_entry(IOREQ_TYPE_PIO, 1, 0x3c4, 0x12);
    expect_entry(IOREQ_TYPE_PIO, 2, 0x3c4, 0x1234);
    expect_entry(IOREQ_TYPE_PIO, 4, 0xcf8, 0x12345678);
    expect_entry(IOREQ_TYPE_COPY, 4, 0xa0000, 0xdeadbeef);
    expect_entry(IOREQ_TYPE_COPY, 8, 0xfffff, 0x2222222211111111);
    expect_entry(IOREQ_TYPE_TIMEOFFSET, 8, 0, 5);
    expect_entry(IOREQ_TYPE_INVALIDATE, 4, 0, 0);
    expect(PULSAR_BUFRING_EMPTY);
}

static void an_entry_stays_until_done(void **state)
{
    put(IOREQ_TYPE_PIO, 0, 0x80, 1);
    expect(PULSAR_BUFRING_ENTRY);
    assert_int_equal(page->read_pointer, 0);
    expect(PULSAR_BUFRING_ENTRY);
    pulsar_bufring_done(page, got.slots);
    expect(PULSAR_BUFRING_EMPTY);
}

static void a_quad_word_across_the_end(void **state)
{
    page->read_pointer = page->write_pointer = SLOTS - 1;
    put(IOREQ_TYPE_COPY, 3, 0xa0000, 0x01234567);
    put(0, 0, 0, 0x89abcdef);
    expect_entry(IOREQ_TYPE_COPY, 8, 0xa0000, 0x89abcdef01234567);
}

static void a_full_ring(void **state)
{
    int i;

    for (i = 0; i < SLOTS; i++) {
        put(IOREQ_TYPE_PIO, 0, i, i & 0xff);
    }
    for (i = 0; i < SLOTS; i++) {
        expect_entry(IOREQ_TYPE_PIO, 1, i, i & 0xff);
    }
    expect(PULSAR_BUFRING_EMPTY);
}

static void half_a_quad_word_is_dropped(void **state)
{
    put(IOREQ_TYPE_COPY, 3, 0xa0000, 1);
    expect(PULSAR_BUFRING_SKIPPED);
    assert_string_equal(why, "half a quad word");
    expect(PULSAR_BUFRING_EMPTY);
    put(IOREQ_TYPE_PIO, 0, 0x80, 7);
    expect_entry(IOREQ_TYPE_PIO, 1, 0x80, 7);
}

static void bad_entries_are_dropped_whole(void **state)
{
    put(IOREQ_TYPE_PIO, 3, 0x80, 1);        /* 8 bytes to a port */
    put(0, 0, 0, 0);
    put(IOREQ_TYPE_PCI_CONFIG, 2, 0, 0);    /* never buffered */
    put(0xff, 0, 0, 0);
    put_slot(IOREQ_TYPE_PIO, IOREQ_READ, 0, 0x80, 0);
    put(IOREQ_TYPE_PIO, 0, 0x81, 9);

    expect(PULSAR_BUFRING_SKIPPED);
    expect(PULSAR_BUFRING_SKIPPED);
    expect(PULSAR_BUFRING_SKIPPED);
    expect(PULSAR_BUFRING_SKIPPED);
    assert_string_equal(why, "an entry is a read");
    expect_entry(IOREQ_TYPE_PIO, 1, 0x81, 9);
}

static void pointers_too_far_apart(void **state)
{
    static const uint32_t ahead[] = {
        SLOTS + 1, 0x80000000u, 0xffffffffu /* just behind */,
    };
    size_t i;

    for (i = 0; i < sizeof(ahead) / sizeof(*ahead); i++) {
        page->read_pointer = 1000;
        page->write_pointer = 1000 + ahead[i];
        expect(PULSAR_BUFRING_RESET);
        assert_int_equal(page->read_pointer, page->write_pointer);
        expect(PULSAR_BUFRING_EMPTY);
        put(IOREQ_TYPE_PIO, 0, 0x80, i);
        expect_entry(IOREQ_TYPE_PIO, 1, 0x80, i);
    }
}

/* In atomic mode Xen lowers both pointers together between any two looks. */
static void rebased_pointers(void **state)
{
    page->read_pointer = page->write_pointer = 3 * SLOTS - 2;
    put(IOREQ_TYPE_PIO, 0, 0x80, 1);
    put(IOREQ_TYPE_PIO, 0, 0x80, 2);
    put(IOREQ_TYPE_PIO, 0, 0x80, 3);

    expect(PULSAR_BUFRING_ENTRY);
    assert_int_equal(got.data, 1);
    page->read_pointer -= 2 * SLOTS;
    page->write_pointer -= 2 * SLOTS;
    pulsar_bufring_done(page, got.slots);
    assert_int_equal(page->read_pointer, SLOTS - 1);
    expect_entry(IOREQ_TYPE_PIO, 1, 0x80, 2);
    expect_entry(IOREQ_TYPE_PIO, 1, 0x80, 3);
    expect(PULSAR_BUFRING_EMPTY);
}

static void alone_each_event_is_served(void **state)
{
    PulsarBufpace p = { 0 };
    int i;

    for (i = 0; i < 1000; i++) {
        assert_true(pulsar_bufpace_event(&p, i * 13 * MS));
        pulsar_bufpace_drained(&p, 1);
    }
    assert_false(p.polling);
}

static void a_stream_is_polled_until_it_thins_out(void **state)
{
    PulsarBufpace p = { 0 };
    int i, served = 0;

    for (i = 0; pulsar_bufpace_event(&p, i * MS); i++) {
        served++;
    }
    assert_int_equal(served, PULSAR_BUFPACE_DENSE_RUN);
    assert_true(p.polling);
    pulsar_bufpace_drained(&p, PULSAR_BUFPACE_STAY);
    assert_true(pulsar_bufpace_tick(&p));
    pulsar_bufpace_drained(&p, PULSAR_BUFPACE_STAY - 1);
    assert_false(pulsar_bufpace_tick(&p));
    assert_false(p.polling);
    /* The stream has to prove itself anew. */
    assert_true(pulsar_bufpace_event(&p, i * MS + 1));
}

static void a_pause_ends_a_run_of_close_events(void **state)
{
    PulsarBufpace p = { 0 };
    int64_t now = 0;
    int i, j;

    for (i = 0; i < 100; i++) {
        for (j = 0; j < PULSAR_BUFPACE_DENSE_RUN; j++) {
            assert_true(pulsar_bufpace_event(&p, now));
            now += MS;
        }
        now += PULSAR_BUFPACE_DENSE_NS;
    }
}

/* The promise of the table in docs: no more than upstream's 28 wakes. */
static void two_seconds_at_1_khz(void **state)
{
    PulsarBufpace p = { 0 };
    int64_t now, due = 0, oldest = -1, longest = 0;
    int wakes = 0, pending = 0;
    bool masked = false;

    for (now = 0; now < 2000 * MS; now += MS) {
        if (masked && now >= due) {
            wakes++;
            if (oldest >= 0 && now - oldest > longest) {
                longest = now - oldest;
            }
            pulsar_bufpace_drained(&p, pending);
            pending = 0;
            oldest = -1;
            masked = pulsar_bufpace_tick(&p);
            due = now + PULSAR_BUFPACE_TICK_NS;
        }
        if (masked) {
            pending++;
            oldest = oldest < 0 ? now : oldest;
            continue;
        }
        wakes++;
        if (!pulsar_bufpace_event(&p, now)) {
            masked = true;
            due = now + PULSAR_BUFPACE_TICK_NS;
        }
        pulsar_bufpace_drained(&p, 1);
    }
    assert_in_range(wakes, 1, 28);
    assert_in_range(longest, 1, 100 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(empty_ring),
        T(each_size_and_type),
        T(an_entry_stays_until_done),
        T(a_quad_word_across_the_end),
        T(a_full_ring),
        T(half_a_quad_word_is_dropped),
        T(bad_entries_are_dropped_whole),
        T(pointers_too_far_apart),
        T(rebased_pointers),
        T(alone_each_event_is_served),
        T(a_stream_is_polled_until_it_thins_out),
        T(a_pause_ends_a_run_of_close_events),
        T(two_seconds_at_1_khz),
    };

    return cmocka_run_group_tests_name("bufring", tests, NULL, NULL);
}
