/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain in the hands of Xen.
 *
 * Pages of an ioreq server: XENMEM_acquire_resource in xen/memory.h; what is
 * on them: xen/hvm/ioreq.h.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenforeignmemory.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/ioreq.h>
#include <xen/memory.h>

#include "cli.h"
#include "domain.h"
#include "page.h"

/* As many as Xen lets a domain have (its ioreq.h, MAX_NR_IOREQ_SERVERS). */
#define SERVERS_MAX  8

#define PAGES        2          /* the buffered ring, then the requests */

/* How long a moment of rest is tried for. */
#define REST_NS      (5 * 1000000000ULL)

/*
 * What is in the rings of a paused domain is read soon: stock looks into the
 * buffered one every 100 ms when it has no event. Not so what the guest was
 * about to tell of, so it is let run on after a time, which doubles: a slow
 * disk may need longer. Between two looks of ours:
 */
#define RINGS_NS     (250 * 1000000ULL)
#define LOOK_NS      (200 * 1000ULL)

struct Domain {
    int domid;
    xc_interface *xc;
    xendevicemodel_handle *dmod;
    xenforeignmemory_handle *fmem;
    xenforeignmemory_resource_handle *pages;
    const volatile struct buffered_iopage *ring;
    const volatile struct shared_iopage *requests;
    guint vcpus;
    DomainRest *rest;       /* or NULL */
    void *opaque;
};

Domain *domain_open(int domid, GError **errp)
{
    g_autoptr(Domain) d = g_new0(Domain, 1);

    d->domid = domid;
    d->xc = xc_interface_open(NULL, NULL, 0);
    d->dmod = d->xc ? xendevicemodel_open(NULL, 0) : NULL;
    d->fmem = d->dmod ? xenforeignmemory_open(NULL, 0) : NULL;
    if (!d->fmem) {
        cli_fail_errno(errp, "domain %d: Xen does not answer", d->domid);
        return NULL;
    }
    return g_steal_pointer(&d);
}

static void unmap(Domain *d)
{
    if (d->pages) {
        xenforeignmemory_unmap_resource(d->fmem, d->pages);
    }
    d->pages = NULL;
}

void domain_close(Domain *d)
{
    if (d) {
        unmap(d);
        if (d->fmem) {
            xenforeignmemory_close(d->fmem);
        }
        if (d->dmod) {
            xendevicemodel_close(d->dmod);
        }
        if (d->xc) {
            xc_interface_close(d->xc);
        }
        g_free(d);
    }
}

static gboolean get_info(Domain *d, xc_domaininfo_t *info, GError **errp)
{
    int n = xc_domain_getinfolist(d->xc, d->domid, 1, info);

    if (n >= 0 && (n == 0 || info->domain != d->domid)) {
        errno = ESRCH;
        n = -1;
    }
    return n > 0 || cli_fail_errno(errp, "domain %d: Xen tells nothing of it",
                                   d->domid);
}

gboolean domain_paused(Domain *d, gboolean *ret, GError **errp)
{
    xc_domaininfo_t info;

    if (!get_info(d, &info, errp)) {
        return FALSE;
    }
    *ret = !!(info.flags & XEN_DOMINF_paused);
    return TRUE;
}

/* Asked for nothing, Xen only says whether there is such a server. */
static gboolean has_server(Domain *d, ioservid_t id)
{
    return !xendevicemodel_get_ioreq_server_info(d->dmod, d->domid, id, NULL,
                                                 NULL, NULL);
}

gboolean domain_find_server(Domain *d, GError **errp)
{
    xc_domaininfo_t info;
    void *addr = NULL;
    ioservid_t id, found = 0;
    guint n = 0;

    if (!get_info(d, &info, errp)) {
        return FALSE;
    }
    d->vcpus = MIN(info.max_vcpu_id + 1,
                   XC_PAGE_SIZE / sizeof(struct ioreq));
    for (id = 0; id < SERVERS_MAX; id++) {
        if (has_server(d, id)) {
            found = id;
            n++;
        }
    }
    if (n != 1) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "domain %d has %u ioreq servers; a device model can be "
                    "replaced where it has the only one", d->domid, n);
        return FALSE;
    }
    unmap(d);
    d->pages = xenforeignmemory_map_resource(
        d->fmem, d->domid, XENMEM_resource_ioreq_server, found, 0, PAGES,
        &addr, PROT_READ, 0);
    if (!d->pages) {
        return cli_fail_errno(errp, "domain %d: the pages of its ioreq "
                              "server cannot be mapped", d->domid);
    }
    d->ring = addr;
    d->requests = (void *)((char *)addr + XC_PAGE_SIZE);
    return TRUE;
}

static gboolean asks(const Domain *d)
{
    guint i;

    for (i = 0; i < d->vcpus; i++) {
        if (d->requests->vcpu_ioreq[i].state != STATE_IOREQ_NONE) {
            return TRUE;
        }
    }
    return FALSE;
}

void domain_also_rests(Domain *d, DomainRest *rest, void *opaque)
{
    d->rest = rest;
    d->opaque = opaque;
}

static gboolean rings_empty(const Domain *d)
{
    return d->ring->read_pointer == d->ring->write_pointer &&
           (!d->rest || d->rest(d->opaque));
}

gboolean domain_at_rest(Domain *d)
{
    return !asks(d) && rings_empty(d);
}

/* Nothing tells anybody but the reader's own program that it has read. */
static void await_rings(const Domain *d, guint64 end)
{
    struct timespec look = { .tv_nsec = LOOK_NS };

    while (!rings_empty(d) && page_now() < end) {
        nanosleep(&look, NULL);
    }
}

gboolean domain_pause_at_rest(Domain *d, GError **errp)
{
    guint64 end = page_now() + REST_NS;
    guint64 patience = RINGS_NS / 2;

    do {
        if (xc_domain_pause(d->xc, d->domid)) {
            return cli_fail_errno(errp, "domain %d: it cannot be paused",
                                  d->domid);
        }
        if (!asks(d)) {
            patience *= 2;
            await_rings(d, page_now() + patience);
        }
        if (domain_at_rest(d)) {
            return TRUE;
        }
        if (!domain_unpause(d, errp)) {
            return FALSE;
        }
        sched_yield();
    } while (page_now() < end);
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                "domain %d: its device model does not get done with what the "
                "guest asks of it", d->domid);
    return FALSE;
}

gboolean domain_unpause(Domain *d, GError **errp)
{
    return !xc_domain_unpause(d->xc, d->domid) ||
           cli_fail_errno(errp, "domain %d: it cannot be unpaused", d->domid);
}

gboolean domain_destroy_servers(Domain *d, GError **errp)
{
    ioservid_t id;

    unmap(d);
    for (id = 0; id < SERVERS_MAX; id++) {
        if (has_server(d, id) &&
            xendevicemodel_destroy_ioreq_server(d->dmod, d->domid, id)) {
            return cli_fail_errno(errp, "domain %d: ioreq server %u cannot "
                                  "be destroyed", d->domid, id);
        }
    }
    return TRUE;
}
