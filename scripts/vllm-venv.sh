#!/usr/bin/env bash
# Sourced by what runs vLLM on CPUs: setup.sh, and then `python` is that of a virtual environment with the packages of
# requirements-vllm.txt; `with_vllm` runs it with `openmp`, the library that vLLM asks for, if the environment has it.

# shellcheck disable=SC2034  # tokenizers-venv.sh uses them
requirements=$(dirname "${BASH_SOURCE[0]}")/requirements-vllm.txt size="3 GB"
# For pictures and sound; what PyPI has of them is built for another torch than vLLM's.
unwanted=(torchvision torchaudio torchcodec)
# shellcheck source=tokenizers-venv.sh
source "$(dirname "${BASH_SOURCE[0]}")/tokenizers-venv.sh"

openmp=$environment/lib/libiomp5.so
[ -f "$openmp" ] || openmp=

with_vllm() { LD_PRELOAD=$openmp "$python" "$@"; }
