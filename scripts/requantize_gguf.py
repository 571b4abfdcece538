#!/usr/bin/env python3
"""A GGUF file whose matrices are stored in another type: for targets of one model in several packings.

usage: requantize_gguf.py IN.gguf OUT.gguf bf16|f16|q8_0

Metadata are copied; vectors stay float32. Needs numpy and gguf. OUT appears only when it is whole.
"""
import argparse
import pathlib

import gguf
from gguf import GGMLQuantizationType as Type

FILE_TYPES = {"bf16": (Type.BF16, gguf.LlamaFileType.MOSTLY_BF16), "f16": (Type.F16, gguf.LlamaFileType.MOSTLY_F16),
              "q8_0": (Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("type", choices=FILE_TYPES)
    options = parser.parse_args()
    kind, file_type = FILE_TYPES[options.type]
    reader = gguf.GGUFReader(options.source)
    aside = options.out.with_suffix(".partial")
    writer = gguf.GGUFWriter(aside, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        value = int(file_type) if field.name == "general.file_type" else field.contents()
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, field.types[0], sub_type=element)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        stored = kind if values.ndim > 1 else Type.F32
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    aside.rename(options.out)


if __name__ == "__main__":
    main()
