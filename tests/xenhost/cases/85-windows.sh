# SPDX-License-Identifier: GPL-2.0-or-later
# What became of the Windows-like guest behind closed gates (25-windows.sh).

windows_slept() {
    [ -n "$windows_counter" ] || return 1
    wait "$windows_counter"
    cat /tmp/winshut.counting
    awk -F, 'NR > 1 { print "row", $1 ", thread", $4, $5 ":", $6 + $7 }' \
        /tmp/winshut.wakes
    awk -F, -v want="$windows_rows" 'NR > 1 { rows++; n += $6 + $7 }
        END { exit !(rows == want && n == 0) }' /tmp/winshut.wakes
}

windows_ledger_slept() {
    cat /tmp/winshut.table
    echo "timer, read, write: $(cat /tmp/winshut.first) in the beginning," \
        "$(cat /tmp/winshut.last) in the end"
    # Much happened while it started, nothing afterwards.
    awk '{ exit !($2 > 4000) }' /tmp/winshut.first &&
        cmp /tmp/winshut.first /tmp/winshut.last
}

windows_powered_off() {
    cat /tmp/winshut.said
    ! xl domid winshut &&
        grep -q '^power off: 0 tablet reports, the drive answered 0 of 0' \
            /tmp/winshut.said
}

check 'five minutes of the Windows-like guest, gates closed: no wake' \
    windows_slept
check 'and no timer, read or write in its ledger' windows_ledger_slept
check 'the Windows-like guest powers itself off by ACPI' windows_powered_off
