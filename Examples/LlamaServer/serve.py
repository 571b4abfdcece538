#!/usr/bin/env python3
"""llama.cpp's server with a draft, from PyPI, until it is interrupted: pip install xllamacpp

usage: serve.py MODEL.gguf DRAFT.gguf [PORT]     (default 8080)

The draft is what `Trainer export DRAFT --to gguf` wrote as METHOD-NAME.gguf. The same as
llama-server -m MODEL.gguf --model-draft DRAFT.gguf --spec-type draft-METHOD --port PORT --metrics
"""
import os
import signal
import sys

import xllamacpp

model, draft = sys.argv[1:3]
method = os.path.basename(draft).split("-")[0]

parameters = xllamacpp.CommonParams()
parameters.model.path = model
parameters.port = int(sys.argv[3]) if len(sys.argv) > 3 else 8080
parameters.n_ctx, parameters.n_parallel = 2048, 1
parameters.endpoint_metrics = True
speculative = parameters.speculative
speculative.types = [getattr(xllamacpp.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_DRAFT_{method.upper()}")]
speculative.draft.mparams.path = draft
speculative.draft.n_max = 3

server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
# Now and then the server's own end takes forever.
os._exit(0)
