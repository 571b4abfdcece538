#!/usr/bin/env bash
# Sourced by scripts that disturb training: checks.sh, and runs with a fault.
#
# strace delays a system call or ends the program at it. What can't be had is left out, and said.
# shellcheck disable=SC2154  # checks.sh sets scratch, programs and text

# shellcheck disable=SC2034  # setup.sh uses it
more_packages=(strace)
# shellcheck source=checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

data=$scratch/train.jsonl
options=("${text[@]}" --draft-vocab-size 96 --draft-global-batch-size 12 --total-steps 6 --learning-rate 1e-3
    --log-steps 1 --num-threads 1)
# alone OUTPUT OPTIONS...: trains as one process that no mpirun started.
alone() {
    local output=$1
    shift
    "$programs/Trainer" train "${options[@]}" --train-data-path "$data" --output-dir "$output" "$@"
}
# with_fault INJECTION OUTPUT OPTIONS...: the same, with what strace does at a system call.
with_fault() {
    local injection=$1 output=$2
    shift 2
    strace -qq -o /dev/null -e "trace=${injection%%:*}" -e "inject=$injection" \
        "$programs/Trainer" train "${options[@]}" --train-data-path "$data" --output-dir "$output" "$@"
}
# exits CODE COMMAND...
exits() {
    local expected=$1 code=0
    shift
    "$@" || code=$?
    [ "$code" -eq "$expected" ] || { printf 'exit code %s, not %s\n' "$code" "$expected" && return 1; }
}
same_draft() {
    compare tensors "$scratch/reference/latest/model.safetensors" "$1/latest/model.safetensors"
    compare tensors "$scratch/reference/latest/training_state.safetensors" "$1/latest/training_state.safetensors"
}
# begun DIR: a run that has done two of the six steps.
begun() { rm -rf "$1" && cp -a "$scratch/begun" "$1"; }
await() {
    local tries=0
    until [ -e "$1" ]; do
        sleep 0.02
        [ $((tries += 1)) -lt 3000 ]
    done
}

if strace -qq -o /dev/null true 2>/dev/null; then tracing=yes; else
    tracing=
    echo "left out: what is delayed or ended at a moment, as strace may not trace here"
fi
