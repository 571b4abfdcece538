#!/usr/bin/env bash
# The target's forward pass: beside transformers on torch, its memory by length, and two ranks beside one.
#
# usage: Benchmarks/target.sh [THREADS]    (default: 2)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
threads=${1:-2}
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
scratch=$state/bench-target
mkdir -p "$scratch"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release >&2 && programs=$root/.build/release; }
target=$state/models/SmolLM2-135M-Instruct
"$python" "$root/scripts/get_smollm2.py" "$target" --downloads "$state/downloads" >&2

measure() { "$programs/Trainer" measure --target-model-path "$target" --num-threads "$threads" --json "$@"; }
for dtype in float32 bfloat16; do
    say "SmolLM2-135M-Instruct, $dtype, $threads threads"
    measure --dtype "$dtype" --repeats 7 >"$scratch/eyrie-$dtype.json"
    measure --dtype "$dtype" --repeats 7 --logits >"$scratch/eyrie-logits-$dtype.json"
    "$python" "$here/target_transformers.py" "$target" --threads "$threads" --dtype "$dtype" --repeats 7 \
        >"$scratch/transformers-$dtype.json"
done
say "Memory by length"
measure --repeats 1 --lengths 512 2048 8192 >"$scratch/memory.json"

say "Layers of Llama 3.1 8B's sizes: one core, and two ranks of one core each"
layers=$scratch/layers
[ -e "$layers/config.json" ] || "$python" "$here/large_llama.py" "$layers" --layers 2 --vocab-size 4096 >&2
target=$layers
threads=1
if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
for dtype in float32 bfloat16; do
    options=(--dtype "$dtype" --lengths 512 --repeats 5 --profile)
    taskset --cpu-list 0 "$programs/Trainer" measure --target-model-path "$layers" --num-threads 1 --json \
        "${options[@]}" >"$scratch/tp-1-$dtype.json"
    mpirun --bind-to core --use-hwthread-cpus -n 2 "$programs/Trainer" measure --target-model-path "$layers" \
        --num-threads 1 --tp-size 2 --json "${options[@]}" >"$scratch/tp-2-$dtype.json"
done

"$python" - "$scratch" "${1:-2}" <<'END'
import json, pathlib, sys

scratch, threads = pathlib.Path(sys.argv[1]), sys.argv[2]
read = lambda name: json.loads((scratch / f"{name}.json").read_text())
print(f"\nForward pass of SmolLM2-135M-Instruct, {threads} threads, tokens/s\n")
print(f"{'':36} {'Eyrie':>8} {'transformers':>13} {'ratio':>6}")
for dtype in ("float32", "bfloat16"):
    theirs = read(f"transformers-{dtype}")["passes"]
    for what, name, key in (("hidden states", "eyrie", "seconds"), ("and logits", "eyrie-logits", "seconds_with_logits")):
        for one, other in zip(read(f"{name}-{dtype}")["passes"], theirs):
            tokens = one["tokens"]
            ours, rate = tokens / one["seconds"], tokens / other[key]
            print(f"{dtype:9} {tokens:5} tokens, {what:13} {ours:8,.0f} {rate:13,.0f} {ours / rate:6.2f}")
print("\nActivations by length, one sequence, float32\n")
for run in read("memory")["passes"]:
    print(f"{run['tokens']:5} tokens {run['activation_bytes'] / 1e6:7.1f} MB, "
          f"{run['activation_bytes'] / run['tokens'] / 1e3:.1f} kB a token")
print("\nTwo layers of Llama 3.1 8B's sizes, 512 tokens\n")
for dtype in ("float32", "bfloat16"):
    one, two = (read(f"tp-{size}-{dtype}")["passes"][0]["seconds"] for size in (1, 2))
    print(f"{dtype:9} one core {one:.3f} s, two ranks of a core each {two:.3f} s: {one / two:.2f} times")
END
