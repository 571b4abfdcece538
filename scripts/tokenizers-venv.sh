#!/usr/bin/env bash
# Sourced by what compares tokenizing with Python packages: setup.sh, and then `python` is that of a small virtual
# environment with the packages of requirements-tokenizers.txt. Made once, and anew when the list changes.

# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

requirements=$root/scripts/requirements-tokenizers.txt
environment=$state/tokenizers-environment

if ! cmp -s "$requirements" "$environment/requirements.txt"; then
    say "Making a virtual environment: tokenizers, quicktok (100 MB, once)"
    rm -rf "$environment"
    "$python" -m venv "$environment" || fail "python3 can't make virtual environments: apt-get install python3-venv"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$environment/requirements.txt"
fi
python=$environment/bin/python
