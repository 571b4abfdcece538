/// A JSON text being written, keys in the order in which they are given.
///
/// ```swift
/// JSONText.object([("kept", .int(3)), ("files", .array([.string("a")]))]).compact
/// ```
public indirect enum JSONText: Equatable, Sendable {
    case object([(String, JSONText)])
    case array([JSONText])
    case string(String)
    case int(Int)
    case number(Double)
    case bool(Bool)
    case null

    /// What was read, to be written again.
    public init(_ value: JSONValue) {
        switch value.kind {
        case .object:
            self = .object(Self.members(of: value))
        case .array: self = .array(value.elements.map(JSONText.init))
        case .string: self = .string(value.string ?? "")
        case .integer: self = value.int.map(JSONText.int) ?? .number(value.double ?? 0)
        case .number: self = .number(value.double ?? 0)
        case .boolean: self = .bool(value.bool ?? false)
        case .null: self = .null
        }
    }

    /// The keys and values of an object; a key that is there twice has its last value, where it stood first.
    private static func members(of value: JSONValue) -> [(String, JSONText)] {
        var members: [(String, JSONText)] = []
        // By bytes: Swift's strings are equal where they are only canonically equivalent.
        var positions: [[UInt8]: Int] = [:]
        for member in value.members {
            if let position = positions[Array(member.key)] {
                members[position].1 = JSONText(member.value)
            } else {
                positions[Array(member.key)] = members.count
                members.append((String(decoding: member.key, as: UTF8.self), JSONText(member.value)))
            }
        }
        return members
    }

    /// The number, if it is one.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The value of an object's key; nil for other values, and where it is missing or null.
    public subscript(_ key: String) -> JSONText? {
        guard case .object(let members) = self, let value = members.first(where: { $0.0 == key })?.1, value != .null
        else { return nil }
        return value
    }

    /// The object with another value of a key, last if it is new; anything else as it is.
    public func setting(_ key: String, _ value: JSONText) -> JSONText {
        guard case .object(var members) = self else { return self }
        if let index = members.firstIndex(where: { $0.0 == key }) {
            members[index].1 = value
        } else {
            members.append((key, value))
        }
        return .object(members)
    }

    /// A string as it is, anything else on one line: for people.
    public var plain: String { if case .string(let text) = self { text } else { compact } }

    /// On one line.
    public var compact: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    /// On lines of its own, indented by two spaces a level, with an end of line.
    public var pretty: String {
        var text = ""
        write(to: &text, indent: 0)
        return text + "\n"
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .object(let members):
            Self.list(members, "{", "}", to: &text, indent: indent) { member, text, indent in
                text += "\(Self.quoted(member.0)):\(indent == nil ? "" : " ")"
                member.1.write(to: &text, indent: indent)
            }
        case .array(let elements):
            Self.list(elements, "[", "]", to: &text, indent: indent) { $0.write(to: &$1, indent: $2) }
        case .string(let string): text += Self.quoted(string)
        case .int(let value): text += "\(value)"
        // JSON has no infinity and no NaN.
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .bool(let value): text += value ? "true" : "false"
        case .null: text += "null"
        }
    }

    private static func list<T>(
        _ items: [T], _ open: String, _ close: String, to text: inout String, indent: Int?,
        _ write: (T, inout String, Int?) -> Void
    ) {
        text += open
        for (i, item) in items.enumerated() {
            if i > 0 { text += indent == nil ? "," : "," }
            if let indent { text += "\n" + String(repeating: "  ", count: indent + 1) }
            write(item, &text, indent.map { $0 + 1 })
        }
        if let indent, !items.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
        text += close
    }

    /// The string between quotation marks, escaped.
    public static func quoted(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    public static func == (a: JSONText, b: JSONText) -> Bool { a.compact == b.compact }
}
