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
# third parties aside, security to where its security updates come from (nothing
# if it has none), and keys to what signs them.
debian_mirror() {
    local origin label component uri from entry=
    command -v apt-get >/dev/null ||
        die "apt-get is not here; on another system than Debian give" \
            "what is needed by hand (./configure --qemu-source=...)"
    mirror= security=
    # A system that never ran "apt-get update" does not know the origin of its
    # lists yet; there the component tells.
    while IFS='|' read -r origin label component uri from; do
        case $origin/$label/$component in
        Debian/Debian/main | Debian/Debian-Security/main | //main)
            if [[ $uri == *security* ]]; then
                : "${security:=$uri}"
            elif [[ -z $mirror ]]; then
                mirror=$uri entry=$from
            fi ;;
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

# own_tarball: set tarball to that of the QEMU which configure took, and what
# else configure was told.
own_tarball() {
    local kind hash file
    [[ -e $build/config.sh ]] ||
        die "nothing is configured in $(short "$build"); run ./configure first"
    . "$build/config.sh"
    tarball=
    read -r kind hash <"$upstream/.pulsar-origin"
    for file in "$qemu_source" "$build"/download/*.tar.*; do
        if [[ -f $file && $kind == tarball ]] &&
            sha256sum --status -c <<<"$hash  $file"; then
            tarball=$file
            return
        fi
    done
    die "the tarball of the QEMU in $(short "$upstream") is not here, and" \
        "packages are made from one; run ./configure --qemu-source=TARBALL," \
        "or without --qemu-source"
}

# own_build: a package is built by its own rules alone, not by what this build
# was told. Only a meson that configure fetched serves that one too.
own_build() {
    [[ -z $meson_path ]] || export PYTHONPATH=$meson_path
    unset PULSAR_BUILD CC CFLAGS LDFLAGS PKG_CONFIG PYTHON V DESTDIR MAKEFLAGS \
        MFLAGS MAKELEVEL MAKEOVERRIDES QEMU_SOURCE
}
