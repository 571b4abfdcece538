/// A GGUF file, mapped into memory: metadata, tensors' descriptions, and their bytes; llama.cpp's format of models.
///
/// Every length, shape, type and offset is checked before any tensor is read.
public struct GGUFFile: Sendable {
    public let path: String
    /// The file itself, or all that it is split into.
    public let files: [String]
    public let metadata: [String: GGUFValue]
    /// Tensors by their names in the file, with shapes as safetensors have them: the last axis is that of neighbours.
    public let tensors: [String: StoredTensor]

    /// A tensor of factors that the rotation's frequencies are divided by: Llama 3.1's scaling, computed.
    public static let rotaryFactors = "rope_freqs.weight"

    private let file: MappedFile
    /// Where each entry of the metadata stands, in the file's order: its key, type and value.
    private let entries: [(key: String, range: Range<Int>)]

    private static let versions: ClosedRange<UInt32> = 2...3
    private static let defaultAlignment = 32

    /// Reads a file, or the first of those that a model is split into, with the others beside it.
    public init(_ path: String) throws {
        let first = try GGUFFile(part: path)
        let count = first.metadata["split.count"]?.int ?? 1
        guard count > 1 else {
            self = first
            return
        }
        guard 2...99_999 ~= count, let name = GGUFSplitName(path), name.count == count, name.number == 1 else {
            throw WeightsError(
                path,
                "is part of a model that is split into \(count) files; name the first, …-00001-of-…, with its name unchanged"
            )
        }
        var (files, tensors) = ([path], first.tensors)
        for number in 2...count {
            let part = try GGUFFile(part: name.path(number))
            files.append(part.path)
            try tensors.merge(part.tensors) { _, other in
                throw WeightsError(part.path, tensor: other.name, "is in another of the files too")
            }
        }
        if let all = first.metadata["split.tensors.count"]?.int, all != tensors.count {
            throw WeightsError(path, "says that its \(count) files have \(all) tensors, there are \(tensors.count)")
        }
        (self.path, self.files, metadata, self.tensors) = (path, files, first.metadata, tensors)
        (file, entries) = (first.file, first.entries)
    }

    private init(part path: String) throws {
        let file = try MappedFile(path)
        var reader = GGUFReader(file)
        self.path = path
        files = [path]
        guard try reader.bytes(4).elementsEqual("GGUF".utf8) else { throw WeightsError(path, "is no GGUF file") }
        let version = try reader.number(UInt32.self)
        guard Self.versions.contains(version) else {
            throw WeightsError(path, "is of GGUF version \(version), supported are 2 and 3")
        }
        let tensorCount = try reader.count(atLeast: 24)
        let valueCount = try reader.count(atLeast: 12)
        var metadata: [String: GGUFValue] = [:]
        var entries: [(key: String, range: Range<Int>)] = []
        for _ in 0..<valueCount {
            let begin = reader.offset
            let key = try reader.string()
            metadata[key] = try reader.value()
            entries.append((key, begin..<reader.offset))
        }
        self.metadata = metadata
        (self.file, self.entries) = (file, entries)
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

    /// The entries whose keys begin with a prefix, each as the file has it: to be copied into another one.
    ///
    /// - Parameter key: One that is left out.
    public func entries(prefix: String, except key: String? = nil) -> [[UInt8]] {
        withExtendedLifetime(file) {
            entries.filter { $0.key.hasPrefix(prefix) && $0.key != key }.map { Array(file.bytes[$0.range]) }
        }
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

/// The name of one of the files that a model is split into: PREFIX-00001-of-00003.gguf.
struct GGUFSplitName {
    private let prefix: String
    let number: Int
    let count: Int

    /// Nil if the name isn't one.
    init?(_ path: String) {
        guard let match = path.wholeMatch(of: #/(.*)-(\d{5})-of-(\d{5})\.gguf/#), let number = Int(match.2),
            let count = Int(match.3)
        else { return nil }
        (prefix, self.number, self.count) = (String(match.1), number, count)
    }

    /// The path of another one.
    func path(_ number: Int) -> String { "\(prefix)-\(Self.digits(number))-of-\(Self.digits(count)).gguf" }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }

    /// Whether it is another file of the same model.
    func isBeside(_ other: GGUFSplitName) -> Bool { prefix == other.prefix && count == other.count }
}

/// A GGUF file's description of one tensor.
private struct TensorInfo {
    let name: String
    let shape: [Int]
    let type: UInt32
    let offset: UInt64

    private static let plain: [UInt32: TensorType] = [0: .float32, 1: .float16, 27: .int64, 30: .bfloat16]
    private static let packed: [UInt32: BlockQuantization] = [
        2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 10: .q2_K, 11: .q3_K, 12: .q4_K, 13: .q5_K, 14: .q6_K,
        20: .iq4_NL, 23: .iq4_XS, 34: .tq1_0, 35: .tq2_0, 39: .mxfp4, 40: .nvfp4,
    ]
    /// Types that ggml has and this doesn't, so that an error can say which one it is.
    private static let others: [UInt32: String] = [
        4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 28: "F64", 29: "IQ1_M", 41: "Q1_0",
        42: "Q2_0",
    ]

    init(_ reader: inout GGUFReader) throws(WeightsError) {
        name = try reader.string()
        let dimensions = try reader.number(UInt32.self)
        guard 1...4 ~= dimensions else { throw reader.error("has a tensor '\(name)' of \(dimensions) dimensions") }
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
            let known = ["F32", "F16", "BF16", "I64"] + BlockQuantization.allCases.map(\.rawValue)
            let name = Self.others[type].map { " (\($0))" } ?? ""
            throw fail("is of ggml type \(type)\(name), supported are \(known.joined(separator: ", "))")
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
            packing: quantization)
    }
}
