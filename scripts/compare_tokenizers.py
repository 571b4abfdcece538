#!/usr/bin/env python3
"""Compares the ids and the text that Preprocess tokenize gives with those of Hugging Face's tokenizers.

usage: compare_tokenizers.py PREPROCESS CONVERSATIONS.jsonl MODEL_DIRECTORY...

The texts are difficult ones (fixtures/generate/small_tokenizers.py), random ones of all scripts, and each conversation as
ChatML. Prints a line for each tokenizer and the first text that differs; fails unless all are equal.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
from tokenizers import Tokenizer  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "fixtures" / "generate"))
import small_tokenizers  # noqa: E402

BATCH = 1000
RANGES = [(0x20, 0x7E)] * 4 + [
    (0xA0, 0x24F), (0x250, 0x1200), (0x1200, 0x3100), (0x2000, 0x2FFF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xF900, 0xFDFF), (0xFE00, 0xFFFF), (0x1D400, 0x1D7FF), (0x1F300, 0x1F6FF), (0x10000, 0x10FFFF)]
SPECIAL = "\n\r\t 'aBc09.,/<>\u017f\u00a0\u0085\u3000\u2028\u180e\u200b\u0301\u01c5\u00bd\u2581\u0130\u00df\u03a3\ufb01\u1100\u1161\u11a8"


def random_texts(rng, count):
    for _ in range(count):
        yield "".join(rng.choice(SPECIAL) if rng.random() < 0.4 else chr(rng.randint(*rng.choice(RANGES)))
                      for _ in range(rng.randrange(1, 80)))


def conversations(path):
    for line in open(path, encoding="utf-8"):
        turns = json.loads(line)["conversations"]
        yield "".join(f"<|im_start|>{turn['from']}\n{turn['value']}<|im_end|>\n" for turn in turns)


def batches(texts):
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class Preprocess:
    """`Preprocess tokenize`."""

    def __init__(self, program, directory, *options):
        self.command = [program, "tokenize", "--target-model-path", directory, *options]

    def __call__(self, values):
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        result = subprocess.run(self.command, input=text.encode("utf-8"), capture_output=True)
        if result.returncode:
            raise RuntimeError(result.stderr.decode("utf-8", "replace").strip().splitlines()[-1])
        return [json.loads(line) for line in result.stdout.decode("utf-8").split("\n") if line]


def first_difference(text, own, other):
    place = next((i for i, (a, b) in enumerate(zip(own, other)) if a != b), min(len(own), len(other)))
    return f"{text[:80]!r}: ids differ from {place}: {own[place:place + 5]}, should be {other[place:place + 5]}"


def compare(program, directory, difficult, data):
    """The numbers of texts, tokens, texts with other ids and with another text; prints what differs first."""
    peer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    peer.no_padding()  # as transformers does
    peer.no_truncation()
    encode, decode = Preprocess(program, directory), Preprocess(program, directory, "--decode")
    texts = tokens = other_ids = other_text = 0
    for number, batch in enumerate([difficult, *batches(conversations(data))] if data else [difficult]):
        expected = [encoding.ids for encoding in peer.encode_batch_fast(batch, add_special_tokens=False)]
        own = encode(batch)
        texts, tokens = texts + len(batch), tokens + sum(map(len, own))
        for text, ids, others in zip(batch, own, expected, strict=True):
            if ids != others:
                if not other_ids:
                    print(f"  {first_difference(text, ids, others)}", flush=True)
                other_ids += 1
        if number < 2:  # decoding has no more to it than its difficult texts have
            decoded = peer.decode_batch(expected, skip_special_tokens=False)
            for ids, text, others in zip(expected, decode(expected), decoded, strict=True):
                if text != others:
                    if not other_text:
                        print(f"  {ids[:10]}… decodes to {text[:80]!r}, should be {others[:80]!r}", flush=True)
                    other_text += 1
    return texts, tokens, other_ids, other_text


def main():
    program, data, *directories = sys.argv[1:]
    rng = random.Random(11)
    difficult = [*small_tokenizers.difficult(rng), *random_texts(rng, 1000)]
    failed = 0
    for directory in directories:
        name = pathlib.Path(directory).name
        try:
            texts, tokens, other_ids, other_text = compare(program, directory, difficult, data)
        except RuntimeError as error:
            print(f"{name}: {error}", flush=True)
            failed += 1
            continue
        failed += bool(other_ids or other_text)
        verdict = "equal" if not (other_ids or other_text) else f"{other_ids} with other ids, {other_text} other text"
        print(f"{name}: {texts} texts, {tokens} tokens, {verdict}", flush=True)
    print(f"{len(directories) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not directories else 0)


if __name__ == "__main__":
    main()
