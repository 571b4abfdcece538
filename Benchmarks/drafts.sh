#!/usr/bin/env bash
# How fast drafts of each method train for SmolLM2-135M-Instruct on the same tokens, and what share of the rate of the
# largest matrix product they put to use: EAGLE-3 with seven steps of training-time test, DFlash and DSpark with their
# defaults, all with the target's head frozen.
#
# usage: Benchmarks/drafts.sh [LENGTH...]    (default: 1024)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- 1024
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
drafts=(LlamaForCausalLMEagle3 DFlashDraftModel Qwen3DSparkModel)

for length in "$@"; do
    real_tokens "$scratch/rows-$length.jsonl" "$length" 4
    options=(--target-model-path "$target" --cache-dir "$scratch/cache" --train-data-path "$scratch/rows-$length.jsonl"
        --max-length "$length")
    for vocabulary in 32000 8000; do
        "$programs/Preprocess" build "${options[@]}" --draft-vocab-size "$vocabulary" >&2
        for draft in "${drafts[@]}"; do
            for dtype in float32 bfloat16; do
                say "$draft, $length tokens, vocabulary $vocabulary, $dtype"
                own=()
                [ "$draft" != LlamaForCausalLMEagle3 ] || own=(--freeze-lm-head)
                "$programs/Trainer" benchmark "${options[@]}" --draft-architecture "$draft" "${own[@]}" \
                    --draft-vocab-size "$vocabulary" --dtype "$dtype" --num-threads 2 --draft-global-batch-size 1 \
                    --steps 3 --json >"$scratch/$length-$vocabulary-$draft-$dtype.json"
            done
        done
    done
done

"$python" - "$scratch" "${drafts[*]}" "$@" <<'END'
import json, pathlib, sys

scratch, drafts, lengths = pathlib.Path(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
print(f"\n{'draft':24} {'tokens':>6} {'vocabulary':>10} {'':9} {'tokens/s':>9} {'GFLOP a token':>13} {'GFLOP/s':>8}"
      f" {'product':>8} {'useful':>7}")
for length in lengths:
    for vocabulary in (32000, 8000):
        for draft in drafts:
            for dtype in ("float32", "bfloat16"):
                run = json.loads((scratch / f"{length}-{vocabulary}-{draft}-{dtype}.json").read_text())
                print(f"{draft:24} {length:>6} {vocabulary:10} {dtype:9} {run['tokens_per_second']:9,.1f}"
                      f" {run['needed_operations'] / run['tokens'] / 1e9:13.2f}"
                      f" {run['needed_operations'] / run['seconds'] / 1e9:8.1f}"
                      f" {run['product_operations_per_second'] / 1e9:8.1f} {run['utilisation']:7.1%}")
END
