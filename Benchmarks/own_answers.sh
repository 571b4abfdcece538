#!/usr/bin/env bash
# A draft from nothing but a model and public questions: SmolLM2-135M-Instruct answers ShareGPT's first questions, and a draft
# learns from its answers; how long each part takes, what is accepted of the draft as it learns, on held-out prompts, and how
# much faster vLLM on CPUs decodes the first 30 of them with it.
#
# usage: Benchmarks/own_answers.sh [QUESTIONS] [OPTIONS OF Trainer train]    (default: all 16,551; two and a half hours on two
#        cores, and half an hour for what is measured then)
#
# If stopped, it resumes where it was. The answers stay in $EYRIE_STATE/own-answers/answers.jsonl, and the draft in draft.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
# shellcheck source=../scripts/vllm-venv.sh
source "$root/scripts/vllm-venv.sh"
questions=()
case "${1:-}" in
'' | -*) ;;
*[!0-9]*) fail "QUESTIONS is '$1', should be a number" ;;
*)
    questions=(--max-samples "$1")
    shift
    ;;
esac
work=$state/own-answers
mkdir -p "$work"
text=(--target-model-path "$target" --cache-dir "$work/cache")
held_out=$root/fixtures/conversations/eval_sharegpt_smollm2.jsonl

# timed FILE COMMAND...: runs it, and adds its seconds to those in FILE; as it goes, so that a run that is killed counts too.
timed() {
    local file=$1 before start=$SECONDS status=0 clock
    shift
    before=$(cat "$file" 2>/dev/null || echo 0)
    (while kill -0 $$ 2>/dev/null; do
        echo $((before + SECONDS - start)) >"$file"
        sleep 5
    done) &
    clock=$!
    "$@" || status=$?
    kill "$clock"
    wait "$clock" 2>/dev/null || true
    echo $((before + SECONDS - start)) >"$file"
    return "$status"
}

say "Questions"
"$python" "$here/get_sharegpt.py" "$work/sharegpt.jsonl" --downloads "$state/downloads" >&2
[ -e "$work/questions.jsonl" ] || "$programs/Preprocess" select --train-data-path "$work/sharegpt.jsonl" \
    --output "$work/questions.jsonl" --deduplicate exact --decontaminate "$held_out" "${questions[@]}" >&2
"$programs/Preprocess" build --prompts first --train-data-path "$work/questions.jsonl" "${text[@]}" --max-length 1536 \
    --overflow drop >&2
say "Answers"
timed "$work/answers.seconds" trainer "$(nproc)" regenerate --train-data-path "$work/questions.jsonl" "${text[@]}" \
    --max-length 1536 --output "$work/answers.jsonl" --dtype bfloat16 --batch-size 128 --temperature 0 --max-new-tokens 128 >&2
say "Training"
"$programs/Preprocess" build --train-data-path "$work/answers.jsonl" "${text[@]}" --max-length 512 --overflow drop \
    --draft-vocab-size 8000 >&2
trainer "$(nproc)" train --train-data-path "$work/answers.jsonl" "${text[@]}" --max-length 512 \
    --output-dir "$work/draft" --resume --draft-vocab-size 8000 --num-epochs 6 --target-cache "$work/features" \
    --dtype bfloat16 --save-interval 1000000 --log-steps 20 "$@" >&2
say "Held-out prompts"
"$programs/Preprocess" build --train-data-path "$held_out" "${text[@]}" --max-length 512 --draft-vocab-size 8000 >&2
final=$(readlink -f "$work/draft/latest")
shopt -s nullglob
for draft in "$work"/draft/{step,epoch}_*; do
    evaluation=$work/$(basename "$draft")
    [ -e "$evaluation.json" ] || {
        trainer "$(nproc)" evaluate --eval-data-path "$held_out" "${text[@]}" --max-length 512 --dtype bfloat16 \
            --draft-model-path "$draft" --max-new-tokens 96 --draft-length 5 --json \
            --samples-output "$evaluation.jsonl" >"$evaluation.part"
        mv "$evaluation.part" "$evaluation.json"
    }
done
"$python" - "$work" "$work"/draft/{step,epoch}_* <<'END'
import json, math, pathlib, statistics, sys

work, *drafts = map(pathlib.Path, sys.argv[1:])
answers = int((work / "answers.seconds").read_text()) / 60
print(f"answers: {sum(1 for _ in open(work / 'answers.jsonl')):,} in {answers:.0f} minutes")
seconds = {}
for record in map(json.loads, open(work / "draft" / "metrics.jsonl")):
    if "seconds" in record:
        seconds[record["step"]] = record["seconds"]
steps = {draft: json.loads((draft / "training_state.json").read_text())["step"] for draft in set(drafts)}
print(f"{'steps':>6} {'training, min':>13} {'in all, min':>12} {'accepted a verification':>24} {'error':>6}  by position")
for draft, step in sorted(steps.items(), key=lambda pair: pair[1]):
    report = json.loads((work / f"{draft.name}.json").read_text())
    minutes = sum(taken for logged, taken in seconds.items() if logged <= step) / 60
    accepted = [json.loads(line)["accepted"] for line in open(work / f"{draft.name}.jsonl")]
    # A ratio of sums, over the prompts.
    ratio = sum(map(sum, accepted)) / sum(map(len, accepted))
    error = (statistics.stdev(sum(own) - ratio * len(own) for own in accepted)
             / statistics.mean(map(len, accepted)) / math.sqrt(len(accepted)))
    print(f"{step:6} {minutes:13.0f} {answers + minutes:12.0f} {report['accepted_per_verification']:24.3f} {error:6.3f}  "
          + " ".join(f"{share:.3f}" for share in report["accepted_at"]))
END
say "vLLM"
head -n 30 "$work/$(basename "$final").jsonl" >"$work/prompts.jsonl"
PYTHONPATH=$root/scripts with_vllm "$here/decoding_vllm.py" "$target" "$final" "$work/prompts.jsonl" 1 1 2 3 \
    2>"$work/vllm.log" || fail "$(tail -n 1 "$work/vllm.log"); vLLM's log is in $work/vllm.log"
