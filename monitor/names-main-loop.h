/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Included at the end of include/qemu/main-loop.h: see names.h. */
#ifndef PULSAR_NAMES_MAIN_LOOP_H
#define PULSAR_NAMES_MAIN_LOOP_H

#include "names.h"

#define qemu_set_fd_handler(fd, rd, wr, opaque) \
    qemu_set_fd_handler(fd, PULSAR_NAMED(rd), PULSAR_NAMED(wr), opaque)

#endif /* PULSAR_NAMES_MAIN_LOOP_H */
