# SPDX-License-Identifier: GPL-2.0-or-later
# dvd=notify: a guest that is told of a disc and does not ask. The Windows-like
# one is counted from here to 86-dvd.sh, as long as that may be.

# disc NAME TEXT: a disc that says so in its first sector.
disc() {
    echo "$2" >"/disks/$1.iso" && truncate -s 1M "/disks/$1.iso"
}

# told_of NAME LINE...: wait until the drive has told the guest of just these.
told_of() {
    local name=$1 number end
    shift
    number=$(domid "$name")
    end=$(($(date +%s) + 60))
    until windows_said "$number" | sed -n 's/^DVD: //p' >/tmp/told &&
        printf '%s\n' "$@" | cmp -s - /tmp/told; do
        if [ "$(date +%s)" -ge "$end" ]; then
            windows_said "$number"
            return 1
        fi
        sleep 1
    done
    cat /tmp/told
}

dvd_windows() {
    write_windows windvd "$PULSAR" 0 \
        -pulsar dvd=notify,usb=xhci,usb_tablet=true,serial=none
    disc one DISC-ONE && disc two DISC-TWO
    create windvd && await_windows windvd ready 300 &&
        windows_said "$(domid windvd)" | tee /tmp/said &&
        grep -q '^AHCI: the drive notifies' /tmp/said &&
        has windvd pulsar-notify-cd && has windvd nec-usb-xhci
}

dvd_windows_changes() {
    xl cd-insert windvd hdc /disks/one.iso &&
        told_of windvd 'a new disc' &&
        xl cd-insert windvd hdc /disks/two.iso &&
        told_of windvd 'a new disc' 'the disc is out' 'a new disc' &&
        xl cd-eject windvd hdc &&
        told_of windvd 'a new disc' 'the disc is out' 'a new disc' \
            'the disc is out'
}

# It is another domain then, and what it said before is the former one's.
dvd_windows_restored() {
    xl cd-insert windvd hdc /disks/one.iso && move windvd "$PULSAR" &&
        xl cd-eject windvd hdc && told_of windvd 'the disc is out' &&
        xl cd-insert windvd hdc /disks/two.iso &&
        told_of windvd 'the disc is out' 'a new disc'
}

# in_linux COMMANDS ANSWER: the guest's shell is told, and answers.
in_linux() {
    ttytalk "$(serial_tty lindvd)" send "$(echo "$1" | tr '\n' ';')\n" \
        expect "$2" 120000
}

# Nobody asks the drive: there is no udev that would have the kernel do so. What
# happens to it is an event, which the shell's terminal shows from "listening" on.
dvd_linux() {
    write_config lindvd "$PULSAR" linux "$(with_cdrom lindvd)" \
        'device_model_args_hvm = ["-pulsar", "dvd=notify"]'
    create lindvd &&
        await_serial lindvd 'guest ready, its disk is xvda' 300000 &&
        in_linux 'modules; echo rc=$?' 'rc=0' &&
        in_linux 'modprobe libata atapi_an=1; modprobe -a ahci sr_mod
            until [ -b /dev/sr0 ]; do sleep 0.2; done
            cd /sys; set module/block/parameters/events_dfl_poll_msecs
            echo polls $(cat $1 block/sr0/events_poll_msecs)' 'polls 0 -1' &&
        in_linux 'dmesg | grep -o "ATAPI AN"' 'ATAPI AN' &&
        in_linux 'uevent sh -c "env | tee -a /tmp/heard" & until grep change /tmp/heard
            do echo change >block/sr0/uevent; sleep 0.2; done
            echo listening' listening
}

# linux_hears COMMAND: of what the command does, by an event.
linux_hears() {
    local status
    mkfifo /tmp/go
    { read -r _ </tmp/go; "$@"; } >/tmp/did 2>&1 &
    ttytalk "$(serial_tty lindvd)" send 'echo and "waiting"\n' \
        expect 'and waiting' 60000 tell /tmp/go 'go\n' \
        expect 'SDEV_MEDIA_CHANGE=1' 60000
    status=$?
    wait $! || status=1
    cat /tmp/did
    rm /tmp/go
    return $status
}

# Who opens a drive first after a change is told of the change, by errors: with
# udev that is its cdrom_id.
disc_says() {
    in_linux 'until head -c 8 /dev/sr0; do sleep 0.2; done; echo' "$1"
}

dvd_linux_changes() {
    linux_hears xl cd-insert lindvd hdc /disks/one.iso &&
        disc_says DISC-ONE &&
        linux_hears xl cd-eject lindvd hdc &&
        in_linux 'head -c 8 /dev/sr0' 'No medium found' &&
        linux_hears xl cd-insert lindvd hdc /disks/two.iso &&
        disc_says DISC-TWO
}

# switches NAME: of its device model, each thread's since it began.
switches() {
    grep -H ctxt_switches /proc/"$(dm_pid "$1")"/task/*/status
}

dvd_sleeps() {
    asleep 10 windvd lindvd && switches windvd >/tmp/windvd.switches &&
        cut -d' ' -f1 /proc/uptime >/tmp/windvd.since
}

check 'dvd=notify: a Windows-like guest has its drive notify' dvd_windows
check 'it is told of a disc that comes, is changed, and goes' \
    dvd_windows_changes
check 'the same after it was saved and restored' dvd_windows_restored
check 'dvd=notify: a Linux guest has its drive notify' dvd_linux
check 'it hears of a disc that comes, goes and comes, and reads it' \
    dvd_linux_changes
check 'discs in their drives, and nobody asks: no wake' dvd_sleeps
check 'the Linux guest with a disc ends' end_all lindvd
