"""Serves a GGUF file by llama.cpp from PyPI (xllamacpp) until standard input ends; prints its address.

usage: serve_llamacpp.py MODEL.gguf PORT [PARALLEL]
"""
import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.port = int(sys.argv[2])
parameters.n_parallel = int(sys.argv[3]) if len(sys.argv) > 3 else 4
parameters.n_ctx = 1024 * parameters.n_parallel
parameters.warmup = False
parameters.verbosity = -1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
