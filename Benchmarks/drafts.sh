#!/usr/bin/env bash
# How fast drafts of each method train on the same tokens, and what share of the rate of the largest matrix product they put
# to use: EAGLE-3 with seven steps of training-time test, DFlash and DSpark with their defaults, all with the target's head
# frozen.
#
# usage: Benchmarks/drafts.sh [CASE...]    (default: 1024 4096 8b-1024, half an hour on two cores)
#
# A case is the length of a sequence for SmolLM2-135M-Instruct, with draft vocabularies of 32000 and 8000; or, after 8b-, for a
# target of two layers of Llama 3.1 8B's sizes with random weights and a draft vocabulary of 32000, which takes 2 GB of disk
# and 16 GB of memory.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- 1024 4096 8b-1024
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
small=$target
drafts=(LlamaForCausalLMEagle3 DFlashDraftModel Qwen3DSparkModel)

for case in "$@"; do
    length=${case#8b-} target=$small vocabularies=(32000 8000) steps=3
    if [ "$length" != "$case" ]; then
        target=$state/models/random-8b-layers vocabularies=(32000) steps=1
        if [ ! -e "$target/tokenizer.json" ]; then
            rm -rf "$target"
            "$python" "$here/large_llama.py" "$target" --layers 2 --vocab-size 49152 >&2
            cp "$small"/tokenizer* "$target"
        fi
    fi
    real_tokens "$scratch/rows-$length.jsonl" "$length" 4
    options=(--target-model-path "$target" --cache-dir "$scratch/cache" --train-data-path "$scratch/rows-$length.jsonl"
        --max-length "$length")
    for vocabulary in "${vocabularies[@]}"; do
        "$programs/Preprocess" build "${options[@]}" --draft-vocab-size "$vocabulary" >&2
        for draft in "${drafts[@]}"; do
            for dtype in float32 bfloat16; do
                say "$draft, $case, vocabulary $vocabulary, $dtype"
                own=()
                [ "$draft" != LlamaForCausalLMEagle3 ] || own=(--freeze-lm-head)
                "$programs/Trainer" benchmark "${options[@]}" --draft-architecture "$draft" "${own[@]}" \
                    --draft-vocab-size "$vocabulary" --dtype "$dtype" --num-threads 2 --draft-global-batch-size 1 \
                    --steps "$steps" --json >"$scratch/run-$case-$vocabulary-$draft-$dtype.json"
            done
        done
    done
done

"$python" - "$scratch" "$@" <<'END'
import json, pathlib, sys

scratch, cases = pathlib.Path(sys.argv[1]), sys.argv[2:]
print(f"\n{'draft':24} {'case':>8} {'vocabulary':>10} {'':9} {'tokens/s':>9} {'GFLOP a token':>13} {'GFLOP/s':>8}"
      f" {'product':>8} {'useful':>7}")
for case in cases:
    runs = sorted(scratch.glob(f"run-{case}-*.json"), key=lambda path: path.stat().st_mtime)
    for path in runs:
        run, (vocabulary, draft, dtype) = json.loads(path.read_text()), path.stem.removeprefix(f"run-{case}-").split("-")
        print(f"{draft:24} {case:>8} {vocabulary:>10} {dtype:9} {run['tokens_per_second']:9,.1f}"
              f" {run['needed_operations'] / run['tokens'] / 1e9:13.2f}"
              f" {run['needed_operations'] / run['seconds'] / 1e9:8.1f}"
              f" {run['product_operations_per_second'] / 1e9:8.1f} {run['utilisation']:7.1%}")
END
