/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI devices with the identity that a toolstack gives them. xapi writes it
 * as properties of the devices that it makes (subvendor_id and so on), which
 * upstream's devices do not have: here they have them. A guest of XenServer
 * finds the same numbers, by which its drivers know the devices.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/xen/pulsar/launch.h"

typedef struct IdRegister {
    const char *property;
    unsigned offset;        /* in configuration space */
    unsigned size;
} IdRegister;

static const IdRegister registers[] = {
    { "device-id", PCI_DEVICE_ID, 2 },
    { "revision", PCI_REVISION_ID, 1 },
    { "revision_id", PCI_REVISION_ID, 1 },
    { "class-id", PCI_CLASS_DEVICE, 2 },
    { "subvendor_id", PCI_SUBSYSTEM_VENDOR_ID, 2 },
    { "subsystem_id", PCI_SUBSYSTEM_ID, 2 },
};

/* The devices that xapi names. */
static const char *const types[] = {
    "xen-platform", "VGA", "cirrus-vga", "rtl8139", "e1000", "piix3-ide",
    "piix3-usb-uhci", "PIIX4_PM",
};

/* What a device has been told. */
typedef struct Ids {
    uint16_t value[ARRAY_SIZE(registers)];
    bool set[ARRAY_SIZE(registers)];
} Ids;

/* A property without accessors that keeps them for as long as it lives. */
#define KEEPER  "pulsar-pci-ids"

static Ids *find_ids(Object *obj)
{
    ObjectProperty *prop = object_property_find(obj, KEEPER);

    return prop ? prop->opaque : NULL;
}

static void release_ids(Object *obj, const char *name, void *opaque)
{
    g_free(opaque);
}

static void get_id(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    const IdRegister *reg = opaque;
    Ids *ids = find_ids(obj);
    uint8_t *config = PCI_DEVICE(obj)->config;
    uint16_t value = 0;

    if (ids && ids->set[reg - registers]) {
        value = ids->value[reg - registers];
    } else if (config) {
        value = reg->size == 1 ? pci_get_byte(config + reg->offset) :
                                 pci_get_word(config + reg->offset);
    }
    visit_type_uint16(v, name, &value, errp);
}

static void set_id(Object *obj, Visitor *v, const char *name, void *opaque,
                   Error **errp)
{
    const IdRegister *reg = opaque;
    Ids *ids = find_ids(obj);
    uint16_t value;

    if (DEVICE(obj)->realized) {
        error_setg(errp, "%s of a device cannot change any more", name);
        return;
    }
    if (!visit_type_uint16(v, name, &value, errp)) {
        return;
    }
    if (reg->size == 1 && value > UINT8_MAX) {
        error_setg(errp, "%s=0x%x is more than a byte", name, value);
        return;
    }
    if (!ids) {
        ids = g_new0(Ids, 1);
        object_property_add(obj, KEEPER, "ids", NULL, NULL, release_ids, ids);
    }
    ids->value[reg - registers] = value;
    ids->set[reg - registers] = true;
}

/* The device has filled in its configuration space; no guest has seen it. */
static void realized(DeviceListener *listener, DeviceState *dev)
{
    Ids *ids = find_ids(OBJECT(dev));
    size_t i;

    if (!ids) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(registers); i++) {
        uint8_t *at = PCI_DEVICE(dev)->config + registers[i].offset;

        if (!ids->set[i]) {
            continue;
        }
        if (registers[i].size == 1) {
            pci_set_byte(at, ids->value[i]);
        } else {
            pci_set_word(at, ids->value[i]);
        }
    }
}

static DeviceListener listener = { .realize = realized };

void pulsar_pci_ids_init(void)
{
    size_t t, i;

    for (t = 0; t < ARRAY_SIZE(types); t++) {
        ObjectClass *oc = object_class_by_name(types[t]);

        for (i = 0; oc && i < ARRAY_SIZE(registers); i++) {
            object_class_property_add(oc, registers[i].property, "uint16",
                                      get_id, set_id, NULL,
                                      (void *)&registers[i]);
        }
    }
    device_listener_register(&listener);
}
