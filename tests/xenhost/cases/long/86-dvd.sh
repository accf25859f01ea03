# SPDX-License-Identifier: GPL-2.0-or-later
# What became of the Windows-like guest with a disc in its drive (26-dvd.sh).

dvd_slept() {
    echo "$(cat /tmp/windvd.since) $(cut -d' ' -f1 /proc/uptime)" |
        awk '{ print $2 - $1, "s" }'
    switches windvd | diff /tmp/windvd.switches -
}

# It still hears what happens.
dvd_wakes_up() {
    xl cd-eject windvd hdc &&
        told_of windvd 'the disc is out' 'a new disc' 'the disc is out'
}

check 'a Windows-like guest with a disc in its drive all the while: no wake' \
    dvd_slept
check 'and is told that it is out' dvd_wakes_up
xl destroy windvd
