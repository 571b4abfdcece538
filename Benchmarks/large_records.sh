#!/usr/bin/env bash
# Preprocessing of records as large as are accepted: the memory and the time of whole commands.
#
# usage: Benchmarks/large_records.sh [MEGABYTES] [THREADS]    (default: 5 and 2)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
size=${1:-5}
threads=${2:-2}
# shellcheck source=../scripts/tokenizers-venv.sh
source "$here/../scripts/tokenizers-venv.sh"
scratch=$state/bench-large-records
rm -rf "$scratch"
mkdir -p "$scratch"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release --product Preprocess >&2 && programs=$root/.build/release; }
"$python" "$root/scripts/get_tokenizers.py" "$state/tokenizers" mistral-v0.3 --downloads "$state/downloads" >&2

# records KIND COUNT: a file of COUNT conversations, each with an answer of $size megabytes.
records() {
    "$python" - "$1" "$2" "$size" "$root/fixtures/conversations/sharegpt_smollm2.jsonl" >"$scratch/$1-$2.jsonl" <<'END'
import base64, json, random, sys
kind, count, size, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) * 1_000_000, sys.argv[4]
for number in range(count):
    if kind == "words":
        text = " ".join(turn["value"] for line in open(file) for turn in json.loads(line)["conversations"])
        text = "".join(c for c in text if c.isascii() and c.isprintable() and c not in '"\\')
        text = (text * (size // len(text) + 1))[:size]
    elif kind == "base64":
        text = base64.b64encode(random.Random(number).randbytes(size * 3 // 4)).decode()
    elif kind == "marks":  # of two classes by turns, which normalizing sorts
        text = "a" + "\u0301\u0323" * (size // 4)
    elif kind == "ligatures":  # which compatibility forms make eleven times as long
        text = "\ufdfa" * (size // 3)
    else:
        text = "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=size))
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": text}]
    print(json.dumps(dict(conversations=turns), ensure_ascii=False))
END
}

# build TITLE KIND COUNT TOKENIZER OPTIONS...: a line of the table.
build() {
    local title=$1 data=$scratch/$2-$3.jsonl
    [ -e "$data" ] || records "$2" "$3"
    "$programs/Preprocess" build --train-data-path "$data" --target-model-path "$4" --cache-dir "$scratch/cache" \
        --chat-template qwen --ignore-template-check --max-length 2048 --num-threads "$threads" --force --json \
        "${@:5}" 2>/dev/null >"$scratch/report.json" || fail "$title: the build failed"
    "$python" - "$scratch/report.json" "$title" "$3" <<'END'
import json, sys
report, title, count = json.load(open(sys.argv[1])), *sys.argv[2:]
assert report["counts"]["kept"] == int(count), report["counts"]
print(f"{title:44} {count:>7} {report['peak_resident_bytes'] / 1e6:8,.0f} {report['seconds']:8.1f}")
END
}

small=$root/fixtures/tokenizers
printf 'Answers of %s MB, %s threads\n\n%-44s %7s %8s %8s\n' "$size" "$threads" "" records MB seconds
for count in 1 6; do
    build "words" words "$count" "$small/smollm2"
    build "base64" base64 "$count" "$small/smollm2"
    build "a single word of random letters" letters "$count" "$small/smollm2"
done
build "a single word, --overflow split" letters 1 "$small/smollm2" --overflow split
build "a single word, Mistral v0.3's tokenizer" letters 1 "$state/tokenizers/mistral-v0.3"
build "the same, --overflow split" letters 1 "$state/tokenizers/mistral-v0.3" --overflow split
build "a single word, a unigram tokenizer" letters 1 "$small/unigram"
build "words, a unigram tokenizer" words 1 "$small/unigram"
build "marks on one letter, NFC (Qwen's)" marks 1 "$small/qwen2"
build "U+FDFA, NFKC, a unigram tokenizer" ligatures 1 "$small/unigram"
rm -rf "$scratch"
