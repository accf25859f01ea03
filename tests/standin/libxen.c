/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into a device model in place of libxenctrl, libxenevtchn,
 * libxenforeignmemory, libxendevicemodel and libxengnttab: the hypervisor is
 * a folder of shared files (shared.h) named by STANDIN_DIR.  libxenstore and
 * libxentoolcore stay real.
 *
 * Only what QEMU references is here.  Each call is counted, and can be made
 * to fail by a rule in the shared page.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoolcore.h>
#include <xen/hvm/ioreq.h>
#include <xen/memory.h>

#include "shared.h"

struct xenevtchn_handle {
    int fd;
    uint32_t index;
};

struct xenforeignmemory_resource_handle {
    void *addr;
    size_t len;
};

static struct si_shared *shared;
static int dir_fd = -1, ram_fd = -1, xen_fd = -1;
static pthread_t main_thread;
static bool restricted;         /* this process has restricted itself */
static bool device_model;       /* … and is one, not a program beside it */
static bool command;            /* this is `pulsar replace` */

/*
 * In the command `pulsar`: which of its calls is its last (STANDIN_DIE_AT),
 * and which fails (STANDIN_FAIL_AT).
 */
static _Atomic long until_death, until_failure;

static void die(const char *what)
{
    fprintf(stderr, "standin: %s: %s\n", what, strerror(errno));
    _exit(70);
}

/* Is it a device model, and no other program of the test's? */
static bool is_device_model(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-xen-domid") == 0) {
            return true;
        }
    }
    return false;
}

__attribute__((constructor))
static void attach(int argc, char **argv)
{
    const char *dir = getenv("STANDIN_DIR");
    const char *die_at = getenv("STANDIN_DIE_AT");
    const char *fail_at = getenv("STANDIN_FAIL_AT");

    if (!dir) {
        return;         /* a helper program of the device model */
    }
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        die(dir);
    }
    ram_fd = openat(dir_fd, "ram", O_RDWR | O_CLOEXEC);
    xen_fd = openat(dir_fd, "xen", O_RDWR | O_CLOEXEC);
    if (ram_fd < 0 || xen_fd < 0) {
        die("cannot open the domain's ram and xen files");
    }
    shared = mmap(NULL, SI_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                  xen_fd, 0);
    if (shared == MAP_FAILED || shared->magic != SI_MAGIC) {
        die("the domain's xen file is not one");
    }
    main_thread = pthread_self();
    device_model = is_device_model(argc, argv);
    if (device_model) {
        atomic_store(&shared->dm_pid, getpid());
    } else if (argc > 1 && strcmp(argv[1], "replace") == 0) {
        command = true;
        atomic_store(&shared->cuts, 0);
        atomic_store(&until_death, die_at ? atol(die_at) : 0);
        atomic_store(&until_failure, fail_at ? atol(fail_at) : 0);
    }
}

static bool reached(_Atomic long *count)
{
    return atomic_load(count) > 0 && atomic_fetch_sub(count, 1) == 1;
}

/* Dies before what it was about to do, or says whether that is to fail. */
static bool cut_short(void)
{
    if (!command) {
        return false;
    }
    atomic_fetch_add(&shared->cuts, 1);
    if (reached(&until_death)) {
        kill(getpid(), SIGKILL);
    }
    if (reached(&until_failure)) {
        errno = EIO;
        return true;
    }
    return false;
}

/* Count a call; true if a rule says that this one is to fail. */
static bool failing(enum si_call call)
{
    if (!shared) {
        errno = ENODEV;
        return true;
    }
    atomic_fetch_add(&shared->calls[call], 1);
    if (cut_short()) {
        return true;
    }
    for (int i = 0; i < SI_MAX_FAULTS; i++) {
        struct si_fault *f = &shared->fault[i];

        if (atomic_load(&f->call) != call + 1 ||
            atomic_fetch_sub(&f->skip, 1) > 0) {
            continue;
        }
        if (atomic_fetch_sub(&f->count, 1) > 0) {
            errno = atomic_load(&f->err);
            return true;
        }
    }
    return false;
}

/* What is open on /dev/null after a restriction answers no hypercall. */
static bool refused(void)
{
    if (restricted) {
        errno = ENOTTY;
        return true;
    }
    return false;
}

static bool wrong_domain(uint32_t domid)
{
    if (domid != shared->domid) {
        errno = restricted ? EPERM : ESRCH;
        return true;
    }
    return false;
}

#define CALL(name, dom, ret)                                    \
    do {                                                        \
        if (failing(SI_##name) || wrong_domain(dom)) {          \
            return ret;                                         \
        }                                                       \
    } while (0)

/* ---- libxenctrl ------------------------------------------------------- */

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild_logger,
                                unsigned open_flags)
{
    return failing(SI_xc_interface_open) ? NULL : (xc_interface *)&shared;
}

int xc_interface_close(xc_interface *xch)
{
    return failing(SI_xc_interface_close) ? -1 : 0;
}

int xc_domain_populate_physmap_exact(xc_interface *xch, uint32_t domid,
                                     unsigned long nr_extents,
                                     unsigned int extent_order,
                                     unsigned int mem_flags,
                                     xen_pfn_t *extent_start)
{
    int r = 0;

    CALL(xc_domain_populate_physmap_exact, domid, -1);
    if (refused()) {
        return -1;
    }
    si_lock(shared);
    for (unsigned long i = 0, n; i < nr_extents && !r; i += n) {
        uint64_t gfn = extent_start[i], nr;

        for (n = 1; i + n < nr_extents &&
                    extent_start[i + n] == gfn + (n << extent_order); n++) {
        }
        nr = (uint64_t)n << extent_order;
        if (!si_p2m_remove(shared, gfn, nr) ||
            !si_p2m_add(shared, gfn, nr, gfn)) {
            errno = ENOMEM;
            r = -1;
        }
    }
    si_unlock(shared);
    return r;
}

static int shut_down(uint32_t reason)
{
    atomic_store(&shared->shutdown_reason, reason);
    atomic_fetch_add(&shared->shutdowns, 1);
    si_futex_bump(&shared->event_seq);
    return 0;
}

int xc_domain_shutdown(xc_interface *xch, uint32_t domid, int reason)
{
    CALL(xc_domain_shutdown, domid, -1);
    return refused() ? -1 : shut_down(reason);
}

/* Returns once no vCPU runs, as Xen's does. */
int xc_domain_pause(xc_interface *xch, uint32_t domid)
{
    CALL(xc_domain_pause, domid, -1);
    si_futex_bump(&shared->paused);
    while (atomic_load(&shared->running)) {
        sched_yield();
    }
    return 0;
}

int xc_domain_unpause(xc_interface *xch, uint32_t domid)
{
    uint32_t old = atomic_load(&shared->paused);

    CALL(xc_domain_unpause, domid, -1);
    while (old && !atomic_compare_exchange_weak(&shared->paused, &old,
                                                old - 1)) {
    }
    if (!old) {
        errno = EINVAL;
        return -1;
    }
    syscall(SYS_futex, &shared->paused, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    return 0;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first,
                          unsigned int max, xc_domaininfo_t *info)
{
    if (failing(SI_xc_domain_getinfolist)) {
        return -1;
    }
    if (!max || first > shared->domid) {
        return 0;
    }
    *info = (xc_domaininfo_t) {
        .domain = shared->domid,
        .flags = XEN_DOMINF_hvm_guest |
            (atomic_load(&shared->paused) ? XEN_DOMINF_paused : 0),
        .max_vcpu_id = shared->nr_vcpus - 1,
    };
    return 1;
}

int xc_set_hvm_param(xc_interface *xch, uint32_t domid, int param,
                     unsigned long value)
{
    CALL(xc_set_hvm_param, domid, -1);
    if (refused()) {
        return -1;
    }
    if (param < 0 || param >= 64) {
        errno = EINVAL;
        return -1;
    }
    atomic_store(&shared->hvm_param[param], value);
    return 0;
}

int xc_get_hvm_param(xc_interface *xch, uint32_t domid, int param,
                     unsigned long *value)
{
    CALL(xc_get_hvm_param, domid, -1);
    if (refused()) {
        return -1;
    }
    if (param < 0 || param >= 64) {
        errno = EINVAL;
        return -1;
    }
    *value = atomic_load(&shared->hvm_param[param]);
    return 0;
}

/* No host device can be had here: passing one through fails as on a host
 * without an IOMMU. */
static int no_passthrough(uint32_t domid)
{
    CALL(xc_passthrough, domid, -1);
    errno = ENODEV;
    return -1;
}

int xc_domain_bind_pt_pci_irq(xc_interface *xch, uint32_t domid,
                              uint8_t machine_irq, uint8_t bus,
                              uint8_t device, uint8_t intx)
{
    return no_passthrough(domid);
}

int xc_domain_unbind_pt_irq(xc_interface *xch, uint32_t domid,
                            uint8_t machine_irq, uint8_t irq_type,
                            uint8_t bus, uint8_t device, uint8_t intx,
                            uint8_t isa_irq)
{
    return no_passthrough(domid);
}

int xc_domain_update_msi_irq(xc_interface *xch, uint32_t domid,
                             uint32_t gvec, uint32_t pirq, uint32_t gflags,
                             uint64_t gtable)
{
    return no_passthrough(domid);
}

int xc_domain_unbind_msi_irq(xc_interface *xch, uint32_t domid,
                             uint32_t gvec, uint32_t pirq, uint32_t gflags)
{
    return no_passthrough(domid);
}

int xc_domain_iomem_permission(xc_interface *xch, uint32_t domid,
                               unsigned long first_mfn,
                               unsigned long nr_mfns, uint8_t allow_access)
{
    return no_passthrough(domid);
}

int xc_domain_memory_mapping(xc_interface *xch, uint32_t domid,
                             unsigned long first_gfn,
                             unsigned long first_mfn, unsigned long nr_mfns,
                             uint32_t add_mapping)
{
    return no_passthrough(domid);
}

int xc_domain_ioport_mapping(xc_interface *xch, uint32_t domid,
                             uint32_t first_gport, uint32_t first_mport,
                             uint32_t nr_ports, uint32_t add_mapping)
{
    return no_passthrough(domid);
}

int xc_physdev_map_pirq(xc_interface *xch, uint32_t domid, int index,
                        int *pirq)
{
    return no_passthrough(domid);
}

int xc_physdev_map_pirq_msi(xc_interface *xch, uint32_t domid, int index,
                            int *pirq, int devfn, int bus, int entry_nr,
                            uint64_t table_base)
{
    return no_passthrough(domid);
}

int xc_physdev_unmap_pirq(xc_interface *xch, uint32_t domid, int pirq)
{
    return no_passthrough(domid);
}

/* ---- libxendevicemodel ------------------------------------------------ */

xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger,
                                           unsigned int open_flags)
{
    return failing(SI_xendevicemodel_open) ? NULL :
        (xendevicemodel_handle *)&dir_fd;
}

int xendevicemodel_close(xendevicemodel_handle *dmod)
{
    return 0;
}

static ioreq_t *vcpu_request(uint32_t vcpu)
{
    shared_iopage_t *page = (void *)((char *)shared + SI_IOREQ_OFFSET +
                                     SI_PAGE);

    return &page->vcpu_ioreq[vcpu];
}

int xendevicemodel_create_ioreq_server(xendevicemodel_handle *dmod,
                                       domid_t domid, int handle_bufioreq,
                                       ioservid_t *id)
{
    CALL(xendevicemodel_create_ioreq_server, domid, -1);
    if (atomic_load(&shared->server_created)) {
        errno = ENOSPC;
        return -1;
    }
    memset((char *)shared + SI_IOREQ_OFFSET, 0, 2 * SI_PAGE);
    atomic_store(&shared->server_atomic,
                 handle_bufioreq == HVM_IOREQSRV_BUFIOREQ_ATOMIC);
    atomic_store(&shared->server_created, 1);
    *id = SI_IOSERVID;
    return 0;
}

static bool wrong_server(ioservid_t id)
{
    if (id != SI_IOSERVID || !atomic_load(&shared->server_created)) {
        errno = ENOENT;
        return true;
    }
    return false;
}

int xendevicemodel_destroy_ioreq_server(xendevicemodel_handle *dmod,
                                        domid_t domid, ioservid_t id)
{
    CALL(xendevicemodel_destroy_ioreq_server, domid, -1);
    if (wrong_server(id)) {
        return -1;
    }
    atomic_store(&shared->server_enabled, 0);
    atomic_store(&shared->server_created, 0);
    /* With it go what it claimed and its event channels. */
    si_lock(shared);
    memset(shared->range, 0, sizeof(shared->range));
    si_unlock(shared);
    for (uint32_t i = 0; i < shared->nr_channels; i++) {
        atomic_store(&shared->channel[i].state, 0);
    }
    if (!device_model) {
        /* Its process is gone, and so are its handles. */
        atomic_store(&shared->nr_handles, 0);
    }
    si_futex_bump(&shared->event_seq);
    return 0;
}

int xendevicemodel_get_ioreq_server_info(xendevicemodel_handle *dmod,
                                         domid_t domid, ioservid_t id,
                                         xen_pfn_t *ioreq_gfn,
                                         xen_pfn_t *bufioreq_gfn,
                                         evtchn_port_t *bufioreq_port)
{
    CALL(xendevicemodel_get_ioreq_server_info, domid, -1);
    if (wrong_server(id)) {
        return -1;
    }
    if (ioreq_gfn || bufioreq_gfn) {
        atomic_store(&shared->server_legacy, 1);
    }
    if (ioreq_gfn) {
        *ioreq_gfn = SI_GFN_IOREQ;
    }
    if (bufioreq_gfn) {
        *bufioreq_gfn = SI_GFN_BUFIOREQ;
    }
    if (bufioreq_port) {
        *bufioreq_port = SI_REMOTE_PORT(0);
    }
    return 0;
}

int xendevicemodel_set_ioreq_server_state(xendevicemodel_handle *dmod,
                                          domid_t domid, ioservid_t id,
                                          int enabled)
{
    CALL(xendevicemodel_set_ioreq_server_state, domid, -1);
    if (wrong_server(id)) {
        return -1;
    }
    if (enabled) {
        for (uint32_t i = 0; i < shared->nr_vcpus; i++) {
            vcpu_request(i)->vp_eport = SI_REMOTE_PORT(1 + i);
        }
    }
    atomic_store(&shared->server_enabled, !!enabled);
    si_futex_bump(&shared->event_seq);
    return 0;
}

static int claim(uint32_t kind, uint64_t first, uint64_t last, bool add)
{
    int found = -1;

    if (first > last) {
        errno = EINVAL;
        return -1;
    }
    si_lock(shared);
    for (int i = 0; i < SI_MAX_RANGES && found < 0; i++) {
        struct si_range *r = &shared->range[i];

        if (add ? !r->used : (r->used && r->kind == kind &&
                              r->first == first && r->last == last)) {
            *r = (struct si_range) { add, kind, first, last };
            found = i;
        }
    }
    si_unlock(shared);
    if (found < 0) {
        errno = add ? ENOSPC : ENOENT;
        return -1;
    }
    return 0;
}

int xendevicemodel_map_io_range_to_ioreq_server(
    xendevicemodel_handle *dmod, domid_t domid, ioservid_t id, int is_mmio,
    uint64_t start, uint64_t end)
{
    CALL(xendevicemodel_map_io_range_to_ioreq_server, domid, -1);
    return wrong_server(id) ? -1 :
        claim(is_mmio ? SI_RANGE_MEM : SI_RANGE_PORT, start, end, true);
}

int xendevicemodel_unmap_io_range_from_ioreq_server(
    xendevicemodel_handle *dmod, domid_t domid, ioservid_t id, int is_mmio,
    uint64_t start, uint64_t end)
{
    CALL(xendevicemodel_unmap_io_range_from_ioreq_server, domid, -1);
    return wrong_server(id) ? -1 :
        claim(is_mmio ? SI_RANGE_MEM : SI_RANGE_PORT, start, end, false);
}

static uint64_t sbdf(uint16_t segment, uint8_t bus, uint8_t device,
                     uint8_t function)
{
    return (uint64_t)segment << 16 | bus << 8 | (device & 31) << 3 |
        (function & 7);
}

int xendevicemodel_map_pcidev_to_ioreq_server(
    xendevicemodel_handle *dmod, domid_t domid, ioservid_t id,
    uint16_t segment, uint8_t bus, uint8_t device, uint8_t function)
{
    uint64_t where = sbdf(segment, bus, device, function);

    CALL(xendevicemodel_map_pcidev_to_ioreq_server, domid, -1);
    return wrong_server(id) ? -1 : claim(SI_RANGE_PCI, where, where, true);
}

int xendevicemodel_unmap_pcidev_from_ioreq_server(
    xendevicemodel_handle *dmod, domid_t domid, ioservid_t id,
    uint16_t segment, uint8_t bus, uint8_t device, uint8_t function)
{
    uint64_t where = sbdf(segment, bus, device, function);

    CALL(xendevicemodel_unmap_pcidev_from_ioreq_server, domid, -1);
    return wrong_server(id) ? -1 : claim(SI_RANGE_PCI, where, where, false);
}

/* Lines of the interrupt controller: the level, and when it was set. */
static int set_irq(uint32_t irq, uint32_t level)
{
    uint32_t seq;

    if (irq >= 256) {
        errno = EINVAL;
        return -1;
    }
    seq = atomic_load(&shared->irq_seq);
    shared->stamp[seq % SI_STAMPS] = (struct si_stamp) {
        si_now(), irq, level,
    };
    atomic_store(&shared->irq_level[irq], level);
    si_futex_bump(&shared->irq_seq);
    return 0;
}

int xendevicemodel_set_isa_irq_level(xendevicemodel_handle *dmod,
                                     domid_t domid, uint8_t irq,
                                     unsigned int level)
{
    CALL(xendevicemodel_set_isa_irq_level, domid, -1);
    return set_irq(irq, level);
}

int xendevicemodel_set_irq_level(xendevicemodel_handle *dmod, domid_t domid,
                                 unsigned int irq, unsigned int level)
{
    CALL(xendevicemodel_set_irq_level, domid, -1);
    return set_irq(irq, level);
}

int xendevicemodel_set_pci_intx_level(xendevicemodel_handle *dmod,
                                      domid_t domid, uint16_t segment,
                                      uint8_t bus, uint8_t device,
                                      uint8_t intx, unsigned int level)
{
    CALL(xendevicemodel_set_pci_intx_level, domid, -1);
    if (device >= 32 || intx >= 4) {
        errno = EINVAL;
        return -1;
    }
    atomic_store(&shared->intx_level[device * 4 + intx], level);
    si_futex_bump(&shared->irq_seq);
    return 0;
}

int xendevicemodel_set_pci_link_route(xendevicemodel_handle *dmod,
                                      domid_t domid, uint8_t link,
                                      uint8_t irq)
{
    CALL(xendevicemodel_set_pci_link_route, domid, -1);
    if (link >= 4 || irq >= 16) {
        errno = EINVAL;
        return -1;
    }
    atomic_store(&shared->link_route[link], irq);
    return 0;
}

int xendevicemodel_inject_msi(xendevicemodel_handle *dmod, domid_t domid,
                              uint64_t msi_addr, uint32_t msi_data)
{
    CALL(xendevicemodel_inject_msi, domid, -1);
    atomic_store(&shared->msi_addr, msi_addr);
    atomic_store(&shared->msi_data, msi_data);
    si_futex_bump(&shared->irq_seq);
    return 0;
}

int xendevicemodel_track_dirty_vram(xendevicemodel_handle *dmod,
                                    domid_t domid, uint64_t first_pfn,
                                    uint32_t nr, unsigned long *dirty_bitmap)
{
    size_t bytes = (nr + 7) / 8;

    CALL(xendevicemodel_track_dirty_vram, domid, -1);
    if (nr > SI_MAX_VRAM) {
        errno = EINVAL;
        return -1;
    }
    si_lock(shared);
    if (nr == 0 || first_pfn != shared->dirty_first ||
        nr != shared->dirty_nr) {
        /* A range that was not tracked until now counts as all dirty. */
        shared->dirty_first = first_pfn;
        shared->dirty_nr = nr;
        for (size_t i = 0; i < SI_MAX_VRAM / 64; i++) {
            atomic_store(&shared->dirty[i], 0);
        }
        memset(dirty_bitmap, 0xff, bytes);
    } else {
        for (size_t i = 0; i * 8 < bytes; i++) {
            uint64_t word = atomic_exchange(&shared->dirty[i], 0);
            size_t part = bytes - i * 8;

            memcpy((char *)dirty_bitmap + i * 8, &word, part < 8 ? part : 8);
        }
    }
    si_unlock(shared);
    return 0;
}

int xendevicemodel_modified_memory(xendevicemodel_handle *dmod,
                                   domid_t domid, uint64_t first_pfn,
                                   uint32_t nr)
{
    CALL(xendevicemodel_modified_memory, domid, -1);
    return 0;
}

int xendevicemodel_set_mem_type(xendevicemodel_handle *dmod, domid_t domid,
                                hvmmem_type_t mem_type, uint64_t first_pfn,
                                uint32_t nr)
{
    CALL(xendevicemodel_set_mem_type, domid, -1);
    return 0;
}

int xendevicemodel_pin_memory_cacheattr(xendevicemodel_handle *dmod,
                                        domid_t domid, uint64_t start,
                                        uint64_t end, uint32_t type)
{
    CALL(xendevicemodel_pin_memory_cacheattr, domid, -1);
    return 0;
}

int xendevicemodel_relocate_memory(xendevicemodel_handle *dmod,
                                   domid_t domid, uint32_t size,
                                   uint64_t src_gfn, uint64_t dst_gfn)
{
    int r = 0;

    CALL(xendevicemodel_relocate_memory, domid, -1);
    si_lock(shared);
    for (uint64_t i = 0, run; i < size && !r; i += run) {
        uint64_t frame = si_p2m_get(shared, src_gfn + i, &run);

        if (frame == SI_NO_FRAME) {
            errno = EINVAL;
            r = -1;
            break;
        }
        run = run < size - i ? run : size - i;
        if (!si_p2m_remove(shared, src_gfn + i, run) ||
            !si_p2m_remove(shared, dst_gfn + i, run) ||
            !si_p2m_add(shared, dst_gfn + i, run, frame)) {
            errno = ENOMEM;
            r = -1;
        }
    }
    si_unlock(shared);
    return r;
}

int xendevicemodel_shutdown(xendevicemodel_handle *dmod, domid_t domid,
                            unsigned int reason)
{
    CALL(xendevicemodel_shutdown, domid, -1);
    return shut_down(reason);
}

/* ---- libxenevtchn ----------------------------------------------------- */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
                                 unsigned int flags)
{
    xenevtchn_handle *xce;
    char name[32], stale[64];

    if (failing(SI_xenevtchn_open) || refused()) {
        return NULL;
    }
    xce = calloc(1, sizeof(*xce));
    xce->index = atomic_fetch_add(&shared->nr_handles, 1);
    snprintf(name, sizeof(name), "evtchn.%u", xce->index);
    if (xce->index >= SI_MAX_HANDLES) {
        errno = EMFILE;
        free(xce);
        return NULL;
    }
    /* Open for both, so that it never reads as ended. */
    xce->fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (xce->fd < 0) {
        die(name);
    }
    while (read(xce->fd, stale, sizeof(stale)) > 0) {
        /* what a process that was killed had left */
    }
    fcntl(xce->fd, F_SETFL, 0);
    return xce;
}

static struct si_channel *local_channel(xenevtchn_handle *xce,
                                        evtchn_port_t port)
{
    uint32_t i = port - SI_LOCAL_PORT(0);

    if (i < shared->nr_channels &&
        (atomic_load(&shared->channel[i].state) & SI_CH_BOUND) &&
        atomic_load(&shared->channel[i].handle) == xce->index) {
        return &shared->channel[i];
    }
    errno = ENOTCONN;
    return NULL;
}

static void deliver(xenevtchn_handle *xce, evtchn_port_t port)
{
    if (write(xce->fd, &port, sizeof(port)) != sizeof(port)) {
        die("cannot deliver an event");
    }
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    if (!xce) {
        return 0;
    }
    if (failing(SI_xenevtchn_close)) {
        return -1;
    }
    for (uint32_t i = 0; i < shared->nr_channels; i++) {
        if (local_channel(xce, SI_LOCAL_PORT(i))) {
            atomic_store(&shared->channel[i].state, 0);
        }
    }
    close(xce->fd);
    free(xce);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce,
                                                     uint32_t domid,
                                                     evtchn_port_t remote)
{
    uint32_t i = remote - SI_REMOTE_PORT(0);
    struct si_channel *ch;

    CALL(xenevtchn_bind_interdomain, domid, -1);
    if (i >= shared->nr_channels ||
        (atomic_load(&shared->channel[i].state) & SI_CH_BOUND)) {
        errno = EINVAL;
        return -1;
    }
    ch = &shared->channel[i];
    atomic_store(&ch->handle, xce->index);
    /* Xen sets a new port pending: something may have come before it. */
    atomic_store(&ch->state, SI_CH_BOUND | SI_CH_MASKED);
    atomic_fetch_add(&ch->delivered, 1);
    deliver(xce, SI_LOCAL_PORT(i));
    return SI_LOCAL_PORT(i);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct si_channel *ch;

    if (failing(SI_xenevtchn_unbind)) {
        return -1;
    }
    ch = local_channel(xce, port);
    if (!ch) {
        return -1;
    }
    atomic_store(&ch->state, 0);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct si_channel *ch;

    if (failing(SI_xenevtchn_notify)) {
        return -1;
    }
    ch = local_channel(xce, port);
    if (!ch) {
        return -1;
    }
    si_futex_bump(&ch->to_guest);
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    evtchn_port_t port;

    if (failing(SI_xenevtchn_pending) ||
        read(xce->fd, &port, sizeof(port)) != sizeof(port)) {
        return -1;
    }
    return port;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct si_channel *ch;

    if (failing(SI_xenevtchn_unmask)) {
        return -1;
    }
    ch = local_channel(xce, port);
    if (!ch) {
        return -1;
    }
    if (si_channel_unmask(ch)) {
        deliver(xce, port);
    }
    return 0;
}

/* ---- libxenforeignmemory ---------------------------------------------- */

xenforeignmemory_handle *xenforeignmemory_open(
    struct xentoollog_logger *logger, unsigned open_flags)
{
    return failing(SI_xenforeignmemory_open) ? NULL :
        (xenforeignmemory_handle *)&ram_fd;
}

int xenforeignmemory_close(xenforeignmemory_handle *fmem)
{
    return failing(SI_xenforeignmemory_close) ? -1 : 0;
}

/* Map a run of frames at addr; the number of pages mapped, or 0. */
static uint64_t map_run(char *addr, int prot, const xen_pfn_t *gfn,
                        size_t pages)
{
    uint64_t run = 1, frame, n = 1;
    off_t offset;
    int fd = ram_fd;

    if (gfn[0] == SI_GFN_IOREQ || gfn[0] == SI_GFN_BUFIOREQ) {
        fd = xen_fd;
        offset = SI_IOREQ_OFFSET + (gfn[0] == SI_GFN_IOREQ ? SI_PAGE : 0);
    } else {
        frame = si_p2m_get(shared, gfn[0], &run);
        if (frame == SI_NO_FRAME) {
            return 0;
        }
        offset = frame * SI_PAGE;
    }
    while (n < run && n < pages && gfn[n] == gfn[0] + n) {
        n++;
    }
    return mmap(addr, n * SI_PAGE, prot, MAP_SHARED | MAP_FIXED, fd,
                offset) == MAP_FAILED ? 0 : n;
}

static void *map_frames(void *addr, int prot, int flags, size_t pages,
                        const xen_pfn_t *arr, int *err)
{
    char *base = mmap(addr, pages * SI_PAGE, PROT_NONE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | flags,
                      -1, 0);
    bool whole = true;

    if (base == MAP_FAILED) {
        return NULL;
    }
    si_lock(shared);
    for (size_t i = 0; i < pages;) {
        uint64_t n = map_run(base + i * SI_PAGE, prot, arr + i, pages - i);

        for (uint64_t j = 0; j < (n ? n : 1); j++) {
            if (err) {
                err[i + j] = n ? 0 : -EINVAL;
            }
        }
        whole = whole && n;
        i += n ? n : 1;
    }
    si_unlock(shared);
    if (!whole && !err) {
        munmap(base, pages * SI_PAGE);
        errno = EINVAL;
        return NULL;
    }
    return base;
}

void *xenforeignmemory_map(xenforeignmemory_handle *fmem, uint32_t dom,
                           int prot, size_t pages, const xen_pfn_t arr[],
                           int err[])
{
    CALL(xenforeignmemory_map, dom, NULL);
    return map_frames(NULL, prot, 0, pages, arr, err);
}

void *xenforeignmemory_map2(xenforeignmemory_handle *fmem, uint32_t dom,
                            void *addr, int prot, int flags, size_t pages,
                            const xen_pfn_t arr[], int err[])
{
    CALL(xenforeignmemory_map2, dom, NULL);
    return map_frames(addr, prot, flags, pages, arr, err);
}

int xenforeignmemory_unmap(xenforeignmemory_handle *fmem, void *addr,
                           size_t pages)
{
    return failing(SI_xenforeignmemory_unmap) ? -1 :
        munmap(addr, pages * SI_PAGE);
}

xenforeignmemory_resource_handle *xenforeignmemory_map_resource(
    xenforeignmemory_handle *fmem, domid_t domid, unsigned int type,
    unsigned int id, unsigned long frame, unsigned long nr_frames,
    void **paddr, int prot, int flags)
{
    xenforeignmemory_resource_handle *fres;

    CALL(xenforeignmemory_map_resource, domid, NULL);
    if (type != XENMEM_resource_ioreq_server || wrong_server(id) ||
        frame + nr_frames > 2) {
        errno = EINVAL;
        return NULL;
    }
    fres = calloc(1, sizeof(*fres));
    fres->len = nr_frames * SI_PAGE;
    fres->addr = mmap(*paddr, fres->len, prot, MAP_SHARED | flags, xen_fd,
                      SI_IOREQ_OFFSET + frame * SI_PAGE);
    if (fres->addr == MAP_FAILED) {
        free(fres);
        return NULL;
    }
    *paddr = fres->addr;
    return fres;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *fmem,
                                    xenforeignmemory_resource_handle *fres)
{
    int r = failing(SI_xenforeignmemory_unmap_resource) ? -1 :
        munmap(fres->addr, fres->len);

    free(fres);
    return r;
}

/* ---- libxengnttab: grant reference N is guest frame N ----------------- */

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger,
                                 unsigned open_flags)
{
    if (failing(SI_xengnttab_open) || refused()) {
        return NULL;
    }
    return (xengnttab_handle *)&xen_fd;
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return failing(SI_xengnttab_close) ? -1 : 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    return failing(SI_xengnttab_set_max_grants) || refused() ? -1 : 0;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count,
                                      uint32_t domid, uint32_t *refs,
                                      int prot)
{
    xen_pfn_t *gfn;
    void *addr;

    CALL(xengnttab_map_domain_grant_refs, domid, NULL);
    if (refused()) {
        return NULL;
    }
    gfn = calloc(count, sizeof(*gfn));
    for (uint32_t i = 0; i < count; i++) {
        gfn[i] = refs[i];
    }
    addr = map_frames(NULL, prot, 0, count, gfn, NULL);
    free(gfn);
    return addr;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address,
                    uint32_t count)
{
    return failing(SI_xengnttab_unmap) ? -1 :
        munmap(start_address, count * SI_PAGE);
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t *segs)
{
    if (failing(SI_xengnttab_grant_copy) || refused()) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        xengnttab_grant_copy_segment_t *seg = &segs[i];
        bool out = seg->flags & GNTCOPY_dest_gref;
        uint32_t ref = out ? seg->dest.foreign.ref : seg->source.foreign.ref;
        uint16_t at = out ? seg->dest.foreign.offset :
            seg->source.foreign.offset;
        uint64_t frame;
        ssize_t r = -1;

        si_lock(shared);
        frame = si_p2m_get(shared, ref, NULL);
        si_unlock(shared);
        if (frame != SI_NO_FRAME && at + seg->len <= SI_PAGE) {
            r = out ?
                pwrite(ram_fd, seg->source.virt, seg->len,
                       frame * SI_PAGE + at) :
                pread(ram_fd, seg->dest.virt, seg->len,
                      frame * SI_PAGE + at);
        }
        seg->status = r == seg->len ? GNTST_okay : GNTST_bad_gntref;
    }
    return 0;
}

/* ---- libxentoolcore: ours lose their rights, xenstore's by the real one  */

int xentoolcore_restrict_all(domid_t domid)
{
    int (*next)(domid_t) = dlsym(RTLD_NEXT, "xentoolcore_restrict_all");

    CALL(xentoolcore_restrict_all, domid, -1);
    if (!next || next(domid) < 0) {
        return -1;
    }
    restricted = true;
    atomic_store(&shared->restricted, 1);
    return 0;
}

/* ---- libxenstore: the real one, but each call can be made to fail ------- */

#define REAL(ret, bad, name, args, ...)                         \
    ret name args                                               \
    {                                                           \
        static ret (*next) args;                                \
                                                                \
        if (!next) {                                            \
            next = dlsym(RTLD_NEXT, #name);                     \
        }                                                       \
        if (shared && failing(SI_##name)) {                     \
            return bad;                                         \
        }                                                       \
        return next(__VA_ARGS__);                               \
    }

REAL(struct xs_handle *, NULL, xs_open, (unsigned long flags), flags)
REAL(void *, NULL, xs_read, (struct xs_handle *h, xs_transaction_t t,
                             const char *path, unsigned int *len),
     h, t, path, len)
REAL(bool, false, xs_write, (struct xs_handle *h, xs_transaction_t t,
                             const char *path, const void *data,
                             unsigned int len), h, t, path, data, len)
REAL(char **, NULL, xs_directory, (struct xs_handle *h, xs_transaction_t t,
                                   const char *path, unsigned int *num),
     h, t, path, num)
REAL(bool, false, xs_mkdir, (struct xs_handle *h, xs_transaction_t t,
                             const char *path), h, t, path)
REAL(bool, false, xs_rm, (struct xs_handle *h, xs_transaction_t t,
                          const char *path), h, t, path)
REAL(bool, false, xs_set_permissions, (struct xs_handle *h,
                                       xs_transaction_t t, const char *path,
                                       struct xs_permissions *perms,
                                       unsigned int num),
     h, t, path, perms, num)
REAL(bool, false, xs_watch, (struct xs_handle *h, const char *path,
                             const char *token), h, path, token)
REAL(bool, false, xs_unwatch, (struct xs_handle *h, const char *path,
                               const char *token), h, path, token)
REAL(char *, NULL, xs_get_domain_path, (struct xs_handle *h,
                                        unsigned int domid), h, domid)
REAL(xs_transaction_t, XBT_NULL, xs_transaction_start,
     (struct xs_handle *h), h)
REAL(bool, false, xs_transaction_end, (struct xs_handle *h,
                                       xs_transaction_t t, bool abandon),
     h, t, abandon)

/* ---- whoever waits to connect learns of each socket that listens ------- */

int listen(int fd, int backlog)
{
    int (*next)(int, int) = dlsym(RTLD_NEXT, "listen");
    int r = next(fd, backlog);

    if (r == 0 && shared) {
        si_futex_bump(&shared->event_seq);
    }
    return r;
}

/* ---- what an old kernel refuses: opening a pty's other end ------------- */

int ioctl(int fd, unsigned long request, ...)
{
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list ap;
    void *argument;

    va_start(ap, request);
    argument = va_arg(ap, void *);
    va_end(ap);
    if (request == TIOCGPTPEER && shared && failing(SI_tiocgptpeer)) {
        return -1;
    }
    return next(fd, request, argument);
}

/* ---- what the command tells its journal and device models -------------- */

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");

    return cut_short() ? -1 : next(from, to);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ssize_t (*next)(int, const struct msghdr *, int) =
        dlsym(RTLD_NEXT, "sendmsg");

    return cut_short() ? -1 : next(fd, msg, flags);
}

pid_t fork(void)
{
    pid_t (*next)(void) = dlsym(RTLD_NEXT, "fork");
    pid_t pid;

    if (cut_short()) {
        return -1;
    }
    pid = next();
    if (!pid) {
        command = false;
    }
    return pid;
}

int inotify_init1(int flags)
{
    if (shared && failing(SI_inotify_init1)) {
        return -1;
    }
    return syscall(SYS_inotify_init1, flags);
}

/* No thread can be had: what RLIMIT_NPROC does to all users but root. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                   void *(*start)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *,
                       void *(*)(void *), void *);

    if (shared && failing(SI_pthread_create)) {
        return errno;
    }
    if (!next) {
        next = dlsym(RTLD_NEXT, "pthread_create");
    }
    return next(thread, attr, start, arg);
}

/* ---- the main loop's sleep, counted ----------------------------------- */

static int counted_ppoll(struct pollfd *fds, nfds_t n,
                         const struct timespec *timeout,
                         const sigset_t *mask)
{
    static int (*next)(struct pollfd *, nfds_t, const struct timespec *,
                       const sigset_t *);
    bool sleeps = shared && pthread_equal(pthread_self(), main_thread) &&
        (!timeout || timeout->tv_sec || timeout->tv_nsec);
    int r;

    if (!next) {
        next = dlsym(RTLD_NEXT, "ppoll");
    }
    if (sleeps) {
        atomic_fetch_add(&shared->sleeps, 1);
    }
    r = next(fds, n, timeout, mask);
    if (sleeps) {
        atomic_fetch_add(r > 0 ? &shared->wakes_fd : &shared->wakes_timeout,
                         1);
    }
    return r;
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
          const sigset_t *mask)
{
    return counted_ppoll(fds, n, timeout, mask);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                const sigset_t *mask, size_t len)
{
    return counted_ppoll(fds, n, timeout, mask);
}
