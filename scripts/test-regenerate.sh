#!/usr/bin/env bash
# Preprocess regenerate beside llama.cpp's server, which is killed and comes back while the program is killed and goes on:
# every record is answered once, in order, and greedy answers are those that the server gives when it is asked directly.
#
# usage: EYRIE_ENGINES=VENV EYRIE_GGUF=MODEL.gguf scripts/test-regenerate.sh [PROGRAMS] [RECORDS]
#
# VENV is a Python environment with xllamacpp. Without it nothing is tried, and that is reported.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
programs=${1:-$root/.build/release}
records=${2:-20}
if [ -z "${EYRIE_ENGINES:-}" ] || [ -z "${EYRIE_GGUF:-}" ]; then
    echo "skipped: EYRIE_ENGINES and EYRIE_GGUF don't name an environment with xllamacpp and a model"
    exit 0
fi
python=$EYRIE_ENGINES/bin/python3
scratch=$(mktemp -d)
port=$((20000 + RANDOM % 20000))
server=

start() {
    mkfifo "$scratch/stop"
    "$python" "$here/serve_llamacpp.py" "$EYRIE_GGUF" "$port" <"$scratch/stop" >"$scratch/address" 2>"$scratch/server.log" &
    server=$!
    exec 3>"$scratch/stop"
    rm "$scratch/stop"
    for _ in $(seq 600); do
        [ -s "$scratch/address" ] && return
        sleep 0.1
    done
    echo "the server doesn't start" >&2
    exit 1
}
stop() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
    rm -f "$scratch/address"
    exec 3>&- || true
}
trap 'stop; rm -rf "$scratch"' EXIT

"$python" - "$scratch/questions.jsonl" "$records" <<'PYTHON'
import json, sys
things = "river mountain engine novel planet recipe garden bridge song language".split()
with open(sys.argv[1], "w") as file:
    for number in range(int(sys.argv[2])):
        turns = [{"role": "user", "content": f"Tell me fact {number} about a {things[number % 10]}."}]
        if number % 4 == 0:
            turns += [{"role": "assistant", "content": "-"}, {"role": "user", "content": "And one more?"}]
        file.write(json.dumps({"id": str(number), "messages": turns}) + "\n")
PYTHON
command=("$programs/Preprocess" regenerate --server "http://127.0.0.1:$port" --train-data-path "$scratch/questions.jsonl"
    --output "$scratch/answers.jsonl" --temperature 0 --max-new-tokens 12 --concurrency 4 --served-model-name model)

start
"${command[@]}" >/dev/null 2>&1 &
client=$!
sleep 6
kill -9 "$client"
wait "$client" 2>/dev/null || true
"${command[@]}" >"$scratch/report" 2>"$scratch/log" &
client=$!
sleep 3
stop
sleep 2
start
wait "$client"
cat "$scratch/report"

"$python" - "$scratch" "$port" "$records" <<'PYTHON'
import json, sys, urllib.request
scratch, port, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = [json.loads(line) for line in open(f"{scratch}/answers.jsonl")]
failures = open(f"{scratch}/answers.jsonl.failures.jsonl").read()
assert not failures, failures
assert [row["id"] for row in rows] == [str(n) for n in range(records)], "each record once, in order"
differing = 0
for row in rows[:3]:
    body = {"messages": row["messages"][:1], "temperature": 0, "top_k": -1, "top_p": 1, "min_p": 0, "max_tokens": 12}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    direct = json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
    differing += direct != row["messages"][1]["content"]
# Batches of several requests round otherwise than one alone: near ties may fall to either side.
assert differing <= 1, f"{differing} of 3 greedy answers differ from the server's own"
print(f"all {records} records answered once, {3 - differing} of 3 greedy answers as the server gives them directly")
PYTHON
