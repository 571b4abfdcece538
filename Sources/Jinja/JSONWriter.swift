/// Writes values as Python's `json.dumps` does: what `tojson` of a chat template means.
struct JSONWriter {
    private let ensuresASCII: Bool
    private let indent: Text?
    private let itemSeparator: Text
    private let keySeparator: Text
    private let sortsKeys: Bool
    private let budget: Budget
    private var text: TextBuilder

    init(
        _ budget: Budget, ensuresASCII: Bool = false, indent: Text? = nil, separators: (item: Text, key: Text)? = nil,
        sortsKeys: Bool = false
    ) {
        self.budget = budget
        self.ensuresASCII = ensuresASCII
        self.indent = indent
        itemSeparator = separators?.item ?? (indent == nil ? ", " : ",")
        keySeparator = separators?.key ?? ": "
        self.sortsKeys = sortsKeys
        text = TextBuilder(budget)
    }

    /// - Throws: `Failure` for what JSON has no form for.
    mutating func text(of value: Value) throws(Failure) -> Text {
        text = TextBuilder(budget)
        try write(value, level: 0)
        return try text.text()
    }

    private mutating func write(_ value: Value, level: Int) throws(Failure) {
        try budget.enter()
        switch value {
        case .none: try text.append("null")
        case .bool(let value): try text.append(value ? "true" : "false")
        case .int(let value): try text.append("\(value)")
        case .float(let value): try text.append(Self.number(value))
        case .string(let text), .markup(let text): try quote(text)
        case .list(let list), .tuple(let list):
            try write(list.elements, "[", "]", level: level) { writer, element, level throws(Failure) in
                try writer.write(element, level: level)
            }
        case .mapping(let mapping):
            try write(try members(mapping), "{", "}", level: level) { writer, member, level throws(Failure) in
                try writer.quote(member.key)
                try writer.text.append(writer.keySeparator)
                try writer.write(member.value, level: level)
            }
        case .undefined, .object:
            throw .type("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private mutating func write<T>(
        _ items: [T], _ open: String, _ close: String, level: Int,
        _ item: (inout JSONWriter, T, Int) throws(Failure) -> Void
    ) throws(Failure) {
        try text.append(open)
        for (i, element) in items.enumerated() {
            if i > 0 { try text.append(itemSeparator) }
            try newLine(level + 1)
            try item(&self, element, level + 1)
        }
        if !items.isEmpty { try newLine(level) }
        try text.append(close)
    }

    private mutating func newLine(_ level: Int) throws(Failure) {
        guard let indent else { return }
        try text.append(0x0A)
        try text.append(indent, times: level)
    }

    private func members(_ mapping: Mapping) throws(Failure) -> [(key: Text, value: Value)] {
        var entries = mapping.entries
        if sortsKeys { entries = try entries.sortedByPython(budget) { $0.key } }
        var members: [(key: Text, value: Value)] = []
        for entry in entries {
            let key: Text
            switch entry.key {
            case .string(let text), .markup(let text): key = text
            case .none: key = "null"
            case .bool(let value): key = value ? "true" : "false"
            case .int(let value): key = try budget.text("\(value)")
            case .float(let value): key = try budget.text(Self.number(value))
            default:
                throw .type("keys must be str, int, float, bool or None, not \(entry.key.typeName)")
            }
            members.append((key, entry.value))
        }
        return members
    }

    private static func number(_ value: Double) -> String {
        if value.isFinite { return FloatText.shortest(value) }
        return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    }

    private mutating func quote(_ value: Text) throws(Failure) {
        try text.append(UInt8(ascii: "\""))
        if ensuresASCII && !value.isASCII {
            for scalar in value.scalars {
                if scalar.isASCII {
                    try quote(UInt8(truncatingIfNeeded: scalar.value))
                } else {
                    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { try escape(unit) }
                }
            }
        } else {
            try quotePlain(value.utf8)
        }
        try text.append(UInt8(ascii: "\""))
    }

    /// Bytes, those that need no escape in runs.
    private mutating func quotePlain(_ bytes: [UInt8]) throws(Failure) {
        var start = 0
        for (i, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
            if i > start { try text.append(bytes[start..<i]) }
            try quote(byte)
            start = i + 1
        }
        try text.append(bytes[start...])
    }

    private mutating func quote(_ byte: UInt8) throws(Failure) {
        switch byte {
        case UInt8(ascii: "\""): try text.append("\\\"")
        case UInt8(ascii: "\\"): try text.append("\\\\")
        case 0x0A: try text.append("\\n")
        case 0x0D: try text.append("\\r")
        case 0x09: try text.append("\\t")
        case 0x0C: try text.append("\\f")
        case 0x08: try text.append("\\b")
        case 0..<0x20: try escape(UInt16(byte))
        default: try text.append(byte)
        }
    }

    private mutating func escape(_ unit: UInt16) throws(Failure) {
        let digits = String(unit, radix: 16)
        try text.append("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)")
    }
}

extension Array {
    /// The elements by their keys in Python's order, those of equal keys as they were.
    func sortedByPython(
        reversed: Bool = false, _ budget: Budget, _ key: (Element) throws(Failure) -> Value
    ) throws(Failure) -> [Element] {
        var keyed: [(key: Value, element: Element)] = []
        for element in self { keyed.append((try key(element), element)) }
        var failure: Failure?
        // Swift's sort is stable.
        keyed.sort { a, b in
            guard failure == nil else { return false }
            do throws(Failure) {
                return reversed
                    ? try b.key.isLess(than: a.key, "<", budget) : try a.key.isLess(than: b.key, "<", budget)
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        return keyed.map(\.element)
    }
}
