/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PV back ends that live in a device model's process.
 */
#include <string.h>

#include "backends.h"
#include "cli.h"
#include "text.h"
#include "xen.h"

#define BACKENDS      "/local/domain/0/backend"

/* xen/io/xenbus.h; in xenstore as text */
#define INITIALISING  "1"
#define CLOSED        "6"

typedef struct Kind {
    const char *name;       /* as xenstore has it */
    const char *what;
    /*
     * Its back end keeps nothing but what is on the page that it shares with
     * the front end, and connects to one that is connected already.
     */
    gboolean stateless;
} Kind;

/* Those that QEMU serves (hw/xen, hw/block, hw/char, hw/display, hw/net,
 * hw/usb, hw/9pfs); others are the kernel's or other programs'. */
static const Kind kinds[] = {
    { "qdisk", "PV disk" },
    { "console", "PV console" },
    { "vkbd", "PV keyboard", TRUE },
    { "vfb", "PV frame buffer" },
    { "9pfs", "shared folder" },
    { "qnic", "PV network card" },
    { "qusb", "PV USB controller" },
};

typedef gboolean BackendVisitor(const Kind *kind, const char *path,
                                const char *device, GError **errp);

static gboolean visit(int domid, BackendVisitor *visitor, GError **errp)
{
    guint i, k;

    for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *home = g_strdup_printf(BACKENDS "/%s/%d",
                                                kinds[i].name, domid);
        g_auto(GStrv) devices = xen_directory(home);

        for (k = 0; devices[k]; k++) {
            g_autofree char *path = g_strdup_printf("%s/%s", home,
                                                    devices[k]);
            g_autofree char *front = xen_read("%s/frontend", path);
            g_autofree char *type = front ? xen_read("%s/type", front) : NULL;

            /* The first console is xenconsoled's unless this says else. */
            if (!front || (!strcmp(kinds[i].name, "console") &&
                           g_strcmp0(type, "ioemu"))) {
                continue;
            }
            if (!visitor(&kinds[i], path, devices[k], errp)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

static gboolean check_one(const Kind *kind, const char *path,
                          const char *device, GError **errp)
{
    g_autofree char *front = xen_read("%s/frontend", path);
    g_autofree char *state = front ? xen_read("%s/state", front) : NULL;
    g_autofree char *shown = text_shown(device);

    if (kind->stateless || !state || !strcmp(state, INITIALISING) ||
        !strcmp(state, CLOSED)) {
        return TRUE;
    }
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                "its device model serves the guest's %s %s (%s), which "
                "cannot be handed over yet", kind->what, shown, kind->name);
    return FALSE;
}

gboolean backends_check(int domid, GError **errp)
{
    return visit(domid, check_one, errp);
}

static gboolean reset_one(const Kind *kind, const char *path,
                          const char *device, GError **errp)
{
    g_autofree char *state = g_strdup_printf("%s/state", path);

    return xen_write(state, INITIALISING, errp);
}

gboolean backends_reset(int domid, GError **errp)
{
    return visit(domid, reset_one, errp);
}
