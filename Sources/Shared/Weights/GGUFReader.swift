/// A value of a GGUF file's metadata.
public enum GGUFValue: Sendable {
    case int(Int)
    case double(Double)
    case bool(Bool)
    case string(String)
    case array([GGUFValue])

    public var int: Int? { if case .int(let value) = self { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [GGUFValue]? { if case .array(let value) = self { value } else { nil } }
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}

/// Reads the head of a GGUF file from its beginning, never past its end.
struct GGUFReader {
    private let file: MappedFile
    private(set) var offset = 0

    init(_ file: MappedFile) { self.file = file }

    func error(_ message: String) -> WeightsError { WeightsError(file.path, message) }

    mutating func bytes(_ count: Int) throws(WeightsError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= file.bytes.count - offset else {
            throw error("ends within its head: it is truncated, or damaged at byte \(offset)")
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + count])
    }

    mutating func number<Number: BitwiseCopyable>(_ type: Number.Type) throws(WeightsError) -> Number {
        try bytes(MemoryLayout<Number>.size).loadUnaligned(as: type)
    }

    /// A 64-bit number of things.
    mutating func size() throws(WeightsError) -> Int {
        let value = try number(UInt64.self)
        guard let size = Int(exactly: value) else { throw error("has a size of \(value) at byte \(offset - 8)") }
        return size
    }

    /// The count of things that have at least a number of bytes each.
    mutating func count(atLeast bytes: Int) throws(WeightsError) -> Int {
        let count = try size()
        guard count <= (file.bytes.count - offset) / bytes else {
            throw error("claims \(count) entries at byte \(offset - 8): it is truncated or damaged")
        }
        return count
    }

    mutating func string() throws(WeightsError) -> String {
        String(decoding: try bytes(try size()), as: UTF8.self)
    }

    mutating func value() throws(WeightsError) -> GGUFValue { try value(of: try number(UInt32.self), depth: 0) }

    private mutating func value(of type: UInt32, depth: Int) throws(WeightsError) -> GGUFValue {
        switch type {
        case 0: return .int(Int(try number(UInt8.self)))
        case 1: return .int(Int(try number(Int8.self)))
        case 2: return .int(Int(try number(UInt16.self)))
        case 3: return .int(Int(try number(Int16.self)))
        case 4: return .int(Int(try number(UInt32.self)))
        case 5: return .int(Int(try number(Int32.self)))
        case 6: return .double(Double(try number(Float.self)))
        case 7: return .bool(try number(UInt8.self) != 0)
        case 8: return .string(try string())
        case 9:
            guard depth < 4 else { throw error("has arrays within arrays within arrays") }
            let type = try number(UInt32.self)
            let count = try count(atLeast: 1)
            var values: [GGUFValue] = []
            for _ in 0..<count { values.append(try value(of: type, depth: depth + 1)) }
            return .array(values)
        case 10: return .int(try size())
        case 11: return .int(Int(try number(Int64.self)))
        case 12: return .double(try number(Double.self))
        default: throw error("has a value of unknown type \(type) at byte \(offset - 4)")
        }
    }
}
