#!/usr/bin/env python3
"""Compares the acceptance of a draft in llama.cpp with that of Trainer evaluate, on the same prompts.

usage: compare_engines.py NAME TARGET.gguf DRAFT.gguf PROMPTS.jsonl REPORT.json [options]

PROMPTS are what Trainer evaluate --samples-output wrote, REPORT (its --json) what it measured. llama.cpp, from the PyPI
package xllamacpp, decodes the same token ids greedily, with the draft and without it. Prints a line of JSON: accepted
tokens a verification of both, by position, tokens a second, how many texts are the same with and without the draft, and
for how many prompts both counted the same tokens and accepted ones: elsewhere a near tie was decided otherwise, the texts
part, and what is accepted of the rest differs by chance.
Fails if what is accepted differs by more than --tolerance.
"""
import argparse
import json
import os
import re
import sys
import tempfile

from llamacpp import LlamaCpp


class Decoding:
    """What a server made of all prompts."""

    def __init__(self, model, prompts, options, draft=None):
        # What each position accepted is in the server's log alone, and its standard error goes to a file meanwhile.
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            stderr = os.dup(2)
            os.dup2(log.fileno(), 2)
            try:
                server = LlamaCpp(model, context=2048, draft=draft, draft_length=options.draft_length,
                                  threads=options.threads, verbosity=5 if draft else -1)
                answers = [server.complete(prompt, options.max_new_tokens) for prompt in prompts]
                del server
            finally:
                sys.stderr.flush()
                os.dup2(stderr, 2)
                os.close(stderr)
            log.seek(0)
            lines = re.findall(r"task (\d+) \| accepted +(\d+)/ *\d+ draft tokens", log.read())
        self.texts = [answer["content"] for answer in answers]
        timings = [answer["timings"] for answer in answers]
        self.tokens_per_second = 1000 * sum(t["predicted_n"] for t in timings) / sum(t["predicted_ms"] for t in timings)
        # A task is an answer, in their order.
        by_task = {}
        for task, accepted in lines:
            by_task.setdefault(int(task), []).append(int(accepted))
        verified = [by_task[task] for task in sorted(by_task)]
        # The first token follows from the prompt, and each verification gives one more than it accepts: of the answers'
        # own counts, as the log lacks some last lines. A last token that was decoded without a draft counts as a
        # verification, as Trainer evaluate has it.
        accepted = sum(t.get("draft_n_accepted", 0) for t in timings)
        self.counts = [(t["predicted_n"], t.get("draft_n_accepted", 0)) for t in timings]
        self.verifications = sum(t["predicted_n"] - 1 - t.get("draft_n_accepted", 0) for t in timings)
        self.accepted = accepted / max(1, self.verifications)
        self.by_position = [sum(count > position for counts in verified for count in counts) / max(1, self.verifications)
                            for position in range(options.draft_length)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="what is compared, for the printed line")
    parser.add_argument("target")
    parser.add_argument("draft")
    parser.add_argument("prompts")
    parser.add_argument("report")
    parser.add_argument("--draft-length", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=0.03, help="of accepted tokens a verification, relative")
    options = parser.parse_args()
    samples = [json.loads(line) for line in open(options.prompts)]
    prompts = [sample["prompt_ids"] for sample in samples]
    own = json.load(open(options.report))
    with_draft = Decoding(options.target, prompts, options, options.draft)
    plain = Decoding(options.target, prompts, options)
    same = sum(a == b for a, b in zip(with_draft.texts, plain.texts))
    # Where the text is the same one, so is what was accepted.
    own_counts = [(sample["tokens"], sample["tokens"] - 1 - sample["verifications"]) for sample in samples]
    equal = sum(a == b for a, b in zip(own_counts, with_draft.counts))
    difference = with_draft.accepted / own["accepted_per_verification"] - 1
    print(json.dumps({
        "target": options.name, "prompts": len(prompts), "draft_length": options.draft_length,
        "accepted_per_verification": {"evaluate": round(own["accepted_per_verification"], 4),
                                      "llama.cpp": round(with_draft.accepted, 4), "difference": round(difference, 4)},
        "by_position": {"evaluate": [round(x, 3) for x in own["accepted_at"]],
                        "llama.cpp": [round(x, 3) for x in with_draft.by_position]},
        "verifications": {"evaluate": own["verifications"], "llama.cpp": with_draft.verifications},
        "llama.cpp_tokens_per_second": {"with draft": round(with_draft.tokens_per_second, 1),
                                        "without": round(plain.tokens_per_second, 1)},
        "same_texts": same, "prompts_with_equal_counts": equal}), flush=True)
    if abs(difference) > options.tolerance:
        sys.exit(f"{options.name}: accepted tokens differ by {difference:.1%}, should by at most {options.tolerance:.0%}")
    if same < len(prompts):
        print(f"{options.name}: {len(prompts) - same} texts differ with the draft: llama.cpp's products of several rows "
              "round otherwise than those of one", file=sys.stderr)


if __name__ == "__main__":
    main()
