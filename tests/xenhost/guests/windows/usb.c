/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's USB: finds the controllers, gives the device on a
 * port its address, configures it, and listens to its interrupt endpoint.
 */
#include "guest.h"

#define SET_ADDRESS         5
#define GET_DESCRIPTOR      6
#define SET_CONFIGURATION   9
#define HID_SET_IDLE        10
#define CONFIGURATION       0x0200
#define INTERFACE           4
#define ENDPOINT            5

volatile unsigned usb_reports;

void usb_report(void)
{
    usb_reports++;
}

bool usb_give_address(UsbControl *control, unsigned *address)
{
    static const struct usb_setup setup = { 0x00, SET_ADDRESS, 1, 0, 0 };

    if (!control(&setup, NULL)) {
        return false;
    }
    *address = setup.value;
    delay(10);
    return true;
}

static bool configure(const struct usb_host *host, const uint8_t *data,
                      unsigned length)
{
    struct usb_setup setup = { 0x00, SET_CONFIGURATION, data[5], 0, 0 };

    if (!host->control(&setup, NULL)) {
        return false;
    }
    for (unsigned at = 0; at + 7 <= length && data[at]; at += data[at]) {
        if (data[at + 1] == ENDPOINT && (data[at + 2] & 0x80) &&
            (data[at + 3] & 3) == 3) {
            /* Reports only when something changes; it may refuse. */
            setup = (struct usb_setup){ 0x21, HID_SET_IDLE, 0, 0, 0 };
            host->control(&setup, NULL);
            return host->listen(data[at + 2] & 15,
                                data[at + 4] | data[at + 5] << 8,
                                data[at + 6]);
        }
    }
    return false;
}

void usb_found(const struct usb_host *host)
{
    static uint8_t data[128];
    struct usb_setup setup = { 0x80, GET_DESCRIPTOR, CONFIGURATION, 0, 9 };
    unsigned length;

    if (host->address() && host->control(&setup, data)) {
        length = data[2] | data[3] << 8;
        setup.length = length < sizeof(data) ? length : sizeof(data);
        if (host->control(&setup, data) &&
            configure(host, data, setup.length)) {
            say("%s: a device is set up, its interrupt transfer is queued",
                host->name);
            return;
        }
    }
    say("%s: the device does not answer", host->name);
}

void usb_start(void)
{
    static const struct {
        uint32_t class;
        void (*start)(const struct pci_device *device);
    } kinds[] = {
        /* EHCI before UHCI: it takes the ports from its companions. */
        { 0x0c0330, xhci_start },
        { 0x0c0320, ehci_start },
        { 0x0c0300, uhci_start },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct pci_device *device;

        for (unsigned n = 0;
             (device = pci_find(kinds[i].class, 0xffffff, n)); n++) {
            kinds[i].start(device);
        }
    }
}
