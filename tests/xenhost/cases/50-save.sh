# SPDX-License-Identifier: GPL-2.0-or-later
# Save and restore: here and here, and stock's state here and ours there.

linux_answers() {
    prompt linux || return 1
    ttytalk "$(serial_tty linux)" send 'echo six is $((2 * 3))\n' \
        expect 'six is 6' 30000 \
        send 'dd if=/dev/xvda of=/dev/null bs=64k count=16; echo rc=$?\n' \
        expect 'rc=0' 30000
}

linux_here_to_here() {
    move linux "$PULSAR" && linux_answers
}

tiny_to_stock() {
    move tiny "$STOCK" && answers tiny
}

tiny_from_stock() {
    move tiny "$PULSAR" && answers tiny
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
