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
    ledger_grows tiny 3 1 \
        ttytalk "$(serial_tty tiny)" send '!b' expect 'done' 10000
}

# The guest's PV disk: who called, and whose requests were done.
tool_names_the_disk() {
    ttytalk "$(serial_tty linux)" send \
        'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvda of=/dev/null bs=64k count=64; echo rc=$?\n' \
        expect 'rc=0' 60000
    xl qemu-monitor-command linux 'info wakeups' | tee /tmp/info
    grep -q ' evtchn:qdisk-768' /tmp/info && grep -q ' block:' /tmp/info &&
        ! grep -E '^ *[1-9][0-9]* .* (evtchn:pv-backend|block:thread-pool)' \
            /tmp/info
}

# Threads are in the page, for those who come too late to look at them.
tool_knows_the_threads() {
    "$TOOL" table --json linux | tee /tmp/table
    grep -q "\"tid\":$(dm_pid linux),\"voluntary\":[1-9]" /tmp/table
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
check 'info wakeups names the PV disk of a real guest' tool_names_the_disk
check 'pulsar table has the threads of a real guest' tool_knows_the_threads
if [ -n "$STOCK" ]; then
    check 'pulsar top lists a stock device model' tool_lists_stock
else
    skip 'pulsar top lists a stock device model' "$no_stock"
fi
