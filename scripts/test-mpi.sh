#!/usr/bin/env bash
# Runs the built programs as users do, as several ranks under mpirun, and compares what they write.
#
# usage: scripts/test-mpi.sh [PROGRAMS]    (default: .build/release, which is built first)

set -euo pipefail
# shellcheck source=checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# --- The target gives transformers' numbers, however many ranks share it.

probe() {
    local family=$1 size=$2 out=$scratch/probe.safetensors
    shift 2
    "$python" - "$family/expected.safetensors" >"$scratch/ids.json" <<'END'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
length, = struct.unpack("<Q", data[:8])
begin, end = json.loads(data[8:8 + length])["input_ids"]["data_offsets"]
print(json.dumps([value for value, in struct.iter_unpack("<i", data[8 + length + begin:8 + length + end])]))
END
    trainer "$size" probe --target-model-path "$family" --tp-size "$size" \
        --input-ids "$scratch/ids.json" --output "$out" "$@"
    "$python" - "$family/expected.safetensors" "$out" "$here" <<'END'
import pathlib, sys
sys.path.append(sys.argv[3])
import compare
expected, got = (compare.read_tensors(pathlib.Path(path)) for path in sys.argv[1:3])
for name in ("hidden_states", "logits"):
    distance = compare.distance(expected[name], got[name])
    assert distance < 1e-5, f"{name} differ by {distance:.2g}"
END
}
# One family of each kind of mixer, or all that EYRIE_GOLDENS has: Swift's tests compare each, with threads as ranks.
families=("$root"/fixtures/targets/{llama,gemma3-text,gpt-oss,llama4-mixed,lfm2,qwen3.5,nemotron-h,deepseek-v3})
[ -z "${EYRIE_GOLDENS:-}" ] || families=("$EYRIE_GOLDENS"/targets/*)
for family in "${families[@]}"; do
    sizes=2
    [ "$(basename "$family")" != llama ] || sizes="1 2 3"
    for size in $sizes; do
        check "probe $(basename "$family"), tensor parallel $size" probe "$family" "$size"
    done
done
check "probe qwen3-moe, expert parallel 3" probe "$root/fixtures/targets/qwen3-moe" 3 --expert-parallel

# --- A draft trained on a tiny target is the same, however many ranks train it.

# --- A store is the same, however many ranks build it.

# build_ranks RANKS CACHE
build_ranks() {
    local options=(--bind-to none --use-hwthread-cpus --oversubscribe)
    if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
    mpirun "${options[@]}" -n "$1" "$programs/Preprocess" build --train-data-path "$scratch/many.jsonl" \
        --target-model-path "$model" --cache-dir "$2" --chat-template chatml --max-length 256 --draft-vocab-size 96 \
        --num-threads 1
}
same_store() { cmp "$1"/*.mdb "$2"/*.mdb && [ "$(find "$2" -name '*.ranks-*' | wc -l)" = 0 ]; }
for _ in $(seq 12); do cat "$root/fixtures/conversations/sharegpt_smollm2.jsonl"; done >"$scratch/many.jsonl"
check "build, 1 rank" build_ranks 1 "$scratch/store-1"
for size in 2 3; do
    check "build, $size ranks" build_ranks "$size" "$scratch/store-$size"
    check "build, $size ranks: the store of 1 rank" same_store "$scratch/store-1" "$scratch/store-$size"
done
check "build, 3 ranks, up to date" build_ranks 3 "$scratch/store-3"

check "train, 1 rank" train 1 "$scratch/reference"
same() {
    local output=$1 tolerance=$2
    compare metrics "$scratch/reference/metrics.jsonl" "$output/metrics.jsonl" losses accuracies --tolerance "$tolerance"
    compare tensors "$scratch/reference/latest/model.safetensors" "$output/latest/model.safetensors" \
        --tolerance "$tolerance"
}
for shape in "2 1" "3 1" "4 1" "2 2" "3 3" "4 2"; do
    read -r size tensor_parallel <<<"$shape"
    output=$scratch/ranks-$size-$tensor_parallel
    check "train, $size ranks, tensor parallel $tensor_parallel" \
        train "$size" "$output" --tp-size "$tensor_parallel"
    check "$size ranks, tensor parallel $tensor_parallel: losses and draft as with 1 rank" same "$output" 1e-3
done

# --- So is one that drafts in blocks.

blocks() {
    local options=(--draft-architecture DFlashDraftModel --num-anchors 8) output
    train 1 "$scratch/blocks" "${options[@]}"
    for shape in "2 1" "2 2"; do
        read -r size tensor_parallel <<<"$shape"
        output=$scratch/blocks-$size-$tensor_parallel
        train "$size" "$output" --tp-size "$tensor_parallel" "${options[@]}"
        compare metrics "$scratch/blocks/metrics.jsonl" "$output/metrics.jsonl" losses accuracies --tolerance 1e-3
        compare tensors "$scratch/blocks/latest/model.safetensors" "$output/latest/model.safetensors" --tolerance 1e-3
    done
}
check "a DFlash draft, 2 ranks, alone and tensor parallel 2: losses and draft as with 1 rank" blocks

# --- A run that begins with a draft has its weights, and its vocabulary.

begun() {
    trainer 2 train "${text[@]}" --train-data-path "$scratch/eval.jsonl" --output-dir "$scratch/begun" \
        --ckpt-dir "$scratch/reference/latest" --draft-global-batch-size 2 --total-steps 2 --learning-rate 0
    compare tensors "$scratch/reference/latest/model.safetensors" "$scratch/begun/latest/model.safetensors"
}
check "with --ckpt-dir and no learning, a run on other data ends with the draft that it began with" begun
check "--ckpt-dir beside another vocabulary size is refused" refuses "--ckpt-dir brings" \
    train 1 "$scratch/never" --ckpt-dir "$scratch/reference/latest"

# --- Stopped and resumed is the same as never stopped, bit for bit.

resumed() {
    train 2 "$scratch/whole" --save-interval 4
    mkdir "$scratch/resumed"
    cp -r "$scratch/whole/step_4" "$scratch/resumed/"
    ln -s step_4 "$scratch/resumed/latest"
    train 2 "$scratch/resumed" --save-interval 4 --resume
    compare tensors "$scratch/whole/latest/model.safetensors" "$scratch/resumed/latest/model.safetensors"
}
check "resumed at step 4, in the midst of the second epoch, the draft equals that of an uninterrupted run" resumed

# --- Muon: each matrix is one rank's, and its momentum everybody's.

muon=(--optimizer muon --deterministic --save-interval 4)
orthogonal() {
    train 1 "$scratch/muon" "${muon[@]}"
    mkdir "$scratch/muon-resumed"
    cp -r "$scratch/muon/step_4" "$scratch/muon-resumed/"
    ln -s step_4 "$scratch/muon-resumed/latest"
    train 3 "$scratch/muon-resumed" "${muon[@]}" --resume
    compare tensors "$scratch/muon/latest/model.safetensors" "$scratch/muon-resumed/latest/model.safetensors"
}
check "with Muon, 3 ranks that resume a run of 1 end with its draft, bit by bit" orthogonal
check "a run of Muon's isn't continued by AdamW" refuses "--optimizer was muon" \
    train 1 "$scratch/muon-resumed" --deterministic --save-interval 4 --resume

interrupted() {
    local output=$scratch/interrupted code=0 process
    train 2 "$output" --total-steps 30 --log-steps 1 --keep-last 1 &
    process=$!
    until [ "$(wc -l <"$output/metrics.jsonl")" -ge 3 ]; do sleep 0.02; done 2>/dev/null
    kill -TERM "$(rank_writing "$output")"
    wait "$process" || code=$?
    [ "$code" -eq 130 ]
    train 2 "$output" --total-steps 30 --log-steps 1 --resume
    train 2 "$scratch/uninterrupted" --total-steps 30
    compare tensors "$scratch/uninterrupted/latest/model.safetensors" "$output/latest/model.safetensors"
}
check "a rank that gets SIGTERM has all save and exit with 130; resumed, the draft equals that of an uninterrupted run" \
    interrupted

profiled() {
    train 2 "$scratch/profiled" --tp-size 2 --profile 2>&1 | tee "$scratch/profile.log"
    for phase in loading data target draft communication optimizer checkpoint other all; do
        grep -qE "^ +$phase +[0-9]" "$scratch/profile.log" || { echo "no $phase"; return 1; }
    done
}
check "train --profile says how long each phase took" profiled

benchmarked() {
    local options=("${text[@]}" --train-data-path "$scratch/train.jsonl" --draft-vocab-size 96 --steps 2)
    trainer 1 benchmark "${options[@]}" --json >"$scratch/benchmark.json"
    "$python" - "$scratch/benchmark.json" <<'END'
import json, sys
run = json.load(open(sys.argv[1]))
assert run["steps"] == 2 and run["tokens"] > 0 and run["needed_operations"] > 0, run
rate = run["needed_operations"] / run["seconds"]
assert abs(run["utilisation"] - rate / run["product_operations_per_second"]) < 1e-9, run
END
    refuses "this command runs by itself" trainer 2 benchmark "${options[@]}"
    refuses "--steps is 0, should be 1 to" trainer 1 benchmark "${options[@]}" --steps 0
}
check "benchmark says what it measured, of one rank alone" benchmarked

# --- Evaluation while training is the same however many ranks evaluate, and survives being stopped.

# evaluating RANKS OUTPUT OPTIONS...
evaluating() {
    local size=$1 output=$2
    shift 2
    train "$size" "$output" --eval-data-path "$scratch/eval.jsonl" --eval-interval 1 --eval-max-samples 3 \
        --eval-max-new-tokens 8 --draft-length 3 "$@"
}
evaluated_in_training() {
    evaluating 1 "$scratch/evaluating-1" --save-interval 2
    evaluating 3 "$scratch/evaluating-3"
    mkdir "$scratch/evaluating-resumed"
    cp -r "$scratch/evaluating-1/step_2" "$scratch/evaluating-resumed/"
    ln -s step_2 "$scratch/evaluating-resumed/latest"
    evaluating 1 "$scratch/evaluating-resumed" --resume
    "$python" - "$scratch"/evaluating-{1,3,resumed} <<'END'
import json, os, sys
def held_out(path):
    lines = map(json.loads, open(f"{path}/metrics.jsonl"))
    return {line["step"]: line["held_out"] for line in lines if "held_out" in line}
one, three, resumed = map(held_out, sys.argv[1:])
assert sorted(one) == [1, 2, 3, 4, 5, 6] == sorted(three) and sorted(resumed) == [3, 4, 5, 6], (one, three, resumed)
for others in (three, resumed):
    for step, values in others.items():
        for key in ("decoded_prompts", "decoded_tokens", "acceptance_length", "accepted_at", "evaluations_since_best"):
            assert values[key] == one[step][key], (step, key, values[key], one[step][key])
best = max(one, key=lambda step: (one[step]["acceptance_length"], -step))
state = json.load(open(f"{sys.argv[1]}/best/training_state.json"))
assert state["step"] == state["best"]["step"] == best and state["best"]["source"] == "measured", (state["best"], best)
END
}
check "evaluation while training: the same on 1 and 3 ranks and after a resume; best is the longest accepted" \
    evaluated_in_training

patience() {
    evaluating 2 "$scratch/patience" --learning-rate 0 --patience 2 2>"$scratch/patience.log"
    grep -F "stopped at step 3 of 6: 2 evaluations without a better draft" "$scratch/patience.log"
    [ "$(readlink "$scratch/patience/latest")" = epoch_1 ]
}
check "training stops in good order when its patience ends" patience

# --- Speculative decoding gives the greedy text, and the same report on 1 and 2 ranks.

evaluate() {
    trainer "$1" evaluate "${text[@]}" --eval-data-path "$scratch/eval.jsonl" --json \
        --draft-model-path "$scratch/reference/latest" --max-new-tokens 24 >"$scratch/report-$1.json"
}
evaluated() {
    evaluate 1
    evaluate 2
    "$python" - "$scratch"/report-{1,2}.json <<'END'
import json, sys
one, two = (json.load(open(path)) for path in sys.argv[1:])
assert one["identical_output"] and two["identical_output"]
assert abs(sum(one["accepted_at"]) + 1 - one["acceptance_length"]) < 1e-9 and one["best_draft_length"] in range(1, 6)
for key in ("prompts", "verifications", "acceptance_length", "accepted_at", "by_length"):
    assert one[key] == two[key], (key, one[key], two[key])
END
}
check "evaluate, 1 and 2 ranks: the same acceptance length" evaluated

# --- Errors end all ranks, and say what to do.

check "a number of ranks that tensor parallelism doesn't divide is refused" \
    refuses "tp-size" train 3 "$scratch/refused" --tp-size 2
check "training without a store says how to build it" \
    refuses "Preprocess build" train 2 "$scratch/refused" --max-length 128
# A target of 134 GB in float32: a sparse file, of which nothing is ever read.
vast=$scratch/vast
mkdir "$vast"
cp "$model"/tokenizer* "$vast"
"$python" - "$model/config.json" "$vast" <<'END'
import json, struct, sys
config = json.load(open(sys.argv[1]))
hidden, inner, layers = 1024, 4096, 2000
config.update(hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, head_dim=64,
              num_attention_heads=16, num_key_value_heads=16)
json.dump(config, open(sys.argv[2] + "/config.json", "w"))
shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden],
          "lm_head.weight": [config["vocab_size"], hidden]}
for layer in range(layers):
    name = f"model.layers.{layer}."
    for norm in ("input_layernorm", "post_attention_layernorm"):
        shapes[f"{name}{norm}.weight"] = [hidden]
    for part in "qkvo":
        shapes[f"{name}self_attn.{part}_proj.weight"] = [hidden, hidden]
    for part, shape in (("gate", [inner, hidden]), ("up", [inner, hidden]), ("down", [hidden, inner])):
        shapes[f"{name}mlp.{part}_proj.weight"] = shape
header, offset = {}, 0
for name, shape in shapes.items():
    size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
    offset += size
text = json.dumps(header).encode()
with open(sys.argv[2] + "/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    file.truncate(8 + len(text) + offset)
END
plans() {
    local memory
    memory=$("$programs/Trainer" plan --target-model-path "$vast" --max-length 16 --json |
        "$python" -c 'import json, sys; print(json.load(sys.stdin)["memory"]["the target'"'"'s weights"])')
    [ "$memory" -gt 130000000000 ]
}
check "a target larger than this machine is planned for" plans
check "a target that memory doesn't have room for is refused before it is read" \
    refuses "GB available" train 2 "$scratch/refused" --target-model-path "$vast"
check "an evaluation of such a target too" refuses "GB available" trainer 1 measure --target-model-path "$vast"
check "a store for another vocabulary's size is refused" \
    refuses "whose vocabulary has" train 2 "$scratch/refused" \
    --target-model-path "$root/fixtures/tokenizers/smollm2"
cp -r "$model" "$scratch/other-tokenizer"
sed -i 's/"content": "<|im_start|>"/"content": "<|start|>"/' "$scratch/other-tokenizer/tokenizer.json"
check "a store of another tokenizer's tokens is refused, though the sizes are equal" \
    refuses "has tokens of another tokenizer: that of $model" train 2 "$scratch/refused" \
    --target-model-path "$scratch/other-tokenizer"

dies() {
    local launcher
    train 2 "$scratch/dies" --num-epochs 100000 --total-steps 100000 &
    launcher=$!
    until [ "$(grep -c . "$scratch/dies/metrics.jsonl" 2>/dev/null)" -gt 2 ] 2>/dev/null; do
        kill -0 "$launcher"
        sleep 0.1
    done
    kill -KILL "$(rank_writing "$scratch/dies")"
    ! wait "$launcher"
}
check "a rank that is killed ends the others" dies

hangs() {
    local launcher
    train 2 "$scratch/hangs" --num-epochs 100000 --total-steps 100000 --dist-timeout 0.05 >"$scratch/hangs.log" 2>&1 &
    launcher=$!
    until [ "$(grep -c . "$scratch/hangs/metrics.jsonl" 2>/dev/null)" -gt 2 ] 2>/dev/null; do
        kill -0 "$launcher"
        sleep 0.1
    done
    kill -STOP "$(rank_writing "$scratch/hangs")"
    if wait "$launcher"; then return 1; fi
    grep "MPI_[A-Za-z_]* has waited for the other ranks for 0.05 minutes" "$scratch/hangs.log"
}
check "a rank that hangs ends the others, which say what they waited for" hangs

# --- The target's own answers are the same, however many ranks make them, and however often they are stopped.

# regenerate RANKS OUTPUT OPTIONS...: answers the records of `questions`.
questions=$scratch/train.jsonl
regenerate() {
    local size=$1 output=$2
    shift 2
    trainer "$size" regenerate "${text[@]}" --train-data-path "$questions" --output "$output" \
        --max-new-tokens 48 --temperature 1.2 --top-p 0.95 "$@"
}
# same_answers OUTPUT: those of one rank, byte for byte.
same_answers() { cmp "$scratch/answers-1.jsonl" "$1"; }
check "prompts without their answers" "$programs/Preprocess" build --prompts all \
    --train-data-path "$scratch/train.jsonl" "${text[@]}"
check "regenerate, 1 rank" regenerate 1 "$scratch/answers-1.jsonl"
regenerate_same() {
    regenerate "$@"
    same_answers "$2"
}
check "regenerate, 1 record at a time: the same answers" \
    regenerate_same 1 "$scratch/answers-alone.jsonl" --batch-size 1 --batch-rows 3
check "regenerate, data parallel 3: the same answers" \
    regenerate_same 3 "$scratch/answers-3.jsonl" --batch-size 2
check "regenerate, tensor parallel 2: the same answers" \
    regenerate_same 2 "$scratch/answers-tp.jsonl" --tp-size 2
check "regenerate, data parallel 2 x tensor parallel 2: the same answers" \
    regenerate_same 4 "$scratch/answers-grid.jsonl" --tp-size 2 --batch-size 3

# regenerate_killed SIGNAL: a run is ended by a signal as soon as it has written something, twice, and continued.
# As many as take a few seconds: what is written is written a second after the first answer.
for _ in $(seq 100); do cat "$scratch/train.jsonl"; done >"$scratch/asked.jsonl"
regenerate_asked() {
    local questions=$scratch/asked.jsonl
    regenerate 2 "$@"
}
regenerate_whole() {
    "$programs/Preprocess" build --prompts all --train-data-path "$scratch/asked.jsonl" "${text[@]}"
    regenerate_asked "$scratch/asked-whole.jsonl"
    [ "$(wc -l <"$scratch/asked-whole.jsonl")" = 3600 ]
}
regenerate_killed() {
    local output=$scratch/asked-$1.jsonl before launcher
    touch "$output"
    for _ in 1 2; do
        before=$(wc -l <"$output")
        regenerate_asked "$output" --batch-size 2 &
        launcher=$!
        until [ "$(wc -l <"$output")" -gt "$before" ]; do
            kill -0 "$launcher"
            sleep 0.02
        done
        kill -"$1" "$(rank_writing "$output")"
        if wait "$launcher"; then return 1; fi
    done
    [ "$(wc -l <"$output")" -lt 3600 ]
    regenerate_asked "$output"
    cmp "$scratch/asked-whole.jsonl" "$output"
}
check "regenerate, 3600 records of which many are equal" regenerate_whole
check "regenerate, a rank killed twice and continued: the same answers" regenerate_killed KILL
check "regenerate, interrupted twice and continued: the same answers" regenerate_killed INT
# regenerate_full: the file may not grow any more, twice; the run ends with its name, and continues once it may.
regenerate_full() {
    local output=$scratch/asked-full.jsonl before launcher process
    touch "$output"
    for _ in 1 2; do
        before=$(wc -l <"$output")
        regenerate_asked "$output" --batch-size 2 2>"$scratch/full.log" &
        launcher=$!
        until [ "$(wc -l <"$output")" -gt "$before" ]; do
            kill -0 "$launcher"
            sleep 0.02
        done
        while read -r process; do
            [ "$(cat "/proc/$process/comm" 2>/dev/null)" != Trainer ] ||
                prlimit --pid "$process" --fsize=$(($(stat -c %s "$output") + 1000))
        done < <(grep -lF "$output" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3)
        if wait "$launcher"; then return 1; fi
        cat "$scratch/full.log"
        grep -qF "$output: can't write it: File too large" "$scratch/full.log"
        "$python" -c 'import json, sys; assert [json.loads(line) for line in open(sys.argv[1])]' "$output"
        [ -z "$(tail -c 1 "$output")" ]
    done
    regenerate_asked "$output"
    cmp "$scratch/asked-whole.jsonl" "$output"
}
check "regenerate, without room twice and continued: the same answers" regenerate_full
regenerate_full_disk() {
    local output=$disk/answers.jsonl
    mount -o "remount,size=$(($(stat -c %s "$scratch/asked-whole.jsonl") / 2048))k" "$disk"
    refuses "can't write it: No space left on device" regenerate_asked "$output"
    "$python" -c 'import json, sys; assert [json.loads(line) for line in open(sys.argv[1])]' "$output"
    mount -o remount,size=64m "$disk"
    regenerate_asked "$output"
    cmp "$scratch/asked-whole.jsonl" "$output"
}
if with_disk; then
    check "regenerate, on a full disk, and continued on a larger one: the same answers" regenerate_full_disk
fi
check "regenerate refuses to continue with another temperature" \
    refuses "was begun with other settings" regenerate 1 "$scratch/answers-1.jsonl" --temperature 0.5
check "the answers are data as they are" "$programs/Preprocess" build --train-data-path "$scratch/answers-1.jsonl" \
    "${text[@]}"

summary mpirun
