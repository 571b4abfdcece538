import CSimdjson

/// Why a text isn't the JSON that was expected.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    /// Where: a file, and the path of keys within it.
    public var place: String
    public var message: String

    public init(_ message: String, at place: String = "") {
        self.message = message
        self.place = place
    }

    public var description: String { place.isEmpty ? message : "\(place): \(message)" }
}

/// A reusable JSON parser: simdjson's.
///
/// One thread uses a parser at a time. What it parsed last is valid until it parses again.
public final class JSONParser: @unchecked Sendable {
    private let handle: OpaquePointer
    private var scratch: [UInt8] = []

    /// Readable bytes that must follow a text that is parsed in place.
    public static let padding = Int(simdjson_padding())

    public init() {
        guard let handle = simdjson_parser_new() else { fatalError("no memory for a JSON parser") }
        self.handle = handle
    }

    deinit { simdjson_parser_free(handle) }

    /// Parses a text that `padding` readable bytes follow.
    public func parse(padded text: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
        guard let start = text.baseAddress, !text.isEmpty else { throw JSONError("is empty") }
        var code = simdjson_parse(handle, start.assumingMemoryBound(to: UInt8.self), text.count)
        if code != 0, let widened = Self.longIntegersAsNumbers(text) {
            code = (widened + [UInt8](repeating: 0x20, count: Self.padding)).withUnsafeBufferPointer { bytes in
                bytes.baseAddress.map { simdjson_parse(handle, $0, widened.count) } ?? code
            }
        }
        guard code == 0 else { throw JSONError("is not JSON: \(Self.message(code))") }
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

    /// The text with integers of 19 and more digits written as other numbers; nil if it has none.
    ///
    /// simdjson refuses those beyond 64 bits, as Hugging Face's `"model_max_length": 1000000000000000019884624838656`.
    private static func longIntegersAsNumbers(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var result: [UInt8] = []
        var (isInString, isEscaped, isFound) = (false, false, false)
        var i = 0
        while i < text.count {
            let end = isInString ? i : text[i...].firstIndex { !isOfNumber($0) } ?? text.count
            if end > i {
                result += text[i..<end]
                if end - i >= 19, text[(i + 1)..<end].allSatisfy(isDigit) {
                    result += ".0".utf8
                    isFound = true
                }
                i = end
                continue
            }
            if !isEscaped && text[i] == UInt8(ascii: "\"") { isInString.toggle() }
            isEscaped = isInString && !isEscaped && text[i] == UInt8(ascii: "\\")
            result.append(text[i])
            i += 1
        }
        return isFound ? result : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isOfNumber(_ byte: UInt8) -> Bool { isDigit(byte) || "+-.eE".utf8.contains(byte) }

    private static func message(_ code: Int32) -> String { String(cString: simdjson_message(code)) }
}

/// A value within what a `JSONParser` parsed: a place on simdjson's tape, which is walked and never copied.
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
        case UInt8(ascii: "d"): Double(bitPattern: tape[index + 1])
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

    /// The place behind the value.
    private var endIndex: Int {
        switch tag {
        case UInt8(ascii: "{"), UInt8(ascii: "["): payload & 0xFFFF_FFFF
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): index + 2
        default: index + 1
        }
    }
}
