#!/usr/bin/env bash
# Trainer plan beside what it plans: the memory of a rank and the time of a step, training for SmolLM2-135M-Instruct, and
# with 512 tokens for two layers of Llama 3.1 8B's sizes (random weights; 12 GB of memory are needed), with the options that
# --preset small and --preset specforge fill.
#
# usage: Benchmarks/plan.sh [LENGTH...]    (default: 512 1024 8b; 8b for the large one alone)

set -euo pipefail
[ $# -gt 0 ] || set -- 512 1024 8b
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"

# plan WHEN RUN RANKS OPTIONS...
plan() {
    "$programs/Trainer" plan "${@:4}" --ranks "$3" --num-threads "$(($(nproc) / $3))" --supervised-share 0.9 --json \
        >"$scratch/plan-$1-$2.json"
}

# compare MODEL LENGTH PRESET NAME DTYPE...: plans a run for each precision and number of ranks, and trains some steps.
compare() {
    local model=$1 length=$2 preset=$3 name=$4 size dtype options run data=$scratch/tokens-$2.jsonl
    shift 4
    local store=(--target-model-path "$model" --cache-dir "$scratch/cache" --train-data-path "$data")
    real_tokens "$data" "$length" 8
    "$programs/Preprocess" build "${store[@]}" --max-length "$length" --draft-vocab-size 32000 >&2
    for dtype in "$@"; do
        for size in 1 2; do
            run=$name-$dtype-$size
            say "$name, $dtype, $size rank(s)"
            options=(--target-model-path "$model" --tp-size "$size" --dtype "$dtype" --max-length "$length"
                --draft-vocab-size 32000 --draft-global-batch-size 2 --preset "$preset")
            # Before and after training, as a machine's rate isn't the same at all times.
            plan before "$run" "$size" "${options[@]}"
            trainer "$size" train "${options[@]}" "${store[@]:2}" --output-dir "$scratch/$run" --total-steps 3 \
                --log-steps 1 --save-interval 1h 2>&1 | tee "$scratch/log-$run" >&2
            plan after "$run" "$size" "${options[@]}"
            find "$scratch/$run" -name '*.safetensors' -delete
        done
    done
}
for length in "$@"; do
    if [ "$length" = 8b ]; then
        large=$scratch/llama-8b-2
        "$python" "$root/Benchmarks/large_llama.py" "$large" --layers 2 --vocab-size 49152 >&2
        cp "$target"/{tokenizer*,special_tokens_map,generation_config}* "$large"
        compare "$large" 512 small 8b bfloat16
        compare "$large" 512 specforge 8b-specforge bfloat16
        rm -rf "$large"
    else
        compare "$target" "$length" small "$length" float32 bfloat16
    fi
done

"$python" - "$scratch" <<'END'
import json, pathlib, re, sys

scratch = pathlib.Path(sys.argv[1])
print(f"\n{'':26} {'memory of a rank, MB':>30} {'a step of 2 sequences, s':>32}"
      f"\n{'tokens, precision, ranks':26} {'planned':>10} {'measured':>9} {'ratio':>9} {'planned':>12} {'measured':>9} {'ratio':>9}")
for path in sorted(scratch.glob("plan-before-*.json"), key=lambda path: path.stat().st_mtime):
    name = path.stem.removeprefix("plan-before-")
    plan, after = (json.loads((scratch / f"plan-{when}-{name}.json").read_text()) for when in ("before", "after"))
    plan["step_seconds"] = (plan["step_seconds"] + after["step_seconds"]) / 2
    steps = [json.loads(line) for line in (scratch / name / "metrics.jsonl").open()]
    seconds = min(step["seconds"] for step in steps if step.get("seconds") and step["step"] > 1)
    number, unit = re.search(r"peak memory ([\d.]+)([MG])B", (scratch / f"log-{name}").read_text()).groups()
    peak = float(number) * (1000 if unit == "G" else 1)
    print(f"{name.replace('-', ', '):26} {plan['memory_bytes'] / 1e6:10,.0f} {peak:9,.0f} {plan['memory_bytes'] / 1e6 / peak:9.2f}"
          f" {plan['step_seconds']:12.2f} {seconds:9.2f} {plan['step_seconds'] / seconds:9.2f}")
END
