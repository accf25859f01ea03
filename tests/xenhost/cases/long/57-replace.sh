# SPDX-License-Identifier: GPL-2.0-or-later
# Replaced device models once more: from stock 10.0 and back to it, of a guest
# with all devices, of a confined one, and where it goes wrong.

wreck_boots() {
    write_config wreck "${STOCK:-$PULSAR}" bootsector "$(with_cdrom wreck)" \
        'usb = 1' 'usbdevice = "tablet"'
    create wreck && await_serial wreck ready 120000
}

from_stock_and_back() {
    replace_dm wreck && answers wreck &&
        replace_dm wreck "$STOCK" && answers wreck &&
        replace_dm wreck && answers wreck
}

# It asks the drive once a second and its USB controller runs: that goes on, and
# at the rate at which it does under Pulsar.
windows_replaced() {
    write_windows panes "${STOCK:-$PULSAR}" 600
    create panes && await_windows panes ready 300 &&
        replace_dm panes && windows_rests panes
}

# A device model that says which version it is, and goes no further than $1.
broken_dm() {
    cat >/etc/xen/broken <<END
#!/bin/sh
case " \$* " in
*" -version "*) exec $PULSAR "\$@" ;;
esac
$1
END
    chmod +x /etc/xen/broken
}

taken_back() {
    local before
    before=$(readlink "/proc/$(dm_pid wreck)/exe")
    broken_dm "$1"
    ! "$TOOL" replace --json --with /etc/xen/broken wreck >/tmp/replaced 2>&1
    cat /tmp/replaced
    grep -E '"result": ?"back"' /tmp/replaced &&
        readlink "/proc/$(dm_pid wreck)/exe" | grep -Fx "$before" &&
        answers wreck
}

does_not_start() {
    taken_back 'exit 3'
}

# With a device more than the guest has seen.
does_not_fit() {
    taken_back "exec $PULSAR \"\$@\" -device usb-ehci"
}

# The command is killed when the old device model is gone and no new one there.
broken_off() {
    local old command
    old=$(dm_pid wreck)
    "$TOOL" replace --with "$PULSAR" wreck >/tmp/replaced 2>&1 &
    command=$!
    gone 120000 "$old" || return 1
    kill -9 "$command"
    wait "$command"
    [ $? = 137 ] || {
        echo 'it was done already'
        return 1
    }
    "$TOOL" replace --json --with "$PULSAR" wreck | tee /tmp/replaced
    grep -E '"result": ?"(finished|replaced)"' /tmp/replaced && answers wreck
}

confined_boots() {
    grep -q '^xen-qemuuser-range-base:' /etc/passwd ||
        echo 'xen-qemuuser-range-base:x:131072:131072::/:/bin/false' \
            >>/etc/passwd
    write_config cell "$PULSAR" bootsector 'dm_restrict = 1' \
        "$(with_cdrom cell)"
    create cell && await_serial cell ready 120000
}

confined_is_refused() {
    local before
    before=$(dm_pid cell)
    ! "$TOOL" replace --with "$PULSAR" cell >/tmp/refused 2>&1
    cat /tmp/refused
    grep -e --believe /tmp/refused && [ "$(dm_pid cell)" = "$before" ]
}

# The program itself: $PULSAR is a script around it, whose interpreter is not
# in the folder that this one has for its root.
confined_is_believed() {
    # The command asks the program for its version, so it has to find libraries.
    local TOOL=/tmp/tool
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s\nexec %s "$@"\n' \
        /opt/tool/lib:/opt/pulsar/lib /opt/tool/pulsar >$TOOL
    chmod +x $TOOL
    replace_dm cell /opt/pulsar/qemu-system-i386 --believe &&
        answers cell &&
        awk '$1 == "Uid:" && $2 < 131072 { bad = 1 } END { exit bad }' \
            "/proc/$(dm_pid cell)/status" && depriv "$(dm_pid cell)"
}

all_end() {
    end_all wreck panes cell
}

check 'boot-sector guest boots, to be replaced' wreck_boots
if [ -n "$STOCK" ]; then
    check 'replaced by Pulsar, by stock 10.0 and by Pulsar' from_stock_and_back
else
    skip 'replaced by Pulsar, by stock 10.0 and by Pulsar' "$no_stock"
fi
check 'a Windows-like guest with all devices is replaced, and rests' \
    windows_replaced
check 'a new one that does not start: the old program goes on' does_not_start
check 'a new one that the state does not fit: the old program goes on' \
    does_not_fit
check 'the command is killed half way: the next one finishes it' broken_off
check 'dm_restrict=1: a guest boots, to be replaced' confined_boots
check 'dm_restrict=1: refused unless it is believed' confined_is_refused
check 'dm_restrict=1: replaced, and as confined as before' confined_is_believed
check 'the guests with a replaced device model end' all_end
