/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain in the hands of Xen: stopping its vCPUs, and what they have asked
 * a device model and wait for.
 */
#ifndef PULSAR_DOMAIN_H
#define PULSAR_DOMAIN_H

#include <glib.h>

typedef struct Domain Domain;

/**
 * domain_open: get at domain @domid
 *
 * Returns: NULL with an error when Xen does not answer.
 */
Domain *domain_open(int domid, GError **errp);

void domain_close(Domain *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Domain, domain_close)

/**
 * domain_paused: has somebody paused it?
 * @ret: by a toolstack's hand; that a vCPU is blocked does not count
 */
gboolean domain_paused(Domain *d, gboolean *ret, GError **errp);

/**
 * domain_find_server: find the ioreq server that its device model has
 *
 * Looks only; to be called before domain_pause_at_rest().
 *
 * Returns: FALSE with an error when this domain serves @d by none or by more
 * than one, of which nothing tells whose they are.
 */
gboolean domain_find_server(Domain *d, GError **errp);

/** DomainRest: has something else been done with as well? */
typedef gboolean DomainRest(void *opaque);

/**
 * domain_also_rests: ask @rest too whether the domain is at rest
 *
 * Of a paused domain, several times. Of what it waits for there has to be an
 * end without the guest, or it comes when the guest has run on.
 */
void domain_also_rests(Domain *d, DomainRest *rest, void *opaque);

/**
 * domain_pause_at_rest: pause it while it waits for nothing
 *
 * On success no vCPU has a request on the ioreq page, not even an answered
 * one that it has yet to take, the buffered ring is empty, and so is what
 * domain_also_rests() named: the ioreq server can go and nothing goes with it.
 * A vCPU that waits for an answer is let run on and caught again.
 *
 * Returns: FALSE with an error and the domain running when there was no such
 * moment within some seconds.
 */
gboolean domain_pause_at_rest(Domain *d, GError **errp);

/** domain_at_rest: is that still so? */
gboolean domain_at_rest(Domain *d);

/** domain_unpause: take one pause back. */
gboolean domain_unpause(Domain *d, GError **errp);

/**
 * domain_destroy_servers: take away the ioreq servers of a device model
 *
 * One that was killed leaves its own behind, and Xen goes on asking it.
 * Only where domain_find_server() found no more than one before.
 */
gboolean domain_destroy_servers(Domain *d, GError **errp);

#endif /* PULSAR_DOMAIN_H */
