#!/usr/bin/env bash
# EAGLE-3, DFlash and DSpark drafts from the same conversations: how long 600 steps of two take, and how much of their drafted
# tokens is accepted a verification of 100 held-out prompts.
#
# usage: Benchmarks/methods.sh [DRAFT...]     (default: eagle3 dflash dspark; ten minutes each on two cores)
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
printf '%-12s %8s %10s  %s\n' draft minutes accepted "by position"
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
    decode_recipe "$scratch/$name/latest" 100 --json --draft-length "${drafted:-7}" >"$scratch/$name.evaluation.json"
    "$python" - "$name" "$((minutes / 10)).$((minutes % 10))" "$scratch/$name.evaluation.json" <<'END'
import json, sys
name, minutes, path = sys.argv[1:]
report = json.load(open(path))
print(f"{name:12} {minutes:>8} {report['accepted_per_verification']:10.3f}  "
      + " ".join(f"{share:.3f}" for share in report["accepted_at"]), flush=True)
END
done
