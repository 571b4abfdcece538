#!/usr/bin/env bash
# Reads the event files of a run that was interrupted and resumed with PyPI's tensorboard.
#
# usage: scripts/test-tensorboard.sh [PROGRAMS]    (default: .build/release, which is built first)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=setup.sh
source "$here/setup.sh"
# shellcheck source=tiny.sh
source "$here/tiny.sh"
programs=${1:-}
if [ -z "$programs" ]; then
    swift build --package-path "$root" -c release >&2
    programs=$root/.build/release
fi
environment=$state/tensorboard
if [ ! -x "$environment/bin/tensorboard" ]; then
    say "Making a virtual environment: tensorboard (once)"
    rm -rf "$environment"
    "$python" -m venv "$environment" || fail "python3 can't make virtual environments: apt-get install python3-venv"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check tensorboard==2.20.0 setuptools==80.9.0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tiny "$scratch"
for file in train eval; do
    "$programs/Preprocess" build --train-data-path "$scratch/$file.jsonl" "${text[@]}" --draft-vocab-size 96
done
train() {
    "$programs/Trainer" train "${text[@]}" --train-data-path "$scratch/train.jsonl" --eval-data-path \
        "$scratch/eval.jsonl" --output-dir "$scratch/run" --draft-vocab-size 96 --draft-global-batch-size 6 \
        --total-steps 12 --log-steps 1 --save-interval 4 --report-to tensorboard --num-threads 1 "$@"
}
train
# As if the run had been lost after step 8: its later checkpoints are gone, its events are not.
rm -rf "$scratch/run"/{epoch_2,latest,best}
train --resume

"$environment/bin/python" - "$scratch/run" <<'END'
import collections, glob, json, sys
from tensorboard.backend.event_processing import event_file_loader, plugin_event_accumulator

run = sys.argv[1]
files = sorted(glob.glob(f"{run}/tensorboard/events.out.tfevents.*"))
assert len(files) == 2, files
raw = [event for path in files for event in event_file_loader.EventFileLoader(path).Load()]
assert raw[0].file_version == "brain.Event:2", raw[0]

# What a user of TensorBoard sees: each step once, with the numbers of metrics.jsonl.
accumulator = plugin_event_accumulator.EventAccumulator(f"{run}/tensorboard", tensor_size_guidance={"scalars": 0})
accumulator.Reload()
seen = {tag: [(event.step, event.tensor_proto.float_val[0]) for event in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"] if tag != "run"}

wanted = collections.defaultdict(list)
def walk(tag, value, step):
    if isinstance(value, dict):
        for key, inner in value.items(): walk(f"{tag}/{key}", inner, step)
    elif isinstance(value, list):
        for key, inner in enumerate(value): walk(f"{tag}/{key}", inner, step)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        wanted[tag].append((step, value))
for line in map(json.loads, open(f"{run}/metrics.jsonl")):
    step = line.pop("step")
    if "held_out" in line: walk("held_out", line["held_out"], step)
    elif "run" not in line: walk("train", line, step)
assert seen.keys() == wanted.keys(), seen.keys() ^ wanted.keys()
for tag, values in wanted.items():
    assert [step for step, _ in seen[tag]] == [step for step, _ in values], (tag, seen[tag], values)
    for (_, a), (_, b) in zip(seen[tag], values):
        assert abs(a - b) <= 1e-6 * abs(b), (tag, a, b)
summary = accumulator.SummaryMetadata("train/losses/0")
assert "cross-entropy" in summary.summary_description and summary.plugin_data.plugin_name == "scalars", summary
assert "--total-steps" in accumulator.Tensors("run")[-1].tensor_proto.string_val[0].decode()
print(f"{len(seen)} tags, {sum(map(len, seen.values()))} numbers: tensorboard reads what metrics.jsonl says, each step once")
END
