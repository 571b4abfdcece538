#!/usr/bin/env python3
"""Writes a GGUF file of Llama 3.1 8B's sizes and random weights, packed as llama.cpp's Q4_K_M has them.

usage: packed_llama.py OUT.gguf [--layers N] [--vocab-size N]

Q6_K for values, down projections and the head, Q4_K for the others: of all layers, where llama.cpp takes Q4_K for half of
the values and down projections. With 32 layers 5.4 GB. Only the standard library is needed.
"""
import argparse
import random
import struct

TYPES = {"F32": (0, 1, 4), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def metadata(keys):
    """Keys and values: of text, whole numbers (UINT32) and others (FLOAT32)."""
    written = b""
    for key, value in keys.items():
        if isinstance(value, str):
            written += text(key) + struct.pack("<I", 8) + text(value)
        elif isinstance(value, int):
            written += text(key) + struct.pack("<II", 4, value)
        else:
            written += text(key) + struct.pack("<If", 6, value)
    return written


def tensors(args):
    """Names, shapes with the last axis first as GGUF has them, and types."""
    hidden, intermediate, keys = 4096, 14336, 1024
    found = [("token_embd.weight", (hidden, args.vocab_size), "Q4_K"), ("output_norm.weight", (hidden,), "F32"),
             ("output.weight", (hidden, args.vocab_size), "Q6_K")]
    for layer in range(args.layers):
        # As llama.cpp does: more bits for the first and the last eighth, and for every third layer between.
        more = "Q6_K" if layer < args.layers // 8 or layer >= 7 * args.layers // 8 or layer % 3 == 2 else "Q4_K"
        found += [(f"blk.{layer}.{name}.weight", shape, kind) for name, shape, kind in [
            ("attn_norm", (hidden,), "F32"), ("attn_q", (hidden, hidden), "Q4_K"), ("attn_k", (hidden, keys), "Q4_K"),
            ("attn_v", (hidden, keys), more), ("attn_output", (hidden, hidden), "Q4_K"), ("ffn_norm", (hidden,), "F32"),
            ("ffn_gate", (hidden, intermediate), "Q4_K"), ("ffn_up", (hidden, intermediate), "Q4_K"),
            ("ffn_down", (intermediate, hidden), more)]]
    return found


def block(kind, generator):
    """One block: random codes, and scales that make numbers of about a hundredth."""
    small = struct.pack("<e", generator.uniform(1e-5, 2e-5))
    if kind == "Q4_K":
        return small + struct.pack("<e", 7 * struct.unpack("<e", small)[0]) + generator.randbytes(140)
    return generator.randbytes(208) + small


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--vocab-size", type=int, default=128256)
    args = parser.parse_args()
    keys = {
        "general.architecture": "llama", "llama.context_length": 131072, "llama.embedding_length": 4096,
        "llama.block_count": args.layers, "llama.feed_forward_length": 14336, "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8, "llama.rope.dimension_count": 128, "llama.rope.freq_base": 500000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": args.vocab_size}
    generator = random.Random(1)
    some = {kind: b"".join(block(kind, generator) for _ in range(4096)) for kind in ("Q4_K", "Q6_K")}
    some["F32"] = struct.pack("<f", 1.0) * 4096
    described, offset, sizes = b"", 0, []
    for name, shape, kind in tensors(args):
        number, size, length = TYPES[kind]
        described += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        described += struct.pack("<IQ", number, offset)
        count = 1
        for axis in shape:
            count *= axis
        sizes.append((kind, count // size * length))
        offset += (sizes[-1][1] + 31) // 32 * 32
    with open(args.out, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(sizes), len(keys)) + metadata(keys) + described)
        file.write(b"\0" * (-file.tell() % 32))
        for kind, size in sizes:
            for first in range(0, size, len(some[kind])):
                file.write(some[kind][:min(len(some[kind]), size - first)])
            file.write(b"\0" * (-file.tell() % 32))


main()
