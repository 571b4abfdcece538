#!/usr/bin/env bash
# Tokenizing: Eyrie, quicktok and Hugging Face's tokenizers, one thread each, on the same real conversations.
#
# usage: Benchmarks/tokenize.sh [CONVERSATIONS] [NAME...]    (default: 4000, and a tokenizer of each kind)
#
# NAME is one of scripts/get_tokenizers.py, or smollm2. All that is counted is the CPU's time for encoding, of one pass
# over the texts in a new process; ids are compared.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-4000}
shift || true
[ $# -gt 0 ] || set -- llama-3.1 gpt-oss phi-4 qwen-3 smollm2 deepseek-v3 mistral-v0.3 gemma-3
# shellcheck source=../scripts/tokenizers-venv.sh
source "$here/../scripts/tokenizers-venv.sh"
program=${EYRIE_PREPROCESS:-}
if [ -z "$program" ]; then
    swift build --package-path "$root" -c release --product Preprocess >&2
    program=$root/.build/release/Preprocess
fi
data=$state/data/sharegpt-$count.jsonl
"$python" "$here/get_sharegpt.py" "$data" --limit "$count" --downloads "$state/downloads" >&2
directories=()
for name in "$@"; do
    if [ "$name" = smollm2 ]; then
        directories+=("$root/fixtures/tokenizers/smollm2")
    else
        "$python" "$root/scripts/get_tokenizers.py" "$state/tokenizers" "$name" --downloads "$state/downloads" >&2
        directories+=("$state/tokenizers/$name")
    fi
done
"$python" "$here/tokenize_peers.py" "$program" "$data" "${directories[@]}"
