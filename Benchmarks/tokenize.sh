#!/usr/bin/env bash
# Tokenizing: Preprocess tokenize beside Hugging Face's tokenizers, one thread each, on the same real conversations.
#
# usage: Benchmarks/tokenize.sh [CONVERSATIONS] [MODEL_DIRECTORY...]    (default: 4000, SmolLM2-135M-Instruct)
#
# Eyrie's time is that of the command less that of one line: JSON in, JSON out and writing included. The peer's is that
# of encode_batch_fast alone. Ids are compared.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-4000}
shift || true
# shellcheck source=../scripts/venv.sh
source "$here/../scripts/venv.sh"
swift build --package-path "$root" -c release >&2
if [ $# = 0 ]; then
    set -- "$state/models/SmolLM2-135M-Instruct"
    "$python" "$root/scripts/get_smollm2.py" "$1" --downloads "$state/downloads" >&2
fi
data=$state/data/sharegpt-$count.jsonl
"$python" "$here/get_sharegpt.py" "$data" --limit "$count" --downloads "$state/downloads" >&2
RAYON_NUM_THREADS=1 "$python" "$here/tokenize_peers.py" "$root/.build/release/Preprocess" "$data" "$@"
