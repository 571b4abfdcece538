#!/usr/bin/env bash
# How soon a draft is accepted: training's time beside what the target accepts of the draft by then, on held-out prompts.
# As Benchmarks/acceptance.sh trains, with a checkpoint every 50 steps, each of which then decodes.
#
# usage: Benchmarks/time_to_acceptance.sh [PROMPTS] [OPTIONS OF Trainer train]    (default: 100 prompts; half an hour on two
#        cores)
#
# SpecForge 0.2.0 trained the same 600 steps on two quiet cores in 2,560 s, to a draft that is accepted at 0.368 (vLLM on
# CPUs, the same 100 prompts): its own clock, on another machine of this kind.

set -euo pipefail
# shellcheck source=smollm2.sh
source "$(dirname "${BASH_SOURCE[0]}")/smollm2.sh"
prompts=100
case "${1:-}" in
'' | -*) ;;
*[!0-9]*) fail "PROMPTS is '$1', should be a number" ;;
*)
    prompts=$1
    shift
    ;;
esac

recipe
say "Training"
train_recipe "$scratch/draft" --save-interval 50 --log-steps 1 "$@"
say "Decoding $prompts prompts with each checkpoint"
shopt -s nullglob
for draft in "$scratch"/draft/{step,epoch}_*; do decode_recipe "$draft" "$prompts" --draft-length 5 --json >"$draft.json"; done
"$python" - "$scratch"/draft/{step,epoch}_*/ <<'END'
import json, pathlib, sys

drafts, wanted, peer = list(map(pathlib.Path, sys.argv[1:])), 0.368, 2560
seconds, clock = {0: 0.0}, 0.0
for line in (drafts[0].parent / "metrics.jsonl").open():
    record = json.loads(line)
    if "seconds" in record:
        clock += record["seconds"]
        seconds[record["step"]] = clock
print(f"{'steps':>5} {'training, s':>12} {'accepted a verification':>24}  by position")
points = [(0, 0.0)]
steps = {draft: json.loads((draft / "training_state.json").read_text())["step"] for draft in drafts}
for draft, step in sorted(steps.items(), key=lambda pair: pair[1]):
    report = json.loads((draft.parent / f"{draft.name}.json").read_text())
    if not report["identical_output"]:
        sys.exit(f"step {step}: decoding by the draft changed the output")
    points.append((seconds[step], report["accepted_per_verification"]))
    print(f"{step:5} {seconds[step]:12.0f} {points[-1][1]:24.3f}  "
          + " ".join(f"{share:.3f}" for share in report["accepted_at"]))
for (before, low), (after, high) in zip(points, points[1:]):
    if low < wanted <= high:
        reached = before + (after - before) * (wanted - low) / (high - low)
        print(f"accepted at {wanted} after {reached:.0f} s of training: {peer / reached:.1f} times sooner than SpecForge's {peer} s")
        break
else:
    print(f"{wanted} wasn't reached")
END
