# SPDX-License-Identifier: GPL-2.0-or-later
# Many at once, all of them from one saved guest. The last case, so that none of
# them has to be ended. (tests/xenhost/density counts more of them, for longer.)

crowd=20
beside=0
[ -z "$STOCK" ] || beside=3

# come_up FIRST LAST DM
come_up() {
    local guest
    for guest in $(seq "$1" "$2"); do
        crowd_member "$guest" "$3" || return 1
    done
}

crowd_comes_up() {
    crowd_model "$PULSAR" && come_up 1 "$crowd" "$PULSAR"
}

stock_comes_up() {
    come_up "$((crowd + 1))" "$((crowd + beside))" "$STOCK"
}

# crowd_wakes FIRST LAST: what was counted of them in the window.
crowd_wakes() {
    crowd_pids "$1" "$2" | awk -F, -v want="$(($2 - $1 + 1))" '
        NR == FNR { ours[$1]; next }
        $4 == 0 && $3 in ours { rows++; wakes += $6 + $7 }
        END { if (rows != want) exit 1; print wakes }' - /tmp/wakes
}

crowd_sleeps() {
    local pids wakes
    pids=$(crowd_pids 1 "$((crowd + beside))")
    # shellcheck disable=SC2086
    wakecount -i "$settle" -n 1 $pids >/dev/null || return 1
    # shellcheck disable=SC2086
    wakecount -i 15 -n 1 $pids >/tmp/wakes || return 1
    wakes=$(crowd_wakes 1 "$crowd") || return 1
    echo "$wakes wakes of $crowd device models in 15 s"
    [ "$wakes" = 0 ]
}

stock_wakes() {
    local wakes
    wakes=$(crowd_wakes "$((crowd + 1))" "$((crowd + beside))") || return 1
    echo "$wakes wakes of $beside"
    [ "$wakes" -gt "$crowd" ]
}

crowd_answers() {
    local guest
    for guest in 1 "$crowd"; do
        ttytalk "$(serial_tty "crowd$guest")" send 'here' expect 'here' 20000 ||
            return 1
    done
}

check 'twenty guests come up from one that was saved' crowd_comes_up
if [ -n "$STOCK" ]; then
    check 'so do three under stock' stock_comes_up
else
    skip 'so do three under stock' "$no_stock"
fi
check 'twenty idle guests: not a wake' crowd_sleeps
if [ -n "$STOCK" ]; then
    check 'three under stock wake more than twenty times' stock_wakes
else
    skip 'three under stock wake more than twenty times' "$no_stock"
fi
check 'the first and the last of them answer' crowd_answers
