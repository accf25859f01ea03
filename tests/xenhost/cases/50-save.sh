# SPDX-License-Identifier: GPL-2.0-or-later
# Save and restore: here and here, and stock's state here and ours there.

saved=/disks/saved

# move NAME DM: save the domain and restore it under the device model DM.
move() {
    local pid
    xl save "$1" "$saved" >/tmp/save.log 2>&1 || {
        cat /tmp/save.log
        return 1
    }
    sed -i "s|^device_model_override = .*|device_model_override = \"$2\"|" \
        "/etc/xen/$1.cfg"
    xl restore "/etc/xen/$1.cfg" "$saved" >/tmp/save.log 2>&1 || {
        cat /tmp/save.log "/var/log/xen/qemu-dm-$1.log"
        return 1
    }
    rm "$saved"
    pid=$(dm_pid "$1") && readlink "/proc/$pid/exe" |
        grep "^$(dirname "$2")/"
}

tiny_answers() {
    ttytalk "$(serial_tty tiny)" send 'after' expect 'after' 20000 \
        send '!s' expect 'done' 20000 send '!b' expect 'done' 20000
}

# What is typed while Linux sets up its UART again after a restore is lost, so
# the shell is asked until it answers.
linux_answers() {
    # shellcheck disable=SC2034
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        ttytalk "$(serial_tty linux)" send '\n' expect 'guest#' 3000 && break
    done
    ttytalk "$(serial_tty linux)" send 'echo six is $((2 * 3))\n' \
        expect 'six is 6' 30000 \
        send 'dd if=/dev/xvda of=/dev/null bs=64k count=16; echo rc=$?\n' \
        expect 'rc=0' 30000
}

linux_here_to_here() {
    move linux "$PULSAR" && linux_answers
}

tiny_to_stock() {
    move tiny "$STOCK" && tiny_answers
}

tiny_from_stock() {
    move tiny "$PULSAR" && tiny_answers
}

check 'Linux guest saved and restored' linux_here_to_here
if [ -n "$STOCK" ]; then
    check 'a state saved here restores under stock' tiny_to_stock
    check 'a state saved under stock restores here' tiny_from_stock
else
    skip 'a state saved here restores under stock' "$no_stock"
    skip 'a state saved under stock restores here' "$no_stock"
fi
check 'no wake after restoring' asleep 15 tiny linux
