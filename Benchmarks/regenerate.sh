#!/usr/bin/env bash
# How fast SmolLM2-135M-Instruct answers prompts in bfloat16, greedily and 128 tokens each, by how many at a time, by one
# rank with all cores and by one and two ranks of one thread each; and what memory that takes.
#
# usage: Benchmarks/regenerate.sh [PROMPTS] [TOKENS]    (default: 200 and 128)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-200}
tokens=${2:-128}
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
head -n "$count" "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$scratch/questions.jsonl"
prompts=(--train-data-path "$scratch/questions.jsonl" --target-model-path "$target" --cache-dir "$scratch/cache")
"$programs/Preprocess" build --prompts first "${prompts[@]}" >&2

# run NAME RANKS OPTIONS...: tokens a second, and the megabytes of all ranks together.
run() {
    local name=$1 ranks=$2
    shift 2
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "$python" "$here/measure.py" "$scratch/measured.json" \
        mpirun -n "$ranks" --bind-to none --use-hwthread-cpus --oversubscribe \
        "$programs/Trainer" regenerate "${prompts[@]}" --output "$scratch/answers.jsonl" --force --dtype bfloat16 \
        --temperature 0 --max-new-tokens "$tokens" "$@" >"$scratch/run.log" 2>&1 || {
        cat "$scratch/run.log" >&2
        exit 1
    }
    "$python" - "$name" "$scratch/run.log" "$scratch/measured.json" <<'END'
import json, re, sys
name, log, measured = sys.argv[1:]
rate = re.search(r" s, ([0-9.]+) tokens/s;", open(log).read()).group(1)
print(f"{name:34} {float(rate):8.1f} tokens/s {json.load(open(measured))['peak_bytes'] / 1e6:8,.0f} MB")
END
}
printf '%s prompts, at most %s new tokens each\n' "$count" "$tokens"
for size in 32 64 128; do run "$size at a time" 1 --batch-size "$size"; done
run "1 rank of one thread" 1 --batch-size 128 --num-threads 1
run "2 ranks of one thread" 2 --batch-size 128 --num-threads 1
