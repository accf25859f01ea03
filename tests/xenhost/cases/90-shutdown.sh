# SPDX-License-Identifier: GPL-2.0-or-later
# The ends that a guest can come to; nothing is left of it.

# ends NAME COMMAND...: the domain and its device model go after COMMAND.
ends() {
    local name=$1 pid number left
    shift
    pid=$(dm_pid "$name")
    number=$(domid "$name")
    [ -n "$pid" ] || return 1
    "$@" || return 1
    gone 60000 "$pid" && await_end "$name" 60000 || return 1
    left=$(ls -d "/run/xen/"*"-$number" "/run/pulsar/"*"$number"* 2>/dev/null)
    left="$left$(xenstore-ls -f |
        grep -E "/(device-model|domain)/$number( |/)")"
    echo "left: ${left:-nothing}"
    [ -z "$left" ]
}

fresh_tiny() {
    write_config tiny "$PULSAR" bootsector
    create tiny && await_serial tiny ready 120000
}

power_off_by_guest() {
    fresh_tiny && ends tiny ttytalk "$(serial_tty tiny)" \
        send '!p' expect 'power off' 10000
}

check 'xl shutdown ends the Linux guest' ends linux xl shutdown linux
check 'the ACPI power button ends the boot-sector guest' \
    ends tiny xl trigger tiny power
check 'a guest powers itself off by ACPI' power_off_by_guest
