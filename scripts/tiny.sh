#!/usr/bin/env bash
# Sourced, after setup.sh, by what trains on a tiny target.
# shellcheck disable=SC2154  # setup.sh sets root and python

# tiny DIR: a target DIR/model, conversations DIR/train.jsonl and DIR/eval.jsonl, and in `text` the options that name the
# model and its stores.
tiny() {
    local directory=$1
    model=$directory/model
    mkdir "$model"
    cp "$root"/fixtures/targets/llama/{config.json,model.safetensors} "$root"/fixtures/tokenizers/tiny/* "$model"
    "$python" - "$root/fixtures/conversations/sharegpt_smollm2.jsonl" "$directory"/{train,eval}.jsonl <<'END'
import sys
rows = [line for line in open(sys.argv[1]) if line.isascii() and len(line) < 700]
open(sys.argv[2], "w").writelines(rows[:36])
open(sys.argv[3], "w").writelines(rows[36:42])
END
    # shellcheck disable=SC2034  # the scripts that source this use it
    text=(--target-model-path "$model" --cache-dir "$directory/cache" --chat-template chatml --max-length 256)
}
