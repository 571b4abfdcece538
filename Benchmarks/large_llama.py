#!/usr/bin/env python3
"""Writes a Llama of random weights as a model hub would give it: config.json, bfloat16 shards and their index.

usage: large_llama.py OUT [--layers 32] [--vocab-size 128256]

Sizes are Llama 3.1 8B's; with 32 layers it takes 16 GB. Only the standard library is needed. The numbers are a few
million random ones over and over: enough to measure with, and quickly written.
"""
import argparse
import array
import json
import pathlib
import random
import struct

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM = 4096, 14336, 32, 8, 128


def tensors(layers, vocab_size):
    """Shards, each a list of names and shapes."""
    queries, keys = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    shards = [[("model.embed_tokens.weight", (vocab_size, HIDDEN))]]
    for layer in range(layers):
        if layer % 8 == 0:
            shards.append([])
        name = f"model.layers.{layer}"
        shards[-1] += [
            (f"{name}.input_layernorm.weight", (HIDDEN,)), (f"{name}.post_attention_layernorm.weight", (HIDDEN,)),
            (f"{name}.self_attn.q_proj.weight", (queries, HIDDEN)), (f"{name}.self_attn.k_proj.weight", (keys, HIDDEN)),
            (f"{name}.self_attn.v_proj.weight", (keys, HIDDEN)), (f"{name}.self_attn.o_proj.weight", (HIDDEN, queries)),
            (f"{name}.mlp.gate_proj.weight", (INTERMEDIATE, HIDDEN)),
            (f"{name}.mlp.up_proj.weight", (INTERMEDIATE, HIDDEN)),
            (f"{name}.mlp.down_proj.weight", (HIDDEN, INTERMEDIATE))]
    shards.append([("model.norm.weight", (HIDDEN,)), ("lm_head.weight", (vocab_size, HIDDEN))])
    return shards


def noise(count, scale):
    """bfloat16 numbers, evenly spread within ±scale."""
    values = array.array("f", (random.uniform(-scale, scale) for _ in range(count))).tobytes()
    return b"".join(values[i + 2:i + 4] for i in range(0, len(values), 4))


def write(path, shard, numbers):
    header, offset = {}, 0
    for name, shape in shard:
        size = 2
        for length in shape:
            size *= length
        header[name] = dict(dtype="BF16", shape=shape, data_offsets=(offset, offset + size))
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, _ in shard:
            begin, end = header[name]["data_offsets"]
            if "norm" in name:
                file.write(b"\x80\x3f" * ((end - begin) // 2))
                continue
            while begin < end:
                begin += file.write(numbers[:end - begin])
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--vocab-size", type=int, default=128256)
    arguments = parser.parse_args()
    random.seed(0)
    arguments.out.mkdir(parents=True)
    shards = tensors(arguments.layers, arguments.vocab_size)
    numbers = memoryview(noise(3_000_001, 0.02))
    names, total = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write(arguments.out / file, shard, numbers)
        names |= {name: file for name, _ in shard}
    index = dict(metadata=dict(total_size=total), weight_map=names)
    (arguments.out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    (arguments.out / "config.json").write_text(json.dumps(dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM,
        num_hidden_layers=arguments.layers, vocab_size=arguments.vocab_size, rms_norm_eps=1e-5, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=8192),
        max_position_embeddings=131072, tie_word_embeddings=False, torch_dtype="bfloat16"), indent=1))
    print(f"{arguments.out}: {total / 1e9:.1f} GB of weights")


if __name__ == "__main__":
    main()
