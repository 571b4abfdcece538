#!/usr/bin/env bash
# Token ids and decoded text of real tokenizers, beside Hugging Face's tokenizers, on difficult and on real texts.
usage='usage: scripts/test-tokenizers.sh [--limit N] [--program FILE] [NAME...]

  --limit N       only the first N conversations of ShareGPT (default: all 17,671; 0 leaves them out)
  --program FILE  the Preprocess to test (default: .build/release/Preprocess, which is built first)
  NAME...         only these tokenizers (default: all that scripts/get_tokenizers.py knows, and SmolLM2)'

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=17671
program=
names=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        echo "$usage"
        exit 0
        ;;
    --limit | --program)
        if [ $# -lt 2 ]; then
            printf 'error: %s needs a value\n\n%s\n' "$1" "$usage" >&2
            exit 64
        fi
        if [ "$1" = --limit ]; then limit=$2; else program=$2; fi
        shift 2
        ;;
    -*)
        printf 'error: %s is not an option\n\n%s\n' "$1" "$usage" >&2
        exit 64
        ;;
    *)
        names+=("$1")
        shift
        ;;
    esac
done
# shellcheck source=tokenizers-venv.sh
source "$here/tokenizers-venv.sh"
if [ -z "$program" ]; then
    swift build --package-path "$root" -c release --product Preprocess >&2
    program=$root/.build/release/Preprocess
fi
tokenizers=$state/tokenizers
wanted=()
for name in "${names[@]}"; do [ "$name" = smollm2 ] || wanted+=("$name"); done
if [ ${#names[@]} -eq 0 ] || [ ${#wanted[@]} -gt 0 ]; then
    "$python" "$here/get_tokenizers.py" "$tokenizers" "${wanted[@]}" --downloads "$state/downloads" >&2
fi
directories=()
if [ ${#names[@]} -eq 0 ]; then
    directories=("$root/fixtures/tokenizers/smollm2")
    for file in "$tokenizers"/*/tokenizer.json; do directories+=("${file%/*}"); done
else
    for name in "${names[@]}"; do
        if [ "$name" = smollm2 ]; then
            directories+=("$root/fixtures/tokenizers/smollm2")
        else
            directories+=("$tokenizers/$name")
        fi
    done
fi
data=
if [ "$limit" -gt 0 ]; then
    data=$state/data/sharegpt-$limit.jsonl
    "$python" "$root/Benchmarks/get_sharegpt.py" "$data" --limit "$limit" --downloads "$state/downloads" >&2
fi
"$python" "$here/compare_tokenizers.py" "$program" "$data" "${directories[@]}"
