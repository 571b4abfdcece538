#!/usr/bin/env bash
# Sourced by what compares with Python packages. Sets up the machine as setup.sh does.

# shellcheck source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# use_environment NAME REQUIREMENTS PACKAGE...: makes `python` that of a virtual environment with the packages that the
# file REQUIREMENTS lists, and then the given ones without what they ask for. Kept, and made anew if the list changes.
use_environment() {
    local folder=$state/environments/$1 requirements=$2 torch
    shift 2
    if ! { cat "$requirements" && printf '%s\n' "$@"; } | cmp -s - "$folder/installed"; then
        say "Installing $(grep -v '^#' "$requirements" | xargs) $*"
        rm -rf "$folder"
        "$python" -m venv "$folder" || fail "python3-venv is missing: apt-get install python3-venv"
        python=$folder/bin/python
        # torch without CUDA, which PyPI doesn't have, before others ask for torch.
        torch=$(sed -n 's/^torch==//p' "$requirements")
        pip --no-deps "torch==$torch+cpu" 2>/dev/null ||
            pip --no-deps --index-url https://download.pytorch.org/whl/cpu "torch==$torch+cpu"
        pip -r "$requirements"
        [ $# -eq 0 ] || pip --no-deps "$@"
        { cat "$requirements" && printf '%s\n' "$@"; } >"$folder/installed"
    fi
    python=$folder/bin/python
}

pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }
