#!/usr/bin/env bash
# Drafts, exported to GGUF, in llama.cpp from PyPI. On the same texts, which part at near ties alone, their verifications
# accept what Trainer evaluate says: almost all the same, and within 3% in all and by position. Both multiply in bfloat16,
# where the CPU can. And each family that llama.cpp serves drafts for decodes with tiny random ones.
#
# usage: scripts/test-engines.sh [PROMPTS [PART...]]     (default: 50 prompts and all parts; an hour on two cores the first
#        time, most of it training)
#
# Parts: families; tiny, drafts of all methods for a tiny random target in float32, where each verification must be the same;
# eagle3, for SmolLM2-135M-Instruct as a directory (bfloat16), in Q8_0 and in Q4_1, or
# eagle3-directory, eagle3-Q8_0, eagle3-Q4_1 alone; dflash and dspark, for the directory; example, Examples/LlamaServer.
# EYRIE_DRAFT names the directory of an EAGLE-3 draft to use instead of training one.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prompts=${1:-50}
parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(families tiny eagle3 dflash dspark example)
requirements=$here/requirements-engines.txt
# shellcheck source=tokenizers-venv.sh
source "$here/tokenizers-venv.sh"
engine=llama.cpp
scratch=$state/test-engines
gguf=$state/gguf/smollm2-135m-instruct
# shellcheck source=engines.sh
source "$here/engines.sh"

get_models() {
    get_target
    "$python" "$here/get_gguf.py" "$state/gguf" --downloads "$state/downloads" >&2
    local type
    for type in bf16 q8_0; do
        [ -f "$gguf-$type.gguf" ] || "$python" "$here/requantize_gguf.py" "$gguf.gguf" "$gguf-$type.gguf" "$type"
    done
    head -n 10 "$held_out" >"$few"
    "$programs/Preprocess" build --train-data-path "$few" "${text[@]}" >&2
}

# Compares a target that Trainer reads with one that llama.cpp serves: METHOD NAME DRAFT DATA LENGTH FOR-TRAINER
# FOR-LLAMA.CPP OPTION... A packed target's products are of 8-bit numbers in llama.cpp, which part texts at wider ties.
compare() {
    local method=$1 name=$2 draft=$3 data=$4 length=$5 own=$6 served=$7
    local file=$scratch/$method-$name
    say "$method, $name"
    "$programs/Trainer" export "$draft" --to gguf --target-model-path "$own" --output "$file.gguf" >&2
    "$programs/Trainer" evaluate --target-model-path "$own" --cache-dir "$scratch/cache" \
        --eval-data-path "$data" --draft-model-path "$draft" --max-samples "$prompts" --max-new-tokens 96 \
        --draft-length "$length" --dtype bfloat16 --json --samples-output "$file.jsonl" >"$file.json"
    "$python" "$here/compare_engines.py" llama.cpp "$method, $name" "$served" "$file.gguf" "$file.jsonl" \
        --draft-length "$length" "${@:8}"
}

eagle3() {
    local draft
    draft=$(eagle3_draft)
    case $1 in
        directory) compare eagle3 directory "$draft" "$held_out" 3 "$target" "$gguf-bf16.gguf" ;;
        Q8_0) compare eagle3 Q8_0 "$draft" "$held_out" 3 "$gguf-q8_0.gguf" "$gguf-q8_0.gguf" --near-tie 0.5 ;;
        Q4_1) compare eagle3 Q4_1 "$draft" "$held_out" 3 "$gguf.gguf" "$gguf.gguf" --near-tie 0.75 ;;
        example) example "$draft" ;;
        *) fail "there is no part eagle3-$1" ;;
    esac
}

# Drafts of all methods for a target of float32, whose texts don't part: METHOD ARCHITECTURE LENGTH OPTION...
tiny() {
    local method=$1 folder=$scratch/tiny file=$scratch/tiny/$1
    local of=(--target-model-path "$folder/model" --cache-dir "$folder/cache")
    say "$method, tiny"
    if [ ! -d "$folder/$method-draft" ]; then
        "$programs/Trainer" train "${of[@]}" --train-data-path "$folder/answers.jsonl" --output-dir "$folder/$method-draft" \
            --draft-architecture "$2" --draft-vocab-size 200 --total-steps 60 --draft-global-batch-size 8 \
            --learning-rate 5e-3 --num-threads 1 "${@:4}" >&2
    fi
    "$programs/Trainer" export "$folder/$method-draft/latest" --to gguf --target-model-path "$folder/model" --outtype f32 \
        --output "$file-tiny.gguf" >&2
    for length in 3 "$3"; do
        "$programs/Trainer" evaluate "${of[@]}" --eval-data-path "$folder/few.jsonl" --num-threads 1 --max-new-tokens 40 \
            --draft-model-path "$folder/$method-draft/latest" --draft-length "$length" --json \
            --samples-output "$file-$length.jsonl" >"$file-$length.json"
        "$python" "$here/compare_engines.py" llama.cpp "$method, tiny" "$folder/model.gguf" "$file-tiny.gguf" \
            "$file-$length.jsonl" --draft-length "$length" --max-new-tokens 40 --threads 1 --equal 1 --least 1
    done
}

all_tiny() {
    local file
    "$python" "$here/tiny_target.py" "$scratch/tiny"
    for file in answers few; do
        "$programs/Preprocess" build --train-data-path "$scratch/tiny/$file.jsonl" --target-model-path "$scratch/tiny/model" \
            --cache-dir "$scratch/tiny/cache" --chat-template chatml --draft-vocab-size 200 >&2
    done
    tiny eagle3 LlamaForCausalLMEagle3 5 --ttt-length 3
    tiny dflash DFlashDraftModel 7
    tiny dspark Qwen3DSparkModel 7
}

# Examples/LlamaServer's steps: the draft's own acceptance.json, and that of the server beside it.
example() {
    local draft=$scratch/example-draft file=$scratch/eagle3-example server url
    rm -rf "$draft" && mkdir "$draft" && cp "$1"/{config.json,model.safetensors} "$draft"
    say "Examples/LlamaServer"
    "$programs/Trainer" export "$draft" --to gguf --target-model-path "$target" --output "$file.gguf" >&2
    "$programs/Trainer" evaluate --target-model-path "$target" --cache-dir "$scratch/cache" --dtype bfloat16 \
        --eval-data-path "$held_out" --draft-model-path "$draft" --max-samples "$prompts" \
        --draft-length 3 --samples-output "$file.jsonl" --save-reference >"$file.txt"
    "$python" "$root/Examples/LlamaServer/serve.py" "$gguf-bf16.gguf" "$file.gguf" 18080 >"$file.url" 2>"$file.log" &
    server=$!
    # shellcheck disable=SC2064
    trap "kill $server 2>/dev/null || true" EXIT
    for _ in $(seq 120); do
        [ ! -s "$file.url" ] || break
        sleep 0.5
    done
    url=$(cat "$file.url")
    # Texts part at near ties, and what is accepted after that is of other texts: by as much as chance makes of so few.
    "$programs/Trainer" evaluate --server "$url" --prompts "$file.jsonl" --beside "$draft/acceptance.json" --tolerance 0.2
    kill "$server"
    wait "$server" || true
    trap - EXIT
}

# Drafts of whole blocks are trained on the few conversations that they are measured on: soon much is accepted.
blocks() {
    local draft
    draft=$(block_draft "$1" "$2" "$few" --draft-vocab-size 8000)
    compare "$1" directory "$draft" "$few" 7 "$target" "$gguf-bf16.gguf"
}

for part in "${parts[@]}"; do
    case $part in families | tiny) ;; *) get_models ;; esac
    case $part in
        families) "$python" "$here/serve_families.py" "$programs/Trainer" "$scratch/families" ;;
        tiny) all_tiny ;;
        eagle3) for name in directory Q8_0 Q4_1; do eagle3 "$name"; done ;;
        eagle3-*) eagle3 "${part#eagle3-}" ;;
        dflash) blocks dflash DFlashDraftModel ;;
        dspark) blocks dspark Qwen3DSparkModel ;;
        example) eagle3 example ;;
        *) fail "there is no part $part" ;;
    esac
done
