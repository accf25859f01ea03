/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on a ledger page as the command reads it: whatever a device model
 * that was broken into writes there, the copy is refused or holds only what
 * its reader may rely on.
 *
 * An input is a length and pairs of offset and value, four bytes each, by
 * which a page differs from a sound one. Built by tests/fuzz/check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "monitor/ledger.h"
#include "tools/settings.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

static uint32_t word(const uint8_t *data)
{
    uint32_t v;

    memcpy(&v, data, sizeof(v));
    return v;
}

static void make_page(uint8_t *page)
{
    static PulsarLedger ledger;

    memset(page, 0, PULSAR_LEDGER_TOTAL_SIZE);
    pulsar_ledger_init(&ledger, page, 1);
    pulsar_ledger_cause(&ledger, PULSAR_CAUSE_TIMER, "gui_update");
    pulsar_ledger_cause(&ledger, PULSAR_CAUSE_FD, "qmp");
    pulsar_ledger_set_text(&ledger, "usb=xhci given\n");
    pulsar_ledger_set_state(&ledger, PULSAR_LEDGER_RUNNING);
}

static void check_copy(const uint8_t *copy)
{
    const PulsarLedgerHeader *h = pulsar_ledger_header(copy);
    const PulsarLedgerCause *causes = pulsar_ledger_causes(copy);
    const PulsarLedgerThread *threads = pulsar_ledger_threads(copy);
    PulsarLedgerCounts n;

    CHECK(h->cause_count <= PULSAR_LEDGER_CAUSES);
    CHECK(h->thread_count <= PULSAR_LEDGER_THREADS);
    for (uint32_t i = 0; i < h->cause_count; i++) {
        CHECK(memchr(causes[i].name, 0, sizeof(causes[i].name)));
    }
    for (uint32_t i = 0; i < h->thread_count; i++) {
        CHECK(memchr(threads[i].name, 0, sizeof(threads[i].name)));
    }
    CHECK(memchr(h->name, 0, sizeof(h->name)));
    CHECK(memchr(h->uuid, 0, sizeof(h->uuid)));
    CHECK(memchr(h->version, 0, sizeof(h->version)));
    CHECK(memchr(copy + PULSAR_LEDGER_TEXT_OFFSET, 0,
                 PULSAR_LEDGER_TEXT_SIZE));
    for (uint64_t i = 0; i < 3; i++) {
        pulsar_ledger_row(copy, h->row_last - i, &n);
        pulsar_ledger_row(copy, i, &n);
    }
}

/* What goes on to a terminal or a table. */
static void check_settings(const uint8_t *copy)
{
    g_autoptr(GPtrArray) list = settings_parse(
        (const char *)copy + PULSAR_LEDGER_TEXT_OFFSET);
    guint i;
    const char *p;

    for (i = 0; i < list->len; i++) {
        const Setting *s = list->pdata[i];
        const char *const texts[] = { s->key, s->value, s->source };

        for (size_t n = 0; n < G_N_ELEMENTS(texts); n++) {
            CHECK(g_utf8_validate(texts[n], -1, NULL));
            for (p = texts[n]; *p; p = g_utf8_next_char(p)) {
                CHECK(g_unichar_isprint(g_utf8_get_char(p)));
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *page, *copy;
    size_t length = PULSAR_LEDGER_TOTAL_SIZE;

    if (!page) {
        page = aligned_alloc(4096, (PULSAR_LEDGER_TOTAL_SIZE + 4095) & ~4095);
        copy = malloc(PULSAR_LEDGER_TOTAL_SIZE);
    }
    make_page(page);
    if (size >= 4 && word(data) < PULSAR_LEDGER_TOTAL_SIZE) {
        length = word(data);
    }
    for (size_t i = 4; i + 8 <= size; i += 8) {
        uint32_t at = word(data + i) % (PULSAR_LEDGER_TOTAL_SIZE - 3);

        memcpy(page + at, data + i + 4, 4);
    }
    /* What the caller's memory held before must not be taken for the page. */
    memset(copy, 0xa5, PULSAR_LEDGER_TOTAL_SIZE);
    if (pulsar_ledger_snapshot(page, length, copy) == PULSAR_LEDGER_OK) {
        CHECK(length == PULSAR_LEDGER_TOTAL_SIZE);
        check_copy(copy);
        check_settings(copy);
    }
    return 0;
}
