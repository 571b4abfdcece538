#!/usr/bin/env bash
# Sourced by scripts that try the built programs: setup.sh, counted checks, and a draft to train on a tiny target.
#
# Their first argument is the folder of the programs (default: .build/release, which is built first).

# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
here=$root/scripts
programs=${1:-}
if [ -z "$programs" ]; then
    swift build --package-path "$root" -c release >&2
    programs=$root/.build/release
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0

# check NAME COMMAND...: the command, which may be a function here, succeeds within two minutes.
#
# It runs in the background, as a process group, because `set -e` counts for nothing inside a condition.
check() {
    local name=$1 code=0 process start=$EPOCHREALTIME seconds
    shift
    set -m
    (
        set +m
        "$@"
    ) >"$scratch/check.log" 2>&1 &
    process=$!
    set +m
    if ! timeout 120 tail --pid "$process" --sleep-interval 0.1 -f /dev/null; then
        kill -KILL -- "-$process"
        echo "stopped after two minutes" >>"$scratch/check.log"
    fi
    wait "$process" 2>/dev/null || code=$?
    # In microseconds, whose point the locale may write as a comma.
    seconds=$(((${EPOCHREALTIME//[^0-9]/} - ${start//[^0-9]/}) / 100000))
    seconds=$((seconds / 10)).$((seconds % 10))
    if [ "$code" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'passed: %s, %s s\n' "$name" "$seconds"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s, %s s\n' "$name" "$seconds"
        tail -n 12 "$scratch/check.log" | sed 's/^/    /'
    fi
}

# refuses MESSAGE COMMAND...: the command fails and says MESSAGE. Its ranks have nothing to finish, for which mpirun would wait.
refuses() {
    # Functions see the caller's local variables: none of these may be an option's name elsewhere, as `text` is.
    local refusal=$1 patience=1 code=0
    shift
    "$@" >"$scratch/refused.log" 2>&1 || code=$?
    cat "$scratch/refused.log"
    [ "$code" -ne 0 ] && grep -qF -- "$refusal" "$scratch/refused.log"
}

# with_disk: mounts a small file system at $disk.
disk=$scratch/disk
with_disk() {
    mkdir "$disk"
    if ! mount -t tmpfs -o size=64m tmpfs "$disk" 2>/dev/null; then
        echo "left out: a full disk, as only root may mount one"
        return 1
    fi
    trap 'umount "$disk"; rm -rf "$scratch"' EXIT
}
compare() { "$python" "$here/compare.py" "$@"; }

# summary NAME: counts the checks, also for who called the script, and fails if one did.
summary() {
    printf '\n%s: %s passed, %s failed\n' "$1" "$passed" "$failed"
    [ -z "${EYRIE_COUNTS:-}" ] || printf '%s %s\n' "$passed" "$failed" >"$EYRIE_COUNTS"
    [ "$failed" -eq 0 ]
}

# --- A tiny target, conversations and their stores.

# shellcheck source=tiny.sh
source "$here/tiny.sh"
tiny "$scratch"
for file in "$scratch/train.jsonl" "$scratch/eval.jsonl"; do
    check "build the store of $(basename "$file")" \
        "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" --draft-vocab-size 96
done

# train RANKS OUTPUT OPTIONS...
train() {
    local size=$1 output=$2
    shift 2
    trainer "$size" train "${text[@]}" --train-data-path "$scratch/train.jsonl" \
        --output-dir "$output" --draft-vocab-size 96 --draft-global-batch-size 12 --total-steps 6 \
        --learning-rate 1e-3 --log-steps 1 "$@"
}
# rank_writing DIR: the process id of a rank that trains into this directory.
rank_writing() {
    local process
    for process in /proc/[0-9]*; do
        if [ "$(cat "$process/comm" 2>/dev/null)" = Trainer ] && grep -qF "$1" "$process/cmdline" 2>/dev/null; then
            basename "$process"
            return
        fi
    done
    return 1
}
