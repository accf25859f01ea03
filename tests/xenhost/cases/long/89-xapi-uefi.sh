# SPDX-License-Identifier: GPL-2.0-or-later
# Linux and the Windows-like guest as UEFI VMs of a xapi host, by OVMF, with
# what 87-xapi.sh and 88-xapi-windows.sh hold.
#
# With platform:vga=cirrus. OVMF as Debian builds it knows nothing of Xen and
# moves the BARs that hvmloader has set; Xen then refuses to move VGA's frame
# buffer there ("relocate_memory ... failed", under stock 7.2 and 10.0 too), and
# each pixel is a request. xapi's own OVMF leaves the BARs where they are.

ovmf='bios_path_override = "/usr/share/ovmf/OVMF.fd"'
cirrus=$(grep '^cirrus-vga,' /test/xapi/a-bios-cirrus)
sed "s/^VGA,.*/$cirrus/" /test/xapi/b-uefi >/test/xapi/b-uefi-cirrus

# Xen's reason is what xenopsd goes by. The event that a BIOS guest gives, by the
# device model's ACPI port, did not come here.
powered_off() {
    local pid
    pid=$(dm_pid "$1") && xl shutdown "$1" && gone 120000 "$pid" &&
        await_end "$1" 60000 &&
        grep 'has shut down, reason code 0 ' "/var/log/xen/xl-$1.log"
}

check 'a UEFI VM of xapi boots from NVMe' \
    xapi_linux xuefi b-uefi-cirrus 0e 'bios = "ovmf"' "$ovmf" 'memory = 368'
check 'xapi, UEFI: Linux has unplugged NVMe and network card' \
    xapi_unplugged xuefi nvme e1000
check 'xapi, UEFI: the network is of the kernel of dom0' xapi_network xuefi 14
check 'xapi, UEFI: no wake' asleep 10 xuefi
check 'xapi, UEFI: a CD is changed as xenopsd does it' xapi_cd xuefi
check 'xapi, UEFI: suspended and resumed' xapi_resumed xuefi 14 nvme e1000
check 'xapi, UEFI, resumed: no wake in 60 s' asleep 60 xuefi
check 'xapi, UEFI: shut down' powered_off xuefi
check 'xapi, UEFI: the Windows-like guest reads its NVMe disk and unplugs it' \
    xapi_windows xwinuefi b-uefi-cirrus 1e given NVMe 'bios = "ovmf"' "$ovmf" \
    'memory = 160'
check 'xapi, UEFI: after 9 and 2 NVMe and network card are gone' \
    xapi_unplugged xwinuefi nvme e1000
check 'xapi, UEFI: the clock that Windows sets comes as events' \
    xapi_clock xwinuefi
check 'xapi, UEFI: the Windows-like guest is suspended and resumed' \
    xapi_windows_resumed xwinuefi nvme
check 'xapi: the UEFI Windows-like guest ends' end_all xwinuefi
