#!/usr/bin/env python3
"""Tokens a second of Preprocess tokenize, of quicktok and of Hugging Face's tokenizers on the same texts, one thread each.

usage: tokenize_peers.py PREPROCESS CONVERSATIONS.jsonl MODEL_DIRECTORY...

Each side runs in a process of its own, one after the other, and encodes every text once. What is counted is the time
that the CPU was at work for the thread that encodes, so that other work on the machine matters little. quicktok takes
part where it has the vocabulary. The middle of three runs counts for Eyrie and quicktok.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

QUICKTOK = {"llama-3.1": "llama3", "gpt-oss": "o200k_base", "phi-4": "cl100k_base", "qwen-3": "qwen3"}


def texts_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def encode_with_tokenizers(directory, texts):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    ids, seconds = [], 0.0
    for first in range(0, len(texts), 100):
        start = time.thread_time()
        encodings = tokenizer.encode_batch_fast(texts[first:first + 100], add_special_tokens=False)
        seconds += time.thread_time() - start
        ids += [encoding.ids for encoding in encodings]
    return ids, seconds


def encode_with_quicktok(name, texts):
    import quicktok
    encoding = quicktok.get_encoding(name)
    start = time.thread_time()
    ids = [encoding.encode_ordinary(text) for text in texts]
    list_seconds = time.thread_time() - start
    # A batch makes no Python list, which is fairer; one that isn't parallel runs in threads of its own all the same.
    start = time.process_time()
    encoding.encode_batch(texts, 1, False)
    return ids, min(list_seconds, time.process_time() - start)


PEERS = {"tokenizers": encode_with_tokenizers, "quicktok": encode_with_quicktok}


def peer(side, name, path):
    """Tokens and seconds of a side, run as a process of its own, and its ids."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:
        subprocess.run([sys.executable, __file__, "--peer", side, name, path, answer.name], check=True)
        result = json.load(answer)
    return result["ids"], result["seconds"]


def eyrie(program, directory, path, *options):
    with open(path, "rb") as texts:
        command = [program, "tokenize", "--target-model-path", directory, *options]
        return [json.loads(line) for line in subprocess.run(
            command, stdin=texts, stdout=subprocess.PIPE, check=True).stdout.split(b"\n") if line]


def row(name, program, directory, path, texts):
    ids = eyrie(program, directory, path)
    runs = [eyrie(program, directory, path, "--measure")[0] for _ in range(3)]
    tokens = runs[0]["tokens"]
    own = tokens / statistics.median(run["cpu_seconds"] for run in runs) / 1e6
    expected, seconds = peer("tokenizers", directory, path)
    equal = sum(a == b for a, b in zip(ids, expected, strict=True))
    other = sum(map(len, expected)) / seconds / 1e6
    line = f"{name:14} {own:8.2f} {other:12.2f} {own / other:7.1f}"
    if name in QUICKTOK:
        runs = [peer("quicktok", QUICKTOK[name], path) for _ in range(3)]
        fastest = sum(map(len, runs[0][0])) / statistics.median(run[1] for run in runs) / 1e6
        line += f" {fastest:10.2f} {own / fastest:7.2f}"
    else:
        line += f" {'-':>10} {'-':>7}"
    print(f"{line} {equal:>8} of {len(texts)}", flush=True)


def main():
    if sys.argv[1] == "--peer":
        side, name, path, answer = sys.argv[2:]
        ids, seconds = PEERS[side](name, texts_of(path))
        pathlib.Path(answer).write_text(json.dumps({"ids": ids, "seconds": seconds}))
        return
    program, data, *directories = sys.argv[1:]
    with open(data, encoding="utf-8") as file:
        texts = ["\n".join(turn["value"] for turn in json.loads(line)["conversations"]) for line in file]
    texts = [text for text in texts if text]
    print(f"{len(texts)} texts, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB; million tokens a second, "
          "and how many times the peer's", flush=True)
    print(f"{'tokenizer':14} {'Eyrie':>8} {'tokenizers':>12} {'times':>7} {'quicktok':>10} {'times':>7} {'equal ids':>12}")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)
        file.flush()
        for directory in directories:
            row(pathlib.Path(directory).name, program, directory, file.name, texts)


if __name__ == "__main__":
    main()
