#!/usr/bin/env bash
# EAGLE-3, DFlash and DSpark drafts from the same conversations: how long 600 steps of two take, and how much of their drafted
# tokens is accepted a verification of 100 held-out prompts, with its standard error over the prompts, and by how much less or
# more that is than of the first one, on the same prompts.
#
# usage: Benchmarks/methods.sh [DRAFT...]     (default: eagle3 dflash dspark; nine minutes each on two cores)
#
# A DRAFT is a METHOD, of the generated configuration, or METHOD-LAYERS-DRAFTED: dflash-1-7 has one layer and blocks of which
# seven tokens are drafted. TRAIN_OPTIONS: further options of Trainer train, as --total-steps 300.

set -euo pipefail
# shellcheck disable=SC2034  # setup.sh uses it
more_packages=(jq)
[ $# -gt 0 ] || set -- eagle3 dflash dspark
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"

declare -A architectures=([eagle3]=LlamaForCausalLMEagle3 [dflash]=DFlashDraftModel [dspark]=Qwen3DSparkModel)
for name in "$@"; do
    [[ "$name" =~ ^(eagle3|dflash|dspark)(-[0-9]+-[0-9]+)?$ ]] ||
        fail "no draft '$name'; a draft is eagle3, dflash or dspark, or as dflash-1-7 of one layer and seven tokens"
done

recipe
printf '%-12s %8s %16s %16s  %s\n' draft minutes accepted "beside the first" "by position"
for name in "$@"; do
    IFS=- read -r method layers drafted <<<"$name"
    form=(--draft-architecture "${architectures[$method]}")
    if [ -n "$layers" ]; then
        # DFlash's blocks have the newest token besides those that are drafted.
        block=$drafted
        [ "$method" != dflash ] || block=$((drafted + 1))
        "$programs/Trainer" config --target-model-path "$target" "${form[@]}" --draft-vocab-size 8000 |
            jq --argjson layers "$layers" --argjson block "$block" '.num_hidden_layers = $layers
                | if has("block_size") then .block_size = $block else . end
                | if has("layer_types") then .layer_types = [range($layers) | "full_attention"] else . end' \
                >"$scratch/$name.json"
        form=(--draft-model-config "$scratch/$name.json")
    fi
    say "$name"
    start=$SECONDS
    # shellcheck disable=SC2086  # options are words
    train_recipe "$scratch/$name" "${form[@]}" --save-interval 1000 --log-steps 20 ${TRAIN_OPTIONS:-}
    minutes=$(((SECONDS - start) * 10 / 60))
    decode_recipe "$scratch/$name/latest" 100 --json --draft-length "${drafted:-7}" \
        --samples-output "$scratch/$name.samples.jsonl" >"$scratch/$name.evaluation.json"
    "$python" - "$scratch" "$name" "$1" "$((minutes / 10)).$((minutes % 10))" <<'END'
import json, sys

scratch, name, first, minutes = sys.argv[1:]

def accepted(name):
    """Accepted tokens a verification, and what each prompt adds to their deviation: the mean over prompts of both."""
    prompts = [json.loads(line)["accepted"] for line in open(f"{scratch}/{name}.samples.jsonl")]
    rate = sum(map(sum, prompts)) / sum(map(len, prompts))
    mean = sum(map(len, prompts)) / len(prompts)
    return rate, [(sum(each) - rate * len(each)) / mean for each in prompts]

def error(deviations):
    return (sum(value * value for value in deviations) / (len(deviations) - 1) / len(deviations)) ** 0.5

(rate, own), (other, others) = accepted(name), accepted(first)
beside = "" if name == first else f"{rate - other:+.3f} ± {error([a - b for a, b in zip(own, others, strict=True)]):.3f}"
positions = json.load(open(f"{scratch}/{name}.evaluation.json"))["accepted_at"]
print(f"{name:12} {minutes:>8} {f'{rate:.3f} ± {error(own):.3f}':>16} {beside:>16}  "
      + " ".join(f"{share:.3f}" for share in positions), flush=True)
END
done
