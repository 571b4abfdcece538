import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Directories of FP8, AWQ, GPTQ and compressed-tensors, written here by the formats' own formulas.
struct QuantizedDirectoryTests {
    /// A way to pack a matrix.
    enum Format: String, CaseIterable, CustomTestStringConvertible {
        case fp8Blocks, fp8Tensor, awq, gptq, gptqPermuted, gptq8, gptqV2, packed4, packed4Zeros, packed8, bytes, float8
        case bytesTensorZeros, bytesBlockZeros

        var testDescription: String { rawValue }

        var configuration: String {
            switch self {
            case .fp8Blocks: #"{"quant_method": "fp8", "weight_block_size": [16, 32]}"#
            case .fp8Tensor: #"{"quant_method": "fp8", "activation_scheme": "static"}"#
            case .awq: #"{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}"#
            case .gptq, .gptqPermuted: #"{"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true}"#
            case .gptq8: #"{"quant_method": "gptq", "bits": 8, "group_size": -1}"#
            case .gptqV2:
                #"{"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"}"#
            case .packed4: compressed("pack-quantized", #""num_bits": 4, "strategy": "group", "group_size": 32"#)
            case .packed4Zeros:
                compressed(
                    "pack-quantized", #""num_bits": 4, "strategy": "group", "group_size": 32, "symmetric": false"#)
            case .packed8: compressed("pack-quantized", #""num_bits": 8, "strategy": "channel""#)
            case .bytes: compressed("int-quantized", #""num_bits": 8, "strategy": "channel""#)
            case .bytesTensorZeros:
                compressed("int-quantized", #""num_bits": 8, "strategy": "tensor", "symmetric": false"#)
            case .bytesBlockZeros:
                compressed(
                    "int-quantized",
                    #""num_bits": 8, "strategy": "block", "block_structure": [16, 32], "symmetric": false"#)
            case .float8: compressed("float-quantized", #""num_bits": 8, "type": "float", "strategy": "channel""#)
            }
        }

        private func compressed(_ format: String, _ weights: String) -> String {
            #"{"quant_method": "compressed-tensors", "format": "\#(format)", "config_groups": {"group_0": "#
                + #"{"targets": ["Linear"], "weights": {\#(weights)}}}}"#
        }
    }

    private struct Stored {
        let name: String
        let type: TensorType
        let shape: [Int]
        let bytes: [UInt8]
    }

    private static func bytes<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

    /// Random codes of a matrix as the format stores them, and the numbers that they stand for.
    private static func pack(
        _ name: String, _ rows: Int, _ columns: Int, _ format: Format, _ random: inout RandomNumbers
    ) -> (tensors: [Stored], numbers: [Float]) {
        func scales(_ count: Int) -> [Float16] { (0..<count).map { _ in Float16(0.02 * (1.5 + random.uniform())) } }
        func codes(_ count: Int, _ bound: Int) -> [Int] { (0..<count).map { _ in random.below(bound) } }
        func words(_ count: Int, _ bits: Int, _ code: (_ word: Int, _ part: Int) -> Int) -> [UInt8] {
            bytes(
                (0..<count).map { word in
                    (0..<32 / bits).reduce(UInt32(0)) { $0 | UInt32(code(word, $1)) << UInt32($1 * bits) }
                })
        }
        let all = rows * columns
        switch format {
        case .fp8Blocks, .fp8Tensor, .float8:
            let values = codes(all, 0x7F).map { UInt8($0) }.map { random.below(2) == 0 ? $0 : $0 | 0x80 }
            let (high, wide) = format == .fp8Blocks ? (16, 32) : format == .fp8Tensor ? (rows, columns) : (1, columns)
            let shape = [(rows + high - 1) / high, (columns + wide - 1) / wide]
            let factors = scales(shape[0] * shape[1]).map { Float($0) / 64 }
            let numbers = (0..<all).map { index -> Float in
                let (row, column) = (index / columns, index % columns)
                let (code, scale) = (values[index], factors[row / high * shape[1] + column / wide])
                let (exponent, fraction) = (Int(code >> 3 & 15), Float(code & 7))
                let size =
                    exponent == 0
                    ? fraction / 512 : (1 + fraction / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
                return scale * (code < 0x80 ? size : -size)
            }
            let part = format == .fp8Blocks ? "weight_scale_inv" : "weight_scale"
            var tensors = [
                Stored(name: "\(name).weight", type: .float8, shape: [rows, columns], bytes: values),
                Stored(
                    name: "\(name).\(part)", type: .float32, shape: format == .fp8Tensor ? [] : shape,
                    bytes: bytes(factors)),
            ]
            if format == .fp8Tensor {
                tensors.append(Stored(name: "\(name).input_scale", type: .float32, shape: [], bytes: bytes([Float(1)])))
            }
            return (tensors, numbers)
        case .bytes, .bytesTensorZeros, .bytesBlockZeros:
            let (high, wide) =
                format == .bytes ? (1, columns) : format == .bytesTensorZeros ? (rows, columns) : (16, 32)
            let shape = [(rows + high - 1) / high, (columns + wide - 1) / wide]
            let count = shape[0] * shape[1]
            let (values, factors) = (codes(all, 255).map { Int8($0 - 127) }, scales(count))
            let zeros = (0..<count).map { _ in format == .bytes ? 0 : Int8(random.below(255) - 127) }
            var tensors = [
                Stored(name: "\(name).weight", type: .int8, shape: [rows, columns], bytes: bytes(values)),
                Stored(name: "\(name).weight_scale", type: .float16, shape: shape, bytes: bytes(factors)),
            ]
            if format != .bytes {
                tensors.append(
                    Stored(name: "\(name).weight_zero_point", type: .int8, shape: shape, bytes: bytes(zeros)))
            }
            return (
                tensors,
                (0..<all).map { index in
                    let group = index / columns / high * shape[1] + index % columns / wide
                    return Float(factors[group]) * Float(Int(values[index]) - Int(zeros[group]))
                }
            )
        case .packed4, .packed4Zeros, .packed8:
            let bits = format == .packed8 ? 8 : 4
            let size = format == .packed8 ? columns : 32
            let groups = columns / size
            let (values, factors) = (codes(all, 1 << bits), scales(rows * groups))
            let zeros =
                format == .packed4Zeros
                ? codes(rows * groups, 16) : [Int](repeating: 1 << (bits - 1), count: rows * groups)
            let perWord = 32 / bits
            var tensors = [
                Stored(
                    name: "\(name).weight_packed", type: .int32, shape: [rows, columns / perWord],
                    bytes: words(all / perWord, bits) { values[$0 * perWord + $1] }),
                Stored(
                    name: "\(name).weight_shape", type: .int64, shape: [2], bytes: bytes([Int64(rows), Int64(columns)])),
                Stored(name: "\(name).weight_scale", type: .float16, shape: [rows, groups], bytes: bytes(factors)),
            ]
            if format == .packed4Zeros {
                tensors.append(
                    Stored(
                        name: "\(name).weight_zero_point", type: .int32, shape: [rows / 8, groups],
                        bytes: words(rows / 8 * groups, 4) { zeros[($0 / groups * 8 + $1) * groups + $0 % groups] }))
            }
            return (
                tensors,
                (0..<all).map { index in
                    let group = index / columns * groups + index % columns / size
                    return Float(factors[group]) * Float(values[index] - zeros[group])
                }
            )
        case .awq, .gptq, .gptqPermuted, .gptq8, .gptqV2:
            let bits = format == .gptq8 ? 8 : 4
            let size = format == .gptq8 ? columns : 32
            let (groups, perWord) = (columns / size, 32 / bits)
            // By inputs: [columns, rows] and [groups, rows].
            let (values, factors) = (codes(all, 1 << bits), scales(rows * groups))
            let zeros = codes(rows * groups, 1 << bits)
            let added = format == .awq || format == .gptqV2 ? 0 : 1
            let own = (0..<columns).map { format == .gptqPermuted ? ($0 * 7 + 3) % groups : $0 / size }
            let numbers = (0..<all).map { index -> Float in
                let (row, column) = (index / columns, index % columns)
                let group = own[column] * rows + row
                return Float(factors[group]) * Float(values[column * rows + row] - zeros[group] - added)
            }
            let order = [0, 2, 4, 6, 1, 3, 5, 7]
            let across = rows / perWord
            var tensors = [
                Stored(name: "\(name).scales", type: .float16, shape: [groups, rows], bytes: bytes(factors)),
                Stored(
                    name: "\(name).qzeros", type: .int32, shape: [groups, across],
                    bytes: words(groups * across, bits) { word, part in
                        zeros[word / across * rows + word % across * perWord + (format == .awq ? order[part] : part)]
                    }),
            ]
            if format == .awq {
                tensors.append(
                    Stored(
                        name: "\(name).qweight", type: .int32, shape: [columns, across],
                        bytes: words(columns * across, 4) { word, part in
                            values[word / across * rows + word % across * 8 + order[part]]
                        }))
            } else {
                tensors += [
                    Stored(
                        name: "\(name).qweight", type: .int32, shape: [columns / perWord, rows],
                        bytes: words(columns / perWord * rows, bits) { word, part in
                            values[(word / rows * perWord + part) * rows + word % rows]
                        }),
                    Stored(name: "\(name).g_idx", type: .int32, shape: [columns], bytes: bytes(own.map { Int32($0) })),
                ]
            }
            return (tensors, numbers)
        }
    }

    private static func write(_ path: String, _ tensors: [Stored]) throws {
        var writer = try SafetensorsWriter(path, tensors.map { .init(name: $0.name, type: $0.type, shape: $0.shape) })
        for tensor in tensors { try writer.append(tensor.bytes) }
        try writer.finish()
    }

    private static func write(config: String, _ directory: String) throws {
        try writeFile("\(directory)/config.json", Array(config.utf8))
    }

    /// Whole, and of parts that begin and end within groups.
    @Test(arguments: Format.allCases) func matricesAreReadExactly(format: Format) throws {
        var random = RandomNumbers(seed: 3)
        let (tensors, numbers) = Self.pack("a.b", 48, 96, format, &random)
        try withTemporaryDirectory { directory in
            try Self.write("\(directory)/model.safetensors", tensors)
            try Self.write(config: #"{"quantization_config": \#(format.configuration)}"#, directory)
            let weights = try WeightDirectory(directory)
            #expect(weights.names == ["a.b.weight"])
            let tensor = try weights.tensor("a.b.weight")
            #expect(tensor.shape == [48, 96])
            #expect(try tensor.floats() == numbers)
            for columns in [0..<96, 32..<96, 32..<64] {
                guard let layout = tensor.format(columns: columns) else {
                    #expect(format == .gptqPermuted)
                    continue
                }
                let memory = FrozenWeights(.test)
                let weight = memory.packed([(3, layout)], columns: columns.count)
                try weight.read(tensor, rows: [5, 0, 47], columns: columns)
                for (index, row) in [5, 0, 47].enumerated() {
                    var found = [Float](repeating: 0, count: columns.count)
                    weight.copyRow(index, into: &found)
                    #expect(found == columns.map { numbers[row * 96 + $0] })
                }
            }
            #expect(tensor.format(columns: 8..<16) == nil)
        }
    }

    private static let sizes = (hidden: 64, intermediate: 96, vocabulary: 48, layers: 2)

    /// A Llama with all maps of its layers packed, or the same with what they stand for.
    private static func writeModel(_ directory: String, _ format: Format, isPacked: Bool) throws {
        var random = RandomNumbers(seed: 8)
        let (h, m) = (sizes.hidden, sizes.intermediate)
        var tensors: [Stored] = []
        func plain(_ name: String, _ shape: [Int]) {
            let values = (0..<shape.reduce(1, *)).map { _ in shape.count == 1 ? 1 : 0.1 * random.uniform() }
            tensors.append(Stored(name: name, type: .float32, shape: shape, bytes: bytes(values)))
        }
        plain("model.embed_tokens.weight", [sizes.vocabulary, h])
        plain("lm_head.weight", [sizes.vocabulary, h])
        plain("model.norm.weight", [h])
        for layer in 0..<sizes.layers {
            let name = "model.layers.\(layer)"
            plain("\(name).input_layernorm.weight", [h])
            plain("\(name).post_attention_layernorm.weight", [h])
            for (part, rows, columns) in [
                ("self_attn.q_proj", h, h), ("self_attn.k_proj", 32, h), ("self_attn.v_proj", 32, h),
                ("self_attn.o_proj", h, h), ("mlp.gate_proj", m, h), ("mlp.up_proj", m, h), ("mlp.down_proj", h, m),
            ] {
                let (packed, numbers) = pack("\(name).\(part)", rows, columns, format, &random)
                tensors +=
                    isPacked
                    ? packed
                    : [
                        Stored(
                            name: "\(name).\(part).weight", type: .float32, shape: [rows, columns],
                            bytes: bytes(numbers))
                    ]
            }
        }
        try write("\(directory)/model.safetensors", tensors)
        let quantization = isPacked ? #", "quantization_config": \#(format.configuration)"# : ""
        try write(
            config:
                #"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 64, "#
                + #""intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "#
                + #""vocab_size": 48, "rms_norm_eps": 1e-5, "max_position_embeddings": 128\#(quantization)}"#, directory
        )
    }

    private func logits(_ directory: String, _ communicator: any Communicator) throws -> [Float] {
        let target = try TargetModelRegistry.load(directory, communicator: communicator, positions: 24)
        return target.logits(of: (0..<24).map { Int32($0 * 5 % 48) })
    }

    @Test(arguments: Format.allCases, [1, 2, 3]) func targetsComputeWhatTheirNumbersDo(format: Format, tpSize: Int)
        throws
    {
        try withTemporaryDirectory { directory in
            let paths = try [false, true].map { isPacked in
                let path = "\(directory)/\(isPacked)"
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                try Self.writeModel(path, format, isPacked: isPacked)
                return path
            }
            _ = try ThreadCommunicator.run(tpSize) { communicator in
                expectClose(
                    try self.logits(paths[1], communicator), try self.logits(paths[0], communicator), tolerance: 2e-5,
                    "logits")
            }
        }
    }

    /// A scale that is no number, one too few of them, and one that isn't there.
    @Test(arguments: Format.allCases) func damageIsRefusedByName(format: Format) throws {
        var random = RandomNumbers(seed: 3)
        let (tensors, _) = Self.pack("a.b", 48, 96, format, &random)
        let name = try #require(tensors.first { $0.name.contains("scale") && !$0.name.contains("input") }).name
        try withTemporaryDirectory { directory in
            try Self.write(config: #"{"quantization_config": \#(format.configuration)}"#, directory)
            func expectError(_ changed: [Stored], _ words: String) throws {
                try Self.write("\(directory)/model.safetensors", changed)
                let error = #expect(throws: WeightsError.self) {
                    let tensor = try WeightDirectory(directory).tensor("a.b.weight")
                    try tensor.expectNumbers(row: 0, columns: 0..<96)
                }
                let text = error.map { "\($0)" } ?? ""
                #expect(text.contains(name) && text.contains(words), "\(text)")
            }
            try expectError(tensors.filter { $0.name != name }, "is missing")
            try expectError(
                tensors.map { tensor in
                    guard tensor.name == name else { return tensor }
                    let bytes = tensor.bytes.map { _ in UInt8(0xFF) }
                    return Stored(name: name, type: tensor.type, shape: tensor.shape, bytes: bytes)
                }, "no finite number")
            try expectError(
                tensors.map { tensor in
                    guard tensor.name == name else { return tensor }
                    return Stored(
                        name: name, type: tensor.type, shape: [7, 3],
                        bytes: [UInt8](repeating: 0, count: 21 * tensor.type.byteCount))
                }, "has shape [7, 3]")
        }
    }

    @Test(arguments: [
        (#"{"quant_method": "bitsandbytes"}"#, "supported are awq, compressed-tensors, fp8, gptq"),
        (#"{"quant_method": "awq", "bits": 4, "group_size": 0}"#, "should be -1 or at least 1"),
        (#"{"quant_method": "awq", "bits": 3, "group_size": 32}"#, "supported is 4"),
        (#"{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv"}"#, "supported is gemm"),
        (#"{"quant_method": "gptq", "bits": 2, "group_size": 32}"#, "supported are 4 and 8"),
        (#"{"quant_method": "fp8", "weight_block_size": [128]}"#, "should have 2"),
        (#"{"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}"#, "'nvfp4-pack-quantized'"),
    ])
    func whatIsNotReadIsNamed(configuration: String, words: String) throws {
        try withTemporaryDirectory { directory in
            try Self.write("\(directory)/model.safetensors", [])
            try Self.write(config: #"{"quantization_config": \#(configuration)}"#, directory)
            let error = #expect(throws: JSONError.self) { try WeightDirectory(directory) }
            let text = error.map { "\($0)" } ?? ""
            #expect(text.contains("config.json") && text.contains(words), "\(text)")
        }
    }

    /// Any byte of the file changed, or any length of it, is refused by the file's name or read within its bounds.
    @Test(arguments: Format.allCases) func damagedFilesAreErrorsOrNumbers(format: Format) throws {
        var random = RandomNumbers(seed: 17)
        let (tensors, _) = Self.pack("a.b", 48, 96, format, &random)
        try withTemporaryDirectory { directory in
            let path = "\(directory)/model.safetensors"
            try Self.write(config: #"{"quantization_config": \#(format.configuration)}"#, directory)
            try Self.write(path, tensors)
            let sound = try readFile(path)
            for _ in 0..<60 {
                var bytes = sound
                for _ in 0...random.below(2) {
                    bytes[random.below(min(600, bytes.count))] ^= UInt8(1 + random.below(255))
                }
                try writeFile(path, random.below(8) == 0 ? Array(bytes.prefix(random.below(bytes.count))) : bytes)
                guard let weights = try? WeightDirectory(directory) else { continue }
                for name in weights.names {
                    let tensor = try weights.tensor(name)
                    if tensor.isFloatingPoint { _ = try tensor.floats() }
                }
            }
        }
    }
}
