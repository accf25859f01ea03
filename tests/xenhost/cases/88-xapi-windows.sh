# SPDX-License-Identifier: GPL-2.0-or-later
# The Windows-like guest as a VM of a xapi host: one with an IDE disk and all
# else closed, and one with the hardware of UEFI VMs (NVMe, a tablet, a CD
# drive), here by BIOS. It unplugs as XCP-ng's Windows drivers do and sets its
# clock as Windows does.

# xapi_windows NAME VM NUMBER DVD DISK [LINE...]: with the option dvd=DVD it
# reads its DISK, named as it does, unplugs, and sets the clock.
xapi_windows() {
    local name=$1 vm=$2 number=$3 dvd=$4 disk=$5
    shift 5
    write_xapi "$name" "$vm" windows "$number" "$@" || return 1
    printf '%s\n' -pulsar "dvd=$dvd" >>"/etc/xen/$name.words"
    create "$name" && xapi_events "$name" &&
        await_windows "$name" 'the clock is set' 600 || return 1
    windows_said "$(domid "$name")" | tee "/tmp/$name.said"
    grep -q "^$disk: 16 sectors read" "/tmp/$name.said" &&
        grep -q 'network cards are unplugged' "/tmp/$name.said"
}

# The product that has no number, and 9.1.0 of the drivers.
xapi_windows_drivers() {
    xapi_qmp "$1" qmp-libxl \
        '{"execute": "query-xen-platform-pv-driver-info"}' | tee /tmp/drivers
    grep '"product-num": 65535\b' /tmp/drivers &&
        grep '"build-num": 590080\b' /tmp/drivers
}

# Each write of a register that moves the clock is an event; xenopsd adds them
# up, and the sum is the hour. A second may pass between reading and writing.
xapi_clock() {
    grep RTC_CHANGE "/tmp/$1.events"
    sed -n '/RTC_CHANGE/s/.*"offset": \(-*[0-9]*\).*/\1/p' "/tmp/$1.events" |
        awk '{ sum += $1 } END {
            print NR, "changes,", sum, "s"
            sum = sum < 0 ? -sum : sum
            exit !(sum >= 3590 && sum <= 3610)
        }'
}

xapi_windows_resumed() {
    local name=$1
    shift
    save_restore "$name" && xapi_events "$name" && lacks "$name" "$@" &&
        has "$name" xen-platform
}

check 'xapi: the Windows-like guest reads its IDE disk and unplugs it' \
    xapi_windows xwin c-none 1b none IDE 'memory = 48'
check 'xapi: the Windows-like guest reads its NVMe disk and unplugs it' \
    xapi_windows xwinnvme b-uefi 1c given NVMe 'memory = 48'
check 'xapi: after 9 and 2 IDE disk and network card are gone' \
    xapi_unplugged xwin rtl8139
check 'xapi: after 9 and 2 NVMe disk and network card are gone' \
    xapi_unplugged xwinnvme nvme e1000
check 'xapi: the Windows drivers have said what they are' \
    xapi_windows_drivers xwin
check 'xapi: the clock that Windows sets comes as events' xapi_clock xwin
check 'xapi: a Windows-like guest that had NVMe is suspended and resumed' \
    xapi_windows_resumed xwinnvme nvme
check 'xapi, BIOS: Linux, resumed, and Windows, all closed: no wake in 60 s' \
    asleep 60 xbios xwin
check 'xapi, BIOS: shut down' xapi_shut_down xbios
check 'xapi: the Windows-like guests end' end_all xwin xwinnvme
