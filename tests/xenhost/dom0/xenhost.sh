# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts in dom0 share: . /lib/xenhost.sh

# The suite's name in the lines that ok and not_ok print.
suite=xenhost

# say TEXT...: a line for people, not a result.
say() {
    echo "# $*"
}

# check NAME COMMAND...: one test, "ok" when the command succeeds. What the
# command prints is shown as diagnostics when it fails or V=1.
check() {
    check_name=$1
    shift
    if "$@" >/tmp/check.out 2>&1; then
        [ "${V:-0}" = 0 ] || sed 's/^/# /' /tmp/check.out
        echo "ok - $suite: $check_name"
    else
        sed 's/^/# /' /tmp/check.out
        echo "not ok - $suite: $check_name"
        failed=1
    fi
}

# write_config NAME DM KIND [LINE...]: /etc/xen/NAME.cfg as a toolstack's
# user writes it: VNC, a serial port on a pty, one disk. DM is the device
# model to run, KIND the guest: bootsector or linux. Each LINE is one more
# line of xl.cfg(5) and wins over the same key here.
write_config() {
    name=$1
    dm=$2
    kind=$3
    shift 3
    mkdir -p /disks
    cp "/guests/$kind.img" "/disks/$name.img"
    case $kind in
    linux) memory=192 disk_bus='hdtype="ahci"' ;;
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

# wakes NAME SECONDS: context switches of the device model's threads.
wakes() {
    wakecount -i "$2" "$(dm_pid "$1")"
}

# all_wakes: the sum over all threads from what wakes printed.
all_wakes() {
    awk -F, '$4 == 0 && NR > 1 { n += $6 + $7 } END { print n + 0 }'
}
