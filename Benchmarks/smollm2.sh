#!/usr/bin/env bash
# Sourced by benchmarks that train for SmolLM2-135M-Instruct: setup.sh, and then `programs` are built, `target` is the
# model, and `scratch` an empty folder of the benchmark's own.

# shellcheck source=../scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release >&2 && programs=$root/.build/release; }
scratch=$state/bench-$(basename "$0" .sh)
rm -rf "$scratch"
mkdir -p "$scratch"
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2

# real_tokens FILE LENGTH SEQUENCES: the tokens of real conversations, one after the other, in sequences of one length,
# nine tenths of which are learnt.
real_tokens() {
    local conversations=$root/fixtures/conversations/sharegpt_smollm2.jsonl
    if [ ! -e "$scratch/dump.jsonl" ]; then
        "$programs/Preprocess" build --target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen \
            --train-data-path "$conversations" >&2
        "$programs/Preprocess" dump --cache-dir "$scratch/cache" --train-data-path "$conversations" >"$scratch/dump.jsonl"
    fi
    "$python" - "$scratch/dump.jsonl" "$2" "$3" >"$1" <<'END'
import json, sys
length, count = int(sys.argv[2]), int(sys.argv[3])
ids = [token for line in open(sys.argv[1]) for token in json.loads(line)["input_ids"]]
for first in range(0, count * length, length):
    print(json.dumps(dict(input_ids=ids[first:first + length], loss_mask=[int(i >= length // 10) for i in range(length)])))
END
}

# answers CONVERSATIONS: in `text` the options that name the target, its own answers of at most 512 tokens, and their
# store.
answers() {
    head -n "$1" "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$scratch/answers.jsonl"
    # shellcheck disable=SC2034  # the scripts that source this use it
    text=(--train-data-path "$scratch/answers.jsonl" --target-model-path "$target" --cache-dir "$scratch/cache")
    "$programs/Preprocess" build "${text[@]}" --max-length 512 --draft-vocab-size 8000 >&2
}

# recipe: in `text` the options of the stores of the conversations in fixtures/, and these stores, for a draft vocabulary
# of 8000; and their files in `conversations` and `held_out`.
recipe() {
    conversations=$root/fixtures/conversations/sharegpt_smollm2.jsonl
    held_out=$root/fixtures/conversations/eval_sharegpt_smollm2.jsonl
    text=(--target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen --max-length 512)
    local file
    for file in "$conversations" "$held_out"; do
        "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" --draft-vocab-size 8000 >&2
    done
}

# train_recipe DRAFT OPTIONS...: one epoch, 600 steps of two conversations, by the preset of Documentation/Recipe.md.
train_recipe() {
    local size=(--draft-vocab-size 8000)
    [[ " ${*:2} " != *" --draft-model-config "* ]] || size=()
    trainer 1 train "${text[@]}" --train-data-path "$conversations" --output-dir "$1" "${size[@]}" \
        --preset small --total-steps 600 --dtype bfloat16 "${@:2}" >&2
}

# decode_recipe DRAFT PROMPTS OPTIONS...: what is accepted of it, on held-out prompts.
decode_recipe() {
    trainer "$(nproc)" evaluate --target-model-path "$target" --cache-dir "$scratch/cache" --dtype bfloat16 \
        --eval-data-path "$held_out" --draft-model-path "$1" --max-samples "$2" --max-new-tokens 96 "${@:3}"
}
