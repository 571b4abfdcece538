#!/usr/bin/env bash
# Sourced by benchmarks that train SmolLM2-135M-Instruct's draft on its own answers, at most 512 tokens each.

# shellcheck source=../scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
if [ -z "${EYRIE_PROGRAMS:-}" ]; then swift build --package-path "$root" -c release >&2; fi
programs=${EYRIE_PROGRAMS:-$root/.build/release}

# smollm2 NAME CONVERSATIONS: an empty folder `scratch`, and in `text` the options that name the target, the
# conversations and their store.
smollm2() {
    local target=$state/models/SmolLM2-135M-Instruct data
    scratch=$state/bench-$1
    data=$scratch/chats.jsonl
    rm -rf "$scratch"
    mkdir -p "$scratch"
    "$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
    head -n "$2" "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$data"
    # shellcheck disable=SC2034  # the scripts that source this use it
    text=(--train-data-path "$data" --target-model-path "$target" --cache-dir "$scratch/cache")
    "$programs/Preprocess" build "${text[@]}" --max-length 512 --draft-vocab-size 8000 >&2
}
