#!/usr/bin/env bash
# How much of the rate of the largest matrix product training puts to use: Trainer benchmark for drafts of
# SmolLM2-135M-Instruct and a draft of 8B proportions, float32 and bfloat16, on one thread and on two.
#
# usage: Benchmarks/utilisation.sh [CASE...]    (default: 32000-512 32000-1024 32000-2048 8000-512 8000-1024 8000-2048
#                                                8b-512; a case is a draft vocabulary, or 8b, and a length in tokens)
#
# The samples are the first conversations of ShareGPT that are long enough, cut to the length, with the assistant's
# tokens as they come. 8b has a target of two layers of Llama 3.1 8B's sizes with random weights, SmolLM2's vocabulary
# and a draft vocabulary of 32000; it takes 2 GB of disk and 14 GB of memory.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- {32000,8000}-{512,1024,2048} 8b-512
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
small=$target
chats=$state/data/sharegpt-200.jsonl
"$python" "$here/get_sharegpt.py" "$chats" --limit 200 --downloads "$state/downloads" >&2
cache=(--cache-dir "$scratch/cache" --chat-template qwen)
"$programs/Preprocess" build "${cache[@]}" --target-model-path "$small" --train-data-path "$chats" --max-length 2048 >&2
"$programs/Preprocess" dump --cache-dir "$scratch/cache" --train-data-path "$chats" >"$scratch/dump.jsonl"

# rows LENGTH: a file of the samples of that length.
rows() {
    local file=$scratch/rows-$1.jsonl
    "$python" - "$scratch/dump.jsonl" "$1" >"$file" <<'END'
import itertools, json, sys
length = int(sys.argv[2])
samples = (json.loads(line) for line in open(sys.argv[1]))
for sample in itertools.islice((sample for sample in samples if len(sample["input_ids"]) >= length), 8):
    print(json.dumps({name: sample[name][:length] for name in ("input_ids", "loss_mask")}))
END
    printf '%s' "$file"
}

for case in "$@"; do
    vocabulary=${case%-*} length=${case#*-} target=$small steps=3
    if [ "$vocabulary" = 8b ]; then
        vocabulary=32000 steps=1 target=$state/models/random-8b-layers
        if [ ! -e "$target/tokenizer.json" ]; then
            rm -rf "$target"
            "$python" "$here/large_llama.py" "$target" --layers 2 --vocab-size 49152 >&2
            cp "$small"/tokenizer* "$target"
        fi
    fi
    data=$(rows "$length")
    options=(--target-model-path "$target" --cache-dir "$scratch/cache" --train-data-path "$data" --max-length "$length")
    "$programs/Preprocess" build "${options[@]}" --draft-vocab-size "$vocabulary" >&2
    for dtype in float32 bfloat16; do
        for threads in 1 2; do
            say "$case, $dtype, $threads thread(s)"
            "$programs/Trainer" benchmark "${options[@]}" --draft-vocab-size "$vocabulary" --dtype "$dtype" \
                --num-threads "$threads" --draft-global-batch-size 1 --steps "$steps" --json \
                >"$scratch/$case-$dtype-$threads.json"
        done
    done
done

"$python" - "$scratch" "$@" <<'END'
import json, pathlib, sys

scratch, cases = pathlib.Path(sys.argv[1]), sys.argv[2:]
print("\nTraining, seven steps of training-time test, a sequence a step: what the mathematics needs, and the rate of the"
      "\nlargest product in the same run\n")
print(f"{'case':12} {'':9} {'threads':>7} {'tokens/s':>9} {'TFLOP needed':>13} {'GFLOP/s':>8} {'product':>22}"
      f" {'GFLOP/s':>8} {'useful':>7}")
for case in cases:
    for dtype in ("float32", "bfloat16"):
        for threads in (1, 2):
            run = json.loads((scratch / f"{case}-{dtype}-{threads}.json").read_text())
            print(f"{case:12} {dtype:9} {threads:7} {run['tokens_per_second']:9,.1f}"
                  f" {run['needed_operations'] / run['steps'] / 1e12:13.3f}"
                  f" {run['needed_operations'] / run['seconds'] / 1e9:8.1f} {' x '.join(map(str, run['product'])):>22}"
                  f" {run['product_operations_per_second'] / 1e9:8.1f} {run['utilisation']:7.1%}")
END
