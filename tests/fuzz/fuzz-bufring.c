/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer on the buffered ioreq ring: whatever the page holds, the walk
 * ends within one ring's worth of looks and what it yields is sound.
 *
 * Built by tests/fuzz/check; by hand:
 *   clang -g -fsanitize=fuzzer,address,undefined -I. \
 *       tests/fuzz/fuzz-bufring.c xen/bufring.c -o fuzz-bufring
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xen/bufring.h"

#define CHECK(cond) do { if (!(cond)) { abort(); } } while (0)

static void check_entry(const PulsarBufwrite *e)
{
    CHECK(e->size == 1 || e->size == 2 || e->size == 4 || e->size == 8);
    CHECK(e->slots == (e->size == 8 ? 2 : 1));
    CHECK(e->addr < 1 << 20);
    CHECK(e->type != IOREQ_TYPE_PIO || e->size <= 4);
    CHECK(e->type == IOREQ_TYPE_PIO || e->type == IOREQ_TYPE_COPY ||
          e->type == IOREQ_TYPE_TIMEOFFSET ||
          e->type == IOREQ_TYPE_INVALIDATE);
    CHECK(e->size == 8 || e->data <= UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static buffered_iopage_t *page;
    PulsarBufwrite entry;
    const char *why = NULL;
    uint32_t slots = 0;
    int looks;

    if (!page) {
        page = aligned_alloc(4096, 4096);
    }
    memset(page, 0, 4096);
    memcpy(page, data, size < 4096 ? size : 4096);

    for (looks = 0; looks <= IOREQ_BUFFER_SLOT_NUM + 1; looks++) {
        switch (pulsar_bufring_next(page, &entry, &why)) {
        case PULSAR_BUFRING_EMPTY:
            CHECK(page->read_pointer == page->write_pointer);
            return 0;
        case PULSAR_BUFRING_ENTRY:
            check_entry(&entry);
            pulsar_bufring_done(page, entry.slots);
            slots += entry.slots;
            break;
        case PULSAR_BUFRING_SKIPPED:
            CHECK(why);
            slots++;
            break;
        case PULSAR_BUFRING_RESET:
            CHECK(why && !slots);
            break;
        case PULSAR_BUFRING_BROKEN:
            abort(); /* nobody else writes the page here */
        }
        CHECK(slots <= IOREQ_BUFFER_SLOT_NUM);
    }
    abort();
}
