/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking through UHCI schedules in a played guest's memory.
 */
/* SOURCES: hw/usb-uhci-scan.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/usb-uhci-scan.h"

#define MEMORY   0x100000u
#define LIST     0x1000u
#define NONE     PULSAR_UHCI_FRAMES
#define T        1u         /* terminate */
#define QH       2u         /* the link leads to a queue head */
#define ACTIVE   (1u << 23)
#define IOC      (1u << 24)
#define NAK      (1u << 19)
#define TABLET   0x00e10169u    /* IN, address 1, endpoint 2 */

typedef struct Guest {
    uint8_t ram[MEMORY];
    uint32_t next;          /* free memory */
    uint32_t reads, broken; /* reads so far; an address that fails */
    bool nothing_waits;
} Guest;

static bool guest_read(void *opaque, uint32_t addr, void *buf, size_t len)
{
    Guest *g = opaque;

    g->reads++;
    if (addr >= MEMORY || len > MEMORY - addr || addr == g->broken) {
        return false;
    }
    memcpy(buf, g->ram + addr, len);
    return true;
}

static bool guest_waits(void *opaque, uint32_t ctrl, uint32_t token)
{
    Guest *g = opaque;

    return !g->nothing_waits && (ctrl & NAK) && (token & 0xff) == 0x69;
}

static void put(Guest *g, uint32_t addr, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        g->ram[addr + i] = value >> (8 * i);
    }
}

static uint32_t td(Guest *g, uint32_t link, uint32_t ctrl, uint32_t token)
{
    uint32_t at = g->next;

    g->next += 16;
    put(g, at, link);
    put(g, at + 4, ctrl);
    put(g, at + 8, token);
    return at;
}

static uint32_t qh(Guest *g, uint32_t link, uint32_t element)
{
    uint32_t at = g->next;

    g->next += 16;
    put(g, at, link);
    put(g, at + 4, element);
    return at | QH;
}

static void frame(Guest *g, unsigned i, uint32_t link)
{
    put(g, LIST + i * 4, link);
}

static void frames(Guest *g, uint32_t link)
{
    for (unsigned i = 0; i < PULSAR_UHCI_FRAMES; i++) {
        frame(g, i, link);
    }
}

static int setup(void **state)
{
    Guest *g = calloc(1, sizeof(*g));

    g->next = 0x10000;
    g->broken = T;
    frames(g, T);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static PulsarUhciScan scan(Guest *g, uint32_t first, uint32_t due)
{
    const PulsarUhciView view = {
        .opaque = g, .read = guest_read, .waits = guest_waits,
    };
    PulsarUhciScan ret;

    memset(&ret, 0xee, sizeof(ret));
    g->reads = 0;
    pulsar_uhci_scan(&view, LIST, first, due, &ret);
    return ret;
}

/* How many due frames are to be done; @ret_last is the last of them. */
static unsigned todo(const PulsarUhciScan *r, unsigned *ret_last)
{
    unsigned n = 0;

    for (unsigned i = 0; i < PULSAR_UHCI_FRAMES; i++) {
        if (pulsar_uhci_scan_todo(r, i)) {
            n++;
            if (ret_last) {
                *ret_last = i;
            }
        }
    }
    return n;
}

static void nothing_is_idle(void **state)
{
    Guest *g = *state;
    PulsarUhciScan r;

    r = scan(g, 0, 100);
    assert_int_equal(r.work, NONE);
    assert_int_equal(todo(&r, NULL), 0);
    assert_int_equal(g->reads, 1);

    frames(g, qh(g, qh(g, T, T), T));
    r = scan(g, 77, 100);
    assert_int_equal(r.work, NONE);
}

static void an_active_transfer_is_work(void **state)
{
    Guest *g = *state;
    uint32_t head = qh(g, T, T);

    frames(g, head);
    put(g, (head & ~15u) + 4, td(g, T, ACTIVE, TABLET));
    assert_int_equal(scan(g, 5, 0).work, 0);
    put(g, (head & ~15u) + 4, td(g, T, 0, TABLET));
    assert_int_equal(scan(g, 5, 0).work, NONE);
}

static void work_has_its_frame(void **state)
{
    Guest *g = *state;

    frame(g, 500, td(g, T, ACTIVE, TABLET));
    assert_int_equal(scan(g, 0, 0).work, 500);
    assert_int_equal(scan(g, 500, 0).work, 0);
    assert_int_equal(scan(g, 501, 0).work, 1023);
    /* The frame number has eleven bits, the list ten. */
    assert_int_equal(scan(g, 1024 + 490, 0).work, 10);
    frame(g, 400, td(g, T, ACTIVE, TABLET));
    assert_int_equal(scan(g, 0, 0).work, 400);
    assert_int_equal(scan(g, 450, 0).work, 50);
}

static void an_interrupt_alone_is_work(void **state)
{
    Guest *g = *state;

    frame(g, 0, td(g, T, IOC, 0));
    assert_int_equal(scan(g, 1, 0).work, 1023);
    frame(g, 512, qh(g, T, td(g, T, IOC, 0)));
    assert_int_equal(scan(g, 1, 0).work, 511);
}

static void what_waits_is_idle(void **state)
{
    Guest *g = *state;
    uint32_t t = td(g, T, ACTIVE | NAK, TABLET);
    unsigned last;
    PulsarUhciScan r;

    frames(g, qh(g, T, t));
    r = scan(g, 0, 100);
    assert_int_equal(r.work, NONE);
    assert_int_equal(todo(&r, &last), 1);
    assert_int_equal(last, 99);
    g->nothing_waits = true;
    assert_int_equal(scan(g, 0, 100).work, 0);
}

static void behind_what_waits_is_looked(void **state)
{
    Guest *g = *state;
    uint32_t t = td(g, T, ACTIVE, TABLET);
    uint32_t head = qh(g, T, t);
    uint32_t first = td(g, T, ACTIVE | NAK, TABLET);

    /* Horizontally, not below. */
    frames(g, qh(g, head, first));
    assert_int_equal(scan(g, 0, 0).work, 0);
    put(g, (head & ~15u) + 4, T);
    put(g, first, t | 4);
    assert_int_equal(scan(g, 0, 0).work, NONE);
}

/* A frame's own transfers stand before the queues that frames share. */
static void transfers_without_a_queue(void **state)
{
    Guest *g = *state;
    uint32_t shared = qh(g, T, T);

    frames(g, shared);
    frame(g, 30, td(g, td(g, shared, ACTIVE, TABLET), 0, TABLET));
    assert_int_equal(scan(g, 0, 0).work, 30);
    frame(g, 20, td(g, td(g, shared, IOC, TABLET), ACTIVE | NAK, TABLET));
    assert_int_equal(scan(g, 0, 0).work, 20);
}

/* Eight levels of queues, as Linux lays them out: periods 1 to 128. */
static uint32_t tree(Guest *g, uint32_t *level)
{
    uint32_t link = qh(g, T, T);

    for (int i = 0; i < 8; i++) {
        level[i] = link;
        for (unsigned f = (1 << i) - 1; f < PULSAR_UHCI_FRAMES; f += 1 << i) {
            frame(g, f, link);
        }
        link = qh(g, link, T);
    }
    return level[0];
}

static void shared_queues_are_read_once(void **state)
{
    Guest *g = *state;
    uint32_t level[8], word;
    PulsarUhciScan r;

    tree(g, level);
    r = scan(g, 3, 100);
    assert_int_equal(r.work, NONE);
    assert_true(g->reads <= 1 + 8);

    /* Period 8: frames 7, 15, 23, ... */
    word = td(g, T, ACTIVE, TABLET);
    put(g, (level[3] & ~15u) + 4, word);
    assert_int_equal(scan(g, 0, 0).work, 7);
    assert_int_equal(scan(g, 8, 0).work, 7);
    assert_int_equal(scan(g, 13, 0).work, 2);
}

static void each_waiting_transfer_is_retried(void **state)
{
    Guest *g = *state;
    uint32_t level[8];
    unsigned last;
    PulsarUhciScan r;

    tree(g, level);
    put(g, (level[3] & ~15u) + 4, td(g, T, ACTIVE | NAK, TABLET));
    put(g, (level[5] & ~15u) + 4, td(g, T, ACTIVE | NAK, TABLET));
    /* Frame 95 has both, and none after it has either. */
    r = scan(g, 0, 100);
    assert_int_equal(r.work, NONE);
    assert_int_equal(todo(&r, &last), 1);
    assert_int_equal(last, 95);
    r = scan(g, 0, 104);
    assert_int_equal(todo(&r, &last), 2);
    assert_true(pulsar_uhci_scan_todo(&r, 95));
    assert_int_equal(last, 103);
    /* Only in frames that are due. */
    r = scan(g, 0, 31);
    assert_int_equal(todo(&r, &last), 1);
    assert_int_equal(last, 23);
    r = scan(g, 0, 0);
    assert_int_equal(todo(&r, NULL), 0);
}

/* A transfer that every frame leads to is done once, and that is now. */
static void what_hangs_in_every_frame_is_done_once(void **state)
{
    Guest *g = *state;
    uint32_t level[8];
    unsigned last;
    PulsarUhciScan r;

    tree(g, level);
    put(g, (level[0] & ~15u) + 4, td(g, T, ACTIVE, TABLET));
    for (unsigned due = 1; due <= PULSAR_UHCI_FRAMES; due += 93) {
        r = scan(g, due * 7, due);
        assert_int_equal(r.work, 0);
        assert_int_equal(todo(&r, &last), 1);
        assert_int_equal(last, due - 1);
    }
    /* The same without a queue. */
    frames(g, td(g, T, ACTIVE, TABLET));
    r = scan(g, 0, 100);
    assert_int_equal(todo(&r, &last), 1);
    assert_int_equal(last, 99);
}

/* As isochronous transfers hang there: one in each of some frames. */
static void what_a_frame_has_alone_is_done_in_it(void **state)
{
    Guest *g = *state;
    uint32_t level[8];
    unsigned last;
    PulsarUhciScan r;

    tree(g, level);
    put(g, (level[0] & ~15u) + 4, td(g, T, ACTIVE, TABLET));
    for (unsigned i = 10; i < 20; i++) {
        frame(g, i, td(g, level[0], ACTIVE, TABLET));
    }
    frame(g, 30, td(g, level[0], IOC, 0));
    r = scan(g, 0, 100);
    assert_int_equal(r.work, 0);
    assert_int_equal(todo(&r, &last), 12);
    for (unsigned i = 10; i < 20; i++) {
        assert_true(pulsar_uhci_scan_todo(&r, i));
    }
    assert_true(pulsar_uhci_scan_todo(&r, 30));
    assert_int_equal(last, 99);
    /* Those that are not due yet are counted from the first that is not. */
    put(g, (level[0] & ~15u) + 4, T);
    r = scan(g, 1000, 25);
    assert_int_equal(r.work, 9);
    assert_int_equal(todo(&r, NULL), 0);
}

static void what_cannot_be_told_is_all_done(void **state)
{
    Guest *g = *state;
    PulsarUhciScan r;

    frame(g, 9, 0xfffffff0 | QH);
    r = scan(g, 0, 50);
    assert_int_equal(r.work, 0);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(pulsar_uhci_scan_todo(&r, i));
    }
}

static void a_schedule_has_a_number(void **state)
{
    Guest *g = *state;
    uint32_t level[8], before, added, t;

    tree(g, level);
    t = td(g, T, ACTIVE | NAK, TABLET);
    put(g, (level[3] & ~15u) + 4, t);
    before = scan(g, 0, 100).schedule;
    for (unsigned i = 0; i < PULSAR_UHCI_FRAMES; i++) {
        assert_int_equal(scan(g, i, i % 100).schedule, before);
    }
    put(g, (level[7] & ~15u) + 4, td(g, T, ACTIVE | NAK, TABLET));
    added = scan(g, 0, 100).schedule;
    assert_int_not_equal(added, before);
    put(g, (level[7] & ~15u) + 4, T);
    assert_int_equal(scan(g, 0, 100).schedule, before);
    /* The same transfer for another endpoint. */
    put(g, t + 8, TABLET + (1 << 15));
    assert_int_not_equal(scan(g, 0, 100).schedule, before);
    put(g, (level[3] & ~15u) + 4, T);
    assert_int_not_equal(scan(g, 0, 100).schedule, before);
}

/* The number also stands when a frame further on has work. */
static void work_ahead_leaves_the_number(void **state)
{
    Guest *g = *state;
    uint32_t level[8], before;

    tree(g, level);
    put(g, (level[3] & ~15u) + 4, td(g, T, ACTIVE | NAK, TABLET));
    before = scan(g, 0, 0).schedule;
    frame(g, 0, td(g, level[0], IOC, 0));
    for (unsigned i = 1; i < PULSAR_UHCI_FRAMES; i++) {
        PulsarUhciScan r = scan(g, i, 0);

        assert_int_equal(r.work, PULSAR_UHCI_FRAMES - i);
        assert_int_equal(r.schedule, before);
    }
}

static void loops_end(void **state)
{
    Guest *g = *state;
    uint32_t a = qh(g, T, T), b = qh(g, a, T), self;

    /* Bandwidth reclamation: the last queue leads back. */
    put(g, a & ~15u, b);
    frames(g, b);
    assert_int_equal(scan(g, 0, 0).work, NONE);
    put(g, (a & ~15u) + 4, td(g, T, ACTIVE, TABLET));
    assert_int_equal(scan(g, 0, 0).work, 0);
    /* A queue inside itself. */
    put(g, (a & ~15u) + 4, a);
    assert_int_equal(scan(g, 0, 0).work, NONE);
    /* A transfer that leads to itself is never through. */
    self = td(g, T, 0, TABLET);
    put(g, self, self);
    frames(g, self);
    assert_int_equal(scan(g, 0, 0).work, 0);
    assert_true(g->reads <= 2 + PULSAR_UHCI_SCAN_MAX);
}

static void too_much_is_work(void **state)
{
    Guest *g = *state;
    uint32_t link = T;

    for (int i = 0; i < PULSAR_UHCI_SCAN_MAX; i++) {
        link = qh(g, link, T);
    }
    frames(g, link);
    assert_int_equal(scan(g, 0, 0).work, NONE);
    frames(g, qh(g, link, T));
    assert_int_equal(scan(g, 0, 0).work, 0);
}

static void what_cannot_be_read_is_work(void **state)
{
    Guest *g = *state;

    frame(g, 9, 0xfffffff0 | QH);
    assert_int_equal(scan(g, 0, 0).work, 0);
    frame(g, 9, 0xfffffff0);
    assert_int_equal(scan(g, 0, 0).work, 0);
    frame(g, 9, T);
    g->broken = LIST;
    assert_int_equal(scan(g, 0, 0).work, 0);
}

/* Whatever stands there: it ends, within what may be read. */
static void noise_is_survived(void **state)
{
    Guest *g = *state;
    uint32_t x = 1;

    for (int round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < MEMORY; i += 4) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            put(g, i, x % 8 ? x % MEMORY : x);
        }
        scan(g, x, x % 2000);
        assert_true(g->reads <= 2 + PULSAR_UHCI_SCAN_MAX);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_idle),
        CASE(an_active_transfer_is_work),
        CASE(work_has_its_frame),
        CASE(an_interrupt_alone_is_work),
        CASE(what_waits_is_idle),
        CASE(behind_what_waits_is_looked),
        CASE(transfers_without_a_queue),
        CASE(shared_queues_are_read_once),
        CASE(each_waiting_transfer_is_retried),
        CASE(what_hangs_in_every_frame_is_done_once),
        CASE(what_a_frame_has_alone_is_done_in_it),
        CASE(what_cannot_be_told_is_all_done),
        CASE(a_schedule_has_a_number),
        CASE(work_ahead_leaves_the_number),
        CASE(loops_end),
        CASE(too_much_is_work),
        CASE(what_cannot_be_read_is_work),
        CASE(noise_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
