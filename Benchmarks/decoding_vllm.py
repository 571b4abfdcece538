#!/usr/bin/env python3
"""How fast vLLM decodes the prompts that Trainer evaluate --samples-output wrote, one at a time, without a draft and with
LENGTH tokens drafted, in a table.

usage: decoding_vllm.py TARGET DRAFT SAMPLES.jsonl ROUNDS LENGTH...

Each length has a process of its own, and each prompt is decoded by all of them, one after the other: what else the machine
does meets all alike. Standard errors are of the prompts' own ratios.
"""
import atexit
import json
import math
import signal
import statistics
import subprocess
import sys
import time


class Server:
    """A process that decodes with a number of drafted tokens."""

    def __init__(self, target, draft, samples, length):
        self.length, self.tokens, self.seconds, self.verifications = length, [], [], 0
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--decode", target, draft, samples, str(length)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.read()
        self.pause()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"vLLM with {self.length} drafted tokens ended by itself")

    def pause(self):
        """Its threads would wait for work by spinning, at the cost of the other processes."""
        self.process.send_signal(signal.SIGSTOP)

    def decode(self, sample):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{sample}\n")
        self.process.stdin.flush()
        answer = self.read()
        self.pause()
        self.tokens.append(answer["tokens"])
        self.seconds.append(answer["seconds"])
        self.verifications += answer["verifications"]

    @property
    def rate(self):
        return sum(self.tokens) / sum(self.seconds)

    @property
    def accepted(self):
        return sum(self.tokens) / self.verifications - 1


def decode(target, draft, samples, length):
    """In a process of its own: a line for each number of a sample that it reads."""
    from vllm_cpu import Decoding, load

    samples, length = [json.loads(line) for line in open(samples)], int(length)
    decoding = Decoding(load(target, draft if length else None, length, sequences=1))

    def timed(sample):
        # As many as Trainer decoded; of the first neither counts the time, nor the token.
        times = []
        steps, = decoding.run([(sample["prompt_ids"], sample["tokens"])], lambda _: times.append(time.perf_counter()),
                              ignore_eos=True)
        return {"tokens": sum(len(step.token_ids) for step in steps[1:]), "seconds": times[-1] - times[0],
                "verifications": len(steps) - 1}

    print(json.dumps(timed(samples[0])), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(samples[int(line)])), flush=True)


def main():
    if sys.argv[1] == "--decode":
        return decode(*sys.argv[2:])
    target, draft, samples, rounds, *lengths = sys.argv[1:]
    servers = [Server(target, draft, samples, length) for length in [0] + [int(length) for length in lengths]]
    for _ in range(int(rounds)):
        for sample in range(sum(1 for _ in open(samples))):
            for server in servers:
                server.decode(sample)
    plain = servers[0]
    print(f"{'drafted':>8} {'accepted':>9} {'tokens/s':>9} {'ratio':>7} {'error':>7}")
    for server in servers:
        ratios = [math.log(a / b) for a, b in zip(plain.seconds, server.seconds)]
        error = statistics.stdev(ratios) / math.sqrt(len(ratios)) if server is not plain else 0
        print(f"{server.length or 'none':>8} {server.accepted:9.3f} {server.rate:9.1f} {server.rate / plain.rate:7.3f} "
              f"{error:7.3f}")


if __name__ == "__main__":
    main()
