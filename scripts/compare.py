#!/usr/bin/env python3
"""Compares what two runs wrote. Exits 1 and says what differs, where they don't agree.

usage: compare.py tensors A.safetensors B.safetensors [--tolerance T]
       compare.py metrics A.jsonl B.jsonl KEY... [--tolerance T]

tensors: B holds the tensors of A, each within T of A's largest absolute value (0: bit for bit).
metrics: the last lines of both files for each step agree in KEY, a number or a list of numbers, within T relative.
"""
import argparse
import json
import pathlib
import struct
import sys

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "u1"}


def read_tensors(path):
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        tensors[name] = numbers.astype(np.float64).reshape(entry["shape"])
    return tensors


def distance(a, b):
    """How far apart two arrays are, as a part of the first one's largest value; infinite where shapes differ."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not np.isfinite(b).all():
        return np.inf
    return np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-30)


def compare_tensors(a, b):
    first, second = read_tensors(a), read_tensors(b)
    return {name: distance(tensor, second.get(name, np.zeros(0))) for name, tensor in first.items()}


def compare_metrics(a, b, keys):
    first, second = ({line["step"]: line for line in map(json.loads, path.open()) if keys[0] in line} for path in (a, b))
    if not first or first.keys() != second.keys():
        sys.exit(f"steps differ: {sorted(first)} and {sorted(second)}")
    return {f"step {step}: {key}": distance(first[step][key], second[step][key]) for step in first for key in keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["tensors", "metrics"])
    parser.add_argument("a", type=pathlib.Path)
    parser.add_argument("b", type=pathlib.Path)
    parser.add_argument("keys", nargs="*")
    parser.add_argument("--tolerance", type=float, default=0)
    options = parser.parse_args()
    if options.what == "tensors":
        distances = compare_tensors(options.a, options.b)
    else:
        distances = compare_metrics(options.a, options.b, options.keys)
    far = {name: value for name, value in distances.items() if not value <= options.tolerance}
    if far or not distances:
        worst = sorted(far, key=far.get, reverse=True)[:3]
        sys.exit(f"{len(far)} of {len(distances)} differ: " + ", ".join(f"{name} by {far[name]:.2g}" for name in worst))


if __name__ == "__main__":
    main()
