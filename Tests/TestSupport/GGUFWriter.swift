import Foundation
import Shared

/// Writes GGUF files of metadata, for tests of what reads them.
public enum GGUFWriter {
    /// A file of version 3.
    ///
    /// - Parameters:
    ///   - tensors: Names and shapes of tensors of float32; a multiple of 8 elements each.
    ///   - numbers: What is in them; zeros if nil.
    public static func write(
        _ path: String, _ metadata: [(String, GGUFValue)], tensors: [(name: String, shape: [Int])] = [],
        numbers: ((_ name: String) throws -> [Float])? = nil
    ) throws {
        var bytes = Array("GGUF".utf8)
        append(UInt32(3), to: &bytes)
        append(UInt64(tensors.count), to: &bytes)
        append(UInt64(metadata.count), to: &bytes)
        for (key, value) in metadata {
            append(key, to: &bytes)
            append(type(of: value), to: &bytes)
            append(value, to: &bytes)
        }
        var size = 0
        for (name, shape) in tensors {
            append(name, to: &bytes)
            append(UInt32(shape.count), to: &bytes)
            for length in shape.reversed() { append(UInt64(length), to: &bytes) }
            append(UInt32(0), to: &bytes)
            append(UInt64(size), to: &bytes)
            size += 4 * shape.reduce(1, *)
        }
        if size > 0 {
            bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
            for (name, shape) in tensors {
                let values = try numbers?(name) ?? [Float](repeating: 0, count: shape.reduce(1, *))
                values.withUnsafeBytes { bytes += $0 }
            }
        }
        try Data(bytes).write(to: URL(filePath: path))
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
