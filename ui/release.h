/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that only somebody who looks has a use for. Main loop's thread, BQL
 * held.
 */
#ifndef PULSAR_RELEASE_H
#define PULSAR_RELEASE_H

/**
 * pulsar_release_pictures: nobody looks any longer: give memory back
 *
 * What it held is drawn anew when it is needed.
 */
void pulsar_release_pictures(void);

#endif /* PULSAR_RELEASE_H */
