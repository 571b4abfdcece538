#!/usr/bin/env bash
# What a draft is worth: one epoch over the conversations in fixtures/, then speculative decoding of held-out prompts.
#
# usage: Benchmarks/acceptance.sh [OPTIONS OF Trainer train]    (half an hour on two cores)
#
# EVALUATE_OPTIONS: further options of Trainer evaluate, as --json.
#
# A draft that SpecForge 0.2.0 trained on the same rows, with as many steps and the same sizes, is accepted by vLLM on
# CPUs at 0.368 tokens a verification of the same prompts (by position 0.264 0.067 0.026 0.008 0.003).

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../scripts/setup.sh
source "$here/../scripts/setup.sh"
scratch=$state/bench-acceptance
rm -rf "$scratch"
mkdir -p "$scratch"
swift build --package-path "$root" -c release >&2
programs=$root/.build/release
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2

conversations=$root/fixtures/conversations
text=(--target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen --max-length 512)
for file in "$conversations"/{,eval_}sharegpt_smollm2.jsonl; do
    "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" --draft-vocab-size 8000 >&2
done

say "Training 600 steps of 2 conversations"
trainer 1 train "${text[@]}" --train-data-path "$conversations/sharegpt_smollm2.jsonl" --output-dir "$scratch/draft" \
    --draft-vocab-size 8000 --draft-global-batch-size 2 --total-steps 600 --learning-rate 1e-3 --warmup-ratio 0.03 \
    --ttt-loss-decay 0.5 --dtype bfloat16 --save-interval 100 --keep-last 1 --log-steps 20 "$@" >&2

say "Decoding 100 prompts"
# shellcheck disable=SC2086  # options are words
trainer "$(nproc)" evaluate --target-model-path "$target" --cache-dir "$scratch/cache" --dtype bfloat16 \
    --eval-data-path "$conversations/eval_sharegpt_smollm2.jsonl" --draft-model-path "$scratch/draft/latest" \
    --max-samples 100 --max-new-tokens 96 --draft-length 5 ${EVALUATE_OPTIONS:-}
