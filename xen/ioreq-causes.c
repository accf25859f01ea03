/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the guest's requests: "pio-read:piix3-ide" and the like. See
 * ioreq-causes.h.
 */
#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/pci/pci.h"
#include "hw/xen/xen-hvm-common.h"
#include "monitor/pulsar/ledger-glue.h"
#include "ui/pulsar/display-touched.h"
#include "ioreq-causes.h"

#define PORTS       65536
#define PAGE_SHIFT_ 12

/* The causes of one device in one address space. */
typedef struct Causes {
    int read;
    int write;
    bool display; /* a VGA or the like: its access may change the screen */
} Causes;

static Causes *by_port[PORTS];     /* NULL: not looked up yet */
static GHashTable *by_page;        /* page number -> Causes, of memory */
static GHashTable *by_name;        /* "pio:ide" -> Causes; owns them */
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

static Causes *causes_named(const char *kind, const char *device,
                            PulsarCauseClass rd, PulsarCauseClass wr)
{
    g_autofree char *key = g_strdup_printf("%s:%s", kind, device);
    g_autofree char *name_rd = g_strdup_printf("%s-read:%s", kind, device);
    g_autofree char *name_wr = g_strdup_printf("%s-write:%s", kind, device);
    Causes *c;

    if (!by_name) {
        by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    c = g_hash_table_lookup(by_name, key);
    if (!c) {
        c = g_new0(Causes, 1);
        c->read = pulsar_ledger_cause(pulsar_ledger_self(), rd, name_rd);
        c->write = pulsar_ledger_cause(pulsar_ledger_self(), wr, name_wr);
        g_hash_table_insert(by_name, g_steal_pointer(&key), c);
    }
    return c;
}

static Causes *causes_in(MemoryRegion *space, hwaddr addr, const char *kind,
                         PulsarCauseClass rd, PulsarCauseClass wr)
{
    MemoryRegionSection section = memory_region_find(space, addr, 1);
    Causes *c = causes_named(kind, device_name(section.mr), rd, wr);

    c->display = is_display(section.mr);
    if (section.mr) {
        memory_region_unref(section.mr);
    }
    return c;
}

/* The memory map has changed: what was looked up may be wrong. */
static void forget_lookups(MemoryListener *listener)
{
    memset(by_port, 0, sizeof(by_port));
    g_hash_table_remove_all(by_page);
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

    by_page = g_hash_table_new(NULL, NULL);
    memory_listener_register(&io, &address_space_io);
    memory_listener_register(&memory, &address_space_memory);
}

static Causes *causes_of_port(hwaddr port)
{
    Causes **slot = &by_port[port % PORTS];

    if (!*slot) {
        *slot = causes_in(get_system_io(), port % PORTS, "pio",
                          PULSAR_CAUSE_PIO_READ, PULSAR_CAUSE_PIO_WRITE);
    }
    return *slot;
}

static Causes *causes_of_memory(hwaddr addr)
{
    gpointer page = GSIZE_TO_POINTER(addr >> PAGE_SHIFT_);
    Causes *c = g_hash_table_lookup(by_page, page);

    if (!c) {
        c = causes_in(get_system_memory(), addr, "mmio",
                      PULSAR_CAUSE_MMIO_READ, PULSAR_CAUSE_MMIO_WRITE);
        g_hash_table_insert(by_page, page, c);
    }
    return c;
}

static Causes *causes_of_config(uint32_t sbdf)
{
    char device[sizeof("00:00.0")];

    snprintf(device, sizeof(device), "%02x:%02x.%x", PCI_BUS_NUM(sbdf) & 0xff,
             PCI_SLOT(sbdf), PCI_FUNC(sbdf));
    return causes_named("config", device, PULSAR_CAUSE_CONFIG_READ,
                        PULSAR_CAUSE_CONFIG_WRITE);
}

static Causes *causes_of(const ioreq_t *req)
{
    if (!by_page) {
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
        return causes_named("ioreq", "other", PULSAR_CAUSE_OTHER,
                            PULSAR_CAUSE_OTHER);
    }
}

void pulsar_notice_display(const ioreq_t *req)
{
    if (pulsar_display_slow && causes_of(req)->display) {
        pulsar_display_touched();
    }
}

void pulsar_count_ioreq(const ioreq_t *req)
{
    Causes *c = causes_of(req);

    pulsar_ledger_count(req->dir == IOREQ_READ ? c->read : c->write, 1);

    if (held_back) {
        pulsar_ledger_count(bufioreq, held_back);
        held_back = 0;
    }
}

void pulsar_count_buffered(unsigned int entries, bool own_event)
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
