# SPDX-License-Identifier: GPL-2.0-or-later
# The part in dom0 of tests/xenhost/density, which reads the lines that this
# prints:
#
#   step TEXT             what is going on
#   figure NAME VALUE     see there
#
#   density.sh DM COUNT SECONDS WINDOW
#
# Starts COUNT guests under the device model DM, or as many as have come up
# after SECONDS, lets them idle for WINDOW seconds and counts.

. /lib/xenhost.sh

dm=$1
count=$2
seconds=$3
window=$4

clock() {
    cut -d . -f 1 /proc/uptime
}

# in_use: kB of dom0's memory that it could not have back.
in_use() {
    awk '$1 == "MemTotal:" { n = $2 } $1 == "MemAvailable:" { n -= $2 }
        END { print n }' /proc/meminfo
}

# count_cpu SECONDS PID: processor time of a process, in ns.
count_cpu() {
    wakecount -i "$1" -n 1 "$2" | awk -F, '$4 == 0 { print $8 }'
}

give_up() {
    echo "step $*"
    exit 1
}

# The emulator translates a program anew for each address that it stands at.
echo 0 >/proc/sys/kernel/randomize_va_space

echo 'step booting the guest that the others are made of'
crowd_model "$dm" || give_up 'the guest could not be saved'
before=$(in_use)
begin=$(clock)
guests=0
while [ "$guests" -lt "$count" ] &&
    [ "$(($(clock) - begin))" -lt "$seconds" ]; do
    guests=$((guests + 1))
    crowd_member "$guests" "$dm" || give_up "guest $guests did not come up"
    [ "$((guests % 10))" != 0 ] || echo "step $guests guests"
done
echo "figure guests $guests"
echo "figure seconds $(($(clock) - begin))"

pids=$(crowd_pids 1 "$guests")
# shellcheck disable=SC2086
[ "$(echo $pids | wc -w)" = "$guests" ] ||
    give_up "there are not $guests device models, but $pids"

echo "step counting: $window s in which nobody does anything"
wakecount -i "$settle" -n 1 1 >/dev/null
xenstored=$(cat /run/xenstored.pid)
# shellcheck disable=SC2086
wakecount -i "$window" -n 1 "$xenstored" $pids >/tmp/wakes ||
    give_up 'a device model ended'
load=$(cut -d ' ' -f 1 /proc/loadavg)
awk -F, -v xenstored="$xenstored" '
    $4 != 0 { next }
    $3 == xenstored { print "figure xenstored_wakes", $6 + $7; next }
    { n += $6 + $7; cpu += $8 }
    END {
        print "figure wakes", n + 0
        print "figure cpu_ns", cpu + 0
    }' /tmp/wakes
echo "figure load $load"
echo "figure dom0_kb $(($(in_use) - before))"
for pid in $pids; do
    cat "/proc/$pid/smaps_rollup"
done | awk '/^Private_/ { n += $2 } END { print "figure private_kb", n }'
for pid in $pids; do
    ls "/proc/$pid/task"
done | wc -l | sed 's/^/figure threads /'

# Those that were counted are guests that live.
xl list | awk '/^crowd/ && $5 ~ /^[r-][b-]----$/ { n++ }
    END { print "figure alive", n + 0 }'
for guest in 1 "$guests"; do
    ttytalk "$(serial_tty "crowd$guest")" send 'here' expect 'here' 60000 \
        >/dev/null || give_up "guest $guest does not answer"
done

echo 'step counting what watching them costs'
"$TOOL" top --batch --interval 1 >/tmp/top &
top=$!
# Its first list comes after its first interval.
count_cpu 10 "$top" >/dev/null
echo "figure top_rows $(grep -c crowd /tmp/top)"
echo "figure top_ns $(count_cpu 20 "$top")"
kill "$top"
