/// Writes values as Python's `json.dumps` does: what `tojson` of a chat template means.
struct JSONWriter {
    private let ensuresASCII: Bool
    private let indent: Text?
    private let itemSeparator: Text
    private let keySeparator: Text
    private let sortsKeys: Bool
    private var bytes: [UInt8] = []

    init(
        ensuresASCII: Bool = false, indent: Text? = nil, separators: (item: Text, key: Text)? = nil,
        sortsKeys: Bool = false
    ) {
        self.ensuresASCII = ensuresASCII
        self.indent = indent
        itemSeparator = separators?.item ?? (indent == nil ? ", " : ",")
        keySeparator = separators?.key ?? ": "
        self.sortsKeys = sortsKeys
    }

    /// - Throws: `Failure` for what JSON has no form for.
    mutating func text(of value: Value) throws(Failure) -> Text {
        bytes = []
        try write(value, level: 0)
        return Text(bytes)
    }

    private mutating func write(_ value: Value, level: Int) throws(Failure) {
        switch value {
        case .none: bytes += "null".utf8
        case .bool(let value): bytes += (value ? "true" : "false").utf8
        case .int(let value): bytes += "\(value)".utf8
        case .float(let value): bytes += Self.number(value).utf8
        case .string(let text), .markup(let text): quote(text)
        case .list(let list), .tuple(let list):
            try write(list.elements, "[", "]", level: level) { writer, element, level throws(Failure) in
                try writer.write(element, level: level)
            }
        case .mapping(let mapping):
            try write(try members(mapping), "{", "}", level: level) { writer, member, level throws(Failure) in
                writer.quote(member.key)
                writer.bytes += writer.keySeparator.utf8
                try writer.write(member.value, level: level)
            }
        case .undefined, .object:
            throw Failure("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private mutating func write<T>(
        _ items: [T], _ open: String, _ close: String, level: Int,
        _ item: (inout JSONWriter, T, Int) throws(Failure) -> Void
    ) throws(Failure) {
        bytes += open.utf8
        for (i, element) in items.enumerated() {
            if i > 0 { bytes += itemSeparator.utf8 }
            newLine(level + 1)
            try item(&self, element, level + 1)
        }
        if !items.isEmpty { newLine(level) }
        bytes += close.utf8
    }

    private mutating func newLine(_ level: Int) {
        guard let indent else { return }
        bytes.append(0x0A)
        for _ in 0..<level { bytes += indent.utf8 }
    }

    private func members(_ mapping: Mapping) throws(Failure) -> [(key: Text, value: Value)] {
        var entries = mapping.entries
        if sortsKeys { entries = try entries.sortedByPython { $0.key } }
        var members: [(key: Text, value: Value)] = []
        for entry in entries {
            let key: Text
            switch entry.key {
            case .string(let text), .markup(let text): key = text
            case .none: key = "null"
            case .bool(let value): key = value ? "true" : "false"
            case .int(let value): key = Text("\(value)")
            case .float(let value): key = Text(Self.number(value))
            default:
                throw Failure("keys must be str, int, float, bool or None, not \(entry.key.typeName)")
            }
            members.append((key, entry.value))
        }
        return members
    }

    private static func number(_ value: Double) -> String {
        if value.isFinite { return FloatText.shortest(value) }
        return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    }

    private mutating func quote(_ text: Text) {
        bytes.append(UInt8(ascii: "\""))
        if ensuresASCII && !text.isASCII {
            for unit in text.string.utf16 { if unit < 0x80 { quote(UInt8(unit)) } else { escape(unit) } }
        } else {
            for byte in text.utf8 { quote(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func quote(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes += "\\\"".utf8
        case UInt8(ascii: "\\"): bytes += "\\\\".utf8
        case 0x0A: bytes += "\\n".utf8
        case 0x0D: bytes += "\\r".utf8
        case 0x09: bytes += "\\t".utf8
        case 0x0C: bytes += "\\f".utf8
        case 0x08: bytes += "\\b".utf8
        case 0..<0x20: escape(UInt16(byte))
        default: bytes.append(byte)
        }
    }

    private mutating func escape(_ unit: UInt16) {
        let digits = String(unit, radix: 16)
        bytes += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
    }
}

extension Array {
    /// The elements by their keys in Python's order, those of equal keys as they stood.
    func sortedByPython(reversed: Bool = false, _ key: (Element) throws(Failure) -> Value) throws(Failure) -> [Element]
    {
        var keyed: [(key: Value, element: Element)] = []
        for element in self { keyed.append((try key(element), element)) }
        var failure: Failure?
        // Swift's sort is stable.
        keyed.sort { a, b in
            guard failure == nil else { return false }
            do throws(Failure) {
                return reversed ? try b.key.isLess(than: a.key, "<") : try a.key.isLess(than: b.key, "<")
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        return keyed.map(\.element)
    }
}
