#!/usr/bin/env bash
# The cache of the target's features: what is in it is computed once and changes no number, whoever shares it and
# whatever happens to it. A run with a cache gives the draft of one without, bit for bit.
#
# usage: scripts/test-cache.sh [PROGRAMS]    (default: .build/release, which is built first)
#
# What can't be had on a machine is left out, and said.

set -euo pipefail
# shellcheck source=faults.sh
source "$(dirname "${BASH_SOURCE[0]}")/faults.sh"

check "the run without a cache" alone "$scratch/reference"

# with_cache CACHE OPTIONS...: the options of a cache that rounds nothing.
with_cache() { exact=(--target-cache "$scratch/features-$1" --target-cache-dtype float32 "${@:2}"); }
# logged OUTPUT COMMAND...: what the command says goes to OUTPUT.log, too.
logged() {
    local log=$1.log code=0
    shift
    "$@" 2>"$log" || code=$?
    cat "$log"
    return "$code"
}
# cached CACHE OUTPUT OPTIONS...: trains with a cache.
cached() {
    with_cache "$1" "${@:3}"
    logged "$2" alone "$2" "${exact[@]}"
}
says() { grep -F "$2" "$1.log"; }
# reported OUTPUT TEXT: the run's metrics say so of its steps, without evaluations.
reported() { "$programs/Trainer" report "$1" | grep "from the target cache" | grep -F "$2"; }
loadings() { grep -c "target: loaded" "$1.log"; }

once() {
    cached once "$scratch/once"
    says "$scratch/once" "36 of 72 sequences found, 36 computed, 36 kept in "
    reported "$scratch/once" "36 of 72 samples, 50.0%"
    [ "$(loadings "$scratch/once")" = 2 ]
    same_draft "$scratch/once"
    cached once "$scratch/again"
    says "$scratch/again" "72 of 72 sequences found, 0 computed"
    [ "$(loadings "$scratch/again")" = 1 ]
    same_draft "$scratch/again"
}
check "the second epoch computes nothing, and from a full cache the target's layers aren't even read" once

rounded() {
    for run in 1 2; do alone "$scratch/rounded-$run" --target-cache "$scratch/features-rounded"; done
    compare tensors "$scratch"/rounded-{1,2}/latest/training_state.safetensors
    compare metrics "$scratch/reference/metrics.jsonl" "$scratch/rounded-1/metrics.jsonl" losses --tolerance 1e-2
}
check "rounded to bfloat16, losses are the same to a hundredth, and to the bit whatever is in the cache" rounded

captured() {
    local capture=(capture "${text[@]}" --train-data-path "$data" --eval-data-path "$scratch/eval.jsonl")
    with_cache captured
    refuses "has reached its limit of 1.00MB (--target-cache-size)" \
        trainer 1 "${capture[@]}" "${exact[@]}" --target-cache-size 0.001
    logged "$scratch/capture" trainer 2 "${capture[@]}" "${exact[@]}"
    says "$scratch/capture" " of 42 sequences found"
    logged "$scratch/capture" trainer 1 "${capture[@]}" "${exact[@]}"
    says "$scratch/capture" "42 of 42 sequences found, 0 computed"
    cached captured "$scratch/from-capture" --eval-data-path "$scratch/eval.jsonl" --eval-max-samples 0
    says "$scratch/from-capture" "84 of 84 sequences found, 0 computed"
    reported "$scratch/from-capture" "72 of 72 samples, 100.0%"
    compare metrics "$scratch"/{reference,from-capture}/metrics.jsonl losses accuracies --tolerance 1e-4
}
check "what Trainer capture keeps, training finds: data, and held-out data" captured

resumed() {
    alone "$scratch/begun" --save-interval 2
    for name in with rounding; do
        mkdir "$scratch/$name"
        cp -a "$scratch/begun/step_2" "$scratch/$name/" && ln -s step_2 "$scratch/$name/latest"
    done
    cached once "$scratch/with" --resume
    says "$scratch/with" "48 of 48 sequences found"
    same_draft "$scratch/with"
    refuses "the target's features was float32, is bfloat16 (--target-cache-dtype)" \
        alone "$scratch/rounding" --resume --target-cache "$scratch/features-rounded"
}
check "a run that began without a cache goes on with one that rounds nothing, and with no other" resumed

# --- Shared

shared() {
    local with=$scratch/shared-$1-$2 without=$scratch/without-$1-$2 run
    train "$1" "$without" --tp-size "$2"
    with_cache "shared-$1-$2"
    for run in 1 2; do logged "$with-$run" train "$1" "$with-$run" --tp-size "$2" "${exact[@]}"; done
    says "$with-1" "36 of 72 sequences found, 36 computed, 36 kept in "
    says "$with-2" "72 of 72 sequences found, 0 computed"
    compare tensors "$with-"{1,2}/latest/training_state.safetensors
    # Ranks that share a target compute their sequences together without a cache, and one after the other with one.
    compare tensors "$without/latest/training_state.safetensors" "$with-1/latest/training_state.safetensors" \
        --tolerance "$([ "$2" = 1 ] && echo 0 || echo 1e-3)"
}
for shape in "2 1" "2 2" "4 2"; do
    read -r size tensor_parallel <<<"$shape"
    check "$size ranks, tensor parallel $tensor_parallel, share a cache and get the draft of ranks without one" \
        shared "$size" "$tensor_parallel"
done

together() {
    local runs=() run
    for run in 1 2; do
        cached together "$scratch/together-$run" &
        runs+=($!)
    done
    for run in "${runs[@]}"; do wait "$run"; done
    same_draft "$scratch/together-1"
    same_draft "$scratch/together-2"
    cached together "$scratch/together-3"
    says "$scratch/together-3" "72 of 72 sequences found, 0 computed"
    reported "$scratch/together-3" "72 of 72 samples, 100.0%"
}
check "two runs at once write the same cache" together

# --- Killed while it writes

killed() {
    local output=$scratch/killed
    rm -rf "$output" "$scratch/features-killed"
    with_cache killed
    exits 137 with_fault "$1" "$output" "${exact[@]}"
    ls "$scratch"/features-killed/*.features
    cached killed "$output" --resume
    if grep damaged "$output.log"; then return 1; fi
    same_draft "$output"
    rm -rf "$output"
    cached killed "$output"
    says "$output" "72 of 72 sequences found, 0 computed"
}
if [ -n "$tracing" ]; then
    for moment in pwrite64:signal=KILL:when={3,4,20} fdatasync:signal=KILL:when={1,2,10}; do
        check "killed while it writes the cache, at ${moment%%:*} ${moment##*=}" killed "$moment"
    done
fi

# --- Damaged

damaged() {
    local file output=$scratch/damaged
    file=$(find "$scratch/features-once" -name '*.features')
    # A byte in the midst of the exponents of three records.
    "$python" - "$file" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
frames = [i for i in range(len(data)) if data.startswith(bytes.fromhex("28b52ffd"), i)]
assert len(frames) > 20
for frame in frames[3], frames[11], frames[-1]:
    data[frame + 100] ^= 1
open(sys.argv[1], "r+b").write(data)
END
    cached once "$output"
    [ "$(grep -c "warning: .*\.features: record [0-9a-f]\{32\} is damaged: its digest doesn't fit; its sequence is computed again" \
        "$output.log")" = 3 ]
    says "$output" "69 of 72 sequences found, 3 computed, 3 of them for a damaged record, 3 kept in"
    same_draft "$output"
    cached once "$scratch/mended"
    says "$scratch/mended" "72 of 72 sequences found, 0 computed"
}
check "a damaged record is named, counted, computed again and mended, and changes nothing" damaged

# --- No room

limited() {
    cached limited "$scratch/limited" --target-cache-size 0.002
    [ "$(grep -c "has reached its limit of 2.00MB (--target-cache-size); .* computed each time" "$scratch/limited.log")" = 1 ]
    same_draft "$scratch/limited"
    cached limited "$scratch/larger"
    says "$scratch/larger" ", 0 computed" && return 1
    says "$scratch/larger" " kept in"
    same_draft "$scratch/larger"
}
check "a cache that reaches its limit says so once, and training goes on; with a larger one it is filled" limited

full() {
    mount -o remount,size=1m "$disk"
    logged "$scratch/full" alone "$scratch/full" --target-cache "$disk/cache" --target-cache-dtype float32
    [ "$(grep -c "the disk is full; what was committed is kept; .* computed each time" "$scratch/full.log")" = 1 ]
    same_draft "$scratch/full"
    mount -o remount,size=64m "$disk"
    logged "$scratch/freed" alone "$scratch/freed" --target-cache "$disk/cache" --target-cache-dtype float32
    same_draft "$scratch/freed"
    mount -o remount,ro "$disk"
    refuses "Read-only file system" alone "$scratch/unwritable" --target-cache "$disk/cache"
    refuses "Read-only file system" alone "$scratch/unwritable" --target-cache "$disk/other"
}
if with_disk; then check "a full disk is said once, and training goes on; one that can't be written is refused" full; fi

nowhere() {
    touch "$scratch/file"
    refuses "$scratch/file/cache: can't make the directory: Not a directory" \
        alone "$scratch/nowhere" --target-cache "$scratch/file/cache"
    [ ! -e "$scratch/nowhere/latest" ]
}
check "a cache that can't be made is refused before the first step" nowhere

summary cache
