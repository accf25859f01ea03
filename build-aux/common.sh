# SPDX-License-Identifier: GPL-2.0-or-later
# What the build's shell scripts share; sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
set -o pipefail
build=${PULSAR_BUILD:-build}
[[ $build == /* ]] || build=$root/$build
me=${0##*/}

say() {
    printf '%s: %s\n' "$me" "$*" >&2
}

die() {
    say "$@"
    exit 1
}

# The path as somebody at the top of the source tree would type it.
short() {
    printf '%s' "${1#"$root"/}"
}
