#!/usr/bin/env bash
# Makes the reference numbers in fixtures/ again, with the versions that scripts/requirements.txt lists.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=venv.sh
source "$here/venv.sh"

for generator in tokenizer small_tokenizers normalization patterns jinja layers targets gguf_files eagle3; do
    say "$generator"
    "$python" "$root/fixtures/generate/$generator.py"
done
git -C "$root" status --short fixtures
