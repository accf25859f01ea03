# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that behaves like Windows, with all devices and with none. The one
# with none is counted from here to 85-windows.sh, five minutes.

windows_rows=10
windows_domid=
windows_counter=

# From 30 s after boot on; what it finds is judged at the end. Xen's console
# forgets, so the guest's last words are kept.
count_windows() {
    sleep 30
    ledger_total winshut >/tmp/winshut.first
    wakes 30 "$windows_rows" winshut >/tmp/winshut.wakes
    ledger_total winshut >/tmp/winshut.last
    "$TOOL" table winshut >/tmp/winshut.table
    await_end winshut 300000 && windows_said "$windows_domid" >/tmp/winshut.said
}

windows_finds_nothing() {
    write_windows winshut "$PULSAR" $((30 + windows_rows * 30 + 50)) \
        -pulsar "$windows_gates"
    create winshut && await_windows winshut ready 300 || return 1
    windows_domid=$(domid winshut)
    count_windows >/tmp/winshut.counting 2>&1 &
    windows_counter=$!
    windows_said "$windows_domid" | tee /tmp/said
    grep -q '^IDE: 16 sectors' /tmp/said && grep -q unplugged /tmp/said &&
        ! grep -qE 'DVD|parallel|UHCI' /tmp/said
}

# finds_all NAME DM: all devices are there, and the drivers work with them.
finds_all() {
    local line
    write_windows "$1" "$2" 0
    create "$1" && await_windows "$1" ready 300 || return 1
    windows_said "$(domid "$1")" | tee /tmp/said
    for line in 'IDE: a DVD drive' 'parallel port at 378' \
        'UHCI: a device is set up' 'unplugged'; do
        grep -q "$line" /tmp/said || return 1
    done
}

# windows_row NAME: its context switches in 30 s.
windows_row() {
    awk -F, -v pid="$(dm_pid "$1")" \
        '$3 == pid && !$4 { print $6 + $7 }' /tmp/windows.wakes
}

windows_open_wakes() {
    windows_rests winopen ${STOCK:+winold}
}

windows_restored() {
    move winopen "$PULSAR" && windows_rests winopen
}

windows_from_stock() {
    move winold "$PULSAR" && windows_rests winold
}

# xl runs the other end itself, on this host.
windows_migrated() {
    xl migrate -s '' winopen 'xl migrate-receive' >/tmp/migrate.log 2>&1 || {
        cat /tmp/migrate.log
        return 1
    }
    windows_rests winopen
}

# In the same row.
windows_stock_wakes() {
    echo "$(windows_row winold) $(windows_row winopen)" | awk '{
        print "stock", $1, "Pulsar", $2
        exit !($1 >= 1000 && $1 >= 2 * $2)
    }'
}

check 'a Windows-like guest finds nothing behind closed gates' \
    windows_finds_nothing
check 'a Windows-like guest finds all devices that are open' \
    finds_all winopen "$PULSAR"
if [ -n "$STOCK" ]; then
    check 'a Windows-like guest finds all devices under stock' \
        finds_all winold "$STOCK"
else
    skip 'a Windows-like guest finds all devices under stock' "$no_stock"
fi
check 'its running UHCI costs 10 timers a second, its drive the polls' \
    windows_open_wakes
if [ -n "$STOCK" ]; then
    check 'the same costs stock more than twice the wakes' windows_stock_wakes
    check 'from stock it rests under Pulsar' windows_from_stock
    xl destroy winold
else
    skip 'the same costs stock more than twice the wakes' "$no_stock"
    skip 'from stock it rests under Pulsar' "$no_stock"
fi
check 'saved and restored it rests as before' windows_restored
check 'migrated to the same host it rests as before' windows_migrated
xl destroy winopen
