import Shared

extension GGUFWriter {
    /// A file of metadata, for tests of what reads it: numbers are of 64 bits, whatever llama.cpp would have.
    ///
    /// - Parameters:
    ///   - tensors: Names and shapes of tensors of float32; a multiple of 8 elements each.
    ///   - packed: ggml's type and the bytes of those among them that are packed.
    ///   - numbers: What is in the others; zeros if nil.
    public static func write(
        _ path: String, _ metadata: [(String, GGUFValue)], tensors: [(name: String, shape: [Int])] = [],
        packed: [String: (type: UInt32, bytes: [UInt8])] = [:],
        numbers: ((_ name: String) throws -> [Float])? = nil
    ) throws {
        if !packed.isEmpty { return try write(path, metadata, tensors, packed, numbers) }
        var head = GGUFMetadata()
        for (key, value) in metadata { head.append(copied: [entry(key, value)]) }
        let entries = tensors.map { Entry(name: $0.name, format: .float32, shape: $0.shape) }
        var writer = try GGUFWriter(path, head, entries)
        for entry in entries {
            let values = try numbers?(entry.name) ?? [Float](repeating: 0, count: entry.shape.reduce(1, *))
            try writer.append(stored: values.withUnsafeBytes { Array($0) })
        }
        try writer.finish()
    }

    /// A file with packed tensors, which the programs don't write themselves.
    private static func write(
        _ path: String, _ metadata: [(String, GGUFValue)], _ tensors: [(name: String, shape: [Int])],
        _ packed: [String: (type: UInt32, bytes: [UInt8])], _ numbers: ((_ name: String) throws -> [Float])?
    ) throws {
        var head = Array("GGUF".utf8)
        append(UInt32(3), to: &head)
        append(UInt64(tensors.count), to: &head)
        append(UInt64(metadata.count), to: &head)
        for (key, value) in metadata { head += entry(key, value) }
        var data: [UInt8] = []
        for (name, shape) in tensors {
            append(name, to: &head)
            append(UInt32(shape.count), to: &head)
            for length in shape.reversed() { append(UInt64(length), to: &head) }
            append(packed[name]?.type ?? 0, to: &head)
            append(UInt64(data.count), to: &head)
            let zeros = [Float](repeating: 0, count: packed[name] == nil ? shape.reduce(1, *) : 0)
            let plain = packed[name] == nil ? try numbers?(name) ?? zeros : zeros
            data += packed[name]?.bytes ?? plain.withUnsafeBytes { Array($0) }
        }
        head += [UInt8](repeating: 0, count: (32 - head.count % 32) % 32)
        try writeFile(path, head + data)
    }

    private static func entry(_ key: String, _ value: GGUFValue) -> [UInt8] {
        var bytes: [UInt8] = []
        append(key, to: &bytes)
        append(type(of: value), to: &bytes)
        append(value, to: &bytes)
        return bytes
    }

    private static func type(of value: GGUFValue) -> UInt32 {
        switch value {
        case .int: 11
        case .double: 12
        case .bool: 7
        case .string: 8
        case .array: 9
        }
    }

    private static func append(_ value: GGUFValue, to bytes: inout [UInt8]) {
        switch value {
        case .int(let number): append(Int64(number), to: &bytes)
        case .double(let number): append(number.bitPattern, to: &bytes)
        case .bool(let flag): bytes.append(flag ? 1 : 0)
        case .string(let text): append(text, to: &bytes)
        case .array(let elements):
            append(elements.first.map(type) ?? 8, to: &bytes)
            append(UInt64(elements.count), to: &bytes)
            for element in elements { append(element, to: &bytes) }
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        append(UInt64(text.utf8.count), to: &bytes)
        bytes += Array(text.utf8)
    }

    private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }
}
