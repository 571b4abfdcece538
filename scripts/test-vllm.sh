#!/usr/bin/env bash
# Drafts in vLLM on CPUs, from PyPI, as the directories that Trainer saves. On the same texts, which part at near ties alone,
# their verifications accept what Trainer evaluate says: almost all the same, and within 2% in all and by position, of the
# layers that were meant. And each family that vLLM serves drafts for decodes with tiny random ones.
#
# usage: scripts/test-vllm.sh [PROMPTS [PART...]]     (default: 50 prompts and all parts; an hour on two cores the first
#        time, most of it training)
#
# Parts: families; eagle3, for held-out prompts; and drafts that are trained on the few texts that they are measured on, so
# that much is accepted: layers, of other layers of the target than the default; norm-before-residual; two-layers; dflash and
# dflash-whole, of a reduced and of the whole vocabulary. The target is SmolLM2-135M-Instruct in bfloat16.
# EYRIE_DRAFT names the directory of an EAGLE-3 draft to use for the part eagle3 instead of training one.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-50}
parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(families eagle3 layers norm-before-residual two-layers dflash dflash-whole)
# shellcheck disable=SC2034  # setup.sh uses it
more_packages=(jq)
# shellcheck source=vllm-venv.sh
source "$here/vllm-venv.sh"
engine=vllm
scratch=$state/test-vllm
# shellcheck source=engines.sh
source "$here/engines.sh"

get_data() {
    get_target
    # What the target itself says to forty prompts, greedily: any draft will do to decode it.
    [ -f "$few" ] || {
        say "Forty texts of the target's"
        "$programs/Trainer" evaluate "${text[@]}" --eval-data-path "$held_out" --draft-vocab-size 1000 --max-samples 40 \
            --max-new-tokens 96 --draft-length 1 --dtype bfloat16 --samples-output "$scratch/texts.jsonl" >&2
        jq -c '{input_ids: (.prompt_ids + .output_ids),
            loss_mask: ((.prompt_ids | map(0)) + (.output_ids | map(1)))}' "$scratch/texts.jsonl" >"$few.part"
        mv "$few.part" "$few"
    }
    "$programs/Preprocess" build --train-data-path "$few" "${text[@]}" >&2
}

# Compares Trainer with vLLM: NAME DRAFT DATA LENGTH LAYERS, those whose inputs the draft is to see, OPTION...
# vLLM's logits are bfloat16: where they are above 16, neighbours are an eighth apart.
compare() {
    local name=$1 draft=$2 data=$3 length=$4 layers=$5
    local file=$scratch/$name
    local line="Using auxiliary layers from speculative config: (${layers//,/, })"
    say "$name"
    "$programs/Trainer" evaluate "${text[@]}" --eval-data-path "$data" --draft-model-path "$draft" --max-samples "$prompts" \
        --max-new-tokens 96 --draft-length "$length" --dtype bfloat16 --json --samples-output "$file.jsonl" >"$file.json"
    with_vllm "$here/compare_engines.py" vllm "$name" "$target" "$draft" "$file.jsonl" --draft-length "$length" \
        --tolerance 0.02 --near-tie 0.25 "${@:6}" 2>"$file.log" || fail "$(tail -n 1 "$file.log"); vLLM's log is in $file.log"
    grep -qF "$line" "$file.log" ||
        fail "vLLM doesn't log '$line', but: $(grep -o 'Using auxiliary layers.*' "$file.log" || echo nothing of layers)"
}

# Where much is accepted, a verification that accepts another number is followed by some that begin elsewhere.
mostly=0.8

# A form of EAGLE-3: NAME LAYERS, and what is different in the draft's configuration, as jq has it.
form() {
    local draft
    "$programs/Trainer" config --target-model-path "$target" --draft-vocab-size 8000 | jq "$3" >"$scratch/$1.config.json"
    draft=$(trained "$1" "$few" --draft-model-config "$scratch/$1.config.json" --total-steps 200 \
        --draft-global-batch-size 5 --learning-rate 2e-3 --ttt-length 3 --dtype bfloat16)
    compare "$1" "$draft" "$few" 3 "$2" --equal "$mostly"
}

# A draft of whole blocks: NAME OPTION...
blocks() {
    local draft layers
    draft=$(block_draft "$1" DFlashDraftModel "$few" --total-steps 300 "${@:2}")
    layers=$(jq -r '.dflash_config.target_layer_ids | map(. + 1) | join(",")' "$draft/config.json")
    compare "$1" "$draft" "$few" 7 "$layers" --equal "$mostly"
}

for part in "${parts[@]}"; do
    [ "$part" = families ] || get_data
    case $part in
        families) with_vllm "$here/serve_families_vllm.py" "$programs/Trainer" "$scratch/families" ;;
        eagle3)
            draft=$(eagle3_draft)
            compare eagle3 "$draft" "$held_out" 3 2,15,27
            ;;
        layers) form layers 6,13,22 '.eagle_config.eagle_aux_hidden_state_layer_ids = [5, 12, 21]
            | del(.eagle_aux_hidden_state_layer_ids)' ;;
        norm-before-residual) form norm-before-residual 2,15,27 '.norm_before_residual = true' ;;
        two-layers) form two-layers 2,15,27 '.num_hidden_layers = 2' ;;
        dflash) blocks dflash --draft-vocab-size 8000 ;;
        dflash-whole) blocks dflash-whole --draft-vocab-size 49152 ;;
        *) fail "there is no part $part" ;;
    esac
done
