#!/usr/bin/env bash
# How fast a target decodes without a draft, one sequence at a time: Trainer evaluate beside llama.cpp (PyPI's xllamacpp),
# each with all cores, alternately, on the same prompts; SmolLM2-135M-Instruct in bfloat16, Q8_0 and Q4_1.
#
# usage: Benchmarks/decoding.sh [PROMPTS] [ROUNDS]    (default: 8 prompts of 96 new tokens, 3 rounds; ten minutes on two cores)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-8} rounds=${2:-3}
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck disable=SC2034  # tokenizers-venv.sh uses it
requirements=$root/scripts/requirements-engines.txt
# shellcheck source=../scripts/tokenizers-venv.sh
source "$root/scripts/tokenizers-venv.sh"
"$python" "$root/scripts/get_gguf.py" "$state/gguf" --downloads "$state/downloads" >&2
gguf=$state/gguf/smollm2-135m-instruct
for type in bf16 q8_0; do
    [ -f "$gguf-$type.gguf" ] || "$python" "$root/scripts/requantize_gguf.py" "$gguf.gguf" "$gguf-$type.gguf" "$type"
done
recipe
# Any draft will do: what counts is what the target decodes without it.
train_recipe "$scratch/draft" --total-steps 1

printf '%-18s %10s %10s %8s   tokens/s, the best of %s rounds\n' target Eyrie llama.cpp ratio "$rounds"
for pair in "bfloat16 $target $gguf-bf16.gguf" "Q8_0 $gguf-q8_0.gguf $gguf-q8_0.gguf" "Q4_1 $gguf.gguf $gguf.gguf"; do
    read -r name own served <<<"$pair"
    for round in $(seq "$rounds"); do
        "$programs/Trainer" evaluate --target-model-path "$own" --cache-dir "$scratch/cache" --dtype bfloat16 \
            --eval-data-path "$held_out" --draft-model-path "$scratch/draft/latest" --max-samples "$prompts" \
            --max-new-tokens 96 --draft-length 1 --json --samples-output "$scratch/samples.jsonl" >"$scratch/own-$round.json"
        PYTHONPATH=$root/scripts "$python" "$here/decoding_llamacpp.py" "$served" "$scratch/samples.jsonl" \
            >"$scratch/served-$round.json"
    done
    "$python" - "$name" "$scratch" "$rounds" <<'END'
import json, pathlib, sys
name, scratch, rounds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
best = lambda side, key: max(json.loads((scratch / f"{side}-{i}.json").read_text())[key] for i in range(1, rounds + 1))
own, served = best("own", "plain_tokens_per_second"), best("served", "tokens_per_second")
print(f"{name:18} {own:10.1f} {served:10.1f} {own / served:8.2f}")
END
done
