#!/usr/bin/env bash
# Drafts that Trainer exports to GGUF, beside what llama.cpp's own converter makes of the same directories
# (compare_converter.py). The converter is in the source package of PyPI's xllamacpp.
#
# usage: scripts/test-converter.sh     (three minutes on two cores; the first time it installs 1 GB)

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # tokenizers-venv.sh uses them
requirements=$here/requirements-transformers.txt size="1 GB"
# shellcheck source=tokenizers-venv.sh
source "$here/tokenizers-venv.sh"
[ -n "${programs:-}" ] || { swift build --package-path "$root" -c release >&2 && programs=$root/.build/release; }
target=$state/models/SmolLM2-135M-Instruct
scratch=$state/test-converter
package=$(grep '^xllamacpp==' "$here/requirements-engines.txt")
sources=$scratch/${package/==/-}
mkdir -p "$scratch"

"$python" "$here/get_smollm2.py" "$target" --downloads "$state/downloads" >&2
if [ ! -d "$sources" ]; then
    say "Fetching the sources of $package"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "${package%%=*}" "$package" \
        --dest "$scratch" >&2
    mkdir "$sources.part"
    tar -xzf "$sources.tar.gz" -C "$sources.part" --strip-components 1
    mv "$sources.part" "$sources"
fi
"$python" "$here/compare_converter.py" "$programs/Trainer" "$sources/thirdparty/llama.cpp" "$target" "$scratch"
