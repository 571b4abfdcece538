#!/usr/bin/env bash
# A target of 8B parameters (random weights, bfloat16, 16 GB on disk, removed afterwards): loaded by two ranks, which run
# 128 tokens. Prints the memory of a rank, pages swapped, and the time of loading beside that of reading the files once.
#
# usage: Benchmarks/large_target.sh [FOLDER]    (default: a temporary one; 17 GB of disk and 20 GB of memory are needed)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../scripts/setup.sh
source "$here/../scripts/setup.sh"
folder=$(mktemp -d -p "${1:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$folder"' EXIT
[ "$(df --output=avail -B1G "$folder" | tail -n 1)" -ge 18 ] || fail "$folder has less than 18 GB free"
[ "$(awk '/MemAvailable/ {print int($2 / 1e6)}' /proc/meminfo)" -ge 18 ] || fail "less than 18 GB of memory are available"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release >&2 && programs=$root/.build/release; }

model=$folder/llama-8b
"$python" "$here/large_llama.py" "$model" >&2
sync
read_once() {
    "$python" - "$model" <<'END'
import os, pathlib, sys, time

files = sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors"))
def forget():
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
forget()
start, buffer = time.perf_counter(), bytearray(1 << 23)
for file in files:
    with open(file, "rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass
print(time.perf_counter() - start)
forget()
END
}
swapped() { awk '/^pswp(in|out) / {sum += $2} END {print sum}' /proc/vmstat; }
once=$(read_once)
before=$(swapped)
trainer 2 measure --target-model-path "$model" --tp-size 2 --dtype bfloat16 --lengths 128 --repeats 1 --json --profile \
    >"$folder/measured.json"
"$python" - "$folder/measured.json" "$once" "$(($(swapped) - before))" <<'END'
import json, sys

run, once, swapped = json.load(open(sys.argv[1])), float(sys.argv[2]), int(sys.argv[3])
one = run["passes"][0]
print(f"\nLlama of 8B parameters, bfloat16, two ranks of a core each"
      f"\nreading its files once   {once:7.1f} s"
      f"\nloading                  {run['loading_seconds']:7.1f} s"
      f"\n{one['tokens']} tokens               {one['seconds']:7.2f} s"
      f"\nweights of a rank        {run['weight_bytes'] / 1e9:7.2f} GB"
      f"\npeak memory of a rank    {run['peak_bytes'] / 1e9:7.2f} GB"
      f"\npages swapped            {swapped:7}")
END
