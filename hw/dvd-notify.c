/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CD drive on AHCI that tells its guest of a new or ejected medium, so that
 * the guest need not ask: ATAPI's asynchronous notification.
 *
 * What guests make of it, by their drivers' sources:
 *
 * - Linux with libata.atapi_an=1 (ata_dev_configure()): IDENTIFY PACKET DEVICE
 *   word 78 bit 5 says that the drive can, SET FEATURES 10h with count 5 has
 *   it do so. Without CAP.SSNTF, libahci looks for the N bit in the received
 *   Set Device Bits FIS when PxIS.SDBS is set; with it, it would read PxSNTF
 *   at each of these interrupts, NCQ's as well.
 * - Windows: storahci sends the same command unless word 79 bit 5 says that it
 *   is on already, and again after each reset only what it has sent itself; so
 *   a reset has to switch it off. It looks for the same bit in the same FIS.
 *   The class driver cdrom then has no timer; it asks by GET EVENT STATUS
 *   NOTIFICATION, again and again until there is no change, and takes a header
 *   that does not count its own second half for a broken drive.
 */
#include "qemu/osdep.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "system/block-backend.h"
#include "system/dma.h"
#include "system/runstate.h"
#include "hw/ide/ahci-internal.h"
#include "hw/ide/ahci-pci.h"
#include "hw/ide/ide-internal.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "hw/xen/pulsar/qemu-compat.h"
#include "dvd-events.h"
#include "dvd-notify.h"

OBJECT_DECLARE_TYPE(NotifyCd, NotifyCdClass, PULSAR_NOTIFY_CD)

struct NotifyCd {
    IDEDrive parent_obj;

    PulsarDvdEvents events;
    uint8_t packed;             /* for the saved state */
    const IDEDMAOps *ahci_ops;  /* upstream's */
    IDEDMAOps ops;              /* the same with two of ours */
};

struct NotifyCdClass {
    IDEDeviceClass parent_class;
    void (*parent_realize)(IDEDevice *dev, Error **errp);
};

#define WORD_SUPPORTED  78
#define WORD_ENABLED    79
#define NOTIFICATION    (1 << 5)

#define FEATURE_ENABLE  0x10
#define FEATURE_DISABLE 0x90
#define COUNT_NOTIFICATION 5

/* Byte 1 of a Set Device Bits FIS. */
#define FIS_INTERRUPT   0x40
#define FIS_NOTIFICATION 0x80

/* An answer to GET EVENT STATUS NOTIFICATION; the length counts from byte 2. */
#define ANSWER_HEADER   4       /* bytes */
#define ANSWER_EVENT    8       /* with an event behind it */
#define ANSWER_LENGTH_BYTES 2
#define CLASS_NONE      0x80    /* no event available */

/* The drive behind @s, if it is one of these. */
static NotifyCd *notify_cd(const IDEState *s)
{
    IDEDevice *drive = s->unit ? s->bus->slave : s->bus->master;

    return drive ? (NotifyCd *)object_dynamic_cast(OBJECT(drive),
                                                   TYPE_PULSAR_NOTIFY_CD) :
           NULL;
}

static IDEState *state_of(NotifyCd *cd)
{
    return IDE_BUS(qdev_get_parent_bus(DEVICE(cd)))->ifs;
}

static AHCIDevice *port_of(NotifyCd *cd)
{
    return container_of(state_of(cd)->bus->dma, AHCIDevice, dma);
}

static bool is_present(const IDEState *s)
{
    return !s->tray_open && s->nb_sectors > 0 && blk_bs(s->blk);
}

/* Once IDENTIFY PACKET DEVICE was asked for, its answer is kept. */
static void tell_identify(NotifyCd *cd)
{
    uint8_t *data = state_of(cd)->identify_data;

    stw_le_p(data + 2 * WORD_SUPPORTED, NOTIFICATION);
    stw_le_p(data + 2 * WORD_ENABLED, cd->events.enabled ? NOTIFICATION : 0);
}

/* ---- the notification --------------------------------------------------- */

static bool can_receive(NotifyCd *cd)
{
    return runstate_is_running() &&
           (port_of(cd)->port_regs.cmd & PORT_CMD_FIS_ON) &&
           !(state_of(cd)->status & (BUSY_STAT | DRQ_STAT));
}

/*
 * The task file is left alone: the guest may be about to read in it why its
 * last command failed, and for that reason the FIS tells of no error either.
 */
static void notify_guest(NotifyCd *cd)
{
    const MemTxAttrs only_memory = { .memory = true };
    AHCIDevice *port = port_of(cd);
    AHCIPortRegs *regs = &port->port_regs;
    AHCIState *hba = port->hba;
    SDBFIS fis = {
        .type = SATA_FIS_TYPE_SDB,
        .flags = FIS_INTERRUPT | FIS_NOTIFICATION,
        .status = state_of(cd)->status & 0x77 & ~ERR_STAT,
    };

    dma_memory_write(hba->as, (((uint64_t)regs->fis_addr_hi << 32) |
                               regs->fis_addr) + RES_FIS_SDBFIS,
                     &fis, sizeof(fis), only_memory);
    regs->irq_stat |= PORT_IRQ_SDB_FIS;
    /* A write of 0 clears no bit of PxIS; the interrupt is decided anew. */
    hba->mem.ops->write(hba, AHCI_PORT_REGS_START_ADDR +
                        port->port_no * AHCI_PORT_ADDR_OFFSET_LEN +
                        AHCI_PORT_REG_IRQ_STAT * sizeof(uint32_t),
                        0, sizeof(uint32_t));
}

/* What cannot be sent yet is when the next command is done. */
static void send_if_due(NotifyCd *cd)
{
    if (pulsar_dvd_events_due(&cd->events, can_receive(cd))) {
        notify_guest(cd);
    }
}

static void look_at_medium(NotifyCd *cd)
{
    pulsar_dvd_events_medium(&cd->events, is_present(state_of(cd)));
    send_if_due(cd);
}

/* ---- what AHCI tells its drive ------------------------------------------ */

static NotifyCd *cd_of_dma(const IDEDMA *dma)
{
    return container_of(dma->ops, NotifyCd, ops);
}

/* The guest may have moved the tray itself. */
static void notify_cmd_done(const IDEDMA *dma)
{
    NotifyCd *cd = cd_of_dma(dma);

    cd->ahci_ops->cmd_done(dma);
    look_at_medium(cd);
}

/* COMRESET, a software reset, or one of the controller or the machine. */
static void notify_reset(const IDEDMA *dma)
{
    NotifyCd *cd = cd_of_dma(dma);

    pulsar_dvd_events_reset(&cd->events, is_present(state_of(cd)));
    tell_identify(cd);
}

/* ---- what the drive's commands do --------------------------------------- */

void pulsar_ide_atapi_identify(IDEState *s)
{
    NotifyCd *cd = notify_cd(s);

    if (cd) {
        tell_identify(cd);
    }
}

bool pulsar_cmd_set_features(IDEState *s)
{
    NotifyCd *cd = notify_cd(s);

    if (!cd || (uint8_t)s->nsector != COUNT_NOTIFICATION ||
        (s->feature != FEATURE_ENABLE && s->feature != FEATURE_DISABLE)) {
        return false;
    }
    pulsar_dvd_events_enable(&cd->events, s->feature == FEATURE_ENABLE);
    tell_identify(cd);
    return true;
}

void pulsar_cmd_get_event_status_notification(IDEState *s, uint8_t *answer,
                                              unsigned int max_len)
{
    NotifyCd *cd = notify_cd(s);
    bool none = answer[2] & CLASS_NONE;

    if (!cd) {
        return;
    }
    stw_be_p(answer, (none ? ANSWER_HEADER : ANSWER_EVENT) -
                     ANSWER_LENGTH_BYTES);
    /* Who only asks for the header does not learn the event. */
    if (!none && max_len > ANSWER_HEADER) {
        answer[4] = pulsar_dvd_events_take(&cd->events);
    }
}

void pulsar_ide_cd_change_cb(IDEState *s)
{
    NotifyCd *cd = notify_cd(s);

    if (cd) {
        look_at_medium(cd);
    }
}

void pulsar_ide_cd_eject_request_cb(IDEState *s)
{
    NotifyCd *cd = notify_cd(s);

    if (cd) {
        pulsar_dvd_events_eject(&cd->events);
        send_if_due(cd);
    }
}

/* ---- the device ---------------------------------------------------------- */

/*
 * Also after a state was loaded: the toolstack may have given the drive
 * another medium, or none.
 */
static void notify_vm_state(void *opaque, bool running, RunState state)
{
    NotifyCd *cd = opaque;

    if (running) {
        tell_identify(cd);
        look_at_medium(cd);
    }
}

static void notify_realize(IDEDevice *dev, Error **errp)
{
    ERRP_GUARD();
    NotifyCd *cd = PULSAR_NOTIFY_CD(dev);
    NotifyCdClass *class = PULSAR_NOTIFY_CD_GET_CLASS(dev);
    IDEBus *bus = IDE_BUS(qdev_get_parent_bus(DEVICE(dev)));

    if (pulsar_gate_value(PULSAR_OPTION_DVD) != PULSAR_VALUE_NOTIFY ||
        !object_dynamic_cast(OBJECT(bus->qbus.parent), TYPE_ICH9_AHCI)) {
        error_setg(errp, "%s is what dvd=notify makes of an ide-cd on AHCI; "
                   "ask for ide-cd", TYPE_PULSAR_NOTIFY_CD);
        return;
    }
    class->parent_realize(dev, errp);
    if (*errp) {
        return;
    }
    cd->ahci_ops = bus->dma->ops;
    cd->ops = *cd->ahci_ops;
    cd->ops.cmd_done = notify_cmd_done;
    cd->ops.reset = notify_reset;
    bus->dma->ops = &cd->ops;
    notify_reset(bus->dma);
    pulsar_qdev_add_vm_change_state_handler(DEVICE(dev), notify_vm_state, cd);
}

static int notify_pre_save(void *opaque)
{
    NotifyCd *cd = opaque;

    cd->packed = pulsar_dvd_events_pack(&cd->events);
    return 0;
}

static int notify_post_load(void *opaque, int version_id)
{
    NotifyCd *cd = opaque;

    return pulsar_dvd_events_unpack(&cd->events, cd->packed) ? 0 : -EINVAL;
}

static const VMStateDescription vmstate_notify_cd = {
    .name = TYPE_PULSAR_NOTIFY_CD,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = notify_pre_save,
    .post_load = notify_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8(packed, NotifyCd),
        VMSTATE_END_OF_LIST()
    }
};

static void notify_class_init(ObjectClass *class, PulsarClassData *data)
{
    NotifyCdClass *notify = PULSAR_NOTIFY_CD_CLASS(class);
    IDEDeviceClass *ide = IDE_DEVICE_CLASS(class);

    notify->parent_realize = ide->realize;
    ide->realize = notify_realize;
    DEVICE_CLASS(class)->vmsd = &vmstate_notify_cd;
    DEVICE_CLASS(class)->desc = "virtual CD-ROM that notifies its guest";
}

static const TypeInfo notify_info = {
    .name = TYPE_PULSAR_NOTIFY_CD,
    .parent = "ide-cd",
    .instance_size = sizeof(NotifyCd),
    .class_size = sizeof(NotifyCdClass),
    .class_init = notify_class_init,
};

static void notify_register(void)
{
    type_register_static(&notify_info);
}

type_init(notify_register)
