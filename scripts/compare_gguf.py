#!/usr/bin/env python3
"""Compares what Preprocess and Trainer make of GGUF files with llama.cpp and Hugging Face's tokenizers.

usage: compare_gguf.py PREPROCESS TRAINER CONVERSATIONS.jsonl MODEL.gguf TOKENIZER_DIRECTORY [MODEL.gguf TOKENIZER_DIRECTORY...]

Ids of each turn of the conversations must be those of llama.cpp and those by the tokenizer.json of the same model. The
next tokens after some prompts must be as likely as llama.cpp says, but for what it rounds: its products are of 8-bit
numbers. Prints a line for each comparison; fails unless all hold.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from compare_tokenizers import Preprocess, first_difference
from llamacpp import LlamaCpp
from safetensors.numpy import load_file
from tokenizers import Tokenizer

PROMPTS = ["The capital of France is", "The opposite of hot is", "One, two, three, four,", "Water boils at 100 degrees",
           "Once upon a time, there was a little", "def add(a, b):\n    return a", "Roses are red, violets are",
           "The sun rises in the east and sets in the", "Die Hauptstadt von Deutschland ist"]
LIKELIEST = 10
# Of the logarithm of a likely token's probability: what 8-bit products of llama.cpp differ by at most.
TOLERANCE = 0.5


def turns(path):
    for line in open(path, encoding="utf-8"):
        for turn in json.loads(line)["conversations"]:
            yield turn["value"]


def compare_ids(name, peer, texts, own, others):
    different = [place for place, (a, b) in enumerate(zip(own, others, strict=True)) if a != b]
    tokens = sum(map(len, own))
    print(f"{name}: {len(texts)} texts, {tokens} tokens, {len(different)} with other ids than {peer}", flush=True)
    for place in different[:3]:
        print(f"  {first_difference(texts[place], own[place], others[place])}")
    return not different


def log_probabilities(trainer, model, ids, folder):
    """Of every token after the last of `ids`."""
    given, output = folder / "ids.json", folder / "probe.safetensors"
    given.write_text(json.dumps(ids))
    subprocess.run([trainer, "probe", "--target-model-path", model, "--input-ids", given, "--output", output],
                   check=True, capture_output=True)
    logits = load_file(output)["logits"][-1].astype(np.float64)
    return logits - logits.max() - math.log(np.exp(logits - logits.max()).sum())


def compare_next_tokens(name, trainer, model, peer, encode, decode, first):
    worst, same = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for prompt, ids in zip(PROMPTS, encode(PROMPTS), strict=True):
            ids = first + ids
            own = log_probabilities(trainer, model, ids, pathlib.Path(folder))
            others = peer.next_tokens(ids, LIKELIEST)
            worst = max(worst, *(abs(own[id] - value) for id, value in others if value > math.log(0.01)))
            same += int(own.argmax()) == others[0][0]
            print(f"  {prompt!r} -> {decode([[int(own.argmax())]])[0]!r} ({math.exp(own.max()):.2f}); "
                  f"llama.cpp: {decode([[others[0][0]]])[0]!r} ({math.exp(others[0][1]):.2f})", flush=True)
    print(f"{name}: {same} of {len(PROMPTS)} likeliest next tokens are llama.cpp's; "
          f"logarithms of probabilities above 1% differ by {worst:.2f} at most", flush=True)
    return worst <= TOLERANCE


def main():
    preprocess, trainer, data, *models = sys.argv[1:]
    texts = list(turns(data))
    passed = total = 0
    for model, directory in zip(models[::2], models[1::2], strict=True):
        name = pathlib.Path(model).stem
        encode, decode = Preprocess(preprocess, model), Preprocess(preprocess, model, "--decode")
        ids = encode(texts)
        tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
        peer = LlamaCpp(model)
        first = peer.post("/tokenize", {"content": "", "add_special": True})["tokens"]
        outcomes = [
            compare_ids(name, "tokenizers", texts, ids,
                        [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]),
            compare_ids(name, "llama.cpp", texts, ids, [peer.tokenize(text) for text in texts]),
            compare_next_tokens(name, trainer, model, peer, encode, decode, first)]
        passed, total = passed + sum(outcomes), total + len(outcomes)
        del peer
    print(f"{passed} passed, {total - passed} failed")
    sys.exit(passed != total or not total)


if __name__ == "__main__":
    main()
