#!/usr/bin/env python3
"""How fast vLLM answers prompts of token ids, greedily and in bfloat16, with SEQUENCES at a time at most and else by its own
defaults. Neither loading counts nor a first answer.

usage: regenerate_vllm.py TARGET PROMPTS.jsonl TOKENS SEQUENCES REPORT.json

PROMPTS are lines of Preprocess dump.
"""
import json
import pathlib
import sys
import time

from vllm_cpu import LLM, SamplingParams


def main():
    target, prompts, tokens, sequences, report = sys.argv[1:]
    prompts = [{"prompt_token_ids": json.loads(line)["input_ids"]} for line in open(prompts)]
    longest = max(len(prompt["prompt_token_ids"]) for prompt in prompts) + int(tokens)
    model = LLM(model=target, dtype="bfloat16", max_model_len=longest, max_num_seqs=int(sequences), enforce_eager=True)
    model.generate(prompts[:1], SamplingParams(temperature=0, max_tokens=2), use_tqdm=False)
    start = time.perf_counter()
    answers = model.generate(prompts, SamplingParams(temperature=0, max_tokens=int(tokens), detokenize=False), use_tqdm=False)
    seconds = time.perf_counter() - start
    made = sum(len(answer.outputs[0].token_ids) for answer in answers)
    pathlib.Path(report).write_text(json.dumps(dict(tokens=made, seconds=seconds)))


if __name__ == "__main__":
    main()
