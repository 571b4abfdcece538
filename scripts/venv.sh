#!/usr/bin/env bash
# Sourced by what compares Eyrie with Python packages: setup.sh, and then `python` is that of a virtual environment with
# the packages of requirements.txt and SpecForge. Made once, and again when the list changes.

# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

requirements=$root/scripts/requirements.txt
environment=$state/environment

pip() { "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

if ! cmp -s "$requirements" "$environment/requirements.txt"; then
    say "Making a virtual environment: torch, transformers, SpecForge (2.5 GB, once)"
    rm -rf "$environment"
    "$python" -m venv "$environment" || fail "python3 can't make virtual environments: apt-get install python3-venv"
    # torch without CUDA where the index has it, before the others ask for torch.
    torch=torch==$(sed -n 's/^torch==//p' "$requirements")
    pip --no-deps "$torch+cpu" 2>/dev/null || pip "$torch"
    pip -r "$requirements"
    pip --no-deps specforge==0.2.0 # it asks for other versions of torch and transformers, and works with these
    cp "$requirements" "$environment/requirements.txt"
fi
python=$environment/bin/python
