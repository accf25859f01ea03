/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into the real C xenstored so that it serves its unix socket on a
 * machine without Xen: every domain exists, no event ever comes, and the two
 * files of /proc/xen that it reads at start are played.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

static char a_handle;

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild_logger,
                                unsigned open_flags)
{
    return (xc_interface *)&a_handle;
}

int xc_interface_close(xc_interface *xch)
{
    return 0;
}

/* What xenstored asks since Xen 4.18. */
int xc_domain_getinfo_single(xc_interface *xch, uint32_t domid,
                             xc_domaininfo_t *info)
{
    if (domid >= DOMID_FIRST_RESERVED) {
        errno = ESRCH;
        return -1;
    }
    if (info) {
        memset(info, 0, sizeof(*info));
        info->domain = domid;
        info->flags = XEN_DOMINF_running | (domid ? XEN_DOMINF_hvm_guest : 0);
    }
    return 0;
}

#if __XEN_LATEST_INTERFACE_VERSION__ < 0x00040f00
/* What it asked before; the structure has gone since. */
int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid,
                      unsigned int max_doms, xc_dominfo_t *info)
{
    if (!max_doms || first_domid >= DOMID_FIRST_RESERVED) {
        return 0;
    }
    memset(info, 0, sizeof(*info));
    info->domid = first_domid;
    info->hvm = first_domid != 0;
    info->running = 1;
    return 1;
}
#endif

struct xenevtchn_handle {
    int fd;
};

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
                                 unsigned int flags)
{
    xenevtchn_handle *xce = calloc(1, sizeof(*xce));

    xce->fd = eventfd(0, EFD_CLOEXEC);
    return xce;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
                                   unsigned open_flags)
{
    xenevtchn_handle *xce = calloc(1, sizeof(*xce));

    xce->fd = fd;
    return xce;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce,
                                                     uint32_t domid,
                                                     evtchn_port_t remote)
{
    return remote + 100;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce,
                                              unsigned int virq)
{
    return virq + 1000;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    return 0;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    errno = EAGAIN;
    return -1;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger,
                                 unsigned open_flags)
{
    return (xengnttab_handle *)&a_handle;
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    return 0;
}

/* A guest's ring: an empty page that nobody writes to. */
void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid,
                              uint32_t ref, int prot)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address,
                    uint32_t count)
{
    return munmap(start_address, count * 4096ul);
}

int open(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    static const char port[] = "1";
    int mode, fd;
    va_list ap;

    va_start(ap, flags);
    mode = va_arg(ap, int);
    va_end(ap);
    if (strcmp(path, "/proc/xen/xsd_port") == 0) {
        fd = memfd_create("xsd_port", MFD_CLOEXEC);
        if (fd >= 0 && pwrite(fd, port, sizeof(port) - 1, 0) < 0) {
            return -1;
        }
        return fd;
    }
    if (strcmp(path, "/proc/xen/xsd_kva") == 0) {
        fd = memfd_create("xsd_kva", MFD_CLOEXEC);
        if (fd >= 0 && ftruncate(fd, 4096) < 0) {
            return -1;
        }
        return fd;
    }
    return next(path, flags, mode);
}

/* Whoever started the daemon learns when it can be connected to. */
int listen(int fd, int backlog)
{
    int (*next)(int, int) = dlsym(RTLD_NEXT, "listen");
    const char *ready = getenv("STANDIN_READY_FD");
    int r = next(fd, backlog);

    if (r == 0 && ready && write(atoi(ready), "\n", 1) != 1) {
        return -1;
    }
    return r;
}
