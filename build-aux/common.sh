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

# How far it is, and after how many seconds.
step() {
    say "$(printf '%3d s: ' "$SECONDS")$*"
}

# debian_mirror: set mirror to where the system has its Debian packages from,
# security updates and third parties aside, and keys to what signs them.
debian_mirror() {
    local origin label component uri from entry=
    command -v apt-get >/dev/null ||
        die "apt-get is not here; on another system than Debian give" \
            "what is needed by hand (./configure --qemu-source=...)"
    mirror=
    # A system that never ran "apt-get update" does not know the origin of its
    # lists yet; there the component tells.
    while IFS='|' read -r origin label component uri from; do
        case $origin/$label/$component in
        Debian/Debian/main | //main)
            [[ $uri != *security* ]] || continue
            mirror=$uri entry=$from
            break ;;
        esac
    done < <(apt-get indextargets --format \
        '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)|$(SOURCESENTRY)' |
        sed 's/\$([A-Z_]*)//g')
    [[ -n $mirror ]] ||
        die "no Debian mirror among the system's apt sources; add one, or" \
            "give what is needed by hand (./configure --qemu-source=...)"

    # Those that the same entry of the sources names, else Debian's own.
    keys=
    if [[ -r ${entry%:*} ]]; then
        keys=$(sed -n 's/^[Ss]igned-[Bb]y:[[:space:]]*\(\/[^ ]*\).*/\1/p
            s/^deb.*[[ ]signed-by=\([^] ]*\).*/\1/p' "${entry%:*}" |
            head -n 1)
    fi
    if [[ ! -r $keys ]]; then
        keys=/usr/share/keyrings/debian-archive-keyring.gpg
    fi
    [[ -r $keys ]] ||
        die "Debian's archive keys are missing; install debian-archive-keyring"
}
