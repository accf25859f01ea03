# SPDX-License-Identifier: GPL-2.0-or-later
# Both guests come up under our device model; later cases go on with them.

boot_sector_guest() {
    write_config tiny "$PULSAR" bootsector
    create tiny && await_serial tiny ready 120000
}

linux_guest() {
    write_config linux "$PULSAR" linux
    create linux &&
        await_serial linux 'guest ready, its disk is xvda' 300000
}

device_model_is_ours() {
    local pid
    pid=$(dm_pid tiny) && readlink "/proc/$pid/exe" | grep "^/opt/pulsar/"
}

check 'boot-sector guest boots' boot_sector_guest
check 'the device model that runs is the one asked for' device_model_is_ours
check 'Linux guest boots and its disk is paravirtual' linux_guest
