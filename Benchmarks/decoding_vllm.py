#!/usr/bin/env python3
"""Prints how fast vLLM decodes the prompts that Trainer evaluate --samples-output wrote, one at a time, as a JSON object.

usage: decoding_vllm.py TARGET DRAFT SAMPLES.jsonl LENGTH      (LENGTH tokens are drafted; 0: without the draft)
"""
import json
import sys
import time

from vllm_cpu import Decoding, load


def main():
    target, draft, samples, length = *sys.argv[1:4], int(sys.argv[4])
    samples = [json.loads(line) for line in open(samples)]
    decoding = Decoding(load(target, draft if length else None, length, sequences=1))
    decoding.run([(samples[0]["prompt_ids"], 8)])
    seconds, tokens, verifications = 0.0, 0, 0
    for sample in samples:
        times = []
        # As many as Trainer decoded; of the first neither counts the time, nor the token.
        steps, = decoding.run([(sample["prompt_ids"], sample["tokens"])], lambda _: times.append(time.perf_counter()),
                              ignore_eos=True)
        seconds += times[-1] - times[0]
        tokens += sum(len(step.token_ids) for step in steps[1:])
        verifications += len(steps) - 1
    print(json.dumps({"tokens": tokens, "tokens_per_second": tokens / seconds, "accepted": tokens / verifications - 1}))


if __name__ == "__main__":
    main()
