#!/usr/bin/env bash
# Preprocessing: Eyrie beside SpecForge 0.2.0, on the same real conversations in one run.
#
# usage: Benchmarks/preprocess.sh [CONVERSATIONS] [THREADS]    (default: 1000 and 2)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-1000}
threads=${2:-2}
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
scratch=$state/bench-preprocess
rm -rf "$scratch"
mkdir -p "$scratch"
swift build --package-path "$root" -c release >&2
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
data=$state/data/sharegpt-$count.jsonl
"$python" "$here/get_sharegpt.py" "$data" --limit "$count" --downloads "$state/downloads" >&2

say "Eyrie, $threads threads"
"$python" "$here/measure.py" "$scratch/eyrie.json" "$root/.build/release/Preprocess" build --train-data-path "$data" \
    --target-model-path "$target" --cache-dir "$scratch/eyrie" --chat-template qwen --max-length 2048 \
    --draft-vocab-size 32000 --num-threads "$threads" >&2
"$root/.build/release/Preprocess" dump --train-data-path "$data" --cache-dir "$scratch/eyrie" >"$scratch/dump.jsonl"

say "SpecForge, $threads processes (about a minute)"
"$python" "$here/measure.py" "$scratch/specforge-memory.json" "$python" "$here/specforge_preprocess.py" \
    "$scratch/specforge.json" --tokenizer "$target" --data "$data" --cache "$scratch/specforge" --max-length 2048 \
    --processes "$threads" >&2

"$python" - "$scratch" "$count" "$threads" <<'END'
import json, pathlib, sys

scratch, count, threads = pathlib.Path(sys.argv[1]), *sys.argv[2:]
read = lambda name: json.loads((scratch / name).read_text())
eyrie, specforge = read("eyrie.json"), {**read("specforge-memory.json"), **read("specforge.json")}
lengths = [len(json.loads(line)["input_ids"]) for line in (scratch / "dump.jsonl").open()]
store = sum(path.stat().st_size for path in (scratch / "eyrie").rglob("*") if path.is_file())
eyrie.update(samples=len(lengths), tokens=sum(lengths), store_bytes=store)
rows = [(name, run["samples"], run["tokens"], run["tokens"] / run["seconds"], run["store_bytes"] / run["tokens"],
         run["peak_bytes"] / 1e6) for name, run in (("Eyrie", eyrie), ("SpecForge 0.2.0", specforge))]
ours, theirs = rows
print(f"\nPreprocessing {count} ShareGPT conversations with SmolLM2's tokenizer, {threads} threads or processes\n")
print(f"{'':16} {'samples':>8} {'tokens':>10} {'tokens/s':>12} {'bytes/token':>12} {'peak MB':>8}")
for name, samples, tokens, rate, size, memory in rows:
    print(f"{name:16} {samples:8,} {tokens:10,} {rate:12,.0f} {size:12.2f} {memory:8,.0f}")
print(f"\n{ours[3] / theirs[3]:.1f} times the speed, {theirs[4] / ours[4]:.1f} times less to store")
END
