#!/usr/bin/env python3
"""Writes a model of random weights as a model hub would give it: config.json, bfloat16 shards and their index.

usage: large_llama.py OUT [--model llama-8b|qwen3-30b-a3b] [--layers N] [--vocab-size N]

Sizes are Llama 3.1 8B's, with 32 layers 16 GB, or Qwen3-30B-A3B's, with 48 layers 61 GB. Only the standard library is needed. The numbers are a few
million random ones over and over: enough to measure with, and quickly written.
"""
import argparse
import array
import json
import pathlib
import random
import struct

MODELS = {
    "llama-8b": dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=4096,
        intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8, head_dim=128, num_hidden_layers=32,
        vocab_size=128256, rms_norm_eps=1e-5, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=8192),
        max_position_embeddings=131072, tie_word_embeddings=False, torch_dtype="bfloat16"),
    "qwen3-30b-a3b": dict(
        architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", hidden_act="silu", hidden_size=2048,
        intermediate_size=6144, moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8, norm_topk_prob=True,
        decoder_sparse_step=1, mlp_only_layers=[], num_attention_heads=32, num_key_value_heads=4, head_dim=128,
        num_hidden_layers=48, vocab_size=151936, rms_norm_eps=1e-6, rope_theta=1000000.0,
        max_position_embeddings=40960, tie_word_embeddings=False, torch_dtype="bfloat16"),
}


def tensors(config):
    """Shards, each a list of names and shapes."""
    hidden, head_dim = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim

    def network(name, size):
        return [(f"{name}.gate_proj.weight", (size, hidden)), (f"{name}.up_proj.weight", (size, hidden)),
                (f"{name}.down_proj.weight", (hidden, size))]

    shards = [[("model.embed_tokens.weight", (config["vocab_size"], hidden))]]
    for layer in range(config["num_hidden_layers"]):
        if layer % 8 == 0 or "num_experts" in config:
            shards.append([])
        name = f"model.layers.{layer}"
        shards[-1] += [
            (f"{name}.input_layernorm.weight", (hidden,)), (f"{name}.post_attention_layernorm.weight", (hidden,)),
            (f"{name}.self_attn.q_proj.weight", (queries, hidden)), (f"{name}.self_attn.k_proj.weight", (keys, hidden)),
            (f"{name}.self_attn.v_proj.weight", (keys, hidden)), (f"{name}.self_attn.o_proj.weight", (hidden, queries))]
        if "num_experts" in config:
            shards[-1] += [(f"{name}.self_attn.q_norm.weight", (head_dim,)),
                           (f"{name}.self_attn.k_norm.weight", (head_dim,)),
                           (f"{name}.mlp.gate.weight", (config["num_experts"], hidden))]
            for expert in range(config["num_experts"]):
                shards[-1] += network(f"{name}.mlp.experts.{expert}", config["moe_intermediate_size"])
        else:
            shards[-1] += network(f"{name}.mlp", config["intermediate_size"])
    shards.append([("model.norm.weight", (hidden,)), ("lm_head.weight", (config["vocab_size"], hidden))])
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
    parser.add_argument("--model", choices=MODELS, default="llama-8b")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--vocab-size", type=int)
    arguments = parser.parse_args()
    config = dict(MODELS[arguments.model])
    config["num_hidden_layers"] = arguments.layers or config["num_hidden_layers"]
    config["vocab_size"] = arguments.vocab_size or config["vocab_size"]
    random.seed(0)
    arguments.out.mkdir(parents=True)
    shards = tensors(config)
    numbers = memoryview(noise(3_000_001, 0.02))
    names, total = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write(arguments.out / file, shard, numbers)
        names |= {name: file for name, _ in shard}
    index = dict(metadata=dict(total_size=total), weight_map=names)
    (arguments.out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    (arguments.out / "config.json").write_text(json.dumps(config, indent=1))
    print(f"{arguments.out}: {total / 1e9:.1f} GB of weights")


if __name__ == "__main__":
    main()
