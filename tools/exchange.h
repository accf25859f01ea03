/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another device model in the place of the one that serves a running guest.
 *
 * What is done is written down before it is done, in a folder of its own
 * beside the ledger pages: whoever finds that folder left behind can go on.
 */
#ifndef PULSAR_EXCHANGE_H
#define PULSAR_EXCHANGE_H

#include <glib.h>
#include <sys/types.h>

/** enum ExchangeResult: what became of it */
typedef enum ExchangeResult {
    EXCHANGE_REFUSED,       /* nothing was touched */
    EXCHANGE_POSSIBLE,      /* the same, and all checks were passed */
    EXCHANGE_KEPT,          /* it failed, the old process goes on */
    EXCHANGE_BACK,          /* it failed, the old program was started again */
    EXCHANGE_DONE,
    EXCHANGE_FINISHED,      /* one that was broken off before is done */
    EXCHANGE_LOST,          /* no device model: the guest stays paused */
} ExchangeResult;

/** struct ExchangeWish: what is wanted */
typedef struct ExchangeWish {
    int domid;
    const char *program;
    gboolean dry_run;       /* only check */
    gboolean believe;       /* a confined process, what it was started with */
} ExchangeWish;

/** struct ExchangeReport: what was done */
typedef struct ExchangeReport {
    ExchangeResult result;
    pid_t before, after;    /* processes; 0 when there is none */
    char *old_version, *new_version;    /* clean; NULL when not asked for */
    double paused;          /* seconds that the guest stood still */
} ExchangeReport;

void exchange_report_clear(ExchangeReport *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ExchangeReport, exchange_report_clear)

/**
 * exchange_run: exchange the device model of one domain
 * @ret: filled in whether it succeeds or not
 *
 * One that was broken off before is finished or taken back first.
 *
 * Returns: FALSE with an error unless there is a new device model now, or
 * could be when it is only asked for that.
 */
gboolean exchange_run(const ExchangeWish *wish, ExchangeReport *ret,
                      GError **errp);

/**
 * exchange_left: was an exchange of domain @domid broken off?
 */
gboolean exchange_left(int domid);

#endif /* PULSAR_EXCHANGE_H */
