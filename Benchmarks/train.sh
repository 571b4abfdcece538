#!/usr/bin/env bash
# Training: Eyrie beside SpecForge 0.2.0 on torch, on the same samples of real conversations in one run.
#
# usage: Benchmarks/train.sh [CONVERSATIONS] [THREADS] [DTYPE] [LENGTH]    (default: 12, 2, float32 and 1024)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-12}
threads=${2:-2}
dtype=${3:-float32}
length=${4:-1024}
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
scratch=$state/bench-train
rm -rf "$scratch"
mkdir -p "$scratch"
swift build --package-path "$root" -c release >&2
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
data=$state/data/sharegpt-$count.jsonl
"$python" "$here/get_sharegpt.py" "$data" --limit "$count" --downloads "$state/downloads" >&2

text=(--train-data-path "$data" --target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen
    --max-length "$length")
"$root/.build/release/Preprocess" build "${text[@]}" --draft-vocab-size 32000 >&2
"$root/.build/release/Preprocess" dump --train-data-path "$data" --cache-dir "$scratch/cache" >"$scratch/samples.jsonl"

say "Eyrie, 1 rank, $threads threads, every sample twice"
"$python" "$here/measure.py" "$scratch/eyrie.json" "$root/.build/release/Trainer" train "${text[@]}" \
    --output-dir "$scratch/eyrie" --preset specforge --num-epochs 2 --batch-size 1 \
    --draft-global-batch-size 1 --log-steps 1 --draft-vocab-size 32000 --num-threads "$threads" --dtype "$dtype" >&2

say "SpecForge, $threads threads (some minutes)"
"$python" "$here/measure.py" "$scratch/specforge-memory.json" "$python" "$here/specforge_train.py" \
    "$scratch/specforge.json" --target "$target" --data "$scratch/samples.jsonl" --max-length "$length" \
    --threads "$threads" --dtype "$dtype" >&2

"$python" - "$scratch" "$threads" "$dtype" "$length" <<'END'
import json, pathlib, sys

scratch, threads, dtype, length = pathlib.Path(sys.argv[1]), *sys.argv[2:]
read = lambda name: json.loads((scratch / name).read_text())
eyrie, specforge = read("eyrie.json"), {**read("specforge-memory.json"), **read("specforge.json")}
steps = [json.loads(line) for line in (scratch / "eyrie" / "metrics.jsonl").open()]
steps = [step for step in steps if "tokens_per_second" in step]
steps = steps[len(steps) // 2:]  # the second epoch: SpecForge has a step to warm up, too
eyrie.update(tokens=sum(step["tokens"] for step in steps),
             seconds=sum(step["tokens"] / step["tokens_per_second"] for step in steps))
rows = [(name, run["tokens"], run["tokens"] / run["seconds"], run["peak_bytes"] / 1e6)
        for name, run in (("Eyrie", eyrie), ("SpecForge 0.2.0", specforge))]
ours, theirs = rows
print("\nOnline EAGLE-3 training of a draft of SmolLM2-135M-Instruct: draft vocabulary 32000,"
      f"\nat most {length} tokens, 7 training-time-test steps, {dtype}, {threads} threads, {len(steps)} samples, a step each\n")
print(f"{'':16} {'tokens':>8} {'tokens/s':>10} {'peak MB':>8}")
for name, tokens, rate, memory in rows:
    print(f"{name:16} {tokens:8,} {rate:10,.1f} {memory:8,.0f}")
print(f"\n{ours[2] / theirs[2]:.1f} times the speed, {ours[3] / theirs[3]:.2f} of the memory")
END
