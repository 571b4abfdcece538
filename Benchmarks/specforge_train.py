#!/usr/bin/env python3
"""SpecForge 0.2.0's online EAGLE-3 training step on a CPU: target, draft, AdamW.

usage: specforge_train.py REPORT.json --target DIR --data SAMPLES.jsonl --threads N --max-length N

SAMPLES has a sample a line, as `Preprocess dump` prints them; each is a step. REPORT gets their tokens, the seconds
that the steps took, without the loading and without one more step before them to warm up, and the losses.
"""
import argparse
import collections
import json
import os
import pathlib
import time
import warnings


def vocabulary(samples, draft_size, size):
    """The draft's ids of the target's vocabulary, ascending: the most frequent, then unseen ones."""
    counts = collections.Counter(
        token for sample in samples for token, on in zip(sample["input_ids"], sample["loss_mask"]) if on)
    used = sorted(counts, key=lambda token: (-counts[token], token))[:draft_size]
    used += [token for token in range(size) if token not in counts][:draft_size - len(used)]
    return sorted(used)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--draft-vocab-size", type=int, default=32000)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--ttt-length", type=int, default=7)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    os.environ["TORCHDYNAMO_DISABLE"] = "1"  # compiling takes longer than it saves on a CPU
    warnings.filterwarnings("ignore")

    import torch
    import torch.distributed as dist
    from transformers import AutoModelForCausalLM, LlamaConfig
    import specforge.algorithms.eagle3.model as eagle3
    import specforge.core.loss as losses
    from specforge.modeling.draft.llama3_eagle import LlamaForCausalLMEagle3
    from specforge.utils import padding

    class EagerLoss:
        """SpecForge's loss without its Triton kernel, which needs a GPU."""

        apply = staticmethod(lambda logits, target, mask: losses._compute_loss(logits, target, mask))

    eagle3.LogSoftmaxLoss = EagerLoss
    torch.cuda.empty_cache = lambda: None
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    dtype = getattr(torch, options.dtype)
    samples = [json.loads(line) for line in options.data.open()]

    target = AutoModelForCausalLM.from_pretrained(options.target, dtype=dtype, attn_implementation="sdpa").eval()
    target.requires_grad_(False)
    theirs = target.config
    configuration = LlamaConfig(
        num_hidden_layers=1, tie_word_embeddings=False, pad_token_id=0,
        **{key: getattr(theirs, key) for key in (
            "vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
            "rms_norm_eps", "max_position_embeddings", "rope_theta")})
    configuration.draft_vocab_size = options.draft_vocab_size
    configuration.target_hidden_size = theirs.hidden_size
    draft = LlamaForCausalLMEagle3(configuration, attention_backend="sdpa").to(dtype)
    used = torch.tensor(vocabulary(samples, options.draft_vocab_size, theirs.vocab_size))
    with torch.no_grad():
        draft.embed_tokens.weight.copy_(target.get_input_embeddings().weight)
        draft.d2t.copy_(used - torch.arange(len(used)))
        draft.t2d.copy_(torch.zeros(theirs.vocab_size, dtype=torch.bool).index_fill(0, used, True))
    draft.embed_tokens.weight.requires_grad = False
    model = eagle3.OnlineEagle3Model(draft, length=options.ttt_length, attention_backend="sdpa")
    layers = theirs.num_hidden_layers
    captured = [1, layers // 2 - 1, layers - 4]

    parameters = [parameter for parameter in draft.parameters() if parameter.requires_grad]
    masters = [parameter.detach().clone().float().requires_grad_() for parameter in parameters]
    optimizer = torch.optim.AdamW(masters, lr=options.learning_rate, weight_decay=0.0)

    def step(sample):
        tokens, mask = (torch.tensor([sample[key][:options.max_length]]) for key in ("input_ids", "loss_mask"))
        with torch.no_grad():
            output = target(input_ids=tokens, output_hidden_states=True, use_cache=False)
            features = torch.cat([output.hidden_states[layer + 1] for layer in captured], -1)
        result = model(
            input_ids=padding(tokens, left=False), attention_mask=torch.ones_like(tokens),
            target=padding(output.logits, left=False), loss_mask=mask[..., None], hidden_states=features)
        sum(0.8 ** k * loss for k, loss in enumerate(result[0])).backward()
        for parameter, master in zip(parameters, masters):
            master.grad, parameter.grad = parameter.grad.float(), None
        torch.nn.utils.clip_grad_norm_(masters, 0.5)
        optimizer.step()
        with torch.no_grad():
            for parameter, master in zip(parameters, masters):
                parameter.copy_(master)
        return tokens.numel(), [float(loss.detach()) for loss in result[0]]

    step(samples[0])
    start = time.perf_counter()
    steps = [step(sample) for sample in samples]
    options.report.write_text(json.dumps(dict(
        tokens=sum(tokens for tokens, _ in steps), seconds=time.perf_counter() - start,
        losses=[loss for _, loss in steps])))


if __name__ == "__main__":
    main()
