import CSimdjson

/// Why a text isn't the JSON that was expected.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    /// Where: a file, and the path of keys within it.
    public var location: String
    public var message: String

    public init(_ message: String, at location: String = "") {
        self.message = message
        self.location = location
    }

    public var description: String { location.isEmpty ? message : "\(location): \(message)" }
}

/// A reusable JSON parser: simdjson's.
///
/// One thread uses a parser at a time. What it parsed last is valid until it parses again.
public final class JSONParser: @unchecked Sendable {
    private let handle: OpaquePointer
    private let takesNaN: Bool
    private var scratch: [UInt8] = []

    /// Readable bytes that must follow a text that is parsed in place.
    public static let padding = Int(simdjson_padding())

    /// - Parameter takesNaN: Whether NaN, Infinity and numbers too large for 64 bits are numbers, as Python writes them:
    ///   NaN all of them. Otherwise a text with one is refused.
    public init(takesNaN: Bool = false) {
        self.takesNaN = takesNaN
        guard let handle = simdjson_parser_new() else { fatalError("no memory for a JSON parser") }
        self.handle = handle
    }

    deinit { simdjson_parser_free(handle) }

    /// Parses a text that `padding` readable bytes follow.
    public func parse(padded text: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
        guard let start = text.baseAddress, !text.isEmpty else { throw JSONError("is empty") }
        var code = simdjson_parse(handle, start.assumingMemoryBound(to: UInt8.self), text.count)
        if code != 0, let mended = NumberMending.mended(text, takesNaN: takesNaN) {
            code = (mended + [UInt8](repeating: 0x20, count: Self.padding)).withUnsafeBufferPointer { bytes in
                bytes.baseAddress.map { simdjson_parse(handle, $0, mended.count) } ?? code
            }
        }
        guard code == 0 else { throw JSONError("is not JSON: \(Self.message(code, text))") }
        return JSONValue(tape: simdjson_tape(handle), strings: simdjson_strings(handle), index: 1)
    }

    /// Parses a text, of which the parser takes a copy.
    public func parse(_ text: some Sequence<UInt8>) throws(JSONError) -> JSONValue {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: text)
        let count = scratch.count
        scratch.append(contentsOf: repeatElement(0x20, count: Self.padding))
        let result = scratch.withUnsafeBytes { bytes in
            Result { () throws(JSONError) in try parse(padded: UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
        }
        return try result.get()
    }

    private static func message(_ code: Int32, _ text: UnsafeRawBufferPointer) -> String {
        if let half = SurrogateEscapes.loneHalf(in: text) {
            return "a string has \(half), half of a pair that stands for one character, and is no text"
        }
        return String(cString: simdjson_message(code))
    }
}

/// A value within what a `JSONParser` parsed: a position on simdjson's tape, which is walked and never copied.
///
/// Of an object with a key twice, the last counts, as for Python's `json`.
public struct JSONValue {
    fileprivate let tape: UnsafePointer<UInt64>
    fileprivate let strings: UnsafePointer<UInt8>
    fileprivate let index: Int

    public enum Kind: String, Sendable {
        case object, array, string, integer, number, boolean, null
    }

    private var word: UInt64 { tape[index] }
    private var tag: UInt8 { UInt8(word >> 56) }
    private var payload: Int { Int(word & 0x00FF_FFFF_FFFF_FFFF) }

    public var kind: Kind {
        switch tag {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "l"), UInt8(ascii: "u"): .integer
        case UInt8(ascii: "d"): .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        default: .null
        }
    }

    public var isNull: Bool { kind == .null }

    /// The string's UTF-8, if it is one.
    public var utf8: UnsafeBufferPointer<UInt8>? {
        guard tag == UInt8(ascii: "\"") else { return nil }
        let start = strings + payload
        let length = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return UnsafeBufferPointer(start: start + 4, count: Int(length))
    }

    public var string: String? { utf8.map { String(decoding: $0, as: UTF8.self) } }

    public var bool: Bool? {
        switch tag {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    /// The integer, also one that is written as 1.0 or 1e3.
    public var int: Int? {
        switch tag {
        case UInt8(ascii: "l"): Int(Int64(bitPattern: tape[index + 1]))
        case UInt8(ascii: "u"): Int(exactly: tape[index + 1])
        case UInt8(ascii: "d"): Int(exactly: Double(bitPattern: tape[index + 1]))
        default: nil
        }
    }

    public var double: Double? {
        switch tag {
        case UInt8(ascii: "l"): Double(Int64(bitPattern: tape[index + 1]))
        case UInt8(ascii: "u"): Double(tape[index + 1])
        case UInt8(ascii: "d"): NumberMending.number(Double(bitPattern: tape[index + 1]))
        default: nil
        }
    }

    /// The elements of an array; none of anything else.
    public var elements: Elements { Elements(self, isArray: kind == .array) }

    /// The keys and values of an object, in order; none of anything else.
    public var members: Members { Members(elements: Elements(self, isArray: kind == .object)) }

    /// The value of a key of an object, if it has one.
    public subscript(key: String) -> JSONValue? {
        var key = key
        return key.withUTF8 { bytes in
            var value: JSONValue?
            for member in members where member.key.elementsEqual(bytes) { value = member.value }
            return value
        }
    }

    /// The value of a key of an object, if it has one that isn't null.
    ///
    /// Tables that are written as JSON have null where a row has no such column.
    public func value(_ key: String) -> JSONValue? {
        guard let value = self[key], !value.isNull else { return nil }
        return value
    }

    /// Walks values that follow each other up to an end.
    public struct Elements: Sequence, IteratorProtocol {
        private let of: JSONValue
        fileprivate var next_: Int
        private let end: Int

        fileprivate init(_ value: JSONValue, isArray: Bool) {
            of = value
            next_ = value.index + 1
            end = isArray ? (value.payload & 0xFFFF_FFFF) - 1 : value.index + 1
        }

        public mutating func next() -> JSONValue? {
            guard next_ < end else { return nil }
            let value = JSONValue(tape: of.tape, strings: of.strings, index: next_)
            next_ = value.endIndex
            return value
        }
    }

    public struct Members: Sequence, IteratorProtocol {
        fileprivate var elements: Elements

        public mutating func next() -> (key: UnsafeBufferPointer<UInt8>, value: JSONValue)? {
            guard let key = elements.next()?.utf8, let value = elements.next() else { return nil }
            return (key, value)
        }
    }

    /// The index after the value.
    private var endIndex: Int {
        switch tag {
        case UInt8(ascii: "{"), UInt8(ascii: "["): payload & 0xFFFF_FFFF
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): index + 2
        default: index + 1
        }
    }
}
