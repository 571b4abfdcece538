#!/usr/bin/env bash
# Real GGUF files in Preprocess and Trainer, beside llama.cpp and Hugging Face's tokenizers.
#
# usage: scripts/test-gguf.sh [CONVERSATIONS]    (default: the first 300 of ShareGPT)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-300}
requirements=$here/requirements-llamacpp.txt
# shellcheck source=tokenizers-venv.sh
source "$here/tokenizers-venv.sh"
if [ -z "${programs:-}" ]; then
    swift build --package-path "$root" -c release >&2
    programs=$root/.build/release
fi
"$python" "$here/get_gguf.py" "$state/gguf" --downloads "$state/downloads" >&2
"$python" "$here/get_tokenizers.py" "$state/tokenizers" gemma-3 --downloads "$state/downloads" >&2
data=$state/data/sharegpt-$count.jsonl
"$python" "$root/Benchmarks/get_sharegpt.py" "$data" --limit "$count" --downloads "$state/downloads" >&2
"$python" "$here/compare_gguf.py" "$programs/Preprocess" "$programs/Trainer" "$data" \
    "$state/gguf/gemma-3-270m.gguf" "$state/tokenizers/gemma-3" \
    "$state/gguf/smollm2-135m-instruct.gguf" "$root/fixtures/tokenizers/smollm2"
