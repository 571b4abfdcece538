#!/usr/bin/env python3
"""Writes a few layers of a published model's sizes with random weights, as transformers 5 saves them: what
Benchmarks/families.sh measures.

usage: families_models.py FAMILY OUT    (FAMILY: one of those that --help lists)

Layers are of each kind that the family has. The vocabulary is small, since hidden states are what is measured.
"""
import argparse

import torch
import transformers

ROPE = dict(rope_type="default", rope_theta=1e6)
COMMON = dict(vocab_size=4096, max_position_embeddings=8192, bos_token_id=1, eos_token_id=2, pad_token_id=0)

FAMILIES = {
    # Llama 3.1 8B
    "llama": lambda: transformers.LlamaConfig(
        **COMMON, hidden_size=4096, intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8,
        num_hidden_layers=2, rope_parameters=ROPE),
    # Qwen3-30B-A3B
    "qwen3-moe": lambda: transformers.Qwen3MoeConfig(
        **COMMON, hidden_size=2048, intermediate_size=6144, moe_intermediate_size=768, num_experts=128,
        num_experts_per_tok=8, norm_topk_prob=True, num_attention_heads=32, num_key_value_heads=4, head_dim=128,
        num_hidden_layers=1, rope_parameters=ROPE),
    # The sizes that transformers has as Gemma 4's default: a full layer after five with a window
    "gemma4": lambda: transformers.Gemma4TextConfig(
        **COMMON, hidden_size=2304, intermediate_size=9216, num_attention_heads=8, num_key_value_heads=4, head_dim=256,
        num_hidden_layers=6, sliding_window=512, hidden_size_per_layer_input=0, vocab_size_per_layer_input=4096,
        layer_types=["sliding_attention"] * 5 + ["full_attention"], per_layer_config={"5": dict(head_dim=512)}),
    # LFM2-2.6B
    "lfm2": lambda: transformers.Lfm2Config(
        **COMMON, hidden_size=2048, intermediate_size=10752, block_auto_adjust_ff_dim=False, num_attention_heads=32,
        num_key_value_heads=8, num_hidden_layers=3, layer_types=["conv", "conv", "full_attention"],
        rope_parameters=ROPE),
    # Qwen3.5-9B
    "qwen3.5": lambda: transformers.Qwen3_5TextConfig(
        **COMMON, hidden_size=4096, intermediate_size=12288, num_attention_heads=16, num_key_value_heads=4,
        head_dim=256, num_hidden_layers=4, layer_types=["linear_attention"] * 3 + ["full_attention"],
        linear_num_key_heads=16, linear_num_value_heads=32, linear_key_head_dim=128, linear_value_head_dim=128,
        linear_conv_kernel_dim=4, rope_parameters=dict(ROPE, partial_rotary_factor=0.25)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("out")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    transformers.AutoModelForCausalLM.from_config(FAMILIES[arguments.family]()).save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
