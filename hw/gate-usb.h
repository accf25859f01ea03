/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gates of USB and of its tablet have of each other. Main loop's
 * thread, BQL held.
 */
#ifndef PULSAR_GATE_USB_H
#define PULSAR_GATE_USB_H

/** pulsar_gate_usb_has_bus: is there a USB bus, or will there be one? */
bool pulsar_gate_usb_has_bus(void);

/** pulsar_gate_usb_defer_controller: have one after all other devices. */
void pulsar_gate_usb_defer_controller(void);

/**
 * pulsar_gate_tablet_usbdevice: -usbdevice's tablet is left out
 * @name: the argument of -usbdevice
 *
 * It comes back when usb_tablet changes.
 */
void pulsar_gate_tablet_usbdevice(const char *name);

#endif /* PULSAR_GATE_USB_H */
