/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The USB tablet of xapi's old machine, as its guests know it from the QEMU
 * that they were installed under: another maker, another serial number, a boot
 * mouse by its interface and a pointer by its report. Windows takes a tablet
 * with other descriptors for new hardware. The reports are the same.
 */
#include "qemu/osdep.h"
#include "hw/usb.h"
#include "hw/usb/desc.h"
#include "hw/usb/hid.h"
#include "hw/xen/pulsar/launch.h"

/* In a report descriptor: the usage of the collection that is all of it. */
#define USAGE_AT        3
#define USAGE_POINTER   0x01
#define USAGE_MOUSE     0x02

/* Numbers, for configuration and interface name them. */
enum {
    STR_SERIAL = 1,
    STR_PRODUCT,
    STR_MANUFACTURER,
    STR_CONFIGURATION = 5,
    STR_INTERFACE = 7,
};

static const USBDescStrings strings = {
    [STR_SERIAL] = "1",
    [STR_PRODUCT] = "QEMU USB Tablet",
    [STR_MANUFACTURER] = "QEMU 0.10.2",
    [4] = "HID Mouse",
    [STR_CONFIGURATION] = "HID Tablet",
    [6] = "HID Keyboard",
    [STR_INTERFACE] = "Endpoint1 Interrupt Pipe",
};

static USBDescIface interface;
static USBDescConfig configuration;
static USBDescDevice device;
static USBDesc description;

static void (*upstream_realize)(USBDevice *dev, Error **errp);
static void (*upstream_control)(USBDevice *dev, USBPacket *p, int request,
                                int value, int index, int length,
                                uint8_t *data);

/* Upstream's at full speed, but for what was different. */
static void describe(const USBDesc *upstream)
{
    interface = upstream->full->confs[0].ifs[0];
    interface.bInterfaceSubClass = 1;   /* boot */
    interface.bInterfaceProtocol = 2;   /* mouse */
    interface.iInterface = STR_INTERFACE;

    configuration = upstream->full->confs[0];
    configuration.iConfiguration = STR_CONFIGURATION;
    configuration.ifs = &interface;

    device = *upstream->full;
    device.confs = &configuration;

    description = *upstream;
    description.id.iManufacturer = STR_MANUFACTURER;
    description.id.iProduct = STR_PRODUCT;
    description.id.iSerialNumber = STR_SERIAL;
    description.full = &device;
    description.high = NULL;
    description.str = strings;
}

static void tablet_realize(USBDevice *dev, Error **errp)
{
    ERRP_GUARD();

    if (pulsar_launch_trad_compat()) {
        /* Nor has it Microsoft's descriptors there. */
        dev->flags &= ~(1 << USB_DEV_FLAG_MSOS_DESC_ENABLE);
    }
    upstream_realize(dev, errp);
    if (*errp || !pulsar_launch_trad_compat()) {
        return;
    }
    describe(dev->usb_desc);
    dev->usb_desc = &description;
    /* Old machines have another serial number, by default. */
    g_clear_pointer(&dev->serial, g_free);
    usb_desc_create_serial(dev);
    usb_desc_init(dev);
}

static void tablet_control(USBDevice *dev, USBPacket *p, int request,
                           int value, int index, int length, uint8_t *data)
{
    upstream_control(dev, p, request, value, index, length, data);
    if (dev->usb_desc == &description &&
        request == (InterfaceRequest | USB_REQ_GET_DESCRIPTOR) &&
        value >> 8 == USB_DT_REPORT && p->actual_length > USAGE_AT &&
        data[USAGE_AT] == USAGE_MOUSE) {
        data[USAGE_AT] = USAGE_POINTER;
    }
}

void pulsar_launch_tablet_init(void)
{
    ObjectClass *oc = object_class_by_name("usb-tablet");
    USBDeviceClass *uc = oc ? USB_DEVICE_CLASS(oc) : NULL;

    if (uc) {
        upstream_realize = uc->realize;
        upstream_control = uc->handle_control;
        uc->realize = tablet_realize;
        uc->handle_control = tablet_control;
    }
}
