#!/usr/bin/env python3
"""Tokens a second of Hugging Face's tokenizers on a dataset's messages: nothing but encoding, on all threads at once.

usage: encode_peers.py REPORT.json MODEL_DIRECTORY CONVERSATIONS.jsonl    (RAYON_NUM_THREADS says how many threads)
"""
import json
import pathlib
import sys
import time

from tokenizers import Tokenizer


def main():
    report, model, data = sys.argv[1:]
    texts = [turn["value"] for line in open(data, encoding="utf-8") for turn in json.loads(line)["conversations"]]
    tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
    start = time.perf_counter()
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    seconds = time.perf_counter() - start
    pathlib.Path(report).write_text(json.dumps(dict(tokens=sum(map(len, encodings)), seconds=seconds)))


if __name__ == "__main__":
    main()
