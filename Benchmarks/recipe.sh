#!/usr/bin/env bash
# What each choice of Documentation/Recipe.md is worth: Benchmarks/acceptance.sh with one option changed at a time.
#
# usage: Benchmarks/recipe.sh [CHOICE...]    (default: all; a quarter of an hour each on two cores)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
declare -A options=(
    [recommended]=""
    [decay-0.8]="--ttt-loss-decay 0.8"
    [eagle-mask]="--loss-mask-alignment eagle"
    [rows-normalization]="--loss-normalization rows"
    [random-head]="--lm-head-init random"
    [rate-2e-3]="--learning-rate 2e-3"
)
[ $# -gt 0 ] || set -- recommended decay-0.8 eagle-mask rows-normalization random-head rate-2e-3
for choice in "$@"; do
    [ -n "${options[$choice]+known}" ] && continue
    echo "recipe.sh: no choice '$choice'; there are: ${!options[*]}" >&2
    exit 64
done

printf '%-20s %-12s %s\n' choice accepted "by place"
for choice in "$@"; do
    # shellcheck disable=SC2086  # options are words
    report=$("$here/acceptance.sh" ${options[$choice]})
    accepted=$(awk '/^accepted a verification/ { print $4 }' <<<"$report")
    places=$(sed -n 's/^ *by place, with all before *//p' <<<"$report")
    printf '%-20s %-12s %s\n' "$choice" "$accepted" "$places"
done
