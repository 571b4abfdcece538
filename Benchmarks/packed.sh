#!/usr/bin/env bash
# Layers of a target of 8B parameters in 4 bits (GGUF, Q4_K_M, random weights): packed in memory beside unpacked, in
# alternate runs of which the fastest counts. Prints memory and the time of 1, 4 and 512 tokens.
#
# usage: Benchmarks/packed.sh [LAYERS]    (default: 4)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../scripts/setup.sh
source "$here/../scripts/setup.sh"
layers=${1:-4}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release >&2 && programs=$root/.build/release; }

"$python" "$here/packed_llama.py" "$folder/model.gguf" --layers "$layers" --vocab-size 32000 >&2
for run in 1 2 3; do
    for unpack in "" --unpack-target; do
        # shellcheck disable=SC2086
        trainer 1 measure --target-model-path "$folder/model.gguf" --dtype bfloat16 $unpack --lengths 1 4 512 \
            --repeats 5 --logits --json >"$folder/measured-$run$unpack.json"
    done
done
"$python" - "$folder" "$layers" <<'END'
import glob, json, sys

folder, layers = sys.argv[1], int(sys.argv[2])
print(f"\n{layers} layers of Llama 3.1 8B's sizes, Q4_K_M, and a vocabulary of 32,000\n")
print("| held | weights, GB | 1 token, ms | 4 tokens, ms | 512 tokens, ms |\n| --- | --- | --- | --- | --- |")
for name, option in (("packed", ""), ("as bfloat16", "--unpack-target")):
    runs = [json.load(open(file)) for file in glob.glob(f"{folder}/measured-[123]{option}.json")]
    times = [1000 * min(run["passes"][i]["seconds"] for run in runs) for i in range(3)]
    print(f"| {name} | {runs[0]['weight_bytes'] / 1e9:.2f} | " + " | ".join(f"{time:.1f}" for time in times) + " |")
END
