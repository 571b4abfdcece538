#!/usr/bin/env python3
"""Compares what a draft's verifications accept in llama.cpp with Trainer evaluate, on the same texts.

usage: compare_engines.py NAME TARGET.gguf DRAFT.gguf SAMPLES.jsonl [options]

SAMPLES are what Trainer evaluate --samples-output wrote: prompts, outputs, and what each verification accepted.
llama.cpp, from the PyPI package xllamacpp, decodes the same token ids greedily with the draft. The engines round
otherwise, so that texts part where two tokens are nearly as likely, and what is accepted after that would be of other
texts. So llama.cpp begins again there with Trainer's text, where a verification of Trainer's begins; and that it was a
near tie is asked of it: Trainer's token is nearly as likely by llama.cpp's own probabilities.

Prints a line of JSON. Fails if accepted tokens a verification, or the share accepted at any position, differ by more
than --tolerance of accepted tokens a verification; if fewer than --equal of the verifications accept the same; if a text
parts elsewhere than at a near tie; or if less than --least of all verifications could be compared.
"""
import argparse
import json
import os
import sys

from llamacpp import LlamaCpp, VerificationLog


class Sample:
    """A prompt, and what Trainer made of it."""

    def __init__(self, line):
        fields = json.loads(line)
        self.prompt, self.output = fields["prompt_ids"], fields["output_ids"]
        # What each verification accepted, by how many of the output's tokens there were before it.
        self.verifications, count = {}, 1
        for accepted in fields["accepted"]:
            self.verifications[count] = accepted
            count += accepted + 1


class Part:
    """llama.cpp's decoding of a sample from one of its verifications on."""

    def __init__(self, sample, start, tokens):
        self.sample, self.start = sample, start
        expected = sample.output[start - 1:]
        self.same = next((i for i, (a, b) in enumerate(zip(expected, tokens)) if a != b), min(len(expected), len(tokens)))
        # How many of the output's tokens both have in common.
        self.end = start - 1 + self.same
        self.parts = self.end < len(sample.output)

    @property
    def next_start(self):
        """Trainer's first verification after the token that the texts part at; none if there is none."""
        return next((start for start in self.sample.verifications if start > self.end + 1), None) if self.parts else None

    def within(self, verifications):
        """Those whose tokens are all common, without what is accepted beyond the end of the text."""
        result = {}
        for start, accepted in verifications.items():
            if self.end == len(self.sample.output):
                accepted = min(accepted, self.end - start - 1)
            if start >= self.start and start + accepted + 1 <= self.end:
                result[start] = accepted
        return result

    def served(self, log):
        verifications, start = {}, self.start
        for accepted in log:
            verifications[start] = accepted
            start += accepted + 1
        # The last token of a limit is decoded without a draft.
        if start == len(self.sample.output) - 1:
            verifications[start] = 0
        return self.within(verifications)

    @property
    def own(self):
        return self.within(self.sample.verifications)


def decode(options, samples):
    """Parts of all samples, what each verification of them accepted in llama.cpp, and the gaps where they part."""
    parts = []
    with VerificationLog() as log:
        server = LlamaCpp(options.target, context=2048, draft=options.draft, draft_length=options.draft_length,
                          threads=options.threads, verbosity=VerificationLog.VERBOSITY)
        for sample in samples:
            start = 1
            while start is not None:
                known = sample.output[:start - 1]
                answer = server.complete(sample.prompt + known, options.max_new_tokens - len(known))
                parts.append(Part(sample, start, answer["tokens"]))
                start = parts[-1].next_start
        # Their lines come after those of the answers, which so have reached the file.
        gaps = near_ties(server, [part for part in parts if part.parts])
        server.complete(samples[0].prompt, 8)
    return parts, [part.served(accepted) for part, accepted in zip(parts, log.verifications())], gaps, server


def near_ties(server, parts):
    """By how much less likely than its likeliest token llama.cpp holds Trainer's where texts part, as logarithms."""
    gaps = []
    for part in parts:
        likeliest = server.next_tokens(part.sample.prompt + part.sample.output[:part.end], 10, cache_prompt=True)
        found = dict(likeliest).get(part.sample.output[part.end], float("-inf"))
        gaps.append(likeliest[0][1] - found)
    return gaps


class Rates:
    def __init__(self, verifications, draft_length):
        accepted = [count for part in verifications for count in part.values()]
        self.count = len(accepted)
        self.accepted = sum(accepted) / max(1, self.count)
        self.by_position = [sum(count > position for count in accepted) / max(1, self.count)
                            for position in range(draft_length)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="what is compared, for the printed line")
    parser.add_argument("target")
    parser.add_argument("draft")
    parser.add_argument("samples")
    parser.add_argument("--draft-length", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=0.03, help="of accepted tokens a verification, relative")
    parser.add_argument("--equal", type=float, default=0.97, help="share of verifications that must accept the same")
    parser.add_argument("--near-tie", type=float, default=0.1, help="a parting's largest difference of logarithms")
    parser.add_argument("--least", type=float, default=0.8, help="share of verifications that must be compared")
    options = parser.parse_args()
    samples = [Sample(line) for line in open(options.samples)]
    # The server isn't ended: now and then that takes forever.
    parts, served_parts, gaps, server = decode(options, samples)
    own_parts = [part.own for part in parts]
    all_own = sum(len(sample.verifications) for sample in samples)
    own, served = Rates(own_parts, options.draft_length), Rates(served_parts, options.draft_length)
    equal = sum(a.get(start) == accepted for a, b in zip(own_parts, served_parts) for start, accepted in b.items())
    difference = served.accepted / own.accepted - 1
    by_position = [(b - a) / own.accepted for a, b in zip(own.by_position, served.by_position)]
    rounded = lambda values: [round(value, 4) for value in values]
    print(json.dumps({
        "draft": options.name, "prompts": len(samples), "draft_length": options.draft_length,
        "verifications": {"evaluate": own.count, "llama.cpp": served.count, "equal": equal, "of": all_own},
        "accepted_per_verification": {"evaluate": round(own.accepted, 4), "llama.cpp": round(served.accepted, 4)},
        "by_position": {"evaluate": rounded(own.by_position), "llama.cpp": rounded(served.by_position)},
        "difference": round(difference, 4), "differences_by_position": rounded(by_position),
        "partings": len(gaps), "largest_gap": round(max(gaps, default=0), 4)}), flush=True)
    failures = []
    worst = max([difference] + by_position, key=abs)
    if abs(worst) > options.tolerance:
        failures.append(f"accepted tokens differ by {worst:.1%}, should by at most {options.tolerance:.0%}")
    if equal < options.equal * served.count:
        failures.append(f"{equal} of {served.count} verifications accept the same, should be {options.equal:.0%}")
    if max(gaps, default=0) > options.near_tie:
        failures.append(f"a text parts where llama.cpp's logarithms differ by {max(gaps):.3f}, "
                        f"should only where by at most {options.near_tie}")
    if own.count < options.least * all_own:
        failures.append(f"{own.count} of {all_own} verifications are of the same texts, should be {options.least:.0%}")
    if failures:
        print(f"{options.name}: " + "; ".join(failures), file=sys.stderr, flush=True)
    os._exit(1 if failures else 0)


if __name__ == "__main__":
    main()
