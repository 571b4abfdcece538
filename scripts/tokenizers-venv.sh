#!/usr/bin/env bash
# Sourced by what compares with small Python packages: setup.sh, and then `python` is that of a virtual environment with
# the packages of `requirements` (default: requirements-tokenizers.txt), without the `unwanted` ones that these ask for.
# Made once, and again when the list changes.

# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

requirements=${requirements:-$root/scripts/requirements-tokenizers.txt}
name=${requirements##*/requirements-}
[ -n "${unwanted+set}" ] || unwanted=()
environment=$state/${name%.txt}-environment

if ! cmp -s "$requirements" "$environment/requirements.txt"; then
    say "Making a virtual environment: $(sed -n 's/==.*//p' "$requirements" | paste -sd ' ') (${size:-100 MB}, once)"
    rm -rf "$environment"
    "$python" -m venv "$environment" || fail "python3 can't make virtual environments: apt-get install python3-venv"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    [ ${#unwanted[@]} -eq 0 ] || "$environment/bin/python" -m pip uninstall --quiet --yes "${unwanted[@]}"
    cp "$requirements" "$environment/requirements.txt"
fi
python=$environment/bin/python
