# SPDX-License-Identifier: GPL-2.0-or-later
# The command pulsar beside real guests. A case of tests/xenhost; it wants the
# command in dom0 as $TOOL and the guests tiny and linux.

tool_sees_sleepers() {
    wakes "$settle" 1 tiny linux >/dev/null || return 1
    "$TOOL" top --json --interval 10 -D tiny -D linux | tee /tmp/top
    [ "$(grep -c '"state":"running".*"wakes":0,.*"switches":0,' \
        /tmp/top)" = 2 ]
}

tool_costs_nothing() {
    local top status
    "$TOOL" top --batch --interval 1 >/dev/null &
    top=$!
    asleep 60 tiny linux
    status=$?
    kill "$top"
    return "$status"
}

tool_names_the_viewer() {
    local viewer
    mkfifo /tmp/viewer
    { printf 'frame\nupdate\n'; cat /tmp/viewer; } |
        rfb "$(vnc_address tiny)" >/tmp/frames &
    viewer=$!
    "$TOOL" doctor tiny linux --interval 10 | tee /tmp/doctor
    ttytalk "$(serial_tty tiny)" send '!b' expect 'done' 10000
    echo quit >/tmp/viewer
    wait "$viewer"
    rm /tmp/viewer
    grep -q 'looks at the VM.s screen by VNC' /tmp/doctor &&
        grep -q 'The viewer is rfb (process' /tmp/doctor &&
        grep -q '^linux (domain [0-9]*): asleep$' /tmp/doctor
}

tool_counts_what_the_guest_does() {
    local before after
    before=$("$TOOL" table tiny | awk '/total/ { print $5 }')
    ttytalk "$(serial_tty tiny)" send '!b' expect 'done' 10000
    after=$("$TOOL" table tiny | awk '/total/ { print $5 }')
    echo "writes: $before before, $after after"
    [ "$after" -gt "$before" ]
}

# Under stock QEMU it is known by its process only.
tool_lists_stock() {
    write_config old "$STOCK" bootsector
    create old && await_serial old ready 120000
    "$TOOL" top --json --interval 10 -D old | tee /tmp/top
    xl destroy old
    grep -q '"kind":"stock".*"top_cause":"unknown (stock)"' /tmp/top
}

check 'pulsar top sees two real guests asleep' tool_sees_sleepers
check 'being watched for 60 s costs real guests no wake' tool_costs_nothing
check 'pulsar doctor names the viewer of a real guest' tool_names_the_viewer
check 'pulsar table counts what a real guest does' \
    tool_counts_what_the_guest_does
if [ -n "$STOCK" ]; then
    check 'pulsar top lists a stock device model' tool_lists_stock
else
    skip 'pulsar top lists a stock device model' "$no_stock"
fi
