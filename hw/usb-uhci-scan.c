/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking through a UHCI schedule: see usb-uhci-scan.h.
 */
#include <string.h>

#include "usb-uhci-scan.h"

#define LINK_TERMINATE  (1u << 0)
#define LINK_QH         (1u << 1)
#define LINK_ADDR(link) ((link) & ~0xfu)

#define TD_IOC          (1u << 24)
#define TD_ACTIVE       (1u << 23)

/* Twice what a scan may insert, so that a search ends soon. */
#define SEEN_SLOTS      (2 * PULSAR_UHCI_SCAN_MAX)

/* The descriptors that a scan has been at, as link words; 1 = no entry. */
typedef struct Scan {
    const PulsarUhciView *view;
    PulsarUhciScan *ret;
    uint32_t due;
    bool busy;          /* a due frame has more than what waits */
    uint32_t budget;
    uint32_t seen[SEEN_SLOTS];
} Scan;

static uint32_t mix(uint32_t x)
{
    x *= 0x9e3779b1u;
    return x ^ x >> 15;
}

/* Returns true when the link is new. There always is a free slot. */
static bool insert(Scan *s, uint32_t link)
{
    uint32_t i = mix(link) % SEEN_SLOTS;

    while (s->seen[i] != LINK_TERMINATE) {
        if (s->seen[i] == link) {
            return false;
        }
        i = (i + 1) % SEEN_SLOTS;
    }
    s->seen[i] = link;
    return true;
}

static uint32_t le32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Read @n words of a descriptor; false when there were too many already. */
static bool fetch(Scan *s, uint32_t link, uint32_t *word, unsigned n)
{
    uint8_t raw[12];

    if (s->budget == 0 ||
        !s->view->read(s->view->opaque, LINK_ADDR(link), raw, n * 4)) {
        return false;
    }
    s->budget--;
    for (unsigned i = 0; i < n; i++) {
        word[i] = le32(raw + i * 4);
    }
    return true;
}

static void set_todo(Scan *s, uint32_t frame)
{
    s->ret->todo[frame / 32] |= 1u << frame % 32;
}

static void found_work(Scan *s, uint32_t frame, uint32_t link)
{
    if (frame >= s->due) {
        if (frame - s->due < s->ret->work) {
            s->ret->work = frame - s->due;
        }
    } else if (insert(s, LINK_ADDR(link))) {
        s->busy = true;
        set_todo(s, frame);
    }
}

static void found_waiting(Scan *s, uint32_t frame, uint32_t link,
                          uint32_t token)
{
    if (!insert(s, LINK_ADDR(link))) {
        return;
    }
    s->ret->schedule += mix(LINK_ADDR(link) ^ mix(token));
    if (frame < s->due) {
        set_todo(s, frame);
    }
}

/*
 * One frame. A queue that was seen before ends it: behind it is nothing that
 * has not been looked at, be it a loop or the part that frames share.
 *
 * Returns: false when it cannot be told what is in it.
 */
static bool scan_frame(Scan *s, uint32_t frame, uint32_t link)
{
    uint32_t word[3], below = LINK_TERMINATE;
    bool in_queue = false;

    while (!(link & LINK_TERMINATE)) {
        if (link & LINK_QH) {
            if (!insert(s, LINK_ADDR(link) | LINK_QH)) {
                break;
            }
            if (!fetch(s, link, word, 2)) {
                return false;
            }
            in_queue = !(word[1] & LINK_TERMINATE);
            below = word[0];
            link = in_queue ? word[1] : word[0];
            continue;
        }
        if (!fetch(s, link, word, 3)) {
            return false;
        }
        if (!(word[1] & TD_ACTIVE)) {
            if (word[1] & TD_IOC) {
                found_work(s, frame, link);
            }
        } else if (s->view->waits(s->view->opaque, word[1], word[2])) {
            found_waiting(s, frame, link, word[2]);
        } else {
            found_work(s, frame, link);
        }
        if (s->ret->work == 0) {
            break;
        }
        link = in_queue ? below : word[0];
        in_queue = false;
    }
    return true;
}

/* Backwards through the frames that are due, then on from there. */
static bool scan_list(Scan *s, uint32_t list, uint32_t first)
{
    uint8_t entry[PULSAR_UHCI_FRAMES * 4];
    uint32_t last = LINK_TERMINATE;

    if (!s->view->read(s->view->opaque, list, entry, sizeof(entry))) {
        return false;
    }
    for (uint32_t i = 0; i < PULSAR_UHCI_FRAMES; i++) {
        uint32_t frame = i < s->due ? s->due - 1 - i : i;
        uint32_t link = le32(entry +
                             (first + frame) % PULSAR_UHCI_FRAMES * 4);

        if (s->ret->work == 0 || (i >= s->due && s->busy)) {
            break;
        }
        if (link != last && !scan_frame(s, frame, link)) {
            return false;
        }
        last = link;
    }
    return true;
}

void pulsar_uhci_scan(const PulsarUhciView *view, uint32_t list,
                      uint32_t first, uint32_t due, PulsarUhciScan *ret)
{
    Scan s = {
        .view = view, .ret = ret, .budget = PULSAR_UHCI_SCAN_MAX,
        .due = due < PULSAR_UHCI_FRAMES ? due : PULSAR_UHCI_FRAMES,
    };

    memset(ret, 0, sizeof(*ret));
    ret->work = PULSAR_UHCI_FRAMES;
    for (unsigned i = 0; i < SEEN_SLOTS; i++) {
        s.seen[i] = LINK_TERMINATE;
    }
    if (!scan_list(&s, list, first)) {
        ret->work = 0;
        memset(ret->todo, 0xff, sizeof(ret->todo));
    } else if (s.busy) {
        ret->work = 0;
    }
}
