#!/usr/bin/env python3
"""SpecForge 0.2.0's preprocessing, as its training script calls it: the dataset and the vocabulary mapping.

usage: specforge_preprocess.py REPORT.json --tokenizer DIR --data FILE --cache DIR --max-length N --processes N

REPORT gets the samples, their tokens, the seconds that reading, tokenizing and counting took (not Python's imports)
and the size of the files that are left for training to read.
"""
import argparse
import json
import logging
import os
import pathlib
import shutil
import time
import warnings


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path, help="is emptied")
    parser.add_argument("--template", default="qwen")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--draft-vocab-size", type=int, default=32000)
    options = parser.parse_args()
    shutil.rmtree(options.cache, ignore_errors=True)
    os.environ["HF_DATASETS_CACHE"] = str(options.cache / "datasets")
    warnings.filterwarnings("ignore")

    import torch
    from datasets import disable_progress_bars, load_dataset
    from specforge.data.preprocessing import build_eagle3_dataset, generate_vocab_mapping_file
    from transformers import AutoTokenizer

    logging.disable(logging.WARNING)
    disable_progress_bars()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)

    start = time.perf_counter()
    rows = load_dataset("json", data_files=options.data)["train"]
    samples = build_eagle3_dataset(
        rows, tokenizer, options.template, options.max_length, shuffle_seed=42, num_proc=options.processes,
        cache_dir=str(options.cache / "processed"), cache_key="samples")
    generate_vocab_mapping_file(
        samples, len(tokenizer), options.draft_vocab_size, str(options.cache / "mapping"), "mapping")
    seconds = time.perf_counter() - start

    files = [path for path in (options.cache / "processed").rglob("*") if path.is_file()]
    options.report.write_text(json.dumps(dict(
        samples=len(samples), tokens=sum(sample["input_ids"].numel() for sample in samples), seconds=seconds,
        store_bytes=sum(path.stat().st_size for path in files))))


if __name__ == "__main__":
    main()
