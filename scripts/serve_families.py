#!/usr/bin/env python3
"""Each family of targets that llama.cpp serves drafts for, loaded by it with drafts of each method that Trainer exports;
and those that it serves none for, which it is to refuse.

usage: serve_families.py TRAINER FOLDER [TARGET...]      (targets of fixtures/gguf; default: all)

Targets are the tiny random ones of fixtures, as GGUF; drafts have random weights in Trainer's generated configuration.
llama.cpp (PyPI: xllamacpp) decodes ten tokens of each pair, each in a process of its own, as it ends the process when it
can't go on. Files are left in FOLDER. Prints a line for each pair. Fails unless all that Trainer's table has decode, with
tokens drafted, and the others end for want of the layers that a draft sees, while the target alone decodes.
"""
import json
import os
import pathlib
import subprocess
import sys

import gguf
import numpy as np
from random_draft import METHODS, check_table, read_safetensors, run_trainer, write_draft

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
# Families of Trainer's table, by the files of fixtures/gguf.
SERVED = {
    "Llama 1 to 3": ["llama"], "Mistral": ["llama"], "Mixtral": ["mixtral"], "Qwen3": ["qwen3"],
    "Qwen3-MoE": ["qwen3moe"], "gpt-oss": ["gpt-oss"], "Gemma 4": ["gemma4", "gemma4-e", "gemma4-moe"],
    "HunYuan dense": ["hunyuan-dense"], "LFM2": ["lfm2"], "LFM2-MoE": ["lfm2moe"],
    "Nemotron-H": ["nemotron_h", "nemotron_h_moe"], "Qwen3.5": ["qwen35"], "Qwen3.5-MoE": ["qwen35moe"],
}
NOT_SERVED = {
    "Qwen2": ["qwen2"], "Phi-3 and 4": ["phi3"], "Gemma 3": ["gemma3_text"], "Cohere2": ["cohere2"],
    "Ernie 4.5": ["ernie4_5"], "Gemma 2": ["gemma2"], "GLM-4": ["glm4"], "Granite": ["granite"],
    "Granite 4 hybrid": ["granitehybrid", "granitehybrid-dense"], "Ministral 3": ["mistral3"],
    "OLMo 2 and 3": ["olmo2"], "Seed-OSS": ["seed_oss"], "SmolLM3": ["smollm3"],
}
NO_LAYERS = "layer input tensor is null"
# What converters write besides what Trainer needs, by the writer's methods.
NEMOTRON_KEYS = [("layer_norm_eps", 1e-5)]
MORE_KEYS = {
    "gemma3_text": [("value_length", 16)],
    "lfm2moe": [("expert_gating_func", gguf.ExpertGatingFuncType.SIGMOID)],
    "nemotron_h": NEMOTRON_KEYS, "nemotron_h_moe": NEMOTRON_KEYS + [("expert_shared_count", 1)],
    "qwen3": [("value_length", 16)],
    "qwen35": [("rope_dimension_sections", [1, 1, 0, 0])], "qwen35moe": [("rope_dimension_sections", [1, 1, 0, 0])],
}
TOKENS = 10


def write_target(name, path):
    """The fixture, with what llama.cpp needs besides what Trainer reads. Returns what Trainer is given."""
    if name == "mixtral":
        writer, size = llama_writer(path, FIXTURES / "targets/mixtral")
    else:
        reader = gguf.GGUFReader(FIXTURES / f"gguf/{name}.gguf")
        architecture = reader.fields["general.architecture"].contents()
        writer = gguf.GGUFWriter(path, architecture)
        for field in reader.fields.values():
            if field.name == "general.architecture" or field.name.startswith(("GGUF.", "tokenizer.ggml.tokens")):
                continue
            element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        for add, values in MORE_KEYS.get(name, []):
            getattr(writer, f"add_{add}")(values)
        size = len(reader.fields["tokenizer.ggml.tokens"].contents())
    finish(writer, size)
    return mixtral_directory(path.parent / name, size) if name == "mixtral" else path


def finish(writer, size):
    """Adds tokens of no meaning, and writes the file."""
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"token{id}" for id in range(size)])
    writer.add_token_scores([-float(id) for id in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def mixtral_directory(folder, size):
    """Trainer reads Mixtral from a directory alone."""
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((FIXTURES / "targets/mixtral" / name).read_bytes())
    model = {"type": "BPE", "byte_fallback": True, "vocab": {f"token{id}": id for id in range(size)}, "merges": []}
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [], "model": model}))
    return folder


def llama_writer(path, folder):
    """A GGUF file of a directory's Llama, with experts or without, and the size of its vocabulary."""
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_parameters", config)["rope_theta"])
    experts = config.get("num_local_experts", 0)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    for name, own in [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")]:
        writer.add_tensor(f"{name}.weight", tensors[f"{own}.weight"])
    for layer in range(config["num_hidden_layers"]):
        own = f"model.layers.{layer}"
        mlp = ([("ffn_gate_inp", "block_sparse_moe.gate")] if experts
               else [(f"ffn_{part}", f"mlp.{part}_proj") for part in ("gate", "up", "down")])
        for name, part in mlp + [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
                                 ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.o_proj")]:
            writer.add_tensor(f"blk.{layer}.{name}.weight", tensors[f"{own}.{part}.weight"])
        for part, heads in [("q", config["num_attention_heads"]), ("k", config["num_key_value_heads"])]:
            value = tensors[f"{own}.self_attn.{part}_proj.weight"]
            halves = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            writer.add_tensor(f"blk.{layer}.attn_{part}.weight", halves)
        for name, part in [("gate", "w1"), ("down", "w2"), ("up", "w3")] if experts else []:
            stacked = [tensors[f"{own}.block_sparse_moe.experts.{expert}.{part}.weight"] for expert in range(experts)]
            writer.add_tensor(f"blk.{layer}.ffn_{name}_exps.weight", np.stack(stacked))
    return writer, config["vocab_size"]


def decode(target, draft=None):
    """In a process of its own: ten tokens, whatever they are."""
    from llamacpp import LlamaCpp

    server = LlamaCpp(target, context=256, draft=draft, draft_length=3, threads=1)
    answer = server.complete([3, 5, 8, 13, 21], TOKENS, ignore_eos=True)
    print(json.dumps({"tokens": len(answer["tokens"]), "drafted": answer["timings"].get("draft_n", 0),
                      "accepted": answer["timings"].get("draft_n_accepted", 0)}), flush=True)
    # Now and then the server's own end takes forever.
    os._exit(0)


def decoded(target, *draft):
    """What a process of its own says of ten tokens, and the end of its errors if it ended by one."""
    run = subprocess.run([sys.executable, __file__, "--decode", target, *draft], capture_output=True, text=True)
    if run.returncode == 0:
        return json.loads(run.stdout.splitlines()[-1]), ""
    return {}, NO_LAYERS if NO_LAYERS in run.stderr else (run.stderr.splitlines() or ["no error output"])[-1]


def main():
    if sys.argv[1] == "--decode":
        return decode(*sys.argv[2:])
    trainer, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    check_table(trainer, "llama.cpp", SERVED)
    failed = []
    for name in sys.argv[3:] or sorted({name for names in (SERVED | NOT_SERVED).values() for name in names}):
        is_served = any(name in names for names in SERVED.values())
        own_folder = folder / name
        own_folder.mkdir(parents=True, exist_ok=True)
        target = own_folder / "target.gguf"
        own = write_target(name, target)
        fields = gguf.GGUFReader(target).fields
        architecture = fields["general.architecture"].contents()
        layers = fields[f"{architecture}.block_count"].contents()
        alone, error = decoded(target)
        if alone.get("tokens") != TOKENS:
            failed.append(f"{name} alone doesn't decode: {error}")
        for method in METHODS if is_served else ["eagle3"]:
            draft = own_folder / f"{method}-target"
            write_draft(trainer, own, method, layers, draft)
            run_trainer([trainer, "export", draft, "--to", "gguf", "--target-model-path", own, "--output", f"{draft}.gguf"])
            report, error = decoded(target, f"{draft}.gguf")
            decodes = report.get("tokens") == TOKENS and report["drafted"] > 0
            print(json.dumps({"target": name, "draft": method, "served": decodes, **report}), flush=True)
            if is_served and not decodes:
                failed.append(f"{method} for {name} isn't served: {error or report}")
            if not is_served and error != NO_LAYERS:
                failed.append(f"{method} for {name} should be refused for '{NO_LAYERS}': {error or report}")
    if failed:
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
