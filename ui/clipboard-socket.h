/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest copies, for viewers. Main loop's thread, BQL held.
 */
#ifndef PULSAR_CLIPBOARD_SOCKET_H
#define PULSAR_CLIPBOARD_SOCKET_H

/**
 * pulsar_vnc_send_text: send text to the viewers by VNC for whom upstream has
 * none: those that have not the extended clipboard
 * @text: what the guest has copied, as it came
 * @len: how many bytes
 *
 * Nothing goes to one that is behind with reading.
 */
void pulsar_vnc_send_text(const void *text, uint32_t len);

#endif /* PULSAR_CLIPBOARD_SOCKET_H */
