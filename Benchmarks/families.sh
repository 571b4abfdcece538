#!/usr/bin/env bash
# The forward pass of a few layers of each family at published sizes, beside transformers 5 on torch: tokens/s of the hidden
# states, both sides alternately.
#
# usage: Benchmarks/families.sh [FAMILY...]    (default: llama qwen3-moe gemma4 lfm2 qwen3.5; twenty minutes on two cores)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- llama qwen3-moe gemma4 lfm2 qwen3.5
# shellcheck disable=SC2034  # tokenizers-venv.sh uses them
requirements=$here/../scripts/requirements-transformers.txt size="1 GB"
# shellcheck source=../scripts/tokenizers-venv.sh
source "$here/../scripts/tokenizers-venv.sh"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release --product Trainer >&2 && programs=$root/.build/release; }
scratch=$state/bench-families
mkdir -p "$scratch"
threads=$(nproc)
rounds=2

printf '%-10s %-9s %6s %9s %13s %6s\n' family "" tokens Eyrie transformers ratio
for family in "$@"; do
    model=$scratch/$family
    [ -e "$model/config.json" ] || "$python" "$here/families_models.py" "$family" "$model" >&2
    for dtype in float32 bfloat16; do
        rm -f "$scratch"/*.jsonl
        for ((round = 0; round < rounds; round++)); do
            "$programs/Trainer" measure --target-model-path "$model" --num-threads "$threads" --dtype "$dtype" \
                --repeats 2 --lengths 512 2048 --json >>"$scratch/eyrie.jsonl" 2>"$scratch/eyrie.log" ||
                fail "$(tail -n 1 "$scratch/eyrie.log")"
            "$python" "$here/target_transformers.py" "$model" --threads "$threads" --dtype "$dtype" --repeats 2 \
                --hidden-states-only >>"$scratch/transformers.jsonl" 2>"$scratch/transformers.log" ||
                fail "$(tail -n 1 "$scratch/transformers.log")"
        done
        "$python" - "$scratch" "$family" "$dtype" <<'END'
import json, pathlib, sys

scratch, family, dtype = pathlib.Path(sys.argv[1]), *sys.argv[2:]
runs = [[json.loads(line)["passes"] for line in open(scratch / f"{name}.jsonl")] for name in ("eyrie", "transformers")]
for index, one in enumerate(runs[0][0]):
    ours, theirs = (one["tokens"] / min(run[index]["seconds"] for run in side) for side in runs)
    print(f"{family:10} {dtype:9} {one['tokens']:6} {ours:9,.0f} {theirs:13,.0f} {ours / theirs:6.2f}", flush=True)
END
    done
done
