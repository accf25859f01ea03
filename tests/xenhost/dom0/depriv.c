/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * depriv: what can a restricted process still do with what it has open?
 *
 *   depriv PID
 *
 * Takes a copy of each descriptor and tries. Exit 0 when there is no folder,
 * no way to Xen that is not bound to one domain, and no xenstore.
 */

#include <errno.h>
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>

/* Why @fd, which leads to @target, is too much; NULL when it is not. */
static const char *too_much(int fd, const char *target)
{
    static const char *const devices[] = {
        "/dev/null", "/dev/ptmx", "/dev/pts/", "/dev/net/tun",
        "/dev/ttyS1", /* the emulated host's own, which xl inherits */
    };
    struct privcmd_hypercall call = { .op = __HYPERVISOR_xen_version };
    struct ioctl_evtchn_bind_virq virq = { .virq = 0 };
    struct sockaddr_un peer = { 0 };
    socklen_t len = sizeof(peer) - 1;
    struct stat st;
    size_t i;

    if (fstat(fd, &st)) {
        return "it cannot be looked at";
    }
    if (S_ISDIR(st.st_mode)) {
        return "a folder";
    }
    if (S_ISSOCK(st.st_mode)) {
        return !getpeername(fd, (struct sockaddr *)&peer, &len) &&
               strstr(peer.sun_path, "xenstored") ? "xenstore" : NULL;
    }
    if (!strcmp(target, "/dev/xen/privcmd")) {
        return !ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call) || errno != EPERM
               ? "any hypercall" : NULL;
    }
    if (!strcmp(target, "/dev/xen/evtchn")) {
        return !ioctl(fd, IOCTL_EVTCHN_BIND_VIRQ, &virq) || errno != EACCES
               ? "any event channel" : NULL;
    }
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
        return NULL;
    }
    for (i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        if (!strncmp(target, devices[i], strlen(devices[i]))) {
            return NULL;
        }
    }
    return "a device";
}

int main(int argc, char **argv)
{
    char path[300], target[PATH_MAX];
    int pid = argc == 2 ? atoi(argv[1]) : 0, bad = 0, seen = 0;
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    if (pidfd < 0 || !dir) {
        fprintf(stderr, "Usage: depriv PID\n");
        return 2;
    }
    while ((e = readdir(dir))) {
        const char *why;
        ssize_t n;
        int fd;

        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        fd = syscall(SYS_pidfd_getfd, pidfd, atoi(e->d_name), 0);
        if (n < 0 || fd < 0) {
            perror(path);
            bad = 1;
            continue;
        }
        target[n] = 0;
        why = too_much(fd, target);
        printf("%s %s%s%s\n", e->d_name, target, why ? ": " : "",
               why ? why : "");
        bad |= why != NULL;
        seen++;
        close(fd);
    }
    return bad || !seen;
}
