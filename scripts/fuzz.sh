#!/usr/bin/env bash
# Damaged and random inputs for everything that reads files: no crash, no hang, clear errors.
usage='usage: scripts/fuzz.sh [--seconds N] [--seed N] [FILTER]

  --seconds N  how long each subject is tried (default: 30)
  --seed N     only this input: what a failed run names
  FILTER       only suites whose name has this (default: FuzzTests)'

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seconds=30
filter=FuzzTests
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        echo "$usage"
        exit 0
        ;;
    --seconds | --seed)
        if ! [[ ${2:-} =~ ^[0-9]+$ ]]; then
            printf 'error: %s needs a number\n\n%s\n' "$1" "$usage" >&2
            exit 64
        fi
        if [ "$1" = --seconds ]; then seconds=$2; else export EYRIE_FUZZ_SEED=$2; fi
        shift 2
        ;;
    -*)
        printf 'error: %s is not an option\n\n%s\n' "$1" "$usage" >&2
        exit 64
        ;;
    *)
        filter=$1
        shift
        ;;
    esac
done
# shellcheck source=setup.sh
source "$here/setup.sh"
options=(--package-path "$root" --configuration release -Xswiftc -enable-testing --scratch-path "$root/.build-test")
swift build "${options[@]}" --build-tests >&2
EYRIE_FUZZ_FOLDER=$(mktemp -d)
export EYRIE_FUZZ_FOLDER EYRIE_FUZZ_SECONDS=$seconds
trap 'rm -rf "$EYRIE_FUZZ_FOLDER"' EXIT

# Whatever hangs is ended: all subjects run at once, so that ten times the time of one is much.
code=0
timeout --kill-after 10 $((10 * seconds + 120)) swift test "${options[@]}" --skip-build --filter "$filter" || code=$?
for record in "$EYRIE_FUZZ_FOLDER"/*; do
    [ -f "$record" ] || continue
    [ "$(<"$record")" = passed ] ||
        printf '%s: not finished; again with: scripts/fuzz.sh --seed %s\n' "${record##*/}" "$(<"$record")" >&2
done
exit "$code"
