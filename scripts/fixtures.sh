#!/usr/bin/env bash
# Makes the reference numbers in fixtures/ again, in a virtual environment with the versions they were made with.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=venv.sh
source "$here/venv.sh"
use_environment fixtures "$root/fixtures/generate/requirements.txt" specforge==0.2.0

for generator in tokenizer layers targets eagle3; do
    say "$generator"
    "$python" "$root/fixtures/generate/$generator.py"
done
git -C "$root" status --short fixtures
