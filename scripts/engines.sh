#!/usr/bin/env bash
# Sourced by what holds drafts to `engine`, after its virtual environment: both programs, SmolLM2-135M-Instruct and its
# stores, and drafts that are trained for a short time.
# shellcheck disable=SC2154,SC2034  # setup.sh and who sources this set some, and use others

if [ -z "${programs:-}" ]; then
    swift build --package-path "$root" -c release >&2
    programs=$root/.build/release
fi
target=$state/models/SmolLM2-135M-Instruct
conversations=$root/fixtures/conversations
held_out=$conversations/eval_sharegpt_smollm2.jsonl
few=$scratch/few.jsonl
text=(--target-model-path "$target" --cache-dir "$scratch/cache" --max-length 512)
mkdir -p "$scratch"

# The target, and the stores of all conversations and of those that are held out.
get_target() {
    local file
    "$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
    for file in "$conversations/sharegpt_smollm2.jsonl" "$held_out"; do
        "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" >&2
    done
}

# A short training: NAME DATA OPTION... Prints the draft's directory.
trained() {
    local output=$scratch/$1-draft
    if [ ! -f "$output/latest/model.safetensors" ]; then
        say "Training for the part $1"
        rm -rf "$output"
        "$programs/Trainer" train "${text[@]}" --train-data-path "$2" --output-dir "$output" --serve-with "$engine" \
            --save-interval 50 --keep-last 1 "${@:3}" >&2
    fi
    printf '%s\n' "$output/latest"
}

# The EAGLE-3 draft that is measured on held-out prompts: EYRIE_DRAFT, or one that is trained here.
eagle3_draft() {
    [ -z "${EYRIE_DRAFT:-}" ] || { printf '%s\n' "$EYRIE_DRAFT" && return; }
    trained eagle3 "$conversations/sharegpt_smollm2.jsonl" --draft-vocab-size 8000 --total-steps 150 \
        --draft-global-batch-size 4 --learning-rate 1.5e-3 --ttt-loss-decay 0.5 --ttt-length 3
}

# A DFlash or DSpark draft: NAME ARCHITECTURE DATA OPTION...
block_draft() {
    trained "$1" "$3" --draft-architecture "$2" --total-steps 100 --draft-global-batch-size 5 --learning-rate 2e-3 \
        --num-anchors 40 --dtype bfloat16 --target-cache "$scratch/features-$1" "${@:4}"
}
