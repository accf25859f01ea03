# SPDX-License-Identifier: GPL-2.0-or-later
#
# The virtual hardware that can be had: what libxl and xenopsd can ask for,
# what Xen gives security support for, and a little of what people add to such
# a guest by hand. QEMU is configured --without-default-devices: a device that
# is not named here (or selected by one that is) is not built. What stands on
# libraries that ./configure --lean leaves out is in pulsar-devices-full.mak.

# The board of an HVM guest, xenfv and pc, with all that is soldered on it:
# interrupt controllers, timers, PIIX3 with IDE and power management, keyboard
# and mouse, the serial port, the speaker.
CONFIG_I440FX=y
CONFIG_HPET=y
CONFIG_VMPORT=y
CONFIG_VMMOUSE=y
CONFIG_PARALLEL=y
CONFIG_FDC_ISA=y
CONFIG_ISA_DEBUG=y
CONFIG_TPM_CRB=y
CONFIG_TPM_TIS_ISA=y
CONFIG_TPM_EMULATOR=y
CONFIG_TPM_PASSTHROUGH=y

# libxl: gfx_passthru
CONFIG_XEN_IGD_PASSTHROUGH=y

# libxl: vga
CONFIG_VGA_PCI=y
CONFIG_VGA_CIRRUS=y

# libxl: vif model ("any device supported by your device model")
CONFIG_E1000_PCI=y
CONFIG_E1000E_PCI_EXPRESS=y
CONFIG_EEPRO100_PCI=y
CONFIG_NE2000_PCI=y
CONFIG_PCNET_PCI=y
CONFIG_RTL8139_PCI=y
CONFIG_VIRTIO_NET=y
CONFIG_VMXNET3_PCI=y

# libxl: disk, hdtype; xenopsd: NVMe
CONFIG_AHCI_ICH9=y
CONFIG_LSI_SCSI_PCI=y
CONFIG_NVME_PCI=y
CONFIG_SPDM_SOCKET=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SCSI=y

# libxl: usbversion, usbdevice, usbctrl, spiceusbredirection
CONFIG_USB_UHCI=y
CONFIG_USB_EHCI_PCI=y
CONFIG_USB_XHCI_PCI=y
CONFIG_USB_XHCI_NEC=y
CONFIG_USB_HID=y
CONFIG_USB_HUB=y
CONFIG_USB_SERIAL=y
CONFIG_USB_STORAGE_BOT=y
CONFIG_USB_STORAGE_CLASSIC=y
CONFIG_USB_STORAGE_UAS=y
CONFIG_USB_TABLET_WACOM=y

# libxl: soundhw
CONFIG_AC97=y
CONFIG_ADLIB=y
CONFIG_CS4231A=y
CONFIG_ES1370=y
CONFIG_GUS=y
CONFIG_HDA=y
CONFIG_SB16=y

# libxl: spicevdagent; channels and entropy for guests that know virtio
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_RNG=y
# Serial ports for who has more than an ISA bus offers (device_model_args).
CONFIG_SERIAL_PCI=y
CONFIG_VIRTIO_SERIAL=y
