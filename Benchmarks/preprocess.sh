#!/usr/bin/env bash
# Preprocessing: Eyrie beside SpecForge 0.2.0 and Hugging Face's tokenizers, on real conversations in one run.
#
# usage: Benchmarks/preprocess.sh [CONVERSATIONS] [THREADS]    (default: 1000 and 2)
#
# The peers get the first CONVERSATIONS; Eyrie gets those too, then the whole file, then ten times the whole file.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-1000}
threads=${2:-2}
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
scratch=$state/bench-preprocess
rm -rf "$scratch"
mkdir -p "$scratch"
trap 'rm -f "$scratch"/ten.jsonl' EXIT
swift build --package-path "$root" -c release >&2
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
some=$state/data/sharegpt-$count.jsonl
whole=$state/data/sharegpt.jsonl
"$python" "$here/get_sharegpt.py" "$some" --limit "$count" --downloads "$state/downloads" >&2
"$python" "$here/get_sharegpt.py" "$whole" --downloads "$state/downloads" >&2
for _ in 1 2 3 4 5 6 7 8 9 10; do cat "$whole"; done >"$scratch/ten.jsonl"

# eyrie NAME DATA: the whole command; its own report and what it took.
eyrie() {
    "$python" "$here/measure.py" "$scratch/$1.json" "$root/.build/release/Preprocess" build --train-data-path "$2" \
        --target-model-path "$target" --cache-dir "$scratch/store-$1" --chat-template qwen --max-length 2048 \
        --draft-vocab-size 32000 --num-threads "$threads" --json >"$scratch/$1-report.json"
}
say "Eyrie, $threads threads"
eyrie some "$some"
eyrie whole "$whole"
eyrie ten "$scratch/ten.jsonl"
"$root/.build/release/Preprocess" verify --cache-dir "$scratch/store-whole" --train-data-path "$whole" --measure \
    >"$scratch/verify.txt"

say "Hugging Face's tokenizers, $threads threads, only encoding"
RAYON_NUM_THREADS=$threads "$python" "$here/encode_peers.py" "$scratch/encode.json" "$target" "$some"

say "SpecForge, $threads processes (about a minute)"
"$python" "$here/measure.py" "$scratch/specforge-memory.json" "$python" "$here/specforge_preprocess.py" \
    "$scratch/specforge.json" --tokenizer "$target" --data "$some" --cache "$scratch/specforge" --max-length 2048 \
    --processes "$threads" >&2

"$python" - "$scratch" "$count" "$threads" <<'END'
import json, pathlib, sys

scratch, count, threads = pathlib.Path(sys.argv[1]), *sys.argv[2:]
read = lambda name: json.loads((scratch / f"{name}.json").read_text())

def eyrie(name):
    report, measured = read(f"{name}-report"), read(name)
    return dict(samples=report["counts"]["samples"], tokens=report["counts"]["tokens"], store_bytes=report["bytes"],
                **measured)

specforge = {**read("specforge-memory"), **read("specforge")}
encode = read("encode")
runs = [(f"Eyrie, {count}", eyrie("some")), ("Eyrie, all", eyrie("whole")), ("Eyrie, 10 x all", eyrie("ten")),
        (f"SpecForge, {count}", specforge)]
print(f"\nPreprocessing ShareGPT conversations with SmolLM2's tokenizer, {threads} threads or processes\n")
print(f"{'':18} {'samples':>9} {'tokens':>12} {'seconds':>8} {'tokens/s':>12} {'bytes/token':>12} {'peak MB':>8}")
for name, run in runs:
    print(f"{name:18} {run['samples']:9,} {run['tokens']:12,} {run['seconds']:8.2f} "
          f"{run['tokens'] / run['seconds']:12,.0f} {run['store_bytes'] / run['tokens']:12.2f} "
          f"{run['peak_bytes'] / 1e6:8,.0f}")
print(f"{'tokenizers, encode':18} {'':9} {encode['tokens']:12,} {encode['seconds']:8.2f} "
      f"{encode['tokens'] / encode['seconds']:12,.0f}")
rate = lambda run: run["tokens"] / run["seconds"]
whole = runs[1][1]
print(f"\nThe whole command on the whole file: {rate(whole) / rate(specforge):.0f} times SpecForge, "
      f"{rate(whole) / rate(encode):.1f} times tokenizers' encoding alone, "
      f"{specforge['store_bytes'] / specforge['tokens'] / (whole['store_bytes'] / whole['tokens']):.1f} times less to store")
print("The whole file's store" + (scratch / "verify.txt").read_text().splitlines()[-1])
END
