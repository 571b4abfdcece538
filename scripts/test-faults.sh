#!/usr/bin/env bash
# Ends, fills and damages what training depends on, and checks that nothing is lost: a run that goes on afterwards
# gives the draft of one that was never disturbed, bit for bit.
#
# usage: scripts/test-faults.sh [PROGRAMS]    (default: .build/release, which is built first)
#
# What can't be had on a machine is left out, and said.

set -euo pipefail
# shellcheck source=faults.sh
source "$(dirname "${BASH_SOURCE[0]}")/faults.sh"

check "the undisturbed run" alone "$scratch/reference"
mkdir "$scratch/begun"
check "its second step" alone "$scratch/whole" --save-interval 2
cp -a "$scratch/whole/step_2" "$scratch/begun/" && ln -s step_2 "$scratch/begun/latest"

# --- Ctrl-C

interrupted_alone() {
    begun "$scratch/int"
    with_fault fsync:delay_enter=100000 "$scratch/int" --resume --save-interval 1 &
    local tracer=$! program
    await "$scratch/int/.step_4.partial"
    program=$(rank_writing "$scratch/int")
    kill -INT "$program"
    exits 130 wait "$tracer"
    [ "$(readlink "$scratch/int/latest")" = step_5 ]
    alone "$scratch/int" --resume
    same_draft "$scratch/int"
}
twice() {
    begun "$scratch/twice"
    with_fault fsync:delay_enter=2000000 "$scratch/twice" --resume --save-interval 1 &
    local tracer=$! program begin
    await "$scratch/twice/.step_4.partial"
    program=$(rank_writing "$scratch/twice")
    kill -INT "$program"
    sleep 0.2
    begin=$SECONDS
    kill -INT "$program"
    exits 130 wait "$tracer"
    [ $((SECONDS - begin)) -le 3 ]
    [ ! -e "$scratch/twice/step_4" ]
    alone "$scratch/twice" --resume
    same_draft "$scratch/twice"
}
if [ -n "$tracing" ]; then
    check "Ctrl-C finishes the step, saves and exits with 130" interrupted_alone
    check "a second Ctrl-C ends the program at once, and loses no checkpoint" twice
fi

# same_held_out DIR DIR: two runs evaluated at the same steps, and measured the same.
same_held_out() {
    "$python" - "$@" <<'END'
import json, sys
def held_out(directory):
    rows = map(json.loads, open(f"{directory}/metrics.jsonl"))
    rows = {row["step"]: row["held_out"] for row in rows if "held_out" in row}
    return {step: [row["losses"], row.get("acceptance_length")] for step, row in rows.items()}
one, other = map(held_out, sys.argv[1:])
assert one and one == other, f"held-out measures differ: {one} and {other}"
END
}
# The signal comes while step 2 is saved, so that step 3, the end of an epoch, is the last and isn't evaluated any more.
interrupted_evaluation() {
    local output=$scratch/evaluation program
    alone "$scratch/evaluated" --eval-data-path "$scratch/eval.jsonl" --eval-interval 1
    with_fault fsync:delay_enter=100000 "$output" --eval-data-path "$scratch/eval.jsonl" --eval-interval 1 \
        --save-interval 2 &
    local tracer=$!
    await "$output/.step_2.partial"
    program=$(rank_writing "$output")
    kill -TERM "$program"
    exits 130 wait "$tracer"
    grep -q '"evaluation_due": true' "$output/latest/training_state.json"
    alone "$output" --eval-data-path "$scratch/eval.jsonl" --eval-interval 1 --resume
    same_draft "$output"
    same_held_out "$scratch/evaluated" "$output"
}
[ -z "$tracing" ] || check "a run that was stopped before an evaluation goes on with it, to the same draft and held-out losses" \
    interrupted_evaluation

# The signal comes while a step is evaluated that is the end of an epoch, three steps long.
for _ in $(seq 60); do cat "$scratch/eval.jsonl"; done >"$scratch/long.jsonl"
check "build the store of a long evaluation" \
    "$programs/Preprocess" build --train-data-path "$scratch/long.jsonl" "${text[@]}" --draft-vocab-size 96
# in_evaluation SIGNAL STEP OPTIONS...: of the run.
in_evaluation() {
    local signal=$1 step=$2 output=$scratch/in-evaluation-$1-$2 whole=$scratch/whole-evaluation-$1-$2 process
    local epoch=epoch_$((step / 3)) evaluating=(--eval-data-path "$scratch/long.jsonl" "${@:3}")
    alone "$whole" "${evaluating[@]}"
    alone "$output" "${evaluating[@]}" 2>"$output.log" &
    process=$!
    until grep -q "\"step\":$step" "$output/metrics.jsonl"; do sleep 0.01; done 2>/dev/null
    sleep 0.05
    kill "-$signal" "$(rank_writing "$output")"
    exits 130 wait "$process"
    cat "$output.log"
    # The evaluation had begun, and neither it nor another step was done.
    if grep "step $step .*held out" "$output.log" || grep "step $((step + 1)) " "$output.log"; then return 1; fi
    [ "$(readlink "$output/latest")" = "$epoch" ]
    grep -q '"evaluation_due": true' "$output/latest/training_state.json"
    alone "$output" "${evaluating[@]}" --resume
    compare tensors "$whole/latest/training_state.safetensors" "$output/latest/training_state.safetensors"
    compare tensors "$whole/latest/model.safetensors" "$output/latest/model.safetensors"
    same_held_out "$whole" "$output"
    # The epoch's checkpoint has what was found, though another one is the best.
    grep -q '"evaluation_due": false' "$output/$epoch/training_state.json"
    [ "$(ls "$output/$epoch")" = "$(ls "$whole/$epoch")" ]
}
check "SIGTERM in the midst of an evaluation saves and exits with 130; resumed, nothing differs" \
    in_evaluation TERM 3 --eval-max-samples 0
check "so does Ctrl-C in the midst of an evaluation's decoding" \
    in_evaluation INT 3 --eval-max-samples 200 --eval-max-new-tokens 24 --draft-length 3
check "so does one in an evaluation that finds nothing better" \
    in_evaluation INT 6 --learning-rate 0 --eval-max-samples 200 --eval-max-new-tokens 24 --draft-length 3

by_time() {
    alone "$scratch/timed" --save-interval 0.001s
    [ -d "$scratch/timed/step_1" ] && [ -d "$scratch/timed/step_5" ]
    alone "$scratch/untimed" --save-interval 10h
    [ ! -e "$scratch/untimed/step_1" ]
}
check "checkpoints are written by the clock" by_time

# --- Killed while a checkpoint is written: at every sync and rename that a save of step 4 makes

killed() {
    local injection=$1 output=$scratch/killed
    begun "$output"
    exits 137 with_fault "$injection" "$output" --resume --save-interval 2
    alone "$output" --resume --save-interval 2
    same_draft "$output"
    [ -z "$(find "$output" -name '.*' -mindepth 1)" ]
}
if [ -n "$tracing" ]; then
    for moment in fsync:signal=KILL:when={1,2,3,4,5,6} rename:signal=KILL:when={1,2,3,4} symlink:signal=KILL:when=1; do
        check "killed while it saves, at ${moment%%:*} ${moment##*=}" killed "$moment"
    done
fi

# --- The disk is full

full_disk() {
    local size
    size=$(du -sk "$scratch/begun/step_2" | cut -f 1)
    mount -o "remount,size=$((size * 3 / 2 + 64))k" "$disk"
    cp -a "$scratch/begun/." "$disk/run/"
    refuses "No space left on device" alone "$disk/run" --resume --save-interval 2
    grep -q "training goes on" "$scratch/refused.log"
    ls -a "$disk/run"
    [ "$(readlink "$disk/run/latest")" = step_2 ]
    [ ! -e "$disk/run/step_4" ]
    mount -o remount,size=64m "$disk"
    alone "$disk/run" --resume --save-interval 2
    same_draft "$disk/run"
}
if with_disk; then
    mkdir "$disk/run"
    check "a full disk leaves the checkpoints before, and training goes on until the last one" full_disk
fi

# --- A damaged checkpoint

damaged() {
    local output=$scratch/damaged
    begun "$output"
    cp -a "$scratch/whole/step_4" "$output/"
    printf x | dd of="$output/step_4/training_state.safetensors" bs=1 seek=5000 conv=notrunc status=none
    alone "$output" --resume 2>"$scratch/damaged.log"
    grep -q "step_4/training_state.safetensors: is damaged: its digest is .*the one before" "$scratch/damaged.log"
    grep -q "resuming from $output/step_2" "$scratch/damaged.log"
    same_draft "$output"
}
check "a damaged checkpoint is named and passed over for the one before" damaged

# --- Numbers that aren't finite

# poison MODEL TOKEN...: gives these tokens of a target embeddings that aren't numbers.
poison() {
    "$python" - "$1/model.safetensors" "${@:2}" <<'END'
import json, struct, sys
path, tokens = sys.argv[1], map(int, sys.argv[2:])
data = bytearray(open(path, "rb").read())
length, = struct.unpack("<Q", data[:8])
entry = json.loads(data[8:8 + length])["model.embed_tokens.weight"]
assert entry["dtype"] == "F32"
begin, row = 8 + length + entry["data_offsets"][0], 4 * entry["shape"][1]
for token in tokens:
    data[begin + token * row:begin + (token + 1) * row] = struct.pack("<f", float("nan")) * (row // 4)
open(path, "wb").write(data)
END
}
diverged() {
    begun "$scratch/nan"
    cp -r "$model" "$scratch/no-numbers"
    # shellcheck disable=SC2046  # one token a word
    poison "$scratch/no-numbers" $(seq 0 255)
    refuses "10 steps in a row had a loss or a gradient that isn't finite" \
        alone "$scratch/nan" --resume --total-steps 30 --target-model-path "$scratch/no-numbers"
    [ "$(grep -c "the step is skipped" "$scratch/refused.log")" = 10 ]
    grep -q "step 3: .*(1 so far); samples \[" "$scratch/refused.log"
    compare tensors "$scratch/begun/step_2/model.safetensors" "$scratch/nan/latest/model.safetensors"
}
# The number of steps shapes the rate, so the run begins with as many.
sed -i 's/"--total-steps": "6"/"--total-steps": "30"/' "$scratch/begun/step_2/training_state.json"
check "steps without a finite loss are skipped and named, and ten in a row end the run" diverged
sed -i 's/"--total-steps": "30"/"--total-steps": "6"/' "$scratch/begun/step_2/training_state.json"

# rare: a token that is in one sample alone, and that sample.
rare() {
    "$programs/Preprocess" dump --train-data-path "$data" --cache-dir "$scratch/cache" >"$scratch/samples.jsonl"
    "$python" - "$scratch/samples.jsonl" <<'END'
import json, sys
samples = [set(json.loads(line)["input_ids"]) for line in open(sys.argv[1])]
print(*next((token, number) for number, own in enumerate(samples) for token in sorted(own)
            if sum(token in other for other in samples) == 1))
END
}
# checkpoint STEP: its name.
checkpoint() { if [ "$1" = 3 ]; then echo epoch_1; elif [ "$1" = 6 ]; then echo epoch_2; else echo "step_$1"; fi; }
few() {
    local output=$scratch/few resumed=$scratch/few-resumed token sample step steps
    read -r token sample < <(rare)
    cp -r "$model" "$scratch/few-numbers"
    poison "$scratch/few-numbers" "$token"
    alone "$output" --target-model-path "$scratch/few-numbers" --save-interval 1 2>"$output.log"
    cat "$output.log"
    # Once in each epoch, and each time that sample alone is named.
    grep -o "step [0-9]*: .* is skipped ([12] so far); samples \[$sample\]$" "$output.log" >"$scratch/skipped"
    [ "$(wc -l <"$scratch/skipped")" = 2 ] && [ "$(grep -c "is skipped" "$output.log")" = 2 ]
    mapfile -t steps < <(sed -n 's/^step \([0-9]*\):.*/\1/p' "$scratch/skipped")
    [ "${steps[0]}" -le 3 ] && [ "${steps[1]}" -gt 3 ]
    grep -q '"skipped_steps": 2' "$output/latest/training_state.json"
    for step in "${steps[@]}"; do
        [ "$step" = 1 ] || compare tensors "$output/$(checkpoint $((step - 1)))/training_state.safetensors" \
            "$output/$(checkpoint "$step")/training_state.safetensors"
    done
    # Resumed before, between and after the skipped steps, as one is in each epoch of three.
    for step in 1 3 5; do
        rm -rf "$resumed" && mkdir "$resumed"
        cp -a "$output/$(checkpoint "$step")" "$resumed/"
        ln -s "$(checkpoint "$step")" "$resumed/latest"
        alone "$resumed" --target-model-path "$scratch/few-numbers" --resume
        compare tensors "$output/latest/model.safetensors" "$resumed/latest/model.safetensors"
        compare tensors "$output/latest/training_state.safetensors" "$resumed/latest/training_state.safetensors"
        grep -q '"skipped_steps": 2' "$resumed/latest/training_state.json"
    done
    # Two ranks skip the same steps and name the same sample.
    train 2 "$output-2" --target-model-path "$scratch/few-numbers" 2>"$output-2.log"
    [ "$(grep -c "is skipped ([12] so far); samples \[$sample\]$" "$output-2.log")" = 2 ]
}
check "a step with a sample that has no finite loss is skipped and that sample named; resumed anywhere, nothing differs" \
    few

# --- A damaged record in the store

# damaged_store FILE: finds the second frame of the store's first block and changes a byte in the midst of it.
damaged_store() {
    "$python" - "$1" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
magic = bytes.fromhex("28b52ffd")
frames = [i for i in range(len(data)) if data.startswith(magic, i)]
sizes = [b - a for a, b in zip(frames, frames[1:])]
place = next(i for i in range(1, len(sizes)) if sizes[i] > 2000)
data[frames[place] + sizes[place] // 2] ^= 0x55
open(sys.argv[1], "wb").write(data)
END
}
bad_sample() {
    local bad=("${text[@]}" --train-data-path "$scratch/bad.jsonl" --draft-vocab-size 96 --total-steps 12
        --draft-global-batch-size 12 --log-steps 1) store
    head -n 140 "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$scratch/bad.jsonl"
    "$programs/Preprocess" build --train-data-path "$scratch/bad.jsonl" "${text[@]}" --draft-vocab-size 96
    store=$(find "$scratch/cache" -name '*.mdb' -newer "$scratch/bad.jsonl")
    damaged_store "$store"
    refuses "is damaged" trainer 2 train "${bad[@]}" --output-dir "$scratch/bad-stop"
    grep -q "sample [0-9]*: .*.mdb: record 'block/.*--on-bad-sample skip" "$scratch/refused.log"
    for size in 1 2; do
        trainer "$size" train "${bad[@]}" --output-dir "$scratch/bad-$size" --on-bad-sample skip
    done 2>&1 | tee "$scratch/bad.log"
    grep -q "sample [0-9]* is left out: .*is damaged" "$scratch/bad.log"
    "$python" - "$scratch"/bad-{1,2}/metrics.jsonl <<'END'
import json, sys
counts = [[json.loads(line).get("bad_samples", 0) for line in open(path)] for path in sys.argv[1:]]
assert counts[0] == counts[1] and 0 < sum(counts[0]) < 140, counts
END
    compare tensors "$scratch/bad-1/latest/model.safetensors" "$scratch/bad-2/latest/model.safetensors" \
        --tolerance 1e-3
}
check "a damaged record stops the run by name, or is left out by every rank and counted" bad_sample

# The same store as held-out data, all of whose prompts are decoded.
bad_prompt() {
    local held_out=("${options[@]}" --train-data-path "$data" --total-steps 3 --eval-data-path "$scratch/bad.jsonl"
        --eval-max-samples 140 --eval-max-new-tokens 4)
    refuses "is damaged" trainer 2 train "${held_out[@]}" --output-dir "$scratch/held-out-stop"
    # The steps that were done are kept.
    [ "$(readlink "$scratch/held-out-stop/latest")" = epoch_1 ]
    for size in 1 2; do
        trainer "$size" train "${held_out[@]}" --output-dir "$scratch/held-out-$size" --on-bad-sample skip
    done
    "$python" - "$scratch"/held-out-{1,2}/metrics.jsonl <<'END'
import json, sys
decoded = [[row["held_out"]["decoded_prompts"] for row in map(json.loads, open(path)) if "held_out" in row]
           for path in sys.argv[1:]]
assert decoded[0] == decoded[1] and 0 < decoded[0][-1] < 140, decoded
END
}
check "a damaged held-out prompt stops the run by name and loses no step, or is left out by every rank" bad_prompt

# --- The store is rebuilt while training reads it

rebuilt() {
    cp "$scratch/train.jsonl" "$scratch/other.jsonl"
    "$programs/Preprocess" build --train-data-path "$scratch/other.jsonl" "${text[@]}" --draft-vocab-size 96
    data=$scratch/other.jsonl
    with_fault fsync:delay_enter=100000 "$scratch/rebuilt" --save-interval 2 &
    local tracer=$!
    await "$scratch/rebuilt/.step_2.partial"
    head -n 30 "$scratch/train.jsonl" >"$scratch/other.jsonl"
    "$programs/Preprocess" build --train-data-path "$scratch/other.jsonl" "${text[@]}" --draft-vocab-size 96
    wait "$tracer"
    same_draft "$scratch/rebuilt"
    refuses "the training data's samples was 36, is 30" alone "$scratch/rebuilt" --resume
}
[ -z "$tracing" ] || check "a store that is rebuilt while training reads it changes nothing, and is reported later" rebuilt

summary faults
