#!/usr/bin/env bash
# A trained draft, exported to GGUF, in llama.cpp from PyPI: on the same prompts it accepts as many tokens a verification
# as Trainer evaluate, within 3%. Both multiply in bfloat16, where the CPU can. Targets are SmolLM2-135M-Instruct as a
# directory (bfloat16), in Q8_0 and in Q4_1.
#
# usage: scripts/test-engines.sh [PROMPTS]    (default 50; half an hour on two cores the first time, most of it training)
#
# EYRIE_DRAFT names a draft's directory to use instead of training one.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-50}
length=3
requirements=$here/requirements-engines.txt
# shellcheck source=tokenizers-venv.sh
source "$here/tokenizers-venv.sh"
if [ -z "${programs:-}" ]; then
    swift build --package-path "$root" -c release >&2
    programs=$root/.build/release
fi
scratch=$state/test-engines
mkdir -p "$scratch"
target=$state/models/SmolLM2-135M-Instruct
"$python" "$here/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
"$python" "$here/get_gguf.py" "$state/gguf" --downloads "$state/downloads" >&2
packed=$state/gguf/smollm2-135m-instruct.gguf
for type in bf16 q8_0; do
    file=$state/gguf/smollm2-135m-instruct-$type.gguf
    [ -f "$file" ] || "$python" "$here/requantize_gguf.py" "$packed" "$file" "$type"
done

conversations=$root/fixtures/conversations
text=(--target-model-path "$target" --cache-dir "$scratch/cache" --max-length 512)
for file in "$conversations"/{,eval_}sharegpt_smollm2.jsonl; do
    "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" >&2
done
draft=${EYRIE_DRAFT:-$scratch/draft/latest}
if [ ! -f "$draft/model.safetensors" ]; then
    say "Training 150 steps of 4 conversations"
    "$programs/Trainer" train "${text[@]}" --train-data-path "$conversations/sharegpt_smollm2.jsonl" \
        --output-dir "$scratch/draft" --serve-with llama.cpp --draft-vocab-size 8000 --draft-global-batch-size 4 \
        --total-steps 150 --learning-rate 1.5e-3 --ttt-loss-decay 0.5 --ttt-length 3 --save-interval 50 --keep-last 1 >&2
fi

# Compares a target that Trainer reads with one that llama.cpp serves: NAME FOR-TRAINER FOR-LLAMA.CPP.
compare() {
    local name=$1 own=$2 served=$3
    say "$name"
    "$programs/Trainer" export "$draft" --to gguf --target-model-path "$own" --output "$scratch/eagle3-$name.gguf" >&2
    "$programs/Trainer" evaluate --target-model-path "$own" --cache-dir "$scratch/cache" \
        --eval-data-path "$conversations/eval_sharegpt_smollm2.jsonl" --draft-model-path "$draft" --max-samples "$prompts" \
        --max-new-tokens 96 --draft-length "$length" --ttt-length "$length" --dtype bfloat16 --json \
        --samples-output "$scratch/$name-prompts.jsonl" >"$scratch/$name.json"
    "$python" "$here/compare_engines.py" "$name" "$served" "$scratch/eagle3-$name.gguf" \
        "$scratch/$name-prompts.jsonl" "$scratch/$name.json" --draft-length "$length"
}

gguf=$state/gguf/smollm2-135m-instruct
compare directory "$target" "$gguf-bf16.gguf"
compare Q8_0 "$gguf-q8_0.gguf" "$gguf-q8_0.gguf"
compare Q4_1 "$packed" "$packed"
