"""llama.cpp by the PyPI package xllamacpp: what it makes of texts with a GGUF file."""
import json
import urllib.request

import xllamacpp


class LlamaCpp:
    """A model that llama.cpp serves on this machine."""

    def __init__(self, model, context=512, draft=None, draft_length=3, threads=2, verbosity=-1):
        """The draft, if there is one, is an EAGLE-3 draft's GGUF file."""
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = context, 1, False
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = verbosity
        if draft:
            speculative = parameters.speculative
            speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_EAGLE3]
            speculative.draft.mparams.path = str(draft)
            speculative.draft.n_max, speculative.draft.n_min, speculative.draft.p_min = draft_length, 0, 0.0
            speculative.draft.cpuparams.n_threads = speculative.draft.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(parameters)

    def post(self, path, body):
        request = urllib.request.Request(
            f"{self.server.listening_address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def tokenize(self, text):
        """The ids of a text, special tokens in it found, none added."""
        return self.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    def complete(self, ids, count):
        """What follows ids by greedy decoding, and its timings."""
        return self.post("/completion", {
            "prompt": ids, "n_predict": count, "temperature": 0.0, "top_k": 1, "cache_prompt": False})

    def next_tokens(self, ids, count):
        """The most likely next tokens of ids and the logarithms of their probabilities, the likeliest first."""
        answer = self.post("/completion", {
            "prompt": ids, "n_predict": 1, "n_probs": count, "temperature": 0.0, "cache_prompt": False})
        return [(entry["id"], entry["logprob"]) for entry in answer["completion_probabilities"][0]["top_logprobs"]]
