/// A GGUF file, mapped into memory: metadata, tensors' descriptions, and their bytes; llama.cpp's format of models.
///
/// Every length, shape, type and offset is checked before any tensor is read.
public struct GGUFFile: Sendable {
    public let path: String
    public let metadata: [String: GGUFValue]
    /// Tensors by their names in the file, with shapes as safetensors have them: the last axis is that of neighbours.
    public let tensors: [String: StoredTensor]

    private static let versions: ClosedRange<UInt32> = 2...3
    private static let defaultAlignment = 32

    public init(_ path: String) throws {
        let file = try MappedFile(path)
        var reader = GGUFReader(file)
        self.path = path
        guard try reader.bytes(4).elementsEqual("GGUF".utf8) else { throw WeightsError(path, "is no GGUF file") }
        let version = try reader.number(UInt32.self)
        guard Self.versions.contains(version) else {
            throw WeightsError(path, "is of GGUF version \(version), supported are 2 and 3")
        }
        let tensorCount = try reader.count(atLeast: 24)
        let valueCount = try reader.count(atLeast: 12)
        var metadata: [String: GGUFValue] = [:]
        for _ in 0..<valueCount {
            let key = try reader.string()
            metadata[key] = try reader.value()
        }
        self.metadata = metadata
        let infos = try (0..<tensorCount).map { _ in try TensorInfo(&reader) }
        let alignment = metadata["general.alignment"]?.int ?? Self.defaultAlignment
        guard 1...1 << 20 ~= alignment else {
            throw WeightsError(path, "has an alignment of \(alignment), should be 1 to \(1 << 20)")
        }
        let start = (reader.offset + alignment - 1) / alignment * alignment
        var tensors: [String: StoredTensor] = [:]
        for info in infos {
            let tensor = try info.tensor(in: file, from: start)
            guard tensors.updateValue(tensor, forKey: info.name) == nil else {
                throw WeightsError(path, tensor: info.name, "is there twice")
            }
        }
        self.tensors = tensors
    }

    /// The id of a special token: "bos", "eos", "padding".
    public func tokenID(_ name: String) -> Int? { metadata["tokenizer.ggml.\(name)_token_id"]?.int }

    /// The ids that end a text, a turn or a message, each once.
    public var endTokenIDs: [Int] {
        var ids: [Int] = []
        for id in ["eos", "eot", "eom"].compactMap(tokenID) where !ids.contains(id) { ids.append(id) }
        return ids
    }
}

/// A GGUF file's description of one tensor.
private struct TensorInfo {
    let name: String
    let shape: [Int]
    let type: UInt32
    let offset: UInt64

    private static let plain: [UInt32: TensorType] = [0: .float32, 1: .float16, 30: .bfloat16]
    private static let packed: [UInt32: BlockQuantization] = [
        2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 12: .q4_K, 13: .q5_K, 14: .q6_K,
    ]

    init(_ reader: inout GGUFReader) throws(WeightsError) {
        name = try reader.string()
        let dimensions = try reader.number(UInt32.self)
        guard dimensions <= 4 else { throw reader.error("has a tensor '\(name)' of \(dimensions) dimensions") }
        var shape: [Int] = []
        for _ in 0..<dimensions { shape.insert(try reader.size(), at: 0) }
        self.shape = shape
        type = try reader.number(UInt32.self)
        offset = try reader.number(UInt64.self)
    }

    func tensor(in file: MappedFile, from start: Int) throws(WeightsError) -> StoredTensor {
        let fail = { (message: String) in WeightsError(file.path, tensor: name, message) }
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product < 1 << 48 else { throw fail("has an impossible shape \(shape)") }
            count = product
        }
        let quantization = Self.packed[type]
        guard let stored = quantization == nil ? Self.plain[type] : .uint8 else {
            let known = ["F32", "F16", "BF16"] + BlockQuantization.allCases.map(\.rawValue)
            throw fail("is of ggml type \(type), supported are \(known.joined(separator: ", "))")
        }
        if let quantization, !(shape.last ?? 0).isMultiple(of: quantization.size) {
            throw fail(
                "of shape \(shape) doesn't divide into blocks of \(quantization.size), as \(quantization.rawValue)")
        }
        let byteCount = quantization.map { count / $0.size * $0.byteCount } ?? count * stored.byteCount
        guard let begin = Int(exactly: offset), begin <= file.bytes.count - start,
            byteCount <= file.bytes.count - start - begin
        else { throw fail("ends after the file's \(file.bytes.count) bytes: the file is truncated") }
        return StoredTensor(
            name: name, type: stored, shape: shape, file: file, range: start + begin..<start + begin + byteCount,
            quantization: quantization)
    }
}
