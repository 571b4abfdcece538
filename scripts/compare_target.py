#!/usr/bin/env python3
"""Compares what `Trainer probe` computes for a target with transformers, in float32, on real text.

usage: compare_target.py PROGRAMS MODEL [--tokens 256] [--tp-size 1]

MODEL is a Hugging Face directory with a tokenizer.json, or a GGUF file, whose weights are unpacked by ggml's Python
package and whose own vocabulary spells the text. Fails if a hidden state or the logits differ by more than 1e-4 of the
largest of them.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = pathlib.Path(__file__).parents[1]
TOLERANCE = 1e-4
MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}


def text():
    with open(ROOT / "fixtures/conversations/sharegpt_smollm2.jsonl") as rows:
        return " ".join(turn["value"] for row in rows for turn in json.loads(row)["conversations"])


def from_directory(path, count):
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(path / "tokenizer.json")).encode(text()[:20 * count]).ids
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager"), ids


def from_gguf(path, count):
    import gguf

    reader = gguf.GGUFReader(path)
    name = reader.fields["general.architecture"].contents()

    def value(key, default=None):
        field = reader.fields.get(f"{name}.{key}")
        return field.contents() if field else default

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    hidden, heads = value("embedding_length"), value("attention.head_count")
    head_dim = value("attention.key_length", hidden // heads)
    keys = dict(
        hidden_size=hidden, num_attention_heads=heads, head_dim=head_dim, intermediate_size=value("feed_forward_length"),
        num_hidden_layers=value("block_count"), num_key_value_heads=value("attention.head_count_kv"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"), rope_theta=value("rope.freq_base", 10000.0),
        vocab_size=int(tensors["token_embd.weight"].shape[-1]), max_position_embeddings=value("context_length"),
        tie_word_embeddings="output.weight" not in tensors)
    if name == "gemma3":
        keys |= dict(sliding_window=value("attention.sliding_window"), query_pre_attn_scalar=head_dim)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(MODEL_TYPES[name], **keys), dtype=torch.float32, attn_implementation="eager")
    names = gguf.get_tensor_name_map(
        next(arch for arch, known in gguf.MODEL_ARCH_NAMES.items() if known == name), keys["num_hidden_layers"])
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            tensor = tensors[names.get_name(parameter_name, (".weight", ".bias"))]
            numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(parameter.shape)
            if name == "llama" and parameter_name.split(".")[-2] in ("q_proj", "k_proj"):
                shape = (numbers.shape[0] // head_dim, head_dim // 2, 2, -1)
                numbers = numbers.reshape(shape).swapaxes(1, 2).reshape(parameter.shape)
            offset = 1 if name == "gemma3" and "norm" in parameter_name else 0
            parameter.copy_(torch.from_numpy(numbers.copy()) - offset)
    return model, spell(reader.fields["tokenizer.ggml.tokens"].contents(), count)


def spell(tokens, count):
    """The text in the longest tokens that there are, from left to right: real words, if not the tokenizer's own."""
    known = {token: index for index, token in enumerate(tokens)}
    rest, ids = text().replace(" ", "\u2581").replace("\u0120", ""), []
    while len(ids) < count:
        length = next((n for n in range(24, 0, -1) if rest[:n] in known), None)
        if length:
            ids.append(known[rest[:length]])
        rest = rest[length or 1:]
    return ids


def probe(arguments, ids):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "ids.json").write_text(json.dumps(ids))
        command = [] if arguments.tp_size == 1 else [
            "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(arguments.tp_size)]
        command += [
            arguments.programs / "Trainer", "probe", "--target-model-path", arguments.model, "--input-ids",
            scratch / "ids.json", "--output", scratch / "probe.safetensors", "--tp-size", str(arguments.tp_size)]
        subprocess.run([str(part) for part in command], check=True)
        return load_file(scratch / "probe.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--tp-size", type=int, default=1)
    arguments = parser.parse_args()
    read = from_gguf if arguments.model.suffix == ".gguf" else from_directory
    model, ids = read(arguments.model, arguments.tokens)
    ids = ids[:arguments.tokens]
    found = probe(arguments, ids)
    with torch.no_grad():
        output = model.eval()(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    expected = {f"hidden state {layer}": state[0] for layer, state in enumerate(output.hidden_states)}
    pairs = [(name, found["hidden_states"][layer], state) for layer, (name, state) in enumerate(expected.items())]
    pairs.append(("logits", found["logits"], output.logits[0]))
    distances = {name: ((one - other).abs().max() / other.abs().max()).item() for name, one, other in pairs}
    name, worst = max(distances.items(), key=lambda item: item[1])
    likeliest = (found["logits"].argmax(-1) == output.logits[0].argmax(-1)).float().mean().item()
    print(f"{arguments.model.name}, {len(ids)} tokens: at most {worst:.1e} of the largest ({name}), "
          f"logits {distances['logits']:.1e}, the same likeliest token after {likeliest:.1%}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
