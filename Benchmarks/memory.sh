#!/usr/bin/env bash
# The memory of training by the length of a sequence: one step of one sequence for SmolLM2-135M-Instruct.
#
# usage: Benchmarks/memory.sh [LENGTH...]    (default: 2048 4096 8192 16384; some minutes on two cores)
#
# Real tokens of several conversations one after the other, nine tenths of which are learnt; draft vocabulary 8000.

set -euo pipefail
[ $# -gt 0 ] || set -- 2048 4096 8192 16384
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"
text=(--target-model-path "$target" --cache-dir "$scratch/cache")

for length in "$@"; do
    data=$scratch/tokens-$length.jsonl
    real_tokens "$data" "$length" 1
    "$programs/Preprocess" build "${text[@]}" --train-data-path "$data" --max-length "$length" \
        --draft-vocab-size 8000 >&2
    say "A step of $length tokens"
    trainer 1 train "${text[@]}" --train-data-path "$data" --output-dir "$scratch/$length" --draft-vocab-size 8000 \
        --preset specforge --draft-global-batch-size 1 --total-steps 1 --log-steps 1 2>&1 |
        tee "$scratch/$length.log" >&2
done

"$python" - "$scratch" "$@" <<'END'
import json, pathlib, sys

scratch, lengths = pathlib.Path(sys.argv[1]), [int(length) for length in sys.argv[2:]]
print(f"\nTraining on one sequence, draft vocabulary 8000, float32\n\n{'tokens':>7} {'seconds':>8} {'peak MB':>8}"
      f" {'kB for each token more':>23}")
before = None
for length in lengths:
    rows = [json.loads(line) for line in (scratch / str(length) / "metrics.jsonl").open()]
    row = next(row for row in rows if "peak_memory_bytes" in row)
    peak = row["peak_memory_bytes"]
    slope = f"{(peak - before[1]) / (length - before[0]) / 1e3:23.1f}" if before else ""
    print(f"{length:7,} {row['seconds']:8.1f} {peak / 1e6:8,.0f} {slope}")
    before = length, peak
END
