/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the causes of wakes mean, and what cures them. The first row that
 * fits counts; those for prefixes after which anything may come stand first.
 * What a cure takes from the guest stands in the table of options
 * (xen/options.c), not here.
 */
#include <string.h>

#include "advice.h"

const Advice advice_table[] = {
    {
        .patterns = "thread:jemalloc*",
        .words = "The allocator jemalloc, preloaded into the device model by "
                 "the toolstack, tidies up in a thread of its own.",
        .otherwise = "Start the device model without it, or with "
                     "MALLOC_CONF=background_thread:false in its environment.",
    },
    {
        .patterns = "qmp:* hmp:* fd:*libxl* fd:*libxenstat* fd:*qmp* "
                    "fd:chardev-tcp-* bh:*qmp* bh:monitor* timer:monitor*",
        .words = "A program outside asks the device model questions through "
                 "its monitor, again and again.",
        .otherwise = "Stop that program from polling, or let it ask less "
                     "often; 'pulsar' reads the figures without asking.",
        .look = LOOK_QMP,
    },
    {
        .patterns = "xenstore:* fd:watch_event fd:xs_* fd:xenstore*",
        .words = "Somebody writes into xenstore where the device model "
                 "watches, again and again.",
        .otherwise = "Find the writer in xenstored's access log.",
    },
    {
        .patterns = "tap:* fd:tap* fd:net* *rtl8139* *e1000* *ne2k* *pcnet* "
                    "*virtio-net* timer:*nic* bh:*virtio_net*",
        .words = "The emulated network card has packets to carry; broadcasts "
                 "of the network count too.",
        .otherwise = "Install PV network drivers in the guest, which unplug "
                     "it, or give the VM no emulated one (vif with type=vif).",
    },
    {
        .patterns = "block:* fd:*aio* fd:*io_uring* fd:*laio* bh:*blk* "
                    "bh:*aio* bh:*bdrv* bh:*dma* bh:*thread_pool* "
                    "thread:worker thread:iou-* fd:nbd* *nvme* *lsi* *scsi* "
                    "*virtio-blk*",
        .words = "A disk that the device model serves is being read or "
                 "written.",
        .otherwise = "Find out what in the guest uses the disk; it is not "
                     "idle.",
    },
    {
        .patterns = "evtchn:ioreq",
        .words = "Xen told it of a request of the guest, and there was "
                 "nothing left to do when it looked.",
    },
    {
        .patterns = "evtchn:* fd:*xen_device* fd:*evtchn* fd:*xen_be* "
                    "*xen-block* *xen-console* *qdisk*",
        .words = "The guest uses a PV device that the device model serves.",
        .otherwise = "Find out what in the guest uses it; it is not idle.",
    },
    {
        .patterns = "*uhci*",
        .words = "The guest keeps its USB 1 controller running, which has to "
                 "look at the guest's list of transfers again and again.",
        .option = "usb",
        .value = "false",
        .otherwise = "If only the tablet keeps it running, usb_tablet=viewer "
                     "is enough for a guest that suspends idle USB.",
    },
    {
        .patterns = "*ehci*",
        .words = "The guest keeps its USB 2 controller running, which has to "
                 "look at the guest's list of transfers again and again.",
        .option = "usb",
        .value = "false",
        .otherwise = "If only the tablet keeps it running, usb_tablet=viewer "
                     "is enough for a guest that suspends idle USB.",
    },
    {
        .patterns = "*xhci*",
        .words = "The guest works with its USB 3 controller, which makes no "
                 "noise of its own: somebody uses a USB device.",
        .option = "usb",
        .value = "false",
    },
    {
        .patterns = "*usb*",
        .words = "A USB device of the guest is in use.",
        .option = "usb",
        .value = "false",
    },
    {
        .patterns = "*virtio-serial* *virtserial* *virtconsole*",
        .words = "The guest talks on a virtio serial port, or somebody talks "
                 "to it there.",
    },
    {
        .patterns = "pio-*:*serial* mmio-*:*serial* timer:serial* "
                    "timer:fifo_timeout_int timer:*pty* fd:*pty* "
                    "chardev:* fd:chardev-*serial* bh:*serial*",
        .words = "The guest talks on its serial port, or somebody talks to "
                 "it there.",
        .option = "serial",
        .value = "none",
        .look = LOOK_PTY,
    },
    {
        .patterns = "*parallel*",
        .words = "The guest works with its parallel port.",
        .option = "parallel",
        .value = "none",
    },
    {
        .patterns = "pio-*:*ide* mmio-*:*ide* config-*:*ide* timer:ide* "
                    "bh:ide*",
        .words = "The guest works with its IDE controller. Where its disks "
                 "have drivers of their own (PV), what remains is the "
                 "question, once a second or two, whether there is a new disc "
                 "in the DVD drive.",
        .option = "dvd",
        .value = "none",
        .otherwise = "dvd=notify keeps the drive, and a guest that knows it "
                     "(Windows 8 and later) stops asking. With dvd=ahci it "
                     "asks at a sixth of the wakes.",
    },
    {
        .patterns = "*ahci*",
        .words = "The guest works with its AHCI controller: with a disk that "
                 "has no driver of its own (PV), or it asks whether there is "
                 "a new disc in the DVD drive.",
        .option = "dvd",
        .value = "none",
        .otherwise = "dvd=notify keeps the drive, and a guest that knows it "
                     "(Windows 8 and later) stops asking.",
    },
    {
        .patterns = "*fdc* *floppy* *fdctrl*",
        .words = "The guest works with its floppy drive.",
        .otherwise = "Leave the floppy drive out of the VM's configuration.",
    },
    {
        .patterns = "timer:gui_update bh:graphic_hw_update* fd:vnc* vnc:* "
                    "bh:vnc* thread:vnc* timer:vnc* *audio*vnc* "
                    "fd:on_read fd:on_write thread:spice*",
        .words = "Somebody looks at the VM's screen by VNC or SPICE, so it is "
                 "drawn again and again.",
        .option = "vnc_idle",
        .value = "10",
        .otherwise = "With it a still screen is looked at every 10 s. Closing "
                     "the viewer ends it.",
        .look = LOOK_VNC,
    },
    {
        .patterns = "*vga* *cirrus* *qxl* *virtio-gpu*",
        .words = "The guest draws on its emulated display: a text console, a "
                 "boot menu, a screen saver or a blinking cursor.",
        .otherwise = "Let the guest blank its screen, or give a guest that "
                     "needs none no display (vga=\"none\").",
    },
    {
        .patterns = "bufioreq timer:ring_tick bh:ring_more "
                    "timer:handle_buffered_io",
        .words = "The guest sends writes for which it does not wait, most of "
                 "them to its emulated display.",
        .otherwise = "Let the guest blank its screen, or give a guest that "
                     "needs none no display (vga=\"none\").",
    },
    {
        .patterns = "timer:rtc* *mc146818* timer:pulsar_rtc*",
        .words = "The clock that the device model keeps goes on.",
    },
    {
        .patterns = "*piix4_pm* *ich9_pm* *acpi* timer:*pm_tmr*",
        .words = "The guest works with the ports of power management.",
        .otherwise = "Let the guest use the Xen or TSC clock source, not the "
                     "ACPI timer.",
    },
    {
        .patterns = "timer:pit* timer:hpet* *i8254* *hpet*",
        .words = "The guest uses an emulated timer of the device model.",
    },
    {
        .patterns = "*xen-platform* *xen_platform* *xen-pvdevice*",
        .words = "The guest's PV drivers talk to the Xen platform device: "
                 "they log, or ask it to unplug what is emulated.",
    },
    {
        .patterns = "*audio* *ac97* *es1370* *sb16* *hda* *adlib* *gus*",
        .words = "The guest's emulated sound card plays or records.",
        .otherwise = "Leave the sound card out of the VM's configuration "
                     "(soundhw).",
    },
    {
        .patterns = "timer:*cursor*",
        .words = "A cursor blinks on a text console of the device model.",
    },
    {
        .patterns = "*i8042* *pckbd* *ps2* *vmmouse* *vmport*",
        .words = "The guest looks at its keyboard and mouse (PS/2) again and "
                 "again, as firmware, a boot menu or a shell of it does.",
        .otherwise = "Let the guest start its operating system, which waits "
                     "for an interrupt.",
    },
    {
        .patterns = "*virtio-input* *virtio-keyboard* *virtio-mouse* "
                    "*virtio-tablet* *virtio-multitouch* *-kbd",
        .words = "The guest works with an emulated keyboard, mouse or tablet.",
    },
    {
        .patterns = "*tpm*",
        .words = "The guest works with its TPM.",
        .otherwise = "Find out what in the guest measures or asks for random "
                     "numbers; it is not idle.",
    },
    {
        .patterns = "*debugcon* *debug-exit* *port80* *testdev* *pvpanic* "
                    "*applesmc*",
        .words = "The guest, most likely its firmware, writes messages to a "
                 "port that is there for that.",
    },
    {
        .patterns = "*fw_cfg* *fw-cfg*",
        .words = "The guest's firmware reads what the toolstack has for it.",
    },
    {
        .patterns = "*wdt* *i6300esb* *ib700* *watchdog*",
        .words = "The guest feeds its emulated watchdog.",
        .otherwise = "Let it do so less often, or leave the watchdog out of "
                     "the VM's configuration.",
    },
    {
        .patterns = "*virtio-rng* *virtio-balloon* *virtio-mem* *virtio-pmem* "
                    "*virtio-crypto* *virtio-iommu*",
        .words = "The guest works with a virtio device of its own.",
    },
    {
        .patterns = "*sd-card* *sdhci* *emmc*",
        .words = "The guest works with its emulated SD card.",
    },
    {
        .patterns = "*ipmi* *smbus* *i2c* *bmc*",
        .words = "The guest asks its emulated sensors or management "
                 "controller.",
        .otherwise = "Stop what in the guest asks them, or leave them out of "
                     "the VM's configuration.",
    },
    {
        .patterns = "*xen-pci-passthrough* *vfio* *xen_pt*",
        .words = "The guest works with a device of the host that was passed "
                 "through to it.",
    },
    {
        .patterns = "*i8257* *dma-controller* *i8259* *pic* *apic* *port92* "
                    "*port61* *pcspk* *isa-bridge* *piix* *ich9* *i440fx* "
                    "*q35* *lpc* *pci-bridge* *pcie* *ioh3420*",
        .words = "The guest works with its board: interrupt or DMA "
                 "controllers, bridges.",
    },
    {
        .patterns = "pio-*:0x* mmio-*:0x* pio-*:unassigned* "
                    "mmio-*:unassigned*",
        .words = "The guest looks where there is no device, as drivers do "
                 "that search for one.",
        .otherwise = "Find the driver in the guest; it does not give up.",
    },
    {
        .patterns = "pio-* mmio-*",
        .words = "The guest works with the device that the cause names.",
        .otherwise = "Find out what in the guest uses it, or leave it out of "
                     "the VM's configuration.",
    },
    {
        .patterns = "timer:* bh:*",
        .words = "The device model itself has work to do, in the part that "
                 "the cause names.",
    },
    {
        .patterns = "fd:*",
        .words = "Something came from outside to the part of the device "
                 "model that the cause names.",
    },
    {
        .patterns = "config-*",
        .words = "The guest looks at the configuration of its PCI devices.",
    },
    {
        .patterns = "thread:*",
        .words = "A helper thread of the device model has work to do; it "
                 "follows something else that is listed.",
    },
    {
        .patterns = "unknown?(stock)",
        .words = "A stock device model does not say what wakes it.",
        .otherwise = "Run the VM under Pulsar to know: device_model_override "
                     "in xl.cfg names its device model.",
    },
    {
        .patterns = "unclaimed",
        .words = "It woke and found nothing to do, or did something that "
                 "nobody counts.",
        .otherwise = "This is a gap in Pulsar's ledger; please report it.",
    },
    {
        .patterns = "overflow",
        .words = "There were more causes than the ledger has room for.",
        .otherwise = "This is a gap in Pulsar's ledger; please report it.",
    },
    {
        .words = "Nothing more is known of this cause.",
    },
};

static gboolean fits(const char *patterns, const char *cause)
{
    g_auto(GStrv) list = g_strsplit(patterns, " ", -1);
    char **p;

    for (p = list; *p; p++) {
        if (**p && g_pattern_match_simple(*p, cause)) {
            return TRUE;
        }
    }
    return FALSE;
}

const Advice *advice_find(const char *cause)
{
    g_autofree char *lower = g_ascii_strdown(cause, -1);
    const Advice *a = advice_table;

    while (a->patterns && !fits(a->patterns, lower)) {
        a++;
    }
    return a;
}
