#!/usr/bin/env bash
# What each choice of Documentation/Recipe.md is worth: Benchmarks/acceptance.sh with other options.
#
# usage: Benchmarks/recipe.sh [CHOICE...]    (default: all; a quarter of an hour each on two cores)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
high_rate="--optimizer muon --learning-rate 2e-3 --muon-learning-rate 1.2e-2 --learning-rate-schedule linear"
learnt_head="$high_rate --learning-rate-schedule cosine --feature-loss-weight 0"
adamw="--optimizer adamw --learning-rate 1e-3 --ttt-length 7 --feature-loss-weight 0"
declare -A options=(
    [small]=""
    [high-rate]="$high_rate"
    [cosine]="$high_rate --learning-rate-schedule cosine"
    [no-features]="$high_rate --feature-loss-weight 0 --freeze-lm-head"
    [learnt-head]="$learnt_head"
    [seven]="$learnt_head --ttt-length 7"
    [adamw]="$adamw"
    [eagle-mask]="$adamw --loss-mask-alignment eagle"
    [rows-normalization]="$adamw --loss-normalization rows"
    [decay-0.8]="$adamw --ttt-loss-decay 0.8"
    [decay-0.8-random-head]="$adamw --ttt-loss-decay 0.8 --lm-head-init random"
)
[ $# -gt 0 ] || set -- small high-rate cosine no-features learnt-head seven adamw eagle-mask rows-normalization \
    decay-0.8 decay-0.8-random-head
for choice in "$@"; do
    [ -n "${options[$choice]+known}" ] && continue
    echo "recipe.sh: no choice '$choice'; there are: ${!options[*]}" >&2
    exit 64
done

printf '%-24s %-12s %s\n' choice accepted "by position"
for choice in "$@"; do
    # shellcheck disable=SC2086  # options are words
    EVALUATE_OPTIONS=--json "$here/acceptance.sh" ${options[$choice]} | python3 -c '
import json, sys
report = json.loads(sys.stdin.read().splitlines()[-1])
positions = " ".join(f"{share:.3f}" for share in report["accepted_at"])
print(f"{sys.argv[1]:24} {report['accepted_per_verification']:<12.3f} {positions}")' "$choice"
done
