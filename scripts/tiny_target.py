#!/usr/bin/env python3
"""The tiny random Llama of fixtures as a directory and as a GGUF file, and what it says: FOLDER/model, FOLDER/model.gguf,
FOLDER/answers.jsonl and FOLDER/few.jsonl, the first of them.

usage: tiny_target.py FOLDER

Answers are tokens that llama.cpp (PyPI: xllamacpp) gives after random prompts. Everything is float32.
"""
import json
import os
import pathlib
import sys

import numpy as np
from llamacpp import LlamaCpp
from serve_families import FIXTURES, finish, llama_writer

PROMPTS, FEW, PROMPT_TOKENS, TOKENS = 40, 16, 12, 40


def main():
    folder = pathlib.Path(sys.argv[1])
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    for source in [*(FIXTURES / "targets/llama").iterdir(), *(FIXTURES / "tokenizers/tiny").iterdir()]:
        if not source.name.startswith("expected"):
            (model / source.name).write_bytes(source.read_bytes())
    writer, size = llama_writer(folder / "model.gguf", model)
    finish(writer, size)
    server = LlamaCpp(folder / "model.gguf", threads=1)
    random, lines = np.random.default_rng(3), []
    for _ in range(PROMPTS):
        prompt = [int(id) for id in random.integers(3, size, PROMPT_TOKENS)]
        answer = server.complete(prompt, TOKENS, ignore_eos=True)["tokens"]
        lines.append(json.dumps({"input_ids": prompt + answer, "loss_mask": [0] * len(prompt) + [1] * len(answer)}) + "\n")
    (folder / "answers.jsonl").write_text("".join(lines))
    (folder / "few.jsonl").write_text("".join(lines[:FEW]))
    # Now and then the server's own end takes forever.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
