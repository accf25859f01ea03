# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration's part in dom0: each guest twice, once under stock and once
# under Pulsar, with configurations that differ in nothing but their names and
# the device model. The one that behaves like Windows has all devices under
# stock, and the gates closed under Pulsar. tests/xenhost/demo reads the lines
# that this prints:
#
#   step TEXT                      what is going on
#   config NAME LINE               a line of NAME's xl.cfg
#   command NAME WORDS             how xl started NAME's device model
#   wakes NAME ROW COUNT           context switches of all its threads
#   ledger NAME ROW TIMER READ WRITE   Pulsar's own count, from its ledger
#   replaced NAME TEXT             stock's device model was replaced by Pulsar
#   after NAME COUNT               as wakes, of 30 s behind that
#
# Row 0 is all that happened before the window, then follow rows of 30 s. What
# behaves like Windows under stock boots in row 1: it leaves no processor to the
# others to boot with.

. /lib/xenhost.sh

rows=$1

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
# Windows-like guest. They boot side by side.
begin() {
    local name=$1 dm=$2 kind=$3
    shift 3
    case $kind in
    windows) write_windows "$name" "$dm" 0 "$@" ;;
    *) write_config "$name" "$dm" "$kind" ;;
    esac
    create "$name" || exit 1
    tr '\0' ' ' <"/proc/$(dm_pid "$name")/cmdline" |
        sed "s|^|command $name |"
    echo
    sed "s|^|config $name |" "/etc/xen/$name.cfg"
    names="$names $name"
    # At once: what a guest says while nobody reads is lost.
    case $kind in
    windows) await_windows "$name" ready 300 >/dev/null & ;;
    *) await_serial "$name" ready 300000 >/dev/null & ;;
    esac
    waiting="$waiting $!"
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

# before NAME...: what happened until now, and who is who in wakecount's lines.
before() {
    local name
    for name in "$@"; do
        last=$(dm_pid "$name")
        echo "$last $name" >>/tmp/names
        # A thread may end just then, at which awk would give up.
        cat /proc/"$last"/task/*/status 2>/dev/null |
            awk -v name="$name" '/ctxt_switches/ { n += $2 }
                END { print "wakes", name, 0, n }'
    done
}

waiting=
names=
echo 'step starting the boot-sector guest under stock and under Pulsar'
begin bootsector-pulsar "$PULSAR_DM" bootsector
begin bootsector-stock "$STOCK_DM" bootsector
echo 'step starting the Windows-like guest under Pulsar, gates closed'
begin windows-closed "$PULSAR_DM" windows -pulsar "$windows_gates"
echo 'step starting the Linux guest under stock and under Pulsar'
begin linux-pulsar "$PULSAR_DM" linux
begin linux-stock "$STOCK_DM" linux
echo 'step waiting until they have booted'
booted
# shellcheck disable=SC2086
wakes "$settle" 1 $names >/dev/null
# shellcheck disable=SC2086
before $names
pulsar_rows 0
echo 'step starting the Windows-like guest under stock'
begin windows-stock "$STOCK_DM" windows
before windows-stock
echo "step counting: $((rows * 30)) s in which nobody does anything"
# shellcheck disable=SC2086
wakes 30 "$rows" $names | while IFS=, read -r row _ pid tid _ some more _; do
    [ "$tid" = 0 ] || continue
    row=$((row + 1))
    name=$(sed -n "s/^$pid //p" /tmp/names)
    echo "wakes $name $row $((some + more))"
    if [ "$pid" = "$last" ]; then
        pulsar_rows "$row"
        echo "step row $row of $rows counted"
    fi
done
booted

# The guests that stock served go on under Pulsar.
[ -n "$TOOL" ] || exit 0
moved='linux-stock windows-stock'
for name in $moved; do
    echo "step replacing the device model of $name, which runs"
    "$TOOL" replace --with "$PULSAR_DM" "$name" >/tmp/replaced 2>&1 || {
        cat /tmp/replaced
        exit 1
    }
    sed "s|^|replaced $name |" /tmp/replaced
done
# shellcheck disable=SC2086
wakes "$settle" 1 $moved >/dev/null
echo 'step counting: 30 s of these two'
for name in $moved; do
    echo "$(dm_pid "$name") $name"
done >/tmp/names
# shellcheck disable=SC2086
wakes 30 1 $moved | while IFS=, read -r _ _ pid tid _ some more _; do
    [ "$tid" = 0 ] || continue
    echo "after $(sed -n "s/^$pid //p" /tmp/names) $((some + more))"
done
