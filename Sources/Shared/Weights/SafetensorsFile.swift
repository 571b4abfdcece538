/// A safetensors file, mapped into memory: an 8-byte header length, a header of JSON, and the tensors' bytes.
///
/// Every offset, length, shape and type of the header is checked before any tensor is read, so a damaged or hostile
/// file ends in a `WeightsError` that names it.
public struct SafetensorsFile: Sendable {
    public let path: String
    public let tensors: [String: StoredTensor]
    public let metadata: [String: String]

    private static let largestHeader = 100_000_000

    public init(_ path: String) throws {
        let file = try MappedFile(path)
        defer { withExtendedLifetime(file) {} }
        let fail = { (message: String) in WeightsError(path, message) }
        guard file.bytes.count >= 8 else { throw fail("is \(file.bytes.count) bytes long, too short for safetensors") }
        let length = file.bytes.loadUnaligned(as: UInt64.self)
        guard !file.bytes.starts(with: "version https://git-lfs".utf8) else {
            throw fail("is a pointer of Git LFS, not the file itself: git lfs pull fetches it")
        }
        guard length <= Self.largestHeader, Int(length) <= file.bytes.count - 8 else {
            throw fail(
                "claims a header of \(length) bytes in a file of \(file.bytes.count): truncated or no safetensors")
        }
        let start = 8 + Int(length)
        let header = try JSONFile(contents: Array(file.bytes[8..<start]), path: path)
        guard header.root.value.kind == .object else { throw fail("has a header that is no JSON object") }
        var tensors: [String: StoredTensor] = [:]
        var metadata: [String: String] = [:]
        for (name, node) in header.root.members {
            if name == "__metadata__" {
                for (key, value) in node.members { metadata[key] = try value.asString() }
                continue
            }
            let tensor = try Self.tensor(name, node, in: file, from: start)
            guard tensors.updateValue(tensor, forKey: name) == nil else {
                throw WeightsError(path, tensor: name, "is there twice")
            }
        }
        try Self.checkCoverage(tensors.values, of: file, from: start)
        self.path = path
        self.tensors = tensors
        self.metadata = metadata
    }

    /// The tensor of a name.
    /// - Throws: `WeightsError` that names the file and the tensor, if there is none.
    public func tensor(_ name: String) throws(WeightsError) -> StoredTensor {
        guard let tensor = tensors[name] else { throw WeightsError(path, tensor: name, "is missing") }
        return tensor
    }

    /// Checks that the tensors have all bytes after the header, each byte once, as the format asks.
    private static func checkCoverage(
        _ tensors: some Collection<StoredTensor>, of file: MappedFile, from start: Int
    ) throws(WeightsError) {
        var end = start
        let inOrder = tensors.sorted {
            ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name)
        }
        for tensor in inOrder {
            guard tensor.range.lowerBound == end else {
                let (found, expected) = (tensor.range.lowerBound - start, end - start)
                throw WeightsError(
                    file.path, tensor: tensor.name,
                    "begins at byte \(found), should begin at \(expected): "
                        + (found < expected ? "it overlaps the tensor before" : "no tensor has the bytes between"))
            }
            end = tensor.range.upperBound
        }
        guard end == file.bytes.count else {
            throw WeightsError(
                file.path,
                "has \(file.bytes.count - start) bytes after its header, should have \(end - start): "
                    + "no tensor has the rest")
        }
    }

    private static func tensor(
        _ name: String, _ node: JSONNode, in file: MappedFile, from start: Int
    ) throws -> StoredTensor {
        let fail = { (message: String) in WeightsError(file.path, tensor: name, message) }
        let typeName = try node.string("dtype")
        guard let type = TensorType(rawValue: typeName) else {
            let known = TensorType.allCases.map(\.rawValue).joined(separator: ", ")
            throw fail("is of type \(typeName), should be one of \(known)")
        }
        let shape = try node.required("shape").elements.map { element throws(JSONError) in try element.asInt() }
        let offsets = try node.required("data_offsets").elements.map { element throws(JSONError) in
            try element.asInt()
        }
        var byteCount = type.byteCount
        for size in shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { throw fail("has an impossible shape \(shape)") }
            byteCount = product
        }
        guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1] else {
            throw fail("has impossible offsets \(offsets)")
        }
        guard offsets[1] <= file.bytes.count - start else {
            throw fail("ends at byte \(offsets[1]) of \(file.bytes.count - start): the file is truncated")
        }
        guard offsets[1] - offsets[0] == byteCount else {
            throw fail(
                "of shape \(shape) and type \(typeName) has \(offsets[1] - offsets[0]) bytes, should have \(byteCount)")
        }
        return StoredTensor(
            name: name, type: type, shape: shape, file: file, range: start + offsets[0]..<start + offsets[1])
    }
}
