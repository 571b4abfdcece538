#!/usr/bin/env bash
# What learns faster at first: 60 steps of two conversations, the rate's whole way up and down in them, with other first
# weights (first_weights.py) or another option. Loss and first accuracy are those of the last ten steps.
#
# usage: Benchmarks/first_steps.sh [CHOICE...]    (default: all; two minutes each on two cores)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
order=(nothing beta2 no-clipping rate head mlp layer mlp-and-embedding fc fc-and-layer)
declare -A options=(
    [beta2]="--adam-beta2 0.95"
    [no-clipping]="--max-grad-norm 1e5"
    [rate]="--learning-rate 3e-3 --adam-beta2 0.95"
)
declare -A weights=(
    [head]="head"
    [mlp]="mlp"
    [layer]="mlp last-attention"
    [mlp-and-embedding]="mlp first-attention"
    [fc]="highest-feature"
    [fc-and-layer]="highest-feature mlp last-attention"
)
[ $# -gt 0 ] || set -- "${order[@]}"
for choice in "$@"; do
    [[ " ${order[*]} " = *" $choice "* ]] && continue
    echo "first_steps.sh: no choice '$choice'; there are: ${order[*]}" >&2
    exit 64
done

# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
text=(--target-model-path "$target" --cache-dir "$scratch/cache" --chat-template qwen --max-length 512
    --train-data-path "$root/fixtures/conversations/sharegpt_smollm2.jsonl")
"$programs/Preprocess" build "${text[@]}" --draft-vocab-size 8000 >&2

# run NAME OPTIONS...: trains for 60 steps, if the options don't say otherwise.
run() {
    "$programs/Trainer" train "${text[@]}" --output-dir "$scratch/$1" --preset specforge \
        --draft-global-batch-size 2 --total-steps 60 \
        --learning-rate 1e-3 --warmup-ratio 0.03 --dtype bfloat16 --log-steps 10 "${@:2}" >"$scratch/$1.log" 2>&1 ||
        fail "training failed: $(tail -n 3 "$scratch/$1.log")"
}

say "The first weights of a draft"
run first --draft-vocab-size 8000 --total-steps 1 --learning-rate 0 --save-dtype float32
printf '%-20s %6s %9s\n' choice loss accuracy
for choice in "$@"; do
    say "$choice"
    begin=$scratch/first/latest
    if [ -n "${weights[$choice]:-}" ]; then
        begin=$scratch/$choice-weights
        # shellcheck disable=SC2086  # names are words
        "$python" "$here/first_weights.py" "$scratch/first/latest" "$target" "$begin" ${weights[$choice]}
    fi
    # shellcheck disable=SC2086  # options are words
    run "$choice" --ckpt-dir "$begin" ${options[$choice]:-}
    "$python" - "$choice" "$scratch/$choice/metrics.jsonl" <<'END'
import json, sys
last = [row for row in map(json.loads, open(sys.argv[2])) if "losses" in row][-1]
print(f"{sys.argv[1]:<20} {last['losses'][0]:6.2f} {last['accuracies'][0]:9.2f}")
END
done
