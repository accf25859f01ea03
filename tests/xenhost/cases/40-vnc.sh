# SPDX-License-Identifier: GPL-2.0-or-later
# A viewer connects, sees the guest, and leaves.

viewer_sees() {
    printf 'frame\nquit\n' | rfb "$(vnc_address "$1")" | tee /tmp/frame
    # WIDTHxHEIGHT LIT SUM MS
    awk '{ exit !($1 == "720x400" && $2 > 500) }' /tmp/frame
}

# A viewer that waits for a change gets it when the guest draws.
viewer_follows() {
    local viewer status
    mkfifo /tmp/viewer
    { printf 'frame\nupdate\n'; cat /tmp/viewer; } |
        rfb "$(vnc_address tiny)" >/tmp/frames &
    viewer=$!
    ttytalk "$(serial_tty tiny)" send '!b' expect 'done' 10000
    echo quit >/tmp/viewer
    wait "$viewer"
    status=$?
    rm /tmp/viewer
    cat /tmp/frames
    [ "$status" = 0 ] && [ "$(wc -l </tmp/frames)" = 2 ]
}

two_viewers() {
    local first
    printf 'frame\nframe\nquit\n' | rfb "$(vnc_address tiny)" &
    first=$!
    printf 'frame\npointer 10 10 0\nkey 0x61\nframe\nquit\n' |
        rfb "$(vnc_address tiny)" && wait "$first"
}

check 'a VNC viewer sees the boot-sector guest' viewer_sees tiny
check 'a VNC viewer sees the Linux guest' viewer_sees linux
check 'a VNC viewer is told what the guest draws' viewer_follows
check 'two VNC viewers at once' two_viewers
check 'no wake after the last viewer left' asleep 10 tiny linux
