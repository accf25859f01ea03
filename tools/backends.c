/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV back ends that live in a device model's process.
 */
#include <string.h>
#include <sys/mman.h>

#include <xengnttab.h>

#include "backends.h"
#include "cli.h"
#include "text.h"
#include "xen.h"

/* Of these, xen/io/ring.h wants the last two only from who writes. */
#define xen_mb()   __sync_synchronize()
#define xen_rmb()  __sync_synchronize()
#define xen_wmb()  __sync_synchronize()
#include <xen/io/blkif.h>

#define BACKENDS      "/local/domain/0/backend"

/* xen/io/xenbus.h; in xenstore as text */
#define INITIALISING  "1"
#define CONNECTED     "4"
#define CLOSED        "6"

/* A device model that has not connected to its disks by then does not. */
#define CONNECT_MS    10000

typedef struct Kind {
    const char *name;       /* as xenstore has it */
    const char *what;
    /*
     * Its back end keeps nothing but what is on the page that it shares with
     * the front end, and connects to one that is connected already.
     */
    gboolean stateless;
    /* The same once each request in its ring is answered (io/blkif.h). */
    gboolean ring;
} Kind;

/* Those that QEMU serves (hw/xen, hw/block, hw/char, hw/display, hw/net,
 * hw/usb, hw/9pfs); others are the kernel's or other programs'. */
static const Kind kinds[] = {
    { "qdisk", "PV disk", .ring = TRUE },
    { "console", "PV console" },
    { "vkbd", "PV keyboard", .stateless = TRUE },
    { "vfb", "PV frame buffer" },
    { "9pfs", "shared folder" },
    { "qnic", "PV network card" },
    { "qusb", "PV USB controller" },
};

struct Backends {
    int domid;
    xengnttab_handle *grants;
    GString *disks;         /* "768:51712" */
    GString *refs;          /* what else tells that it is still the same */
    GPtrArray *rings;       /* struct blkif_sring *, the guest's */
};

typedef gboolean BackendVisitor(void *opaque, const Kind *kind,
                                const char *path, const char *device,
                                GError **errp);

static gboolean read_below(const char *home, const char *name, char **ret,
                           GError **errp)
{
    g_autofree char *path = g_strdup_printf("%s/%s", home, name);

    return xen_lookup(path, ret, errp);
}

/* Whether there is none has to be certain: one that is passed over would
 * begin anew on a ring that is in use. */
static gboolean visit(int domid, BackendVisitor *visitor, void *opaque,
                      GError **errp)
{
    guint i, k;

    for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *home = g_strdup_printf(BACKENDS "/%s/%d",
                                                kinds[i].name, domid);
        g_auto(GStrv) devices = NULL;

        if (!xen_list(home, &devices, errp)) {
            return FALSE;
        }
        for (k = 0; devices[k]; k++) {
            g_autofree char *path = g_strdup_printf("%s/%s", home,
                                                    devices[k]);
            g_autofree char *front = NULL;
            g_autofree char *type = NULL;

            if (!read_below(path, "frontend", &front, errp) ||
                (front && !read_below(front, "type", &type, errp))) {
                return FALSE;
            }
            /* The first console is xenconsoled's unless this says else. */
            if (!front || (!strcmp(kinds[i].name, "console") &&
                           g_strcmp0(type, "ioemu"))) {
                continue;
            }
            if (!visitor(opaque, &kinds[i], path, devices[k], errp)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

/* ---- rings ----------------------------------------------------------- */

static gboolean fail(const Kind *kind, const char *device, const char *what,
                     GError **errp)
{
    g_autofree char *shown = text_shown(device);

    g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "its device model serves the "
                "guest's %s %s (%s), which %s", kind->what, shown,
                kind->name, what);
    return FALSE;
}

/* The first page has the indices. */
static gboolean map_ring(Backends *b, const Kind *kind, const char *front,
                         const char *device, GError **errp)
{
    g_autofree char *order = NULL;
    g_autofree char *text = NULL;
    guint64 value;
    uint32_t ref;
    void *ring;

    if (!read_below(front, "ring-page-order", &order, errp) ||
        !read_below(front, order ? "ring-ref0" : "ring-ref", &text, errp)) {
        return FALSE;
    }
    if (!text || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32,
                                             &value, NULL)) {
        return fail(kind, device, "names no ring in xenstore", errp);
    }
    if (!b->grants) {
        b->grants = xengnttab_open(NULL, 0);
    }
    ref = value;
    ring = b->grants ? xengnttab_map_domain_grant_refs(
        b->grants, 1, b->domid, &ref, PROT_READ) : NULL;
    if (!ring) {
        return fail(kind, device, "has a ring that cannot be mapped", errp);
    }
    g_ptr_array_add(b->rings, ring);
    g_string_append_printf(b->disks, "%s%s", b->disks->len ? ":" : "",
                           device);
    g_string_append_printf(b->refs, "%s %u\n", device, ref);
    return TRUE;
}

static gboolean open_one(void *opaque, const Kind *kind, const char *path,
                         const char *device, GError **errp)
{
    g_autofree char *front = NULL;
    g_autofree char *here = NULL;
    g_autofree char *there = NULL;

    if (!read_below(path, "frontend", &front, errp) ||
        !read_below(path, "state", &here, errp) ||
        (front && !read_below(front, "state", &there, errp))) {
        return FALSE;
    }
    if (kind->stateless || !there || !strcmp(there, INITIALISING) ||
        !strcmp(there, CLOSED)) {
        return TRUE;
    }
    if (!kind->ring) {
        return fail(kind, device, "cannot be handed over yet", errp);
    }
    if (strcmp(there, CONNECTED) || g_strcmp0(here, CONNECTED)) {
        return fail(kind, device, "is just being connected or closed", errp);
    }
    return map_ring(opaque, kind, front, device, errp);
}

Backends *backends_open(int domid, GError **errp)
{
    g_autoptr(Backends) b = g_new0(Backends, 1);

    b->domid = domid;
    b->disks = g_string_new(NULL);
    b->refs = g_string_new(NULL);
    b->rings = g_ptr_array_new();
    return visit(domid, open_one, b, errp) ? g_steal_pointer(&b) : NULL;
}

void backends_close(Backends *b)
{
    guint i;

    if (b) {
        for (i = 0; i < b->rings->len; i++) {
            xengnttab_unmap(b->grants, b->rings->pdata[i], 1);
        }
        if (b->grants) {
            xengnttab_close(b->grants);
        }
        g_ptr_array_unref(b->rings);
        g_string_free(b->disks, TRUE);
        g_string_free(b->refs, TRUE);
        g_free(b);
    }
}

const char *backends_disks(const Backends *b)
{
    return b->disks->str;
}

gboolean backends_at_rest(const Backends *b)
{
    guint i;

    for (i = 0; i < b->rings->len; i++) {
        const volatile struct blkif_sring *ring = b->rings->pdata[i];

        if (ring->rsp_prod != ring->req_prod) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean backends_check(const Backends *b, GError **errp)
{
    g_autoptr(Backends) now = backends_open(b->domid, errp);

    if (now && strcmp(now->refs->str, b->refs->str)) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "the guest has just connected or closed a PV disk");
        return FALSE;
    }
    return now != NULL;
}

/* ---- the next device model ------------------------------------------- */

static gboolean reset_one(void *opaque, const Kind *kind, const char *path,
                          const char *device, GError **errp)
{
    g_autofree char *state = g_strdup_printf("%s/state", path);

    return xen_write(state, INITIALISING, errp);
}

gboolean backends_reset(int domid, GError **errp)
{
    return visit(domid, reset_one, NULL, errp);
}

gboolean backends_await(int domid, const char *disks, pid_t pid,
                        GError **errp)
{
    g_auto(GStrv) names = g_strsplit(disks, ":", -1);
    guint i;

    for (i = 0; names[i]; i++) {
        g_autofree char *path = g_strdup_printf(BACKENDS "/qdisk/%d/%s/state",
                                                domid, names[i]);

        if (!xen_await(path, CONNECTED, pid, CONNECT_MS)) {
            g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "it does not go on with "
                        "the guest's PV disk %s", names[i]);
            return FALSE;
        }
    }
    return TRUE;
}
