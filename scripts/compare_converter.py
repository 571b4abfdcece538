#!/usr/bin/env python3
"""Drafts that Trainer exports to GGUF, beside what llama.cpp's own converter makes of the same directories: all tensors byte
for byte, and all metadata that says what is computed.

usage: compare_converter.py TRAINER LLAMA_CPP TARGET FOLDER

LLAMA_CPP has llama.cpp's convert_hf_to_gguf.py. Drafts have random weights, in each form that llama.cpp serves; its
converter takes DFlash drafts of the whole vocabulary alone. Prints a line for each file, and fails if one differs.
"""
import json
import pathlib
import subprocess
import sys

import numpy as np

from random_draft import write_draft

# A draft's form: its method, what is different in its configuration, and how its matrices are stored.
FORMS = {
    "eagle3": ("eagle3", {}, ["f32", "f16", "bf16", "q8_0"]),
    "eagle3-norm-before-residual": ("eagle3", {"norm_before_residual": True}, ["bf16"]),
    "eagle3-norm-before-fc": ("eagle3", {"norm_before_fc": True}, ["bf16"]),
    "dflash-whole": ("dflash", {"draft_vocab_size": None}, ["bf16"]),
    "dspark": ("dspark", {}, ["bf16"]),
}
# What a file is called, and what llama.cpp tells texts by, which it has none of in a draft's tokens.
IRRELEVANT = {
    "GGUF.kv_count", "general.name", "general.size_label", "general.basename", "general.finetune", "general.quantization_version",
    "tokenizer.chat_template", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.pre",
    "tokenizer.ggml.unknown_token_id"}
# What Trainer says of a draft besides, as llama.cpp takes it where a file has no word of it.
BESIDES = {"dflash.has_confidence_head", "dflash.sample_from_anchor", "dflash.rope.dimension_count", "dflash.vocab_size"}


def run(command):
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {finished.stderr[-2000:]}")


def differences(own, other):
    """What differs between two files."""
    metadata = [{name: field.contents() for name, field in file.fields.items() if name not in IRRELEVANT}
                for file in (own, other)]
    names = set(metadata[0]) | set(metadata[1])
    names -= BESIDES - set(metadata[1])
    result = [f"{name}: {str(metadata[0].get(name))[:60]}, the converter's is {str(metadata[1].get(name))[:60]}"
              for name in sorted(names) if metadata[0].get(name) != metadata[1].get(name)]
    tensors = [{tensor.name: tensor for tensor in file.tensors} for file in (own, other)]
    result += [f"tensor {name} is in one file alone" for name in sorted(set(tensors[0]) ^ set(tensors[1]))]
    for name in sorted(set(tensors[0]) & set(tensors[1])):
        a, b = tensors[0][name], tensors[1][name]
        if list(a.shape) != list(b.shape) or a.tensor_type != b.tensor_type:
            result.append(f"tensor {name} is {a.tensor_type.name} {list(a.shape)}, the converter's {b.tensor_type.name} {list(b.shape)}")
        elif not np.array_equal(a.data.view(np.uint8), b.data.view(np.uint8)):
            result.append(f"tensor {name} has other numbers")
    return result


def main():
    trainer, llama_cpp, target, folder = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    sys.path.insert(0, str(llama_cpp / "gguf-py"))
    import gguf

    layers = json.loads((target / "config.json").read_text())["num_hidden_layers"]
    failed = 0
    for form, (method, changes, types) in FORMS.items():
        draft = folder / form
        write_draft(trainer, target, method, layers, draft, **changes)
        for kind in types:
            own, other = folder / f"{form}-{kind}.gguf", folder / f"{form}-{kind}-converter.gguf"
            run([trainer, "export", draft, "--to", "gguf", "--target-model-path", target, "--outtype", kind, "--output", own])
            run([sys.executable, llama_cpp / "convert_hf_to_gguf.py", draft, "--target-model-dir", target, "--outtype", kind,
                 "--outfile", other])
            found = differences(gguf.GGUFReader(own), gguf.GGUFReader(other))
            count = len(gguf.GGUFReader(own).tensors)
            print(f"{form} {kind}: " + ("; ".join(found) if found else f"{count} tensors equal"), flush=True)
            failed += bool(found)
            own.unlink()
            other.unlink()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
