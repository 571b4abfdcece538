#!/usr/bin/env bash
# Real conversations in, a trained EAGLE-3 draft of a real model out, and its acceptance measured by decoding.
usage='usage: scripts/demo.sh [--data FILE | --questions FILE] [--eval-data FILE] [--steps N] [--ranks N] [--output DIR]

  --data FILE       conversations to train on, ShareGPT JSONL (default: fixtures/conversations/sharegpt_smollm2.jsonl)
  --questions FILE  conversations whose questions alone are used: the target answers them itself first
  --eval-data FILE  conversations whose prompts are decoded afterwards (default: 100 others of the same kind)
  --steps N         optimizer steps, of 4 conversations each (default: 120)
  --ranks N         processes to train with (default: 2)
  --output DIR      where the draft and its evaluation go (default: demo)

Run again, it goes on where it was stopped; what is there already is not made again.'

set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
fixtures=$(cd "$here/../fixtures/conversations" && pwd)
data=$fixtures/sharegpt_smollm2.jsonl
eval_data=$fixtures/eval_sharegpt_smollm2.jsonl
questions=
steps=120
rank_count=2
output=demo

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        echo "$usage"
        exit 0
        ;;
    --data | --questions | --eval-data | --steps | --ranks | --output)
        if [ $# -lt 2 ]; then
            printf 'error: %s needs a value\n\n%s\n' "$1" "$usage" >&2
            exit 64
        fi
        case $1 in
        --data) data=$2 ;;
        --questions) questions=$2 ;;
        --eval-data) eval_data=$2 ;;
        --steps) steps=$2 ;;
        --ranks) rank_count=$2 ;;
        --output) output=$2 ;;
        esac
        shift 2
        ;;
    *)
        printf 'error: %s is not an option\n\n%s\n' "$1" "$usage" >&2
        exit 64
        ;;
    esac
done
for number in "$steps" "$rank_count"; do
    if ! [[ $number =~ ^[1-9][0-9]*$ ]]; then
        printf 'error: %s is not a positive number\n\n%s\n' "$number" "$usage" >&2
        exit 64
    fi
done

# shellcheck source=setup.sh
source "$here/setup.sh"
for file in "$data" ${questions:+"$questions"} "$eval_data"; do
    [ -f "$file" ] || fail "$file: no such file"
done
mkdir -p "$output" "$state"
output=$(cd "$output" && pwd)
target=$state/models/SmolLM2-135M-Instruct
cache=$state/cache
programs=$root/.build/release

say "Building (release)"
swift build --package-path "$root" -c release >&2

say "Target: SmolLM2-135M-Instruct"
"$python" "$here/get_smollm2.py" "$target" --downloads "$state/downloads" >&2

say "Preprocessing: conversations to token ids, loss masks and the draft's vocabulary"
draft_vocab_size=8000
text=(--target-model-path "$target" --cache-dir "$cache" --chat-template qwen --max-length 512)
if [ -n "$questions" ]; then
    data=$output/answers.jsonl
    say "The target's own answers to the questions of $questions"
    "$programs/Preprocess" build --prompts all --train-data-path "$questions" "${text[@]}" >&2
    trainer "$rank_count" regenerate --train-data-path "$questions" --target-model-path "$target" --cache-dir "$cache" \
        --output "$data" --max-new-tokens 256 --dtype bfloat16 >&2
fi
for file in "$data" "$eval_data"; do
    "$programs/Preprocess" build --train-data-path "$file" "${text[@]}" --draft-vocab-size "$draft_vocab_size" >&2
done

evaluate() {
    trainer "$rank_count" evaluate --target-model-path "$target" --eval-data-path "$eval_data" --cache-dir "$cache" \
        --max-samples 24 --max-new-tokens 64 --draft-length 5 --dtype bfloat16 --json "$@"
}

say "An untrained draft, to compare with"
evaluate --draft-vocab-size "$draft_vocab_size" >"$output/untrained.json"

say "Training $steps steps on $rank_count ranks"
resume=()
[ ! -e "$output/latest" ] || resume=(--resume)
trainer "$rank_count" train "${text[@]}" --train-data-path "$data" --output-dir "$output" \
    --draft-vocab-size "$draft_vocab_size" --draft-global-batch-size 4 --total-steps "$steps" --dtype bfloat16 \
    --save-interval 100 --keep-last 2 "${resume[@]}" >&2

say "Evaluating: speculative decoding, checked against plain decoding token by token"
evaluate --draft-model-path "$output/latest" >"$output/trained.json"

"$python" - "$output" "$cache" "$target" <<'END'
import json, pathlib, sys

output, cache, target = sys.argv[1:]
before, after = (json.loads(pathlib.Path(output, name + ".json").read_text()) for name in ("untrained", "trained"))
best = max(after["draft_lengths"], key=lambda length: length["speedup"])
length, speedup = best["draft_length"], best["speedup"]
if speedup > 1:
    worth = (f"With {length} drafted at a time a verification takes {best['break_even_acceptance_length']:.2f} times a plain step "
             f"and gives {best['acceptance_length']:.2f} tokens:\ndecoding is {speedup:.2f} times as fast as plain, by costs "
             "measured apart.")
else:
    worth = (f"No number of drafted tokens is faster than plain decoding here yet: {length} pays from "
             f"{best['break_even_acceptance_length']:.2f} tokens\na verification on, and the draft gives "
             f"{best['acceptance_length']:.2f}. More conversations and --steps raise it.")
print(f"""
Acceptance length, in tokens a verification (the target's own included), over {after["prompts"]} prompts:
  untrained draft  {before["acceptance_length"]:.3f}
  trained draft    {after["acceptance_length"]:.3f}
The text is that of plain decoding on every prompt.
{worth}

The draft         {output}/latest
Its training      {output}/metrics.jsonl
The evaluations   {output}/untrained.json, {output}/trained.json
The target        {target}
The stores        {cache}""")
END
