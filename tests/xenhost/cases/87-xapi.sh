# SPDX-License-Identifier: GPL-2.0-or-later
# A Linux guest as a BIOS VM of a xapi host: its whole command line, no
# privileges, and the back ends of disk and network in dom0's kernel, so that
# nothing is left for the device model to do. It sleeps, and is shut down, in
# 88-xapi-windows.sh. By UEFI: long/89-xapi-uefi.sh

# xapi_linux NAME VM NUMBER [LINE...]
xapi_linux() {
    local name=$1 vm=$2 number=$3
    shift 3
    write_xapi "$name" "$vm" linux "$number" "$@" &&
        create "$name" &&
        await_serial "$name" 'guest ready, its disk is xvda' 900000 &&
        xapi_events "$name" &&
        readlink "/proc/$(dm_pid "$name")/root" | grep /qemu-root-
}

# linux_does NAME COMMANDS ANSWER: the guest's shell is told, and answers.
linux_does() {
    ttytalk "$(serial_tty "$1")" send "$2\\n" expect "$3" 120000
}

# xapi_unplugged NAME DEVICE...: what the guest unplugged is gone, image and tap
# with it; the platform device stays.
xapi_unplugged() {
    local name=$1 device
    shift
    has "$name" xen-platform || return 1
    for device in ide-hd "$@"; do
        lacks "$name" "$device" || return 1
    done
    ls -l "/proc/$(dm_pid "$name")/fd" >/tmp/fds
    ! grep -E '/dev/(loop|net/tun)' /tmp/fds &&
        ! ip link show "vif$(domid "$name").0-emu"
}

# Linux has told the device model its build number.
xapi_linux_drivers() {
    xapi_qmp "$1" qmp-libxl \
        '{"execute": "query-xen-platform-pv-driver-info"}' |
        grep '"build-num": [1-9]'
}

xapi_network() {
    linux_does "$1" 'modules; modprobe xen-netfront; echo rc=$?' 'rc=0' &&
        linux_does "$1" "ip addr add 10.9.$2.2/24 dev eth0; ip link set eth0 up; echo net=\$?" 'net=0' &&
        xapi_answers "$2"
}

xapi_answers() {
    ping -c 3 -W 20 "10.9.$1.2"
}

# As xenopsd changes a CD: the file comes as a descriptor.
xapi_cd() {
    local name=$1
    printf 'the disc of %s' "$name" >"/disks/$name.iso"
    truncate -s 1M "/disks/$name.iso"
    xapi_qmp "$name" qmp-libxl \
        '{"execute": "eject", "arguments": {"device": "ide1-cd1", "force": true}}' \
        add-fd "/disks/$name.iso" \
        '{"execute": "blockdev-change-medium", "arguments": {"device": "ide1-cd1", "filename": "/dev/fdset/%d", "format": "raw"}}' \
        '{"execute": "remove-fd", "arguments": {"fdset-id": %d}}' &&
        linux_does "$name" 'modprobe -a ata_piix sr_mod; echo rc=$?' 'rc=0' &&
        linux_does "$name" 'dd if=/dev/sr0 bs=2048 count=1 2>/dev/null | head -c 20; echo' \
            "the disc of $name" &&
        xapi_qmp "$name" qmp-libxl \
            '{"execute": "eject", "arguments": {"device": "ide1-cd1", "force": true}}' &&
        linux_does "$name" 'dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>/dev/null; echo rc=$?' \
            'rc=1'
}

xapi_resumed() {
    local name=$1 number=$2
    shift 2
    save_restore "$name" && xapi_events "$name" && prompt "$name" &&
        xapi_unplugged "$name" "$@" && xapi_answers "$number" &&
        linux_does "$name" 'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvda of=/dev/null bs=64k count=16; echo rc=$?' \
            'rc=0'
}

xapi_shut_down() {
    local pid
    pid=$(dm_pid "$1") && xl shutdown "$1" && gone 120000 "$pid" &&
        await_end "$1" 60000 && cat "/tmp/$1.events" &&
        grep '"event": "SHUTDOWN".*"guest": true' "/tmp/$1.events"
}

check 'a BIOS VM of xapi boots' xapi_linux xbios a-bios 0b
check 'xapi, BIOS: Linux has unplugged disk and network card' \
    xapi_unplugged xbios rtl8139
check 'xapi, BIOS: the PV drivers have said what they are' \
    xapi_linux_drivers xbios
check 'xapi, BIOS: the network is of the kernel of dom0' xapi_network xbios 11
check 'xapi, BIOS: no wake' asleep 10 xbios
check 'xapi, BIOS: a CD is changed as xenopsd does it' xapi_cd xbios
check 'xapi, BIOS: suspended and resumed' xapi_resumed xbios 11 rtl8139
