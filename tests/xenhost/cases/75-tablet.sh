# SPDX-License-Identifier: GPL-2.0-or-later
# The tablet on xHCI with a Linux guest that suspends what is idle: nothing to
# wake for while nobody looks, and a pointer that lands where the viewer points.

tablet_guest() {
    write_config tablet "$PULSAR" linux \
        'device_model_args_hvm = ["-pulsar", "usb=xhci,usb_tablet=true"]'
    create tablet &&
        await_serial tablet 'guest ready, its disk is xvda' 300000 &&
        ttytalk "$(serial_tty tablet)" \
            send 'modules; modprobe -a xhci-pci usbhid hid-generic evdev; echo rc=$?\n' \
            expect 'rc=0' 120000 \
            send 'tablet xhci auto\n' \
            expect 'tablet on xhci: suspended' 120000
}

# A viewer comes and points; the guest opens the tablet, once more if it was
# plugged in again, and sees the pointer at 180 of 720 and 300 of 400, in the
# tablet's 32768 steps.
pointer_lands() {
    local viewer status
    mkfifo /tmp/points
    rfb "$(vnc_address tablet)" </tmp/points >/tmp/looked &
    viewer=$!
    exec 4>/tmp/points
    echo frame >&4
    ttytalk "$(serial_tty tablet)" \
        send "exec 3<\$(tablet xhci); events 3 <&3\\n" \
        expect 'listening' 120000 \
        tell /tmp/points "pointer $1 $2 0\\n" \
        expect "type 3 code 0 value $(($1 * 32767 / 720))" 60000 \
        expect "type 3 code 1 value $(($2 * 32767 / 400))" 60000
    status=$?
    echo quit >&4
    exec 4>&-
    wait "$viewer"
    rm /tmp/points
    cat /tmp/looked
    return "$status"
}

tablet_gone() {
    ttytalk "$(serial_tty tablet)" send 'tablet xhci gone\n' \
        expect 'tablet on xhci: gone' 120000
}

# The guest goes on holding its events open.
suspends() {
    ttytalk "$(serial_tty tablet)" send 'tablet xhci auto\n' \
        expect 'tablet on xhci: suspended' 120000
}

becomes_viewer() {
    touch /etc/xen/pulsar.conf
    "$TOOL" set --config /etc/xen/pulsar.conf tablet usb_tablet=viewer |
        tee /tmp/set
    grep 'usb_tablet=viewer now' /tmp/set && tablet_gone
}

check 'a Linux guest boots with usb=xhci, usb_tablet=true' tablet_guest
check 'usb=xhci, usb_tablet=true: the pointer lands where the viewer points' \
    pointer_lands 180 300
check 'the tablet suspends while a process reads it' suspends
check 'usb=xhci, usb_tablet=true, nobody looks: no wake' asleep 15 tablet
check 'usb_tablet=viewer: it is unplugged at once' becomes_viewer
check 'usb_tablet=viewer, nobody looks: no wake' asleep 10 tablet
check 'usb_tablet=viewer: the pointer lands where the viewer points' \
    pointer_lands 600 40
check 'usb_tablet=viewer: it leaves with the viewer' tablet_gone
check 'usb_tablet=viewer, the viewer left: no wake' asleep 15 tablet
check 'the guest with the tablet ends' end_all tablet
