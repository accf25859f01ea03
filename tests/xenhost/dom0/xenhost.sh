# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts in dom0 share: . /lib/xenhost.sh

# The suite's name in the lines that ok and not_ok print.
suite=xenhost

# say TEXT...: a line for people, not a result.
say() {
    echo "# $*"
}

# check NAME COMMAND...: one test, "ok" when the command succeeds. What it
# prints is shown; errors are told with the test when it fails.
failed=0
check() {
    local name=$1 verdict
    shift
    if "$@" >/tmp/check.out 2>&1; then
        verdict=ok
    else
        verdict='not ok'
        failed=$((failed + 1))
    fi
    sed 's/^/# /' /tmp/check.out
    echo "$verdict - $suite: $name"
}

# skip NAME REASON...: a test that cannot be run here.
skip() {
    local name=$1
    shift
    echo "ok - $suite: $name # SKIP $*"
}

# write_config NAME DM KIND [LINE...]: /etc/xen/NAME.cfg as a toolstack's
# user writes it: VNC, a serial port on a pty, one disk. DM is the device
# model to run, KIND the guest: bootsector, linux or windows. Each LINE is one
# more line of xl.cfg(5) and wins over the same key here.
write_config() {
    local name=$1 dm=$2 kind=$3 memory disk_bus line
    shift 3
    cp "/guests/$kind.img" "/disks/$name.img"
    case $kind in
    linux) memory=160 disk_bus='hdtype="ahci"' ;;
    *) memory=32 disk_bus= ;;
    esac
    cat >"/etc/xen/$name.cfg" <<END
name = "$name"
type = "hvm"
memory = $memory
vcpus = 1
disk = ["format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/disks/$name.img"]
$disk_bus
vnc = 1
vnclisten = "127.0.0.1"
serial = "pty"
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
device_model_version = "qemu-xen"
device_model_override = "$dm"
END
    for line in "$@"; do
        sed -i "/^${line%% *} =/d" "/etc/xen/$name.cfg"
        echo "$line" >>"/etc/xen/$name.cfg"
    done
}

# open_devices NAME: lines for write_config that ask for all that stock makes
# by default under xapi: serial, parallel, USB with a tablet, an empty DVD
# drive, a human monitor. More words for the device model may follow.
open_devices() {
    local name=$1 word words='"-parallel", "null", "-monitor", "null"'
    shift
    for word in "$@"; do
        words="$words, \"$word\""
    done
    echo 'usb = 1'
    echo 'usbdevice = "tablet"'
    with_cdrom "$name"
    echo "device_model_args_hvm = [$words]"
}

# write_windows NAME DM SECONDS [WORD...]: configures a guest that behaves like
# Windows, with all devices, and powers itself off SECONDS after it was ready
# (0: never). Each WORD is one more for the device model.
write_windows() {
    local name=$1 dm=$2 seconds=$3 line
    shift 3
    open_devices "$name" "$@" >"/tmp/$name.lines"
    set --
    while read -r line; do
        set -- "$@" "$line"
    done <"/tmp/$name.lines"
    write_config "$name" "$dm" windows "$@"
    # What stands where: guests/windows/start.S
    printf '%-8s' "$seconds" |
        dd of="/disks/$name.img" bs=1 seek=520 conv=notrunc 2>/dev/null
}

# What closes all that such a guest would keep asking or running.
windows_gates=serial=none,parallel=none,usb=false,usb_tablet=false,dvd=none,monitor=qmp

# windows_said DOMID: what the guest that behaves like Windows said. It says it
# to Xen, whose console keeps it, so it needs no device for that.
windows_said() {
    xl dmesg | sed -n "s/.*(d$1) windows guest: //p"
}

# ledger_row NAME...: count the context switches of a row of 30 s, and print
# what the ledger of the first has of it: timers, reads, writes, seconds.
ledger_row() {
    local start before after end
    wakes "$settle" 1 "$@" >/dev/null || return 1
    start=$(cut -d' ' -f1 /proc/uptime)
    before=$(ledger_total "$1")
    wakes 30 1 "$@" >/tmp/windows.wakes || return 1
    after=$(ledger_total "$1")
    end=$(cut -d' ' -f1 /proc/uptime)
    echo "$before $after $start $end" |
        awk '{ print $4 - $1, $5 - $2, $6 - $3, $8 - $7 }'
}

# windows_rests NAME...: the "before" of the published table: the drive asked
# once a second, and a controller that goes on running.
windows_rests() {
    ledger_row "$@" | awk '{
        print "timer", $1, "read", $2, "write", $3, "in", $4, "s"
        # Ten looks a second, and whatever else a guest that is used needs.
        rests = $1 <= 11 * $4 + 2 && $2 >= 100 && $3 >= 100
    } END { exit !rests }'
}

# await_windows NAME TEXT SECONDS: wait until it said TEXT. Nothing tells that
# Xen's console has more, so it is looked at again and again.
await_windows() {
    local number end
    number=$(domid "$1")
    end=$(($(date +%s) + $3))
    until windows_said "$number" | grep -q "$2"; do
        if [ "$(date +%s)" -ge "$end" ]; then
            echo "guest $1 did not say '$2' within $3 s, but:"
            windows_said "$number"
            return 1
        fi
        sleep 2
    done
}

domid() {
    xl domid "$1"
}

# dm_pid NAME: the process that is the domain's device model.
dm_pid() {
    xenstore-read "/local/domain/$(domid "$1")/image/device-model-pid"
}

# serial_tty NAME: the pty of the domain's serial port.
serial_tty() {
    xenstore-read "/local/domain/$(domid "$1")/serial/0/tty"
}

# vnc_address NAME: where the domain's screen is served.
vnc_address() {
    echo "127.0.0.1:$(xenstore-read "/local/domain/$(domid "$1")/console/vnc-port")"
}

# await_serial NAME TEXT MS: wait until the guest says TEXT on its serial port.
await_serial() {
    ttytalk "$(serial_tty "$1")" expect "$2" "$3"
}

# with_cdrom NAME [DISK...]: a line for write_config, its disk and an empty CD
# drive, or instead of that one the disks that are named.
with_cdrom() {
    local disks="\"format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/disks/$1.img\"" disk
    shift
    [ $# -gt 0 ] ||
        set -- 'vdev=hdc,access=ro,devtype=cdrom,backendtype=qdisk,target='
    for disk in "$@"; do
        disks="$disks, \"$disk\""
    done
    echo "disk = [$disks]"
}

# monitor NAME COMMAND: what the human monitor says to a command.
monitor() {
    xl qemu-monitor-command "$1" "$2"
}

# has NAME DRIVER, lacks NAME DRIVER: is there such a device?
has() {
    monitor "$1" 'info qtree' | grep "dev: $2,"
}

lacks() {
    monitor "$1" 'info qtree' >/tmp/qtree
    # The answer has to be a tree.
    grep -q 'dev: i440FX,' /tmp/qtree && ! grep "dev: $2," /tmp/qtree
}

# create NAME: start the domain from its configuration.
create() {
    xl create "/etc/xen/$1.cfg" >"/var/log/xen/create-$1.log" 2>&1 || {
        cat "/var/log/xen/create-$1.log"
        return 1
    }
}

# await_end NAME MS: wait until the domain is gone from Xen and xenstore.
await_end() {
    local end left
    end=$(($(date +%s) + $2 / 1000))
    while xl domid "$1" >/dev/null 2>&1; do
        left=$((end - $(date +%s)))
        if [ "$left" -le 0 ]; then
            echo "domain $1 is still there after $2 ms"
            return 1
        fi
        # Fires once at once, and again when a domain goes.
        timeout "$left" xenstore-watch -n 2 @releaseDomain >/dev/null || true
    done
}

# end_all NAME...: destroy the domains and wait until they are gone.
end_all() {
    local name
    for name in "$@"; do
        xl destroy "$name" && await_end "$name" 60000 || return 1
    done
}

# write_xapi NAME VM KIND NUMBER [LINE...]: like write_config, but the device
# model is started with the command line of VM, a xapi VM (xapi-argv.tsv), and
# its disk and network card have their back ends in dom0's kernel. The card's
# MAC ends in NUMBER, two hexadecimal digits. Its CD drive is ide1-cd1. What is
# appended to /etc/xen/NAME.words is one more word a line.
#
# The BIOS reads an IDE disk word by word, which takes minutes here for a kernel.
# So a Linux guest with an IDE disk has the same disk on AHCI as well; GRUB
# comes from the first and reads the second.
write_xapi() {
    local name=$1 vm=$2 kind=$3 number=$4 loop second words=/etc/xen/$1.words
    shift 4
    cp "/test/xapi/$vm" "$words"
    write_config "$name" "/etc/xen/$name.dm" "$kind" 'dm_restrict = 1' \
        'vnc = 0' 'vkb_device = 0' 'vga = "stdvga"' 'videoram = 16' \
        "vif = [\"mac=00:16:3e:00:00:$number\"]" "$@"
    if [ "$kind" = linux ] && grep -q ^ide-hd, "$words"; then
        dd if=/guests/grub-second.img of="/disks/$name.img" conv=notrunc \
            2>/dev/null
        cat >>"$words" <<END
-device
ich9-ahci,id=quick
-drive
file=/disks/hd1,if=none,id=quick,format=raw
-device
ide-hd,drive=quick,bus=quick.0
END
    fi
    loop=$(losetup -f)
    losetup "$loop" "/disks/$name.img" || return 1
    second=$(losetup -f)
    losetup "$second" "/disks/$name.img" || return 1
    grep -q ^xen-qemuuser-range-base: /etc/passwd ||
        echo 'xen-qemuuser-range-base:x:131072:131072::/:/bin/false' \
            >>/etc/passwd
    sed -i "s|^disk = .*|disk = [\"format=raw,vdev=hda,access=rw,backendtype=phy,target=$loop\"]|" \
        "/etc/xen/$name.cfg"
    truncate -s 1M "/disks/$name.hd2" "/disks/$name.cd"
    cat >"/etc/xen/$name.dm" <<END
#!/bin/sh
exec xapi-dm $PULSAR $words vgabios=vgabios-stdvga.bin \\
    hd0=$loop hd1=$second hd2=/disks/$name.hd2 cd=/disks/$name.cd -- "\$@"
END
    chmod +x "/etc/xen/$name.dm"
}

# xapi_qmp NAME SOCKET WORDS...: tell a device model something by one of xapi's
# two sockets, qmp-libxl or qmp-event.
xapi_qmp() {
    local name=$1 socket=$2
    shift 2
    qmp "/var/run/xen/$socket-$(domid "$name")" "$@"
}

# xapi_events NAME: hold the socket of its events, as xenopsd does while the VM
# runs; they go to /tmp/NAME.events. Ends with the device model.
xapi_events() {
    xapi_qmp "$1" qmp-event '{"execute": "cont"}' hold \
        >"/tmp/$1.events" 2>&1 &
}

# save_restore NAME: save the domain and restore it from its configuration.
save_restore() {
    {
        xl save "$1" /disks/saved &&
            xl restore "/etc/xen/$1.cfg" /disks/saved
    } >/tmp/save.log 2>&1 || {
        cat /tmp/save.log "/var/log/xen/qemu-dm-$1.log"
        return 1
    }
    rm /disks/saved
}

# crowd_model DM: boot a boot-sector guest and save it, for crowd_member.
crowd_model() {
    write_config crowd "$1" bootsector 'memory = 16' 'vncunused = 0' \
        'vncdisplay = 100'
    create crowd && await_serial crowd ready 120000 || return 1
    xl save crowd /disks/crowd >/tmp/save.log 2>&1 || {
        cat /tmp/save.log
        return 1
    }
}

# crowd_member NUMBER DM: one more guest, crowdNUMBER, that goes on where the
# saved one was. Its VNC display is named, behind those that others may have:
# libxl looks for a free one among a hundred only. No xl waits for the guest's end.
crowd_member() {
    local name=crowd$1
    cp /disks/crowd.img "/disks/$name.img"
    sed -e "s/crowd/$name/" -e "s/^vncdisplay = .*/vncdisplay = $((100 + $1))/" \
        -e "s|^device_model_override = .*|device_model_override = \"$2\"|" \
        /etc/xen/crowd.cfg >"/etc/xen/$name.cfg"
    xl restore -e "/etc/xen/$name.cfg" /disks/crowd >/tmp/restore.log 2>&1 || {
        cat /tmp/restore.log "/var/log/xen/qemu-dm-$name.log"
        return 1
    }
}

# crowd_pids FIRST LAST: the device models of crowdFIRST to crowdLAST.
crowd_pids() {
    xenstore-list /local/domain | grep -v '^0$' | sed -e 's|^|/local/domain/|' \
        -e 's|.*|&/name\n&/image/device-model-pid|' | xargs xenstore-read |
        awk -v first="$1" -v last="$2" '
            NR % 2 { guest = $1; next }
            sub(/^crowd/, "", guest) && guest + 0 >= first + 0 &&
                guest + 0 <= last + 0'
}

# move NAME DM: save the domain and restore it under the device model DM.
move() {
    local pid
    sed -i "s|^device_model_override = .*|device_model_override = \"$2\"|" \
        "/etc/xen/$1.cfg"
    save_restore "$1" && pid=$(dm_pid "$1") && readlink "/proc/$pid/exe" |
        grep "^$(dirname "$2")/"
}

# replace_dm NAME [DM [WORD...]]: let `pulsar replace` give a running domain the
# device model DM, Pulsar's if none is named; the one that it had is gone then.
# WORDs are for the command.
replace_dm() {
    local name=$1 dm=${2:-$PULSAR} before
    shift
    [ $# = 0 ] || shift
    before=$(dm_pid "$name")
    "$TOOL" replace "$@" --with "$dm" "$name" 2>&1 || {
        cat "/var/log/xen/qemu-dm-$name.log"
        return 1
    }
    [ "$(dm_pid "$name")" != "$before" ] && [ ! -d "/proc/$before" ] &&
        readlink "/proc/$(dm_pid "$name")/exe" | grep "^$(dirname "$dm")/"
}

# answers NAME: the boot-sector guest types back, and its requests, synchronous
# and buffered, come to an end.
answers() {
    ttytalk "$(serial_tty "$1")" send 'after' expect 'after' 20000 \
        send '!s' expect 'done' 20000 send '!b' expect 'done' 20000
}

# prompt NAME: wait until the Linux guest's shell answers. What is typed while
# Linux sets up its UART again after a restore is lost, so it is asked again.
prompt() {
    # shellcheck disable=SC2034
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        ttytalk "$(serial_tty "$1")" send '\n' expect 'guest#' 3000 && return
    done
    return 1
}

# wakes SECONDS ROWS NAME...: context switches of the device models' threads,
# as wakecount prints them.
wakes() {
    local seconds=$1 rows=$2 pids='' name
    shift 2
    for name in "$@"; do
        pids="$pids $(dm_pid "$name")"
    done
    # shellcheck disable=SC2086
    wakecount -i "$seconds" -n "$rows" $pids
}

# asleep SECONDS NAME...: succeeds when no thread of any of the device models
# ran for that long. The first seconds after whatever was done before are let
# pass: there is no event that tells that nothing will happen.
settle=5
asleep() {
    local seconds=$1 name
    shift
    wakes "$settle" 1 "$@" >/dev/null || return 1
    wakes "$seconds" 1 "$@" >/tmp/wakes || return 1
    for name in "$@"; do
        awk -F, -v pid="$(dm_pid "$name")" -v name="$name" \
            '$3 == pid && $4 { print name, "thread", $4, $5 ":", $6 + $7 }
             $3 == pid && !$4 { n += $6 + $7; s += $2 }
             END { print name ":", n + 0, "wakes in", s, "s" }' /tmp/wakes
    done
    # A row of zeros a device model, and no other row.
    awk -F, -v want=$# 'NR > 1 { rows++; n += $6 + $7 }
        END { exit !(rows == want && n == 0) }' /tmp/wakes
}

# ledger_total NAME: timer, read and write since the start, from the ledger.
ledger_total() {
    "$TOOL" table --json "$(domid "$1")" |
        sed -n 's/.*"total":{\([^}]*\)}.*/\1/p' | tr -d '"' | tr ':,' ' \n' |
        awk '{ n[$1] = $2 } END { print n["timer"], n["read"], n["write"] }'
}

# ledger_grows NAME COLUMN LEAST COMMAND...: COMMAND makes the ledger count at
# least so many more in a column of ledger_total: 1 timers, 2 reads, 3 writes.
ledger_grows() {
    local name=$1 column=$2 least=$3 before after
    shift 3
    before=$(ledger_total "$name" | cut -d' ' -f"$column")
    "$@" || return 1
    after=$(ledger_total "$name" | cut -d' ' -f"$column")
    echo "$before before, $after after"
    [ "$((after - before))" -ge "$least" ]
}

# await_sleep NAME...: wait until they sleep. A guest without a serial port
# cannot tell when it is ready.
await_sleep() {
    # shellcheck disable=SC2034
    local try
    for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
        asleep 5 "$@" >/dev/null && return
    done
    echo "$*: no sleep within two minutes"
    return 1
}
