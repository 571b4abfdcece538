#!/usr/bin/env bash
# Compares a published model's hidden states and logits with transformers' on real text: Trainer probe beside it.
#
# usage: scripts/compare_target.sh MODEL [--tokens 256] [--tp-size 1]    (a directory, or a GGUF file)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=venv.sh
source "$here/venv.sh"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release --product Trainer >&2 && programs=$root/.build/release; }
"$python" "$here/compare_target.py" "$programs" "$@"
