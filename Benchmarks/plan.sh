#!/usr/bin/env bash
# Trainer plan beside what it plans: the memory of a rank and the time of a step, training for SmolLM2-135M-Instruct.
#
# usage: Benchmarks/plan.sh [LENGTH...]    (default: 512 1024)

set -euo pipefail
[ $# -gt 0 ] || set -- 512 1024
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"
text=(--target-model-path "$target" --cache-dir "$scratch/cache")

for length in "$@"; do
    data=$scratch/tokens-$length.jsonl
    real_tokens "$data" "$length" 8
    "$programs/Preprocess" build "${text[@]}" --train-data-path "$data" --max-length "$length" \
        --draft-vocab-size 32000 >&2
    for dtype in float32 bfloat16; do
        for size in 1 2; do
            name=$length-$dtype-$size
            say "$length tokens, $dtype, $size rank(s)"
            options=("${text[@]:0:2}" --tp-size "$size" --dtype "$dtype" --max-length "$length" --draft-vocab-size 32000
                --draft-global-batch-size 2)
            "$programs/Trainer" plan "${options[@]}" --ranks "$size" --num-threads "$(($(nproc) / size))" \
                --supervised-share 0.9 --json >"$scratch/plan-$name.json"
            trainer "$size" train "${options[@]}" --cache-dir "$scratch/cache" --train-data-path "$data" \
                --output-dir "$scratch/$name" --total-steps 4 --log-steps 1 2>&1 | tee "$scratch/log-$name" >&2
        done
    done
done

"$python" - "$scratch" <<'END'
import json, pathlib, re, sys

scratch = pathlib.Path(sys.argv[1])
print(f"\n{'':26} {'memory of a rank, MB':>30} {'a step of 2 sequences, s':>32}"
      f"\n{'tokens, precision, ranks':26} {'planned':>10} {'measured':>9} {'ratio':>9} {'planned':>12} {'measured':>9} {'ratio':>9}")
for path in sorted(scratch.glob("plan-*.json"), key=lambda path: int(path.stem.split("-")[1])):
    name = path.stem.removeprefix("plan-")
    plan = json.loads(path.read_text())
    steps = [json.loads(line) for line in (scratch / name / "metrics.jsonl").open()]
    seconds = min(step["seconds"] for step in steps if step.get("seconds") and step["step"] > 1)
    number, unit = re.search(r"peak memory ([\d.]+)([MG])B", (scratch / f"log-{name}").read_text()).groups()
    peak = float(number) * (1000 if unit == "G" else 1)
    print(f"{name.replace('-', ', '):26} {plan['memory_bytes'] / 1e6:10,.0f} {peak:9,.0f} {plan['memory_bytes'] / 1e6 / peak:9.2f}"
          f" {plan['step_seconds']:12.2f} {seconds:9.2f} {plan['step_seconds'] / seconds:9.2f}")
END
