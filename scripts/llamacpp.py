"""llama.cpp by the PyPI package xllamacpp: what it makes of texts with a GGUF file."""
import json
import os
import re
import sys
import tempfile
import urllib.error
import urllib.request

import xllamacpp


class LlamaCpp:
    """A model that llama.cpp serves on this machine."""

    def __init__(self, model, context=512, draft=None, draft_length=3, threads=2, verbosity=-1):
        """The draft, if there is one, is the GGUF file of one; METHOD-….gguf says its method."""
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = context, 1, False
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = verbosity
        if draft:
            method = os.path.basename(draft).split("-")[0].upper()
            speculative = parameters.speculative
            speculative.types = [
                getattr(xllamacpp.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_DRAFT_{method}")]
            speculative.draft.mparams.path = str(draft)
            speculative.draft.n_max, speculative.draft.n_min, speculative.draft.p_min = draft_length, 0, 0.0
            speculative.draft.cpuparams.n_threads = speculative.draft.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(parameters)

    def post(self, path, body):
        request = urllib.request.Request(
            f"{self.server.listening_address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"llama.cpp answers {path} with {error.code}: {error.read().decode(errors='replace')}")

    def tokenize(self, text):
        """The ids of a text, special tokens in it found, none added."""
        return self.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    def complete(self, ids, count, **options):
        """What follows ids by greedy decoding, as text and as tokens, and its timings."""
        return self.post("/completion", {
            "prompt": ids, "n_predict": count, "temperature": 0.0, "top_k": 1, "cache_prompt": False,
            "return_tokens": True, **options})

    def next_tokens(self, ids, count):
        """The most likely next tokens of ids and the logarithms of their probabilities, the likeliest first.

        None where the likeliest ends within a character: llama.cpp gives probabilities of whole characters alone.
        """
        # With cached prompts a server with a draft fails at times to process its speculative batch.
        answer = self.post("/completion", {
            "prompt": ids, "n_predict": 1, "n_probs": count, "temperature": 0.0, "cache_prompt": False})
        likeliest = [entry for token in answer.get("completion_probabilities", []) for entry in token["top_logprobs"]]
        return [(entry["id"], entry["logprob"]) for entry in likeliest]


class VerificationLog:
    """What llama.cpp logs while this is entered, of servers with `VerificationLog.VERBOSITY`: what each verification
    accepted is logged there alone."""

    VERBOSITY = 3

    def __enter__(self):
        # llama.cpp looks for it when it loads a model.
        os.environ["LLAMA_TRACE"] = "1"
        self.file = tempfile.TemporaryFile("w+", errors="replace")
        self.stderr = os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, *_):
        sys.stderr.flush()
        os.dup2(self.stderr, 2)
        os.close(self.stderr)
        del os.environ["LLAMA_TRACE"]
        self.file.seek(0)
        self.text = self.file.read()

    def verifications(self):
        """How many tokens each verification accepted, a list for each answer, in their order.

        A last token that was decoded alone isn't among them, and what was accepted beyond an answer's end is.
        """
        by_task = {task: [] for task in re.findall(r"task (\d+) \| processing task", self.text)}
        for task, accepted in re.findall(r"task (\d+) \| accepted +(\d+)/ *\d+ draft tokens", self.text):
            by_task[task].append(int(accepted))
        return list(by_task.values())


class DraftedLlamaCpp:
    """llama.cpp with a draft: what compare_engines.py asks of an engine. What is logged while this is entered isn't seen."""

    name = "llama.cpp"
    # The last token of a limit is decoded without a draft.
    drafts_for_last = False

    def __init__(self, target, draft, draft_length, threads):
        self.options = {"draft": draft, "draft_length": draft_length, "threads": threads}
        self.target = target

    def __enter__(self):
        self.log = VerificationLog().__enter__()
        self.server = LlamaCpp(self.target, context=2048, verbosity=VerificationLog.VERBOSITY, **self.options)
        return self

    def __exit__(self, *error):
        # Its lines come after those of all answers, which so have reached the file.
        if error == (None, None, None):
            self.server.complete([1], 8)
        self.log.__exit__(*error)

    def complete(self, requests):
        """The tokens that follow each list of ids, at most its count, of (ids, count)."""
        return [self.server.complete(ids, count)["tokens"] for ids, count in requests]

    def next_tokens(self, prompts):
        """The most likely next tokens of each list of ids, and the logarithms of their probabilities."""
        return [dict(self.server.next_tokens(ids, 10)) for ids in prompts]

    def verifications(self):
        """How many tokens each verification accepted, a list for each that was completed; after the end."""
        return self.log.verifications()
