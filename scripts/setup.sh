#!/usr/bin/env bash
# Makes this machine ready to build Eyrie: installs the system packages that are missing and finds the Swift toolchain.
# Does nothing where all is there, and installs nothing where EYRIE_NO_INSTALL is set or with --no-install: then it says
# what is missing. Other scripts source it and get `root`, `state`, `python`, say, fail and trainer.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # the scripts that source this use it
state=${EYRIE_STATE:-$root/.eyrie} # downloads, models, stores: kept for the next run, thrown away at will

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# What the script that sources this needs besides.
[ -n "${more_packages+set}" ] || more_packages=()

install_packages() {
    local wanted=(
        liblmdb-dev libzstd-dev zlib1g-dev libxxhash-dev libpcre2-dev libutf8proc-dev libsimdjson-dev libjq-dev # text and store
        libcurl4-openssl-dev # servers
        libopenblas-dev libdnnl-dev libopenmpi-dev openmpi-bin # trainer
        pkg-config make "${more_packages[@]}"
    )
    local installed missing=() as_root=()
    python=$(find_python) || wanted+=(python3 python3-numpy python3-pip)
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        if ! pkg-config --exists lmdb libzstd zlib libxxhash libpcre2-8 libutf8proc simdjson libcurl openblas ompi-c 2>/dev/null ||
            ! command -v mpirun >/dev/null || [ -z "$python" ]; then
            fail "this is not Debian or Ubuntu: install what is called ${wanted[*]} there, then run this again"
        fi
        return
    fi
    installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
    for package in "${wanted[@]}"; do
        grep -qx "$package installed" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ -n "${EYRIE_NO_INSTALL:-}" ]; then
        fail "system packages are missing, and EYRIE_NO_INSTALL is set:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    fi

    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            fail "system packages are missing, and only root may install them:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        fi
        as_root=(sudo)
    fi
    say "Installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
    python=$(find_python) || fail "python3 with numpy and pip is still missing after installing python3-numpy"
}

# The first Python that has what the scripts need.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c 'import numpy, pip' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

find_swift() {
    local folder version
    for folder in "" /opt/swift/usr/bin "$HOME/.local/share/swiftly/bin" /usr/local/swift/usr/bin; do
        [ -z "$folder" ] || export PATH="$folder:$PATH"
        command -v swift >/dev/null && break
    done
    command -v swift >/dev/null ||
        fail "the Swift toolchain is missing: install 6.2 or newer, see https://www.swift.org/install/linux"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p')
    [ "$(printf '6.2\n%s\n' "$version" | sort -V | head -n 1)" = 6.2 ] ||
        fail "$(command -v swift) is Swift ${version:-of an unknown version}, Eyrie needs 6.2 or newer"
}

# trainer RANKS ARGUMENTS...: runs $programs/Trainer as so many ranks, which share the machine's cores evenly.
#
# mpirun gives ranks that are to stop, as on Ctrl-C, one second by itself: too little to finish a step and save. Here they have
# `patience` seconds, or 10.
trainer() {
    local count=$1
    local options=(--bind-to none --use-hwthread-cpus --mca odls_base_sigkill_timeout "${patience:-10}")
    shift
    [ "$count" -le "$(nproc)" ] || options+=(--oversubscribe)
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    mpirun "${options[@]}" -n "$count" "${programs:-$root/.build/release}/Trainer" "$@"
}

if [ "${BASH_SOURCE[0]}" = "$0" ] && [ "${1:-}" = --no-install ]; then EYRIE_NO_INSTALL=1; fi
install_packages
find_swift
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    printf 'ready: %s, %s, %s\n' "$(swift --version 2>/dev/null | sed -n 's/^.*\(Swift version [^ ]*\).*/\1/p')" \
        "$(mpirun --version | head -n 1)" "$("$python" --version)"
fi
