#!/usr/bin/env bash
# How much faster training is from the cache of the target's features: its second epoch beside its first, in one run,
# and what a token takes on disk.
#
# usage: Benchmarks/cache.sh [CONVERSATIONS] [THREADS] [DTYPE]    (default: 12, 2 and float32)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-12}
threads=${2:-2}
dtype=${3:-float32}
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
answers "$count"

# run NAME OPTIONS...: two epochs, a step a sample.
run() {
    "$programs/Trainer" train "${text[@]}" --output-dir "$scratch/$1" --draft-vocab-size 8000 --num-epochs 2 \
        --preset specforge --batch-size 1 --draft-global-batch-size 1 --log-steps 1 --num-threads "$threads" \
        --dtype "$dtype" "${@:2}" 2>&1 >/dev/null | tee "$scratch/$1.log" >&2
}
say "bfloat16 features"
run bfloat16 --target-cache "$scratch/features"
say "float32 features"
run float32 --target-cache "$scratch/features" --target-cache-dtype float32
say "from the full cache"
run full --target-cache "$scratch/features"

"$python" - "$scratch" "$threads" "$dtype" <<'END'
import json, pathlib, re, sys

scratch, threads, dtype = pathlib.Path(sys.argv[1]), *sys.argv[2:]
def steps(name):
    rows = [json.loads(line) for line in (scratch / name / "metrics.jsonl").open()]
    return [row for row in rows if "tokens_per_second" in row]
def rate(rows):
    return sum(row["tokens"] for row in rows) / sum(row["seconds"] for row in rows)
print(f"\nA draft of SmolLM2-135M-Instruct, draft vocabulary 8000, at most 512 tokens, a step a sample, {dtype}, {threads} threads\n")
for name in ("bfloat16", "float32"):
    rows = steps(name)
    half = len(rows) // 2
    # The first step of each epoch is left out: it finds memory cold.
    first, second = rate(rows[1:half]), rate(rows[half + 1:])
    reading = sum(row["phase_seconds"].get("data", 0) for row in rows[half + 1:]) / sum(row["seconds"] for row in rows[half + 1:])
    size = re.search(r"kept in (\d+) bytes a token", (scratch / f"{name}.log").read_text()).group(1)
    print(f"{name} features: first epoch {first:6.1f} tokens/s, second {second:6.1f}, {second / first:.2f} times; "
          f"{size} bytes a token; reading {100 * reading:.2f}% of the second")
memory = [max(row["peak_memory_bytes"] for row in steps(name)) / 1e6 for name in ("bfloat16", "full")]
print(f"peak memory {memory[0]:.0f} MB, {memory[1]:.0f} MB from the full cache")
END
