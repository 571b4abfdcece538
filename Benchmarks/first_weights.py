#!/usr/bin/env python3
"""Gives a draft other first weights, some of them those of its target.

usage: first_weights.py DRAFT TARGET OUT CHANGE...

DRAFT is a checkpoint whose weights are random, TARGET a Llama; OUT is what `Trainer train --ckpt-dir` begins with.
"""
import argparse
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file

LAYER = "midlayer"


class Weights:
    """A draft's weights, and those of its target to take from."""

    def __init__(self, draft, target):
        self.draft = load_file(draft / "model.safetensors")
        self.target = load_file(target / "model.safetensors")
        self.hidden = self.target["model.norm.weight"].numel()
        layers = {int(name.split(".")[2]) for name in self.target if name.startswith("model.layers.")}
        self.last = max(layers)

    def take(self, name, layer, source=None, columns=slice(None)):
        """Some columns of a weight of the draft's layer become a weight of a layer of the target."""
        weight = self.target[f"model.layers.{layer}.{source or name}.weight"].float()
        self.draft[f"{LAYER}.{name}.weight"][..., columns] = weight

    def attention(self, layer, columns):
        for name in ("q_proj", "k_proj", "v_proj"):
            self.take(f"self_attn.{name}", layer, columns=columns)

    # Changes, by the names that the command line has.

    def head(self):
        """lm_head, four times as large."""
        self.draft["lm_head.weight"] *= 4

    def mlp(self):
        """The MLP and its norm: the last layer's."""
        for name in ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "post_attention_layernorm"):
            self.take(name, self.last)

    def last_attention(self):
        """Attention on the hidden state, which is the second half of the layer's input: the last layer's."""
        self.attention(self.last, slice(self.hidden, None))
        self.take("self_attn.o_proj", self.last)
        self.take("hidden_norm", self.last, source="input_layernorm")

    def first_attention(self):
        """Attention on the embedding, the first half of the layer's input: the first layer's."""
        self.attention(0, slice(self.hidden))
        self.take("input_layernorm", 0)

    def highest_feature(self):
        """fc: the highest of the three features as it is, and a tenth of the random numbers on all."""
        fc = self.draft["fc.weight"]
        fc *= 0.1
        fc[:, -self.hidden:] += torch.eye(self.hidden)


CHANGES = {name.replace("_", "-"): getattr(Weights, name)
           for name in ("head", "mlp", "last_attention", "first_attention", "highest_feature")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("draft", "target", "out"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("changes", nargs="+", choices=CHANGES)
    arguments = parser.parse_args()
    weights = Weights(arguments.draft, arguments.target)
    for name in arguments.changes:
        CHANGES[name](weights)
    arguments.out.mkdir(parents=True)
    save_file(weights.draft, arguments.out / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(arguments.draft / "config.json", arguments.out)


if __name__ == "__main__":
    main()
