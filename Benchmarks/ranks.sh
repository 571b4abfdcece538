#!/usr/bin/env bash
# How much faster two ranks of one thread train than one rank of one thread, on the same samples in one run.
#
# usage: Benchmarks/ranks.sh [CONVERSATIONS] [STEPS] [DTYPE]    (default: 32, 3 and float32)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
count=${1:-32}
steps=${2:-3}
dtype=${3:-float32}
# shellcheck source=smollm2.sh
source "$here/smollm2.sh"
smollm2 ranks "$count"

# run RANKS: each rank is bound to a core of its own.
run() {
    say "$1 rank$([ "$1" = 1 ] || echo s) of one thread"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n "$1" --bind-to core --use-hwthread-cpus \
        "$programs/Trainer" train "${text[@]}" --output-dir "$scratch/ranks-$1" --draft-vocab-size 8000 \
        --draft-global-batch-size 8 --total-steps "$steps" --log-steps 1 --dtype "$dtype" >&2
}
run 1
run 2
"$python" - "$scratch" "$dtype" <<'END'
import json, pathlib, sys

scratch, dtype = pathlib.Path(sys.argv[1]), sys.argv[2]
def rate(ranks):
    rows = [json.loads(line) for line in (scratch / f"ranks-{ranks}" / "metrics.jsonl").open()]
    rows = [row for row in rows if "tokens_per_second" in row]
    return sum(row["tokens"] for row in rows) / sum(row["tokens"] / row["tokens_per_second"] for row in rows)
one, two = rate(1), rate(2)
print(f"\nA draft of SmolLM2-135M-Instruct, draft vocabulary 8000, at most 512 tokens, 8 sequences a step, {dtype}\n")
print(f"1 rank of 1 thread   {one:8.1f} tokens/s\n2 ranks of 1 thread  {two:8.1f} tokens/s, {two / one:.2f} times")
END
