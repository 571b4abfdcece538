#!/usr/bin/env bash
# How a training step of 2,048 tokens would scale to many cores: Trainer benchmark --scaling for a draft of Llama 3.1 8B's
# proportions and for one of Qwen3-30B-A3B's, each with a target of two such layers of random weights.
#
# usage: Benchmarks/scaling.sh [DTYPE] [STEPS] [MODEL...]    (default: bfloat16, 1, llama-8b and qwen3-30b-a3b)
#
# It takes about six minutes a model on one core, 5 GB of disk and 16 GB of memory. EYRIE_TTT_LENGTH is the number of
# steps of training-time test (7 by default): fewer take less time.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dtype=${1:-bfloat16} steps=${2:-1}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- llama-8b qwen3-30b-a3b
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
small=$target

# Tokens by chance, of which the last three quarters are the assistant's.
data=$scratch/rows.jsonl
"$python" - >"$data" <<'END'
import json, random
random.seed(0)
print(json.dumps({"input_ids": [random.randrange(5, 40000) for _ in range(2048)], "loss_mask": [0] * 512 + [1] * 1536}))
END

for model in "$@"; do
    target=$state/models/random-$model-layers
    if [ ! -e "$target/tokenizer.json" ]; then
        rm -rf "$target"
        "$python" "$here/large_llama.py" "$target" --model "$model" --layers 2 --vocab-size 49152 >&2
        cp "$small"/tokenizer* "$target"
    fi
    options=(--target-model-path "$target" --cache-dir "$scratch/cache" --train-data-path "$data" --max-length 2048)
    "$programs/Preprocess" build "${options[@]}" --draft-vocab-size 32000 >&2
    say "$model"
    "$programs/Trainer" benchmark "${options[@]}" --draft-vocab-size 32000 --dtype "$dtype" --steps "$steps" \
        --ttt-length "${EYRIE_TTT_LENGTH:-7}" --scaling 8 16 32 128 64
done
