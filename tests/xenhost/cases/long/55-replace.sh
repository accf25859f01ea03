# SPDX-License-Identifier: GPL-2.0-or-later
# The device model of a running guest replaced: from Debian's 7.2, with which
# these two begin, to Pulsar and on to Pulsar.

debian=/usr/libexec/xen-qemu-system-i386

# A disk that dom0's kernel serves, so that no back end is in the device model.
# It wants a hotplug script, of which the host has none.
kernel_disk() {
    mkdir -p /etc/xen/scripts
    cat >/etc/xen/scripts/block <<'END'
#!/bin/sh
[ "$1" = add ] || exit 0
device=$(xenstore-read "$XENBUS_PATH/params")
xenstore-write "$XENBUS_PATH/physical-device" \
    "$(printf '%x:%x' $(stat -c '0x%t 0x%T' "$device"))"
xenstore-write "$XENBUS_PATH/hotplug-status" connected
END
    chmod +x /etc/xen/scripts/block
    losetup /dev/loop0 "/disks/$1.img"
}

elder_boots() {
    write_config elder "$debian" bootsector "$(with_cdrom elder)" \
        'usb = 1' 'usbdevice = "tablet"'
    create elder && await_serial elder ready 120000
}

elder_replaced() {
    replace_dm elder && answers elder && answers elder
}

settler_boots() {
    write_config settler "$debian" linux \
        'disk = ["format=raw,vdev=hda,access=rw,backendtype=phy,target=/dev/loop0"]'
    kernel_disk settler && create settler &&
        await_serial settler 'guest ready, its disk is xvda' 300000
}

# Something goes on in the guest while it is replaced, and its clock with it.
settler_replaced() {
    prompt settler &&
        ttytalk "$(serial_tty settler)" \
            send 'i=0; (while :; do i=$((i+1)); echo $i >/run/i; done) &\n' \
            expect 'guest#' 30000 &&
        replace_dm settler && prompt settler &&
        ttytalk "$(serial_tty settler)" \
            send 'a=$(cat /run/i); sleep 1; [ $(cat /run/i) != "$a" ] && echo goes on$((1))\n' \
            expect 'goes on1' 30000 \
            send 'dd if=/dev/xvda of=/dev/null bs=64k count=16; echo rc=$?\n' \
            expect 'rc=0' 30000 send 'kill %1\n' expect 'guest#' 30000
}

# The screen is where it was, and the toolstack can go on.
toolstack_goes_on() {
    printf 'frame\nquit\n' | rfb "$(vnc_address elder)" >/tmp/frame &&
        grep '^[0-9]*x[0-9]*' /tmp/frame &&
        truncate -s 64k /disks/cd.iso &&
        xl cd-insert elder hdc /disks/cd.iso &&
        replace_dm elder && monitor elder 'info block' | grep /disks/cd.iso &&
        xl cd-eject elder hdc && answers elder
}

elder_destroyed() {
    local pid
    pid=$(dm_pid elder)
    end_all elder settler && [ ! -d "/proc/$pid" ]
}

check 'boot-sector guest under the 7.2 of Debian' elder_boots
check 'its device model is replaced by Pulsar' elder_replaced
check 'and by Pulsar again' elder_replaced
check 'Linux guest under the 7.2 of Debian' settler_boots
check 'its device model is replaced while it works' settler_replaced
check 'and again, while it works' settler_replaced
check 'no wake after that' asleep 15 elder settler
check 'the toolstack goes on with a replaced device model' toolstack_goes_on
check 'a replaced device model ends with its guest' elder_destroyed
