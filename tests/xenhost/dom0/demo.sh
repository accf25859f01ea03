# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration's part in dom0: each guest twice, once under stock and once
# under Pulsar, with configurations that differ in nothing but their names and
# the device model; the Windows-like one a third time, under Pulsar with the
# gates closed. tests/xenhost/demo reads the lines that this prints:
#
#   step TEXT                      what is going on
#   config NAME LINE               a line of NAME's xl.cfg
#   command NAME WORDS             how xl started NAME's device model
#   wakes NAME ROW COUNT           context switches of all its threads
#   ledger NAME ROW TIMER READ WRITE   Pulsar's own count, from its ledger
#
# Row 0 is all that happened before the window, then follow rows of 30 s.

. /lib/xenhost.sh

rows=$1
shift
kinds=$*

# ledger_row NAME ROW: what the ledger counted since the row before.
ledger_row() {
    local now
    now=$(ledger_total "$1") || return
    [ -n "$now" ] || return
    # shellcheck disable=SC2046
    echo "$now $(cat "/tmp/ledger-$1" 2>/dev/null || echo 0 0 0)" |
        awk -v name="$1" -v row="$2" \
            '{ print "ledger", name, row, $1 - $4, $2 - $5, $3 - $6 }'
    echo "$now" >"/tmp/ledger-$1"
}

pulsar_rows() {
    local name
    [ -n "$TOOL" ] || return 0
    for name in $names; do
        case $name in
        *-stock) ;;
        *) ledger_row "$name" "$1" ;;
        esac
    done
}

# begin NAME DM KIND [WORD...]: each WORD is one more for the device model of a
# Windows-like guest.
begin() {
    local name=$1 dm=$2 kind=$3
    shift 3
    case $kind in
    windows) write_windows "$name" "$dm" 0 "$@" ;;
    *) write_config "$name" "$dm" "$kind" ;;
    esac
    set -- "$name"
    create "$1" || exit 1
    tr '\0' ' ' <"/proc/$(dm_pid "$1")/cmdline" | sed "s|^|command $1 |"
    echo
    sed "s|^|config $1 |" "/etc/xen/$1.cfg"
    names="$names $1"
    if [ "$kind" = windows ]; then
        # One after the other: a dom0 that shares its processor with many
        # guests that boot is too slow for libxl.
        await_windows "$1" ready 300 >/dev/null || no_guest
    else
        # At once: what a guest says while nobody reads is lost.
        await_serial "$1" ready 300000 >/dev/null &
        waiting="$waiting $!"
    fi
}

no_guest() {
    echo 'step a guest did not come up'
    exit 1
}

# Wait for those that boot in the background.
booted() {
    local pid
    for pid in $waiting; do
        wait "$pid" || no_guest
    done
    waiting=
}

waiting=
names=
for kind in $kinds; do
    echo "step starting the $kind guest under stock and under Pulsar"
    [ "$kind" != windows ] || booted
    # Those that cost most come last.
    [ "$kind" != windows ] || begin "$kind-closed" "$PULSAR_DM" "$kind" \
        -pulsar "$windows_gates"
    begin "$kind-pulsar" "$PULSAR_DM" "$kind"
    begin "$kind-stock" "$STOCK_DM" "$kind"
done
echo 'step waiting until all guests have booted'
booted
echo 'step letting them settle'
# shellcheck disable=SC2086
wakes 10 1 $names >/dev/null

: >/tmp/names
for name in $names; do
    pid=$(dm_pid "$name")
    echo "$pid $name" >>/tmp/names
    awk -v name="$name" '/ctxt_switches/ { n += $2 }
        END { print "wakes", name, 0, n }' /proc/"$pid"/task/*/status
    last=$pid
done
pulsar_rows 0
echo "step counting: $((rows * 30)) s in which nobody does anything"
# shellcheck disable=SC2086
wakes 30 "$rows" $names | while IFS=, read -r row _ pid tid _ some more; do
    [ "$tid" = 0 ] || continue
    row=$((row + 1))
    name=$(sed -n "s/^$pid //p" /tmp/names)
    echo "wakes $name $row $((some + more))"
    if [ "$pid" = "$last" ]; then
        pulsar_rows "$row"
        echo "step row $row of $rows counted"
    fi
done
