# SPDX-License-Identifier: GPL-2.0-or-later
# A Linux guest with an idle tablet on each kind of controller. What may not
# suspend is one tablet at a time, so that its controller is the only one that
# runs. The same guest, moved to stock, shows what that saves.

usb_guest() {
    write_config usb "$PULSAR" linux 'device_model_args_hvm = [
        "-device", "piix3-usb-uhci,id=uhci",
        "-device", "usb-tablet,bus=uhci.0",
        "-device", "usb-ehci,id=ehci", "-device", "usb-tablet,bus=ehci.0",
        "-device", "nec-usb-xhci,id=xhci", "-device", "usb-tablet,bus=xhci.0"]'
    create usb &&
        await_serial usb 'guest ready, its disk is xvda' 300000 &&
        guest_does 'modules; echo rc=$?' 'rc=0' &&
        guest_does 'modprobe -a ehci-pci uhci-hcd xhci-pci usbhid hid-generic evdev
            echo rc=$?' 'rc=0' &&
        let_suspend uhci ehci xhci
}

# guest_does COMMANDS ANSWER: the guest's shell is told, and answers.
guest_does() {
    ttytalk "$(serial_tty usb)" send "$(echo "$1" | tr '\n' ';')\n" \
        expect "$2" 120000
}

let_suspend() {
    local kind
    for kind in "$@"; do
        guest_does "tablet $kind auto" "tablet on $kind: suspended" || return 1
    done
}

keep_awake() {
    guest_does "tablet $1 on" "tablet on $1: active"
}

# The guest's shell has its events open: the transfer is queued.
reads() {
    guest_does "exec 3<\$(tablet $1) && echo opened" opened
}

# measured FILE: the answer of "pulsar top --json" in words.
measured() {
    sed 's/,"/\n"/g; s/[{}]//g' "$1" |
        awk -F: '/^"interval"/ { seconds = $2 } /^"wakes":/ && !n++ { all = $2 }
            /^"timer_per_s"/ { timer = $2 } /^"read_per_s"/ { reads = $2 }
            END { printf "%.1f timer wakes a second, %.1f reads, " \
                  "%d wakes in all in %.1f s\n", timer, reads, all, seconds
                  # A few more may fall into the window at its edges.
                  exit !(timer * seconds > 0 &&
                         timer * seconds <= 10 * seconds + 3) }'
}

# rests SECONDS: few timer wakes while the controller runs.
rests() {
    # What was done before is over.
    wakes "$settle" 1 usb >/dev/null
    "$TOOL" top --once --json --interval "$1" -D usb >/tmp/top
    grep -o '"cause":"timer:[^}]*' /tmp/top
    measured /tmp/top
}

uhci_unopened() {
    keep_awake uhci && rests 10
}

uhci_read() {
    reads uhci && rests 15
}

ehci_read() {
    let_suspend uhci && keep_awake ehci && reads ehci && rests 15
}

xhci_sleeps() {
    let_suspend ehci && keep_awake xhci && asleep 10 usb
}

xhci_read_sleeps() {
    reads xhci && asleep 10 usb
}

all_suspend() {
    reads uhci && let_suspend xhci && asleep 10 usb
}

# points KIND X Y: a viewer points, and the guest's reader of that tablet sees
# it. How long that took stands before the answer.
points() {
    local viewer status
    case $1 in
    uhci) status=1 ;;
    ehci) status=2 ;;
    *) status=3 ;;
    esac
    # Of three tablets QEMU gives the pointer to the one that came last.
    monitor usb "mouse_set $(monitor usb 'info mice' |
        sed -n 's/.*Mouse #\([0-9]*\): QEMU HID Tablet.*/\1/p' |
        sort -n | sed -n "${status}p")"
    shift
    mkfifo /tmp/points
    rfb "$(vnc_address usb)" </tmp/points >/tmp/looked &
    viewer=$!
    exec 4>/tmp/points
    echo frame >&4
    ttytalk "$(serial_tty usb)" send 'events 3 <&3\n' \
        expect 'listening' 120000 \
        tell /tmp/points "pointer $1 $2 0\\n" \
        expect "type 3 code 0 value $(($1 * 32767 / 720))" 60000
    status=$?
    echo quit >&4
    exec 4>&-
    wait "$viewer"
    rm /tmp/points
    return "$status"
}

# The same guest, moved: how often UHCI makes stock wake, and how long a
# movement takes there.
under_stock() {
    move usb "$STOCK" && prompt usb || return 1
    keep_awake uhci && reads uhci && wakes 5 1 usb | tee /tmp/wakes
    awk -F, '$4 == 0 && NR > 1 { printf "stock: %d wakes a second\n",
        $6 / $2 }' /tmp/wakes
    points uhci 600 300
}

check 'a Linux guest boots with a tablet on UHCI, EHCI and xHCI' usb_guest
check 'all three suspended: no wake' asleep 10 usb
check 'UHCI running, nobody has the tablet open: at most 10 timer wakes/s' \
    uhci_unopened
check 'UHCI running, a process reads the tablet: at most 10 timer wakes/s' \
    uhci_read
check 'UHCI resting: a movement of the tablet reaches the guest' \
    points uhci 180 100
check 'EHCI running, a process reads the tablet: at most 10 timer wakes/s' \
    ehci_read
check 'EHCI resting: a movement of the tablet reaches the guest' \
    points ehci 240 150
check 'xHCI running, nobody has the tablet open: no wake' xhci_sleeps
check 'xHCI running, a process reads the tablet: no wake' xhci_read_sleeps
check 'xHCI: a movement of the tablet reaches the guest' points xhci 300 200
check 'all three suspended, a process reads: no wake' all_suspend
if [ -n "$STOCK" ]; then
    check 'the same guest under stock: UHCI running, and a movement' \
        under_stock
else
    skip 'the same guest under stock: UHCI running, and a movement' "$no_stock"
fi
check 'the guest with three controllers ends' end_all usb
