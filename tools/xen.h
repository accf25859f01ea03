/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xenstore knows of the VMs. A host where no xenstored answers has
 * none of it, and everything else works without.
 */
#ifndef PULSAR_XEN_H
#define PULSAR_XEN_H

#include <glib.h>

/**
 * xen_read: a node of xenstore
 * @fmt: its path
 *
 * Returns: its value, to be freed by the caller; NULL when it is not there,
 * may not be read, or no xenstored answers.
 */
char *xen_read(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/** xen_domain_uuid: the UUID of domain @domid, or NULL; to be freed. */
char *xen_domain_uuid(int domid);

/** xen_domain_called: the domain whose name is @name now, or -1. */
int xen_domain_called(const char *name);

#endif /* PULSAR_XEN_H */
