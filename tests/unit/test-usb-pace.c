/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often the frames of a USB controller are looked at, in simulated time.
 */
/* SOURCES: hw/usb-pace.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hw/usb-pace.h"

#define SECOND 1000u
#define NONE   UINT32_MAX

/* A controller: its clock counts frames, its timer is set for one of them. */
typedef struct Sim {
    PulsarUsbPace pace;
    uint32_t now, timer;
    uint32_t ticks;
    uint32_t schedule;      /* what the guest has put there */
    uint32_t work_every;    /* one frame in that many has work; 0 = none */
    uint32_t late;          /* work that was not looked at in its frame */
    bool resting;
} Sim;

static uint32_t sim_next_work(const Sim *s)
{
    return s->work_every ?
        (s->work_every - s->now % s->work_every) % s->work_every : NONE;
}

static void sim_start(Sim *s)
{
    memset(s, 0xee, sizeof(*s));
    s->now = s->ticks = s->work_every = s->late = 0;
    s->schedule = 1;
    s->timer = 1;
    s->resting = false;
    pulsar_usb_pace_start(&s->pace);
}

static void sim_tick(Sim *s)
{
    uint32_t frames;

    s->ticks++;
    s->timer = s->now + 1;
    if (pulsar_usb_pace_frame(&s->pace)) {
        return;
    }
    /* The frame of this tick is over: the next one is number now + 1. */
    s->now++;
    frames = pulsar_usb_pace_rest(&s->pace, s->now, s->schedule,
                                  sim_next_work(s));
    assert_in_range(frames, 1, PULSAR_USB_PACE_REST);
    s->now--;
    s->timer = s->now + frames;
    s->resting = frames > 1;
}

/* Let time pass; returns how many ticks there were. */
static uint32_t sim_run(Sim *s, uint32_t frames)
{
    uint32_t before = s->ticks;

    for (uint32_t end = s->now + frames; s->now < end;) {
        s->now++;
        if (s->now == s->timer) {
            sim_tick(s);
        } else if (s->work_every && s->now % s->work_every == 0) {
            s->late++;
        }
    }
    return s->ticks - before;
}

/* The guest reads a register; returns whether that brought full rate. */
static bool sim_look(Sim *s)
{
    bool full = pulsar_usb_pace_look(&s->pace);

    if (full) {
        s->timer = s->now + 1;
    } else {
        s->timer = s->now + pulsar_usb_pace_rest(&s->pace, s->now, s->schedule,
                                                 sim_next_work(s));
    }
    return full;
}

static void idle_steps_down(void **state)
{
    uint32_t expected[] = { 2, 4, 8, 16, 32, 64, 100, 100, 100 };
    Sim s;

    sim_start(&s);
    /* Once to see what is there, once to see it stay. */
    assert_int_equal(sim_run(&s, 2 * PULSAR_USB_PACE_HOLD),
                     2 * PULSAR_USB_PACE_HOLD);
    for (unsigned i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        assert_int_equal(s.timer - s.now, expected[i]);
        assert_int_equal(sim_run(&s, expected[i]), 1);
    }
}

static void idle_is_ten_a_second(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, SECOND);
    assert_true(sim_run(&s, 300 * SECOND) <= 3000);
}

static void work_brings_full_rate(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    pulsar_usb_pace_work(&s.pace);
    s.timer = s.now + 1;
    s.resting = false;
    assert_int_equal(sim_run(&s, PULSAR_USB_PACE_HOLD), PULSAR_USB_PACE_HOLD);
}

static void work_keeps_full_rate(void **state)
{
    Sim s;

    sim_start(&s);
    for (int i = 0; i < 1000; i++) {
        /* One transfer in 30 frames, as a slow disk makes them. */
        assert_int_equal(sim_run(&s, 30), 30);
        pulsar_usb_pace_work(&s.pace);
    }
}

static void pending_work_keeps_full_rate(void **state)
{
    Sim s;

    sim_start(&s);
    s.work_every = 1;
    assert_int_equal(sim_run(&s, 10 * SECOND), 10 * SECOND);
}

static void known_frames_are_met(void **state)
{
    Sim s;

    for (uint32_t every = 2; every < 2000; every += every / 7 + 1) {
        sim_start(&s);
        s.work_every = every;
        sim_run(&s, 20 * every + 20 * SECOND);
        assert_int_equal(s.late, 0);
    }
}

static void rollover_costs_its_own_wake(void **state)
{
    Sim s;

    sim_start(&s);
    s.work_every = 1024;
    sim_run(&s, 5 * SECOND);
    /* Ten rests and the rollover itself, in 1.024 s. */
    assert_true(sim_run(&s, 100 * 1024) <= 100 * 11 + 10);
    assert_int_equal(s.late, 0);
}

static void another_schedule_brings_full_rate(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    s.schedule = 2;
    sim_run(&s, s.timer - s.now);
    assert_int_equal(sim_run(&s, PULSAR_USB_PACE_HOLD),
                     PULSAR_USB_PACE_HOLD);
    sim_run(&s, SECOND);
    assert_true(sim_run(&s, 10 * SECOND) <= 100);
}

static void a_change_within_the_hold_starts_it_again(void **state)
{
    Sim s;

    sim_start(&s);
    assert_int_equal(sim_run(&s, PULSAR_USB_PACE_HOLD + 5),
                     PULSAR_USB_PACE_HOLD + 5);
    s.schedule = 2;
    /* It is seen changed when it should have been the same. */
    assert_int_equal(sim_run(&s, 2 * PULSAR_USB_PACE_HOLD - 5),
                     2 * PULSAR_USB_PACE_HOLD - 5);
}

static void a_look_brings_full_rate(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    assert_true(sim_look(&s));
    assert_int_equal(sim_run(&s, PULSAR_USB_PACE_CREDIT),
                     PULSAR_USB_PACE_CREDIT);
    /* Nothing came of it: back to where it was, without stepping down. */
    assert_int_equal(s.timer - s.now, PULSAR_USB_PACE_REST);
}

static void looks_in_vain_are_ignored(void **state)
{
    Sim s;
    int full = 0;
    uint32_t ticks = 0;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    for (int i = 0; i < 8; i++) {
        full += sim_look(&s);
        sim_run(&s, SECOND / 4);
    }
    assert_int_equal(full, 5);
    /* A root hub polled four times a second, for a minute. */
    for (int i = 0; i < 240; i++) {
        assert_false(sim_look(&s));
        ticks += sim_run(&s, SECOND / 4);
    }
    assert_true(ticks <= 600);
}

static void work_gives_looks_their_credit_back(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    while (sim_look(&s)) {
        sim_run(&s, SECOND);
    }
    pulsar_usb_pace_work(&s.pace);
    s.timer = s.now + 1;
    s.resting = false;
    sim_run(&s, 5 * SECOND);
    assert_true(sim_look(&s));
    assert_int_equal(sim_run(&s, PULSAR_USB_PACE_CREDIT),
                     PULSAR_USB_PACE_CREDIT);
}

/* The guest put a transfer into memory, which this look finds. */
static void sim_found(Sim *s, uint32_t passed)
{
    pulsar_usb_pace_found(&s->pace, s->now, passed);
    pulsar_usb_pace_work(&s->pace);
    s->timer = s->now + 1;
    s->resting = false;
}

static void found_work_shortens_rests(void **state)
{
    Sim s;
    uint32_t longest = 0;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    sim_found(&s, 70);
    sim_run(&s, SECOND);
    for (uint32_t end = s.now + 8 * SECOND; s.now < end;) {
        uint32_t before = s.now;

        sim_run(&s, s.timer - s.now);
        longest = s.now - before > longest ? s.now - before : longest;
    }
    assert_int_equal(longest, PULSAR_USB_PACE_BRISK);
    /* Each renews it, however soon it was found. */
    sim_found(&s, 3);
    sim_run(&s, 9 * SECOND);
    assert_in_range(s.timer - s.now, 1, PULSAR_USB_PACE_BRISK);
}

static void a_guest_that_stops_it_rests_again(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    sim_found(&s, 70);
    sim_run(&s, PULSAR_USB_PACE_BRISK_FOR + SECOND);
    assert_true(sim_run(&s, 100 * SECOND) <= 1000);
}

static void work_found_early_means_nothing(void **state)
{
    Sim s;

    sim_start(&s);
    sim_run(&s, 5 * SECOND);
    sim_found(&s, PULSAR_USB_PACE_BRISK);
    sim_run(&s, SECOND);
    assert_true(sim_run(&s, 100 * SECOND) <= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_steps_down),
        cmocka_unit_test(idle_is_ten_a_second),
        cmocka_unit_test(work_brings_full_rate),
        cmocka_unit_test(work_keeps_full_rate),
        cmocka_unit_test(pending_work_keeps_full_rate),
        cmocka_unit_test(known_frames_are_met),
        cmocka_unit_test(rollover_costs_its_own_wake),
        cmocka_unit_test(another_schedule_brings_full_rate),
        cmocka_unit_test(a_change_within_the_hold_starts_it_again),
        cmocka_unit_test(a_look_brings_full_rate),
        cmocka_unit_test(looks_in_vain_are_ignored),
        cmocka_unit_test(work_gives_looks_their_credit_back),
        cmocka_unit_test(found_work_shortens_rests),
        cmocka_unit_test(a_guest_that_stops_it_rests_again),
        cmocka_unit_test(work_found_early_means_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
