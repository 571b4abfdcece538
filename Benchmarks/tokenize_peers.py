#!/usr/bin/env python3
"""Tokens a second of Preprocess tokenize and of Hugging Face's tokenizers on the same texts.

usage: tokenize_peers.py PREPROCESS CONVERSATIONS.jsonl MODEL_DIRECTORY...
"""
import json
import pathlib
import subprocess
import sys
import time

from tokenizers import Tokenizer


def run(program, model, lines):
    start = time.perf_counter()
    result = subprocess.run([program, "tokenize", "--target-model-path", model], input="".join(lines).encode(),
                            stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - start, result.stdout


def main():
    program, data, *models = sys.argv[1:]
    texts = ["\n".join(turn["value"] for turn in json.loads(line)["conversations"]) for line in open(data, encoding="utf-8")]
    texts = [text for text in texts if text]
    lines = [json.dumps(text, ensure_ascii=False) + "\n" for text in texts]
    size = sum(len(text.encode()) for text in texts)
    print(f"{len(texts)} texts, {size / 1e6:.1f} MB")
    for model in models:
        idle = min(run(program, model, lines[:1])[0] for _ in range(3))
        elapsed, output = min((run(program, model, lines) for _ in range(3)), key=lambda pair: pair[0])
        ids = [json.loads(line) for line in output.decode().split("\n") if line]
        tokens = sum(map(len, ids))
        peer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        start = time.perf_counter()
        expected = peer.encode_batch_fast(texts, add_special_tokens=False)
        peer_time = time.perf_counter() - start
        equal = sum(own == other.ids for own, other in zip(ids, expected))
        print(f"{pathlib.Path(model).name}: {tokens} tokens; Eyrie {tokens / (elapsed - idle) / 1e6:.1f} million a second "
              f"({size / (elapsed - idle) / 1e6:.0f} MB/s, start {idle * 1e3:.0f} ms), "
              f"tokenizers {tokens / peer_time / 1e6:.2f} million a second; {equal} of {len(texts)} texts equal")


if __name__ == "__main__":
    main()
