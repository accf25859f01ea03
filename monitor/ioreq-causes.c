/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the guest's requests: "pio-read:piix3-ide" and the like. See
 * xen/ioreq-observer.h.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci.h"
#include "hw/xen/xen-hvm-common.h"
#include "hw/xen/pulsar/ioreq-observer.h"
#include "hw/xen/pulsar/qemu-compat.h"
#include "ui/pulsar/display-touched.h"
#include "cause-cache.h"
#include "ledger-glue.h"

#define PAGE_SHIFT_ 12
#define FUNCTIONS   (1ULL << 63)    /* behind all pages */

/* Of ports, of pages of memory and PCI functions, and of what is neither. */
static PulsarCauseCache ports, pages;
static PulsarCauseEntry other;
static int bufioreq = -1;
static unsigned int held_back;     /* buffered entries not yet counted */

/* What a person calls the device behind @mr. */
static const char *device_name(MemoryRegion *mr)
{
    Object *owner = mr ? memory_region_owner(mr) : NULL;

    if (owner && object_dynamic_cast(owner, TYPE_DEVICE)) {
        return object_get_typename(owner);
    }
    return mr && memory_region_name(mr) ? memory_region_name(mr)
                                        : "unassigned";
}

static bool is_display(MemoryRegion *mr)
{
    Object *owner = mr ? memory_region_owner(mr) : NULL;

    return owner && object_dynamic_cast(owner, TYPE_DEVICE) &&
           test_bit(DEVICE_CATEGORY_DISPLAY,
                    DEVICE_GET_CLASS(owner)->categories);
}

static void name_causes(PulsarCauseEntry *e, const char *kind,
                        const char *device, PulsarCauseClass rd,
                        PulsarCauseClass wr)
{
    g_autofree char *name_rd = g_strdup_printf("%s-read:%s", kind, device);
    g_autofree char *name_wr = g_strdup_printf("%s-write:%s", kind, device);

    e->read = pulsar_ledger_cause(pulsar_ledger_self(), rd, name_rd);
    e->write = pulsar_ledger_cause(pulsar_ledger_self(), wr, name_wr);
}

static void find_device(PulsarCauseEntry *e, MemoryRegion *space, hwaddr addr,
                        const char *kind, PulsarCauseClass rd,
                        PulsarCauseClass wr)
{
    MemoryRegionSection section = memory_region_find(space, addr, 1);

    name_causes(e, kind, device_name(section.mr), rd, wr);
    e->display = is_display(section.mr);
    if (section.mr) {
        memory_region_unref(section.mr);
    }
}

/* The memory map has changed: what was looked up may be wrong. */
static void forget_lookups(MemoryListener *listener)
{
    pulsar_cause_cache_forget(&ports);
    pulsar_cause_cache_forget(&pages);
}

static void begin_lookups(void)
{
    static MemoryListener io = {
        .name = "pulsar-causes-io",
        .commit = forget_lookups,
    };
    static MemoryListener memory = {
        .name = "pulsar-causes-memory",
        .commit = forget_lookups,
    };

    memory_listener_register(&io, &address_space_io);
    memory_listener_register(&memory, &address_space_memory);
}

static PulsarCauseEntry *causes_of_port(uint16_t port)
{
    bool known;
    PulsarCauseEntry *e = pulsar_cause_cache_find(&ports, port, &known);

    if (!known) {
        find_device(e, get_system_io(), port, "pio", PULSAR_CAUSE_PIO_READ,
                    PULSAR_CAUSE_PIO_WRITE);
    }
    return e;
}

static PulsarCauseEntry *causes_of_memory(hwaddr addr)
{
    bool known;
    PulsarCauseEntry *e = pulsar_cause_cache_find(&pages, addr >> PAGE_SHIFT_,
                                                  &known);

    if (!known) {
        find_device(e, get_system_memory(), addr, "mmio",
                    PULSAR_CAUSE_MMIO_READ, PULSAR_CAUSE_MMIO_WRITE);
    }
    return e;
}

static PulsarCauseEntry *causes_of_config(uint32_t sbdf)
{
    bool known;
    PulsarCauseEntry *e = pulsar_cause_cache_find(&pages, FUNCTIONS | sbdf,
                                                  &known);
    char device[sizeof("00:00.0")];

    if (!known) {
        snprintf(device, sizeof(device), "%02x:%02x.%x",
                 PCI_BUS_NUM(sbdf) & 0xff, PCI_SLOT(sbdf), PCI_FUNC(sbdf));
        name_causes(e, "config", device, PULSAR_CAUSE_CONFIG_READ,
                    PULSAR_CAUSE_CONFIG_WRITE);
    }
    return e;
}

static PulsarCauseEntry *causes_of(const ioreq_t *req)
{
    static bool begun;

    if (!begun) {
        begun = true;
        begin_lookups();
    }
    switch (req->type) {
    case IOREQ_TYPE_PIO:
        return causes_of_port(req->addr);
    case IOREQ_TYPE_COPY:
        return causes_of_memory(req->addr);
    case IOREQ_TYPE_PCI_CONFIG:
        return causes_of_config(req->addr >> 32);
    default:
        if (!other.read) {
            other.read = other.write =
                pulsar_ledger_cause(pulsar_ledger_self(), PULSAR_CAUSE_OTHER,
                                    "ioreq:other");
        }
        return &other;
    }
}

static void notice_display(const ioreq_t *req)
{
    if (pulsar_display_slow && causes_of(req)->display) {
        pulsar_display_touched();
    }
}

static void count_ioreq(const ioreq_t *req)
{
    PulsarCauseEntry *c = causes_of(req);

    pulsar_ledger_count(req->dir == IOREQ_READ ? c->read : c->write, 1);

    if (held_back) {
        pulsar_ledger_count(bufioreq, held_back);
        held_back = 0;
    }
}

static void count_buffered(unsigned int entries, bool own_event)
{
    if (bufioreq < 0) {
        bufioreq = pulsar_ledger_cause(pulsar_ledger_self(),
                                       PULSAR_CAUSE_BUFIOREQ, "bufioreq");
    }
    if (own_event) {
        pulsar_ledger_count(bufioreq, entries);
    } else {
        held_back += entries;
    }
}

static const PulsarIoreqObserver observer = {
    .synchronous = count_ioreq,
    .access = notice_display,
    .buffered = count_buffered,
};

static void observe(void)
{
    pulsar_ioreq_observer = &observer;
}

opts_init(observe);
