# SPDX-License-Identifier: GPL-2.0-or-later
# A serial port on a pty: nobody reads, somebody attaches, they leave.

xl_console() {
    ttytalk '!xl console tiny' send 'typed' expect 'typed' 20000 \
        send 'more' expect 'more' 20000
}

linux_shell() {
    ttytalk '!xl console linux' send 'echo six is $((2 * 3))\n' \
        expect 'six is 6' 20000
}

many_attaches() {
    local tty round
    tty=$(serial_tty tiny)
    for round in 1 2 3 4 5; do
        ttytalk "$tty" send "round $round" expect "round $round" 10000 ||
            return 1
    done
}

check 'xl console reaches the boot-sector guest and back' xl_console
check 'xl console reaches the Linux guest and back' linux_shell
check 'who attaches again is noticed each time' many_attaches
check 'no wake after the last reader left' asleep 10 tiny linux
