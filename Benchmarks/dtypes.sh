#!/usr/bin/env bash
# How far the loss of a run in bfloat16 is from the loss of the same run in float32: both at once, a thread each.
#
# usage: Benchmarks/dtypes.sh [STEPS] [OPTIONS OF Trainer train]    (default: 300; twenty minutes on two cores)
#
# The conversations in fixtures/, draft vocabulary 8000, at most 512 tokens, two sequences a step.

set -euo pipefail
steps=${1:-300}
[ $# -eq 0 ] || shift
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"
text=(--target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen --max-length 512
    --train-data-path "$root/fixtures/conversations/sharegpt_smollm2.jsonl")
"$programs/Preprocess" build "${text[@]}" --draft-vocab-size 8000 >&2

say "Training $steps steps in float32 and in bfloat16"
runs=()
for dtype in float32 bfloat16; do
    "$programs/Trainer" train "${text[@]}" --output-dir "$scratch/$dtype" --draft-vocab-size 8000 \
        --preset specforge --draft-global-batch-size 2 --total-steps "$steps" --learning-rate 1e-3 --warmup-ratio 0.03 \
        --keep-last 1 --log-steps 1 --num-threads 1 --dtype "$dtype" "$@" >"$scratch/$dtype.log" 2>&1 &
    runs+=($!)
done
for run in "${runs[@]}"; do
    wait "$run" || fail "training failed: $(tail -n 3 "$scratch"/*.log)"
done

"$python" - "$scratch" <<'END'
import json, pathlib, sys

scratch, window = pathlib.Path(sys.argv[1]), 20
def losses(dtype):
    rows = [json.loads(line) for line in (scratch / dtype / "metrics.jsonl").open()]
    return [row["loss"] for row in rows if "learning_rate" in row]
def smoothed(values):
    return [sum(values[i - window:i]) / window for i in range(window, len(values) + 1)]
exact, rounded = losses("float32"), losses("bfloat16")
assert len(exact) == len(rounded) > window, "both runs need as many steps, and more than the window"
smooth = list(zip(smoothed(exact), smoothed(rounded)))
apart = [abs(b - a) / a for a, b in smooth]
single = [abs(b - a) / a for a, b in zip(exact, rounded)]
worst = max(range(len(apart)), key=apart.__getitem__)
print(f"\nLoss over {len(exact)} steps, the mean of {window} steps at a time: float32 and bfloat16\n")
print(f"{'steps':>9} {'float32':>9} {'bfloat16':>9} {'apart':>8}")
for i in sorted({*range(0, len(smooth), max(1, len(smooth) // 8)), len(smooth) - 1}):
    print(f"{i + 1:4}-{i + window:<4} {smooth[i][0]:9.4f} {smooth[i][1]:9.4f} {apart[i]:8.3%}")
print(f"\nmost {apart[worst]:.3%} (steps {worst + 1}-{worst + window}), {sum(apart) / len(apart):.3%} on average;"
      f" of single steps most {max(single):.3%}")
END
