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
# model to run, KIND the guest: bootsector or linux. Each LINE is one more
# line of xl.cfg(5) and wins over the same key here.
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
