#!/usr/bin/env bash
# What a draft is worth: one epoch over the conversations in fixtures/, then speculative decoding of held-out prompts.
#
# usage: Benchmarks/acceptance.sh [OPTIONS OF Trainer train]    (half an hour on two cores)
#
# EVALUATE_OPTIONS: further options of Trainer evaluate, as --json.
#
# A draft that SpecForge 0.2.0 trained on the same rows, with as many steps and the same sizes, is accepted by vLLM on
# CPUs at 0.368 tokens a verification of the same prompts (by position 0.264 0.067 0.026 0.008 0.003).

set -euo pipefail
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"

recipe
say "Training 600 steps of 2 conversations"
train_recipe "$scratch/draft" --save-interval 100 --keep-last 1 --log-steps 20 "$@"
say "Decoding 100 prompts"
# shellcheck disable=SC2086  # options are words
decode_recipe "$scratch/draft/latest" 100 --draft-length 5 ${EVALUATE_OPTIONS:-}
