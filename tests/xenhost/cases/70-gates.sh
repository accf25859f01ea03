# SPDX-License-Identifier: GPL-2.0-or-later
# Hardware that the options close or move, under xl.

closed='hvm_serial=none parallel=none usb=false usb_tablet=false dvd=none monitor=qmp'
conf=/etc/xen/pulsar.conf

# A device model for xl that finds platform data as xapi writes it.
keyed_dm() {
    cat >/etc/xen/keyed <<END
#!/bin/sh
for word; do
    [ "\$last" != -xen-domid ] || domid=\$word
    last=\$word
done
for pair in $closed; do
    xenstore-write "/local/domain/\$domid/platform/\${pair%%=*}" \\
        "\${pair#*=}" || exit 1
done
exec $PULSAR "\$@"
END
    chmod +x /etc/xen/keyed
}

# asking NAME DM [WORDS [LINE...]]: a guest that is asked for all that options
# can close, by name or by default. WORDS are more of device_model_args_hvm.
asking() {
    local name=$1 dm=$2 words=${3-}
    shift 2
    [ $# = 0 ] || shift
    write_config "$name" "$dm" bootsector 'usb = 1' 'usbdevice = "tablet"' \
        "$(with_cdrom "$name")" "device_model_args_hvm = [\"-parallel\",
            \"null\", \"-monitor\", \"unix:/tmp/$name,server,nowait\"$words]" \
        "$@"
    create "$name"
}

# The same gates closed by each of the three sources.
gated_guests() {
    local words
    cat >$conf <<END
[defaults]
parallel = none
[vm byfile]
serial = none
usb = false
usb_tablet = false
dvd = none
monitor = qmp
[vm moved]
usb = xhci
dvd = ahci
END
    keyed_dm
    words=$(echo "$closed" | sed 's/hvm_//; s/ /,/g')
    asking byline "$PULSAR" ", \"-pulsar\", \"$words\"" &&
        asking bykey /etc/xen/keyed &&
        asking byfile "$PULSAR" ", \"-pulsar\", \"config=$conf\"" &&
        await_sleep byline bykey byfile
}

gates_closed() {
    local name
    for name in byline bykey byfile; do
        lacks $name isa-serial && lacks $name isa-parallel &&
            lacks $name piix3-usb-uhci && lacks $name usb-tablet &&
            lacks $name ide-cd && [ ! -e /tmp/$name ] || {
            echo "$name is not closed"
            return 1
        }
    done
    # What they lack is there where nothing is closed.
    has tiny isa-serial && has moved isa-serial && has moved usb-tablet &&
        has moved ide-cd && [ -S /tmp/moved ]
}

# told NAME SOURCE: the log names each option with where it came from.
told() {
    local key source
    for key in serial=none parallel=none usb=false dvd=none monitor=qmp; do
        case $2 in
        platform)
            source="xenstore /local/domain/$(domid "$1")/platform/${key%=*}"
            source=$(echo "$source" | sed 's/serial$/hvm_serial/')
            ;;
        *) source=$2 ;;
        esac
        grep -F "is left out: $key ($source" "/var/log/xen/qemu-dm-$1.log" || {
            echo "nothing about $key"
            return 1
        }
    done
}

gates_told() {
    told byline 'command line' && told bykey platform && told byfile "$conf ["
}

closed_drive() {
    ! xl cd-insert byfile hdc /disks/cd.iso 2>/tmp/refused &&
        grep -F "dvd=none ($conf [vm byfile])" /tmp/refused &&
        xl domid byfile
}

closed_door() {
    monitor bykey 'device_add usb-tablet' | tee /tmp/refused
    grep -F 'usb=false (xenstore /local/domain/' /tmp/refused &&
        lacks bykey usb-tablet
}

moved_guest() {
    asking moved "$PULSAR" ", \"-pulsar\", \"config=$conf\"" &&
        await_serial moved ready 120000 &&
        has moved nec-usb-xhci && lacks moved piix3-usb-uhci &&
        has moved usb-tablet && has moved ide-cd &&
        monitor moved 'info qtree' | grep 'bus: pulsar-dvd.0'
}

moved_drive() {
    xl cd-insert moved hdc /disks/cd.iso &&
        monitor moved 'info block' | grep 'ide-5632 (#' &&
        xl cd-eject moved hdc &&
        monitor moved 'info block' | grep 'ide-5632: .*not inserted'
}

# Of two drives the one with a medium stays; of a USB tablet the controller.
loaded_guest() {
    truncate -s 64k /disks/cd.iso
    asking loaded "$PULSAR" ', "-pulsar",
        "dvd=loaded,usb_tablet=false,vnc_idle=10"' \
        "$(with_cdrom loaded \
            vdev=hdc,access=ro,devtype=cdrom,backendtype=qdisk,target= \
            format=raw,vdev=hdd,access=ro,devtype=cdrom,backendtype=qdisk,target=/disks/cd.iso)" &&
        await_serial loaded ready 120000 &&
        [ "$(has loaded ide-cd | wc -l)" = 1 ] &&
        monitor loaded 'info block' | grep 'ide-5696 (#' &&
        has loaded piix3-usb-uhci && lacks loaded usb-tablet
}

# A viewer has seen all and waits for a change. Without vnc_idle that would be
# a look in three seconds; here, when no look has found anything for ten, it is
# one in ten. Counting starts when it is, and goes on behind the next tests.
viewer_waits() {
    mkfifo /tmp/viewer
    { printf 'frame\nupdate\n'; cat /tmp/viewer; } |
        rfb "$(vnc_address loaded)" >/tmp/frames &
    viewer=$!
    { wakes 25 1 loaded >/dev/null; wakes 40 1 loaded >/tmp/looks; } &
    looks=$!
}

viewer_cost() {
    local status count
    wait "$looks" || return 1
    ttytalk "$(serial_tty loaded)" send '!b' expect 'done' 60000
    echo quit >/tmp/viewer
    wait "$viewer"
    status=$?
    rm /tmp/viewer
    cat /tmp/frames
    count=$(awk -F, '$4 == 0 && NR > 1 { print $6 }' /tmp/looks)
    echo "$count wakes in 40 s with a viewer"
    [ "$status" = 0 ] && [ "$(wc -l </tmp/frames)" = 2 ] &&
        [ "$count" -gt 0 ] && [ "$count" -le 8 ]
}

# A restored guest finds the same hardware, or is refused with the reason.
moved_save() {
    {
        xl save moved /disks/saved &&
            xl restore /etc/xen/moved.cfg /disks/saved
    } >/tmp/save.log 2>&1 || {
        cat /tmp/save.log
        return 1
    }
    ttytalk "$(serial_tty moved)" send '!s' expect 'done' 20000
}

other_hardware() {
    local status
    xl save moved /disks/saved >/dev/null 2>&1 || return 1
    sed -i '/^usb = xhci/d' $conf
    ! xl restore /etc/xen/moved.cfg /disks/saved >/dev/null 2>&1 &&
        grep 'was saved with usb=xhci and cannot be restored with usb=given' \
            /var/log/xen/qemu-dm-moved.log
    status=$?
    rm /disks/saved
    return "$status"
}

# libxl hears nothing then, and says so in its own words.
no_monitor() {
    write_config bare "$PULSAR" bootsector \
        'device_model_args_hvm = ["-pulsar", "monitor=none"]'
    ! create bare && await_end bare 60000 &&
        grep 'is left out: monitor=none (command line)' \
            /var/log/xen/qemu-dm-bare.log
}

check 'dvd=loaded, usb_tablet=false: what stays, what goes' loaded_guest
check 'vnc_idle=10: a viewer comes' viewer_waits
check 'serial, parallel, usb, dvd, monitor closed by each source: asleep' \
    gated_guests
check 'usb=xhci, dvd=ahci: a guest boots with both' moved_guest
check 'what is closed is not there' gates_closed
check 'the log names each option and its source' gates_told
check 'xl cd-insert is told that there is no drive' closed_drive
check 'device_add is told that there is no USB' closed_door
check 'dvd=ahci: xl cd-insert and cd-eject' moved_drive
check 'usb=xhci, dvd=ahci: saved and restored' moved_save
check 'vnc_idle=10: a look in 10 s, and the viewer misses nothing' viewer_cost
check 'gates closed or moved, no viewer left: no wake' \
    asleep 15 byline bykey byfile moved loaded
check 'monitor=none: the log says why xl gives up' no_monitor
check 'restored without usb=xhci: refused with the reason' other_hardware
check 'the guests with gates end' end_all byline bykey byfile loaded
