/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PULSAR_SVG_H
#define PULSAR_SVG_H

#include "rows.h"

/** svg_table: a chart of the table for reports; to be freed by the caller. */
char *svg_table(const VmPage *vm, const Rows *rows);

#endif /* PULSAR_SVG_H */
