import Shared

extension GGUFWriter {
    /// A file of metadata, for tests of what reads it: numbers are of 64 bits, whatever llama.cpp would have.
    ///
    /// - Parameters:
    ///   - tensors: Names and shapes of tensors of float32; a multiple of 8 elements each.
    ///   - numbers: What is in them; zeros if nil.
    public static func write(
        _ path: String, _ metadata: [(String, GGUFValue)], tensors: [(name: String, shape: [Int])] = [],
        numbers: ((_ name: String) throws -> [Float])? = nil
    ) throws {
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
