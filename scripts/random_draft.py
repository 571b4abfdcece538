"""Drafts of random weights, in the configuration that Trainer generates for a target."""
import json
import re
import struct
import subprocess
import sys

import numpy as np

METHODS = {"eagle3": "LlamaForCausalLMEagle3", "dflash": "DFlashDraftModel", "dspark": "Qwen3DSparkModel"}
DRAFT_VOCAB_SIZE = 64


def run_trainer(command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {run.stderr}")
    return run.stdout


def check_table(trainer, engine, families):
    """That these are the families that Trainer's help says the engine serves."""
    help = run_trainer([trainer, "train", "--help"])
    listed = set(re.search(rf"{re.escape(engine)} [\w.]+[^:]*: ([^;]*);", help)[1].split(", "))
    if listed != set(families):
        sys.exit(f"Trainer says that {engine} serves {sorted(listed)}, tested here are {sorted(families)}")


def write_draft(trainer, target, method, layers, folder, **changes):
    """A draft of random weights, by the configuration that training would generate, some of whose keys are changed.

    One whose draft_vocab_size is None has the whole vocabulary, and neither a head nor a mapping.
    """
    config = json.loads(run_trainer(
        [trainer, "config", "--target-model-path", target, "--draft-architecture", METHODS[method],
         "--draft-vocab-size", str(DRAFT_VOCAB_SIZE)])) | changes
    if method == "eagle3":
        # Three layers there are, whatever their number, of which none is the last.
        outputs = [0, (layers - 2) // 2, layers - 2]
        config["eagle_aux_hidden_state_layer_ids"] = [layer + 1 for layer in outputs]
        config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] = outputs
    random = np.random.default_rng(7)
    is_whole = config["draft_vocab_size"] is None
    if is_whole:
        del config["draft_vocab_size"]
    h, i, v = config["hidden_size"], config["intermediate_size"], config.get("draft_vocab_size", config["vocab_size"])
    q, kv = (config[f"num_{kind}_heads"] * config["head_dim"] for kind in ("attention", "key_value"))
    shapes = {"norm.weight": (h,)} | ({} if is_whole else {"lm_head.weight": (v, h)})
    features = 3 if method == "eagle3" else len(config["dflash_config"]["target_layer_ids"])
    shapes["fc.weight"] = (h, features * h)
    names = ["midlayer"] if method == "eagle3" else [f"layers.{n}" for n in range(config["num_hidden_layers"])]
    for layer in names:
        width = 2 * h if method == "eagle3" else h
        shapes |= {f"{layer}.self_attn.{part}_proj.weight": shape for part, shape in [
            ("q", (q, width)), ("k", (kv, width)), ("v", (kv, width)), ("o", (h, q))]}
        shapes |= {f"{layer}.mlp.{part}_proj.weight": shape for part, shape in [
            ("gate", (i, h)), ("up", (i, h)), ("down", (h, i))]}
        shapes |= {f"{layer}.{norm}.weight": (h,) for norm in ("input_layernorm", "post_attention_layernorm")}
        if method == "eagle3":
            shapes[f"{layer}.hidden_norm.weight"] = (h,)
        else:
            shapes |= {f"{layer}.self_attn.{part}_norm.weight": (config["head_dim"],) for part in "qk"}
    if method != "eagle3":
        shapes["hidden_norm.weight"] = (h,)
    if config.get("norm_before_fc"):
        shapes["input_norm.weight"] = (features * h,)
    if method == "dspark":
        rank = config["markov_rank"]
        shapes |= {"markov_head.markov_w1.weight": (config["vocab_size"], rank), "markov_head.markov_w2.weight": (v, rank),
                   "confidence_head.proj.weight": (1, h + rank), "confidence_head.proj.bias": (1,)}
    tensors = {name: (random.standard_normal(shape) * 0.1 + name.endswith("norm.weight")).astype(np.float32)
               for name, shape in shapes.items()}
    if not is_whole:
        ids = np.sort(random.permutation(config["vocab_size"])[:v])
        tensors["d2t"] = (ids - np.arange(v)).astype(np.int64)
        tensors["t2d"] = np.isin(np.arange(config["vocab_size"]), ids)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", tensors)


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + length:][start:end], np.float32)
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    kinds = {"float32": "F32", "int64": "I64", "bool": "BOOL"}
    header, offset = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": kinds[value.dtype.name], "shape": list(value.shape),
                        "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(value.tobytes() for value in tensors.values()))
