#!/usr/bin/env python3
"""Reads a store that Preprocess built; Documentation/StoreFormat.md describes the format.

usage: read_store.py STORE.mdb [--sample N | --counts | --manifest]

Without an option, writes every sample as a JSON object a line, as `Preprocess dump` does.
Needs the packages lmdb and zstandard: pip install lmdb zstandard
"""
import argparse
import json

import lmdb
import zstandard


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
        """The samples of a group: id, token ids and loss mask."""
        block, offset, size, first, lengths = self.groups[number]
        frame = self.transaction.get(f"block/{block:010}".encode())[offset : offset + size]
        reader = Reader(self.decompressor.decompress(frame))
        assert reader.varints(3) == [number, first, len(lengths)]
        heads = []
        for length in lengths:
            count, _bytes, _file, _line = reader.varints(4)
            assert count == length
            name = reader.string()
            mask = []
            for run, tokens in enumerate(reader.varints(reader.varint())):
                mask += [run % 2] * tokens
            assert len(mask) == length
            heads.append((name, mask))
        for (name, mask), length in zip(heads, lengths):
            yield name, [self.id_by_rank[rank] for rank in reader.varints(length)], mask
        assert reader.position == len(reader.content)

    def counts(self):
        reader = Reader(self.content("counts"))
        return reader.varints(reader.varint())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--manifest", action="store_true")
    options = parser.parse_args()
    store = Store(options.store)
    if options.manifest:
        print(json.dumps(store.manifest, indent=2, ensure_ascii=False))
        return
    if options.counts:
        print(json.dumps(store.counts()))
        return
    for group, (*_, first, lengths) in enumerate(store.groups):
        if options.sample is not None and not first <= options.sample < first + len(lengths):
            continue
        for number, (name, ids, mask) in enumerate(store.samples(group), first):
            if options.sample in (None, number):
                sample = {"id": name, "input_ids": ids, "loss_mask": mask, "attention_mask": [1] * len(ids)}
                print(json.dumps(sample, ensure_ascii=False))


if __name__ == "__main__":
    main()
