#!/usr/bin/env bash
# Builds both programs with Swift's runtime linked in, and installs them and the documents.
usage='usage: [PREFIX=/usr/local] [DESTDIR=] [EYRIE_CPU=native] scripts/install.sh

  PREFIX     where programs (bin) and documents (share/doc/eyrie) go, absolute
  DESTDIR    a folder that stands for the root of the file system, for packages
  EYRIE_CPU  the CPU to build for: native, x86-64-v3, or what else -march takes

Installs no system packages where EYRIE_NO_INSTALL is set. What it built is kept in .build-install.'

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -gt 0 ]; then
    case $1 in
    -h | --help)
        echo "$usage"
        exit 0
        ;;
    *)
        printf 'error: %s is not an option\n\n%s\n' "$1" "$usage" >&2
        exit 64
        ;;
    esac
fi
prefix=${PREFIX:-/usr/local}
case $prefix in
/*) ;;
*)
    printf 'error: PREFIX is %s, should be an absolute path\n' "$prefix" >&2
    exit 64
    ;;
esac
# shellcheck source=setup.sh
source "$here/setup.sh"
build=$root/.build-install
programs=${DESTDIR:-}$prefix/bin
documents=${DESTDIR:-}$prefix/share/doc/eyrie

for program in Preprocess Trainer; do
    say "Building $program"
    swift build --package-path "$root" --scratch-path "$build" -c release --static-swift-stdlib --product "$program" >&2
done
install -d "$programs" "$documents"
for program in Preprocess Trainer; do install -s -m 755 "$build/release/$program" "$programs/$program"; done
install -m 644 "$root"/README.md "$root"/CHANGELOG.md "$root"/LICENSE "$root"/Documentation/* "$documents"
say "Installed $programs/Preprocess and $programs/Trainer, and documents in $documents"
