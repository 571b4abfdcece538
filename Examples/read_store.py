#!/usr/bin/env python3
"""Reads a store that Preprocess built; Documentation/StoreFormat.md describes the format.

usage: read_store.py STORE.mdb [--sample N | --counts | --manifest | --mapping SIZE]

Without an option, writes every sample as a JSON object a line, as `Preprocess dump` does.
--mapping writes d2t and t2d of the draft vocabulary of SIZE tokens, the store's or else derived from its counts.
Needs the packages lmdb and zstandard: pip install lmdb zstandard
"""
import argparse
import json

import lmdb
import zstandard


FORMAT = 3


class Reader:
    """Integers and strings of a record's content."""

    def __init__(self, content):
        self.content, self.position = content, 0

    def varint(self):
        value = shift = 0
        while True:
            byte = self.content[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def varints(self, count):
        return [self.varint() for _ in range(count)]

    def mask(self, length):
        """Runs of zeros and ones by turns."""
        mask = []
        for run, tokens in enumerate(self.varints(self.varint())):
            mask += [run % 2] * tokens
        return mask

    def string(self):
        length = self.varint()
        self.position += length
        return self.content[self.position - length : self.position].decode("utf-8", "replace")


class Store:
    def __init__(self, path):
        self.environment = lmdb.open(path, subdir=False, readonly=True, lock=False)
        self.transaction = self.environment.begin(buffers=True)
        self.decompressor = zstandard.ZstdDecompressor()
        self.manifest = json.loads(self.content("manifest"))
        if self.manifest["format"] != FORMAT or self.manifest["state"] != "complete":
            raise SystemExit(f"{path}: is no whole store of format {FORMAT}")
        self.id_by_rank = self.read_ranks()
        self.groups = self.read_index()

    def content(self, key):
        return self.decompressor.decompress(self.transaction.get(key.encode()))

    def read_ranks(self):
        reader = Reader(self.content("ranks"))
        vocab_size = reader.varint()
        ranked = reader.varints(reader.varint())
        rest = sorted(set(range(vocab_size)) - set(ranked))
        return ranked + rest

    def read_index(self):
        """Of each group: block, offset in it, size, number of its first sample, lengths of its samples."""
        groups, block = [], 0
        while self.transaction.get(f"index/{block:010}".encode()) is not None:
            reader = Reader(self.content(f"index/{block:010}"))
            assert reader.varint() == block and reader.varint() == len(groups)
            sample, offset = reader.varint(), 0
            for _ in range(reader.varint()):
                size = reader.varint()
                lengths = reader.varints(reader.varint())
                groups.append((block, offset, size, sample, lengths))
                offset, sample = offset + size, sample + len(lengths)
            block += 1
        return groups

    def samples(self, number):
        """The samples of a group: id, token ids, loss mask and attention mask."""
        block, offset, size, first, lengths = self.groups[number]
        frame = self.transaction.get(f"block/{block:010}".encode())[offset : offset + size]
        reader = Reader(self.decompressor.decompress(frame))
        assert reader.varints(3) == [number, first, len(lengths)]
        heads = []
        for length in lengths:
            count, _bytes, _file, _line = reader.varints(4)
            assert count == length
            name = reader.string()
            loss, attention = reader.mask(length), reader.mask(length) or [1] * length
            assert len(loss) == len(attention) == length
            heads.append((name, loss, attention))
        for (name, loss, attention), length in zip(heads, lengths):
            yield name, [self.id_by_rank[rank] for rank in reader.varints(length)], loss, attention
        assert reader.position == len(reader.content)

    def counts(self):
        reader = Reader(self.content("counts"))
        return reader.varints(reader.varint())

    def mapping(self, size):
        """The target's ids of a draft vocabulary, ascending."""
        if size not in self.manifest["draft_vocab_sizes"]:
            return derive(self.counts(), (token["id"] for token in self.manifest["special_tokens"]), size)
        reader = Reader(self.content(f"mapping/{size:010}"))
        assert reader.varints(2) == [self.manifest["vocab_size"], size]
        ids, following = [], 0
        for skipped in reader.varints(size):
            ids.append(following + skipped)
            following = ids[-1] + 1
        return ids


def derive(counts, special_tokens, size):
    """The draft vocabulary that counts give: special tokens, then the most frequent ones, of equal ones the lowest id."""
    chosen = set(special_tokens)
    if not len(chosen) <= size <= len(counts):
        raise SystemExit(f"no draft vocabulary has {size} tokens: {len(chosen)} to {len(counts)}")
    for token in sorted(range(len(counts)), key=lambda token: (-counts[token], token)):
        if len(chosen) == size:
            break
        chosen.add(token)
    return sorted(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--manifest", action="store_true")
    parser.add_argument("--mapping", type=int, metavar="SIZE")
    options = parser.parse_args()
    store = Store(options.store)
    if options.manifest:
        print(json.dumps(store.manifest, indent=2, ensure_ascii=False))
        return
    if options.counts:
        print(json.dumps(store.counts()))
        return
    if options.mapping is not None:
        ids = store.mapping(options.mapping)
        chosen = set(ids)
        d2t = [token - draft for draft, token in enumerate(ids)]
        t2d = [int(token in chosen) for token in range(store.manifest["vocab_size"])]
        print(json.dumps({"d2t": d2t, "t2d": t2d}))
        return
    for group, (*_, first, lengths) in enumerate(store.groups):
        if options.sample is not None and not first <= options.sample < first + len(lengths):
            continue
        for number, (name, ids, loss, attention) in enumerate(store.samples(group), first):
            if options.sample in (None, number):
                sample = {"id": name, "input_ids": ids, "loss_mask": loss, "attention_mask": attention}
                print(json.dumps(sample, ensure_ascii=False))


if __name__ == "__main__":
    main()
