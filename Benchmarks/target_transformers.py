#!/usr/bin/env python3
"""The forward pass of a target by transformers on torch: what Trainer measure is compared with.

usage: target_transformers.py MODEL --lengths 512 2048 --repeats 5 --threads 2 --dtype float32|bfloat16 [--hidden-states-only]

Prints one JSON object: for each length the seconds of the fastest pass, of the hidden states alone and with the logits
of all tokens unless they are left out.
"""
import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM


def fastest(repeats, run):
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--hidden-states-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=getattr(torch, arguments.dtype), attn_implementation="sdpa").eval()
    passes = []
    with torch.inference_mode():
        for length in arguments.lengths:
            ids = torch.randint(0, model.config.vocab_size, (1, length), generator=torch.Generator().manual_seed(length))
            one = dict(
                tokens=length,
                seconds=fastest(arguments.repeats, lambda: model.model(input_ids=ids, use_cache=False)))
            if not arguments.hidden_states_only:
                one["seconds_with_logits"] = fastest(
                    arguments.repeats, lambda: model(input_ids=ids, use_cache=False))
            passes.append(one)
    print(json.dumps(dict(passes=passes)))


if __name__ == "__main__":
    main()
