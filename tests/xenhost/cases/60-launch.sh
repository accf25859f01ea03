# SPDX-License-Identifier: GPL-2.0-or-later
# What xl can be told about a guest reaches the device model, and it sleeps.

# Everything that needs a privilege is in it: options from a file, the ledger's
# page, the watched pty, a CD drive.
restricted_guest() {
    echo 'xen-qemuuser-range-base:x:131072:131072::/:/bin/false' >>/etc/passwd
    printf '[vm strict]\nparallel = none\n' >/etc/xen/pulsar.conf
    write_config strict "$PULSAR" bootsector 'dm_restrict = 1' 'acpi = 0' \
        'usb = 1' 'usbdevice = "tablet"' 'vga = "cirrus"' \
        'serial = ["pty", "null"]' 'maxvcpus = 2' "$(with_cdrom strict)" \
        'device_model_args_hvm = ["-parallel", "null",
            "-pulsar", "config=/etc/xen/pulsar.conf"]'
    create strict && await_serial strict ready 120000
}

restricted_process() {
    local pid
    pid=$(dm_pid strict)
    grep -E '^(Uid|Gid):' "/proc/$pid/status"
    awk '$1 == "Uid:" && $2 < 131072 { bad = 1 } END { exit bad }' \
        "/proc/$pid/status" || return 1
    readlink "/proc/$pid/root" | grep /qemu-root-
}

restricted_descriptors() {
    depriv "$(dm_pid strict)"
}

# Opened before the privileges went, and written ever since.
restricted_page() {
    ledger_grows strict 2 64 \
        ttytalk "$(serial_tty strict)" send '!s' expect 'done' 20000
}

restricted_options() {
    "$TOOL" show strict |
        grep -F 'parallel=none' | grep -F '/etc/xen/pulsar.conf [vm strict]' &&
        lacks strict isa-parallel
}

as_asked() {
    has strict cirrus-vga && has strict usb-tablet &&
        [ "$(has strict isa-serial | wc -l)" = 2 ] &&
        has tiny PIIX4_PM && lacks strict PIIX4_PM
}

cd_changes() {
    truncate -s 64k /disks/cd.iso
    xl cd-insert strict hdc /disks/cd.iso &&
        monitor strict 'info block' | grep 'ide-5632 (#' &&
        xl cd-eject strict hdc &&
        monitor strict 'info block' | grep 'ide-5632: .*not inserted'
}

vcpu_set() {
    [ "$(monitor strict 'info cpus' | grep -c 'CPU #')" = 1 ] &&
        xl vcpu-set --ignore-host strict 2 &&
        monitor strict 'info cpus' | grep 'CPU #1' &&
        xl vcpu-set strict 1
}

restricted_save() {
    {
        xl save strict /disks/saved &&
            xl restore /etc/xen/strict.cfg /disks/saved
    } >/tmp/save.log 2>&1 || {
        cat /tmp/save.log /var/log/xen/qemu-dm-strict.log
        return 1
    }
    rm /disks/saved
    restricted_process && ttytalk "$(serial_tty strict)" \
        send 'after' expect 'after' 20000 send '!s' expect 'done' 20000
}

# One guest for each version of USB; none of them has a screen that is shown.
usb_guests() {
    write_config usb1 "$PULSAR" bootsector 'usbversion = 1' 'vga = "stdvga"' \
        'vnc = 0' 'serial = ["pty", "pty"]'
    write_config usb2 "$PULSAR" bootsector 'usbversion = 2' 'vga = "none"' \
        'vnc = 0'
    write_config usb3 "$PULSAR" bootsector 'usbversion = 3' 'hdtype = "ahci"' \
        'vnc = 0'
    # On AHCI the firmware finds no cylinder in a disk of eight sectors.
    truncate -s 2M /disks/usb3.img
    create usb1 && create usb2 && create usb3 &&
        ttytalk "$(serial_tty usb1)" expect ready 120000 &&
        await_serial usb3 ready 120000
}

usb_as_asked() {
    has usb1 piix3-usb-uhci && has usb1 VGA &&
        [ "$(has usb1 isa-serial | wc -l)" = 2 ] &&
        has usb2 ich9-usb-ehci1 && has usb2 ich9-usb-uhci3 &&
        lacks usb2 VGA && lacks usb2 cirrus-vga &&
        has usb3 nec-usb-xhci && has usb3 ich9-ahci
}

check 'dm_restrict=1, acpi=0: a guest boots' restricted_guest
check 'dm_restrict=1: its own user, its own root folder' restricted_process
check 'dm_restrict=1: nothing open that it could misuse' restricted_descriptors
check 'dm_restrict=1: its ledger page goes on' restricted_page
check 'dm_restrict=1: options of a file' restricted_options
check 'acpi=0, cirrus, a tablet and two serial ports' as_asked
check 'dm_restrict=1: xl cd-insert and cd-eject' cd_changes
check 'dm_restrict=1: no wake' asleep 10 strict
check 'dm_restrict=1: saved and restored' restricted_save
check 'xl vcpu-set' vcpu_set
check 'usbversion=1, 2 and 3: guests boot' usb_guests
check 'usbversion=1, 2 and 3, stdvga, no VGA, AHCI, serial list' usb_as_asked
check 'usbversion=1, 2 and 3, vnc=0, restored: no wake' \
    asleep 15 usb1 usb2 usb3 strict
check 'the guests of other launches end' end_all strict usb1 usb2 usb3
