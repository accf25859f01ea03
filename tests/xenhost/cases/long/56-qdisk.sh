# SPDX-License-Identifier: GPL-2.0-or-later
# A guest's PV disks are served by its device model, and that is replaced while
# the guest works on them: from Debian's 7.2 to Pulsar, then twenty times by
# itself, and with the command killed in the middle.

debian=/usr/libexec/xen-qemu-system-i386
times=20

# What the guest does, three times side by side: it writes 64 KiB that are new
# each time, past its cache and with fsync, reads them the same way and
# compares. It comes with the disk, in its first 4 KiB.
write_work() {
    truncate -s 4M "$1"
    {
        cat <<'END'
job() {
    n=0
    while [ ! -e /run/stop ]; do
        n=$((n + 1))
        yes "job $1 round $n" | head -c 65536 >/run/a.$1
        dd if=/run/a.$1 of=/dev/xvdb bs=16k seek=$(($1 * 4)) oflag=direct \
            conv=notrunc,fsync 2>/run/e.$1 &&
            dd if=/dev/xvdb of=/run/b.$1 bs=16k skip=$(($1 * 4)) count=4 \
                iflag=direct 2>/run/e.$1 &&
            cmp /run/a.$1 /run/b.$1 || echo "job $1 round $n" >>/run/bad
        echo $n >/run/round.$1
    done
}
stop() {
    >/run/stop
    wait
    {
        for i in 1 2 3; do echo "job $i ended after $(cat /run/round.$i)"; done
        cat /run/bad 2>/dev/null
        dmesg | grep -i 'xvd.*\(error\|illegal\|removed\)'
        yes '' | head -c 4096
    } | dd of=/dev/xvdb bs=4096 seek=1 count=1 iflag=fullblock \
        conv=notrunc,fsync 2>/dev/null
    echo all said
}
>/run/begun
for i in 1 2 3; do job $i & done
END
        yes '' | head -c 4096
    } | dd of="$1" bs=4096 count=1 iflag=fullblock conv=notrunc 2>/dev/null
}

# boots NAME DM
boots() {
    write_config "$1" "$2" linux "$(with_cdrom "$1" \
        "format=raw,vdev=xvdb,access=rw,backendtype=qdisk,target=/disks/$1.data")"
    write_work "/disks/$1.data"
    create "$1" && await_serial "$1" 'guest ready, its disk is xvda' 300000 &&
        prompt "$1" && ttytalk "$(serial_tty "$1")" \
            send 'head -c 4096 /dev/xvdb >/run/work; . /run/work\n' \
            expect 'guest#' 60000 && goes_on "$1"
}

# Each of its jobs gets done with something.
goes_on() {
    # shellcheck disable=SC2016
    prompt "$1" && ttytalk "$(serial_tty "$1")" \
        send 'for i in 1 2 3; do a=$(cat /run/round.$i); while [ "$(cat /run/round.$i)" = "$a" ]; do sleep 1; done; done; echo goes on$((1))\n' \
        expect 'goes on1' 120000
}

replaced_often() {
    local i
    for i in $(seq "$times"); do
        replace_dm "$1" || return 1
    done
    goes_on "$1"
}

# In what is begun with the journal, wherever it is by then; what is left to do
# the next one does.
killed_meanwhile() {
    local deciseconds pid folder looks
    folder=/run/pulsar/$(domid "$1").replace
    for deciseconds in 0 5 10 20 30; do
        "$TOOL" replace --with "$PULSAR" "$1" >/tmp/killed 2>&1 &
        pid=$!
        looks=0
        until [ -e "$folder/journal" ]; do
            [ "$((looks += 1))" -lt 600 ] || return 1
            sleep 0.1
        done
        sleep "$((deciseconds / 10)).$((deciseconds % 10))"
        kill -9 "$pid"
        wait "$pid"
        echo "left: $(ls "$folder" 2>/dev/null | tr '\n' ' ')"
        "$TOOL" replace --with "$PULSAR" "$1" 2>&1 || {
            cat /tmp/killed "/var/log/xen/qemu-dm-$1.log"
            return 1
        }
    done
    goes_on "$1"
}

# Stock would begin anew with a ring that is in use.
not_to_stock() {
    local before
    before=$(dm_pid "$1")
    ! "$TOOL" replace --with "$2" "$1" >/tmp/refused 2>&1 &&
        grep 'PV disk' /tmp/refused && [ "$(dm_pid "$1")" = "$before" ] &&
        goes_on "$1"
}

# Nothing differed, and what each job wrote last is in the image.
nothing_lost() {
    local job round
    ttytalk "$(serial_tty "$1")" send 'stop\n' expect 'all said' 120000 ||
        return 1
    dd if="/disks/$1.data" bs=4096 skip=1 count=1 2>/dev/null |
        grep . >/tmp/said
    cat /tmp/said
    [ "$(wc -l </tmp/said)" = 3 ] || return 1
    for job in 1 2 3; do
        round=$(sed -n "s/^job $job ended after //p" /tmp/said)
        [ "$round" -gt 1 ] || return 1
        yes "job $job round $round" | head -c 65536 >/tmp/last
        dd if="/disks/$1.data" bs=64k skip="$job" count=1 2>/dev/null |
            cmp - /tmp/last || return 1
    done
}

check 'Linux guest at work on its PV disks, under the 7.2 of Debian' \
    boots worker "$debian"
check 'its device model is replaced by Pulsar' replace_dm worker
check 'and by Pulsar again, twenty times' replaced_often worker
check 'and with the command killed in the middle' killed_meanwhile worker
if [ -n "$STOCK" ]; then
    check 'stock is refused, with nothing touched' not_to_stock worker "$STOCK"
else
    skip 'stock is refused, with nothing touched' "$no_stock"
fi
check 'no write was lost and none came twice' nothing_lost worker
check 'no wake after that' asleep 15 worker
check 'a guest with PV disks ends after it' end_all worker
if [ -n "$STOCK" ]; then
    check 'Linux guest at work on its PV disks, under stock 10.0' \
        boots worker "$STOCK"
    check 'stock 10.0 is replaced by Pulsar' replace_dm worker
    check 'and Pulsar by Pulsar' replace_dm worker
    check 'no write was lost there' nothing_lost worker
    check 'that guest ends too' end_all worker
else
    skip 'Linux guest at work on its PV disks, under stock 10.0' "$no_stock"
    skip 'stock 10.0 is replaced by Pulsar' "$no_stock"
    skip 'and Pulsar by Pulsar' "$no_stock"
    skip 'no write was lost there' "$no_stock"
    skip 'that guest ends too' "$no_stock"
fi
