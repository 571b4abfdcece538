#!/usr/bin/env python3
"""Prints how fast llama.cpp decodes the prompts that Trainer evaluate --samples-output wrote, as a JSON object.

usage: decoding_llamacpp.py TARGET.gguf SAMPLES.jsonl [--threads N]
"""
import argparse
import json
import os

from llamacpp import LlamaCpp


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target")
    parser.add_argument("samples")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    samples = [json.loads(line) for line in open(options.samples)]
    server = LlamaCpp(options.target, context=2048, threads=options.threads)
    tokens, milliseconds = 0, 0.0
    for sample in samples:
        # As many as Trainer decoded; of the first neither counts the time, nor the token.
        timings = server.complete(sample["prompt_ids"], sample["tokens"], ignore_eos=True)["timings"]
        tokens += timings["predicted_n"] - 1
        milliseconds += timings["predicted_ms"]
    print(json.dumps({"tokens": tokens, "tokens_per_second": 1000 * tokens / milliseconds}), flush=True)
    # The server isn't ended: now and then that takes forever.
    os._exit(0)


if __name__ == "__main__":
    main()
