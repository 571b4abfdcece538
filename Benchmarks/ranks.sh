#!/usr/bin/env bash
# How much faster two ranks of one thread train than one rank of one thread, on the same samples in one run; what
# memory a rank has, how long it communicates and how long it waits for data.
#
# usage: Benchmarks/ranks.sh [CONVERSATIONS] [STEPS] [DTYPE]    (default: 32, 12 and float32)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-32}
steps=${2:-12}
dtype=${3:-float32}
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
answers "$count"

# run RANKS: each rank is bound to a core of its own.
run() {
    say "$1 rank$([ "$1" = 1 ] || echo s) of one thread"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n "$1" --bind-to core --use-hwthread-cpus \
        "$programs/Trainer" train "${text[@]}" --output-dir "$scratch/ranks-$1" --draft-vocab-size 8000 \
        --preset specforge --total-steps "$steps" --log-steps 1 --dtype "$dtype" >&2
}
run 1
run 2
"$python" - "$scratch" "$dtype" <<'END'
import json, pathlib, sys

scratch, dtype = pathlib.Path(sys.argv[1]), sys.argv[2]
print(f"\nA draft of SmolLM2-135M-Instruct, draft vocabulary 8000, at most 512 tokens, 8 sequences a step, {dtype}\n")
print(f"{'ranks':>5} {'tokens/s':>9} {'times':>6} {'peak MB a rank':>15} {'communication':>14} {'waiting for data':>17}")
rates = []
for ranks in (1, 2):
    rows = [json.loads(line) for line in (scratch / f"ranks-{ranks}" / "metrics.jsonl").open()]
    rows = [row for row in rows if "tokens_per_second" in row]
    seconds = sum(row["seconds"] for row in rows)
    rates.append(sum(row["tokens"] for row in rows) / seconds)
    communication = sum(row["phase_seconds"].get("communication", 0) for row in rows) / seconds
    waiting = sum(row["data_wait_share"] * row["seconds"] for row in rows) / seconds
    print(f"{ranks:5} {rates[-1]:9.1f} {rates[-1] / rates[0]:6.2f} {rows[-1]['peak_memory_bytes'] / 1e6:15,.0f}"
          f" {communication:14.2%} {waiting:17.3%}")
END
