@preconcurrency import Glibc

/// A configuration file of JSON, kept in memory, whose values know where they stand.
///
/// ```swift
/// let config = try JSONFile("config.json")
/// let hidden = try config.root.int("hidden_size")    // "config.json: key 'hidden_size' is missing"
/// ```
public final class JSONFile: Sendable {
    private let parser: JSONParser
    private nonisolated(unsafe) let value: JSONValue
    public let path: String

    /// - Throws: `JSONError` or `FileError` that name the file.
    public convenience init(_ path: String) throws {
        try self.init(contents: readFile(path), path: path)
    }

    /// A text that stands for the file `path` in errors.
    public init(contents: [UInt8], path: String) throws(JSONError) {
        self.path = path
        // As Python's json, which writes these files: NaN in a key that nobody reads costs nothing.
        parser = JSONParser(takesNaN: true)
        let text = contents.starts(with: [0xEF, 0xBB, 0xBF]) ? contents.dropFirst(3) : contents[...]
        do {
            value = try parser.parse(text)
        } catch {
            throw JSONError(error.message, at: path)
        }
    }

    public var root: JSONNode { JSONNode(value, file: self, path: "") }
}

/// A value of a `JSONFile`, which it keeps alive.
public struct JSONNode {
    public let value: JSONValue
    private let file: JSONFile
    private let path: String

    fileprivate init(_ value: JSONValue, file: JSONFile, path: String) {
        self.value = value
        self.file = file
        self.path = path
    }

    /// The value of a key; nil if it is missing or null.
    public subscript(_ key: String) -> JSONNode? {
        guard let value = value[key], !value.isNull else { return nil }
        return node(value, key)
    }

    public var elements: [JSONNode] { value.elements.enumerated().map { node($1, "\($0)") } }

    public var members: [(key: String, value: JSONNode)] {
        value.members.map { member in
            let key = String(decoding: member.key, as: UTF8.self)
            return (key, node(member.value, key))
        }
    }

    public func int(_ key: String) throws(JSONError) -> Int { try required(key).asInt() }
    public func double(_ key: String) throws(JSONError) -> Double { try required(key).asDouble() }
    public func string(_ key: String) throws(JSONError) -> String { try required(key).asString() }
    public func bool(_ key: String) throws(JSONError) -> Bool { try required(key).asBool() }

    public func int(_ key: String, default: Int) throws(JSONError) -> Int { try self[key]?.asInt() ?? `default` }
    public func double(_ key: String, default: Double) throws(JSONError) -> Double {
        try self[key]?.asDouble() ?? `default`
    }
    public func bool(_ key: String, default: Bool) throws(JSONError) -> Bool { try self[key]?.asBool() ?? `default` }
    public func string(_ key: String, default: String) throws(JSONError) -> String {
        try self[key]?.asString() ?? `default`
    }

    public func asInt() throws(JSONError) -> Int { try typed(value.int, "an integer") }
    /// A number, which is finite.
    public func asDouble() throws(JSONError) -> Double {
        let number = try typed(value.double, "a number")
        guard number.isFinite else { throw error("is not a finite number") }
        return number
    }
    public func asString() throws(JSONError) -> String { try typed(value.string, "a string") }
    public func asBool() throws(JSONError) -> Bool { try typed(value.bool, "true or false") }
    public func asArray() throws(JSONError) -> [JSONNode] {
        try typed(value.kind == .array ? elements : nil, "an array")
    }
    /// This value, which must be an object.
    public func asObject() throws(JSONError) -> JSONNode { try typed(value.kind == .object ? self : nil, "an object") }

    /// The value of a key that must be there.
    public func required(_ key: String) throws(JSONError) -> JSONNode {
        guard let node = self[key] else { throw JSONError("key '\(join(key))' is missing", at: file.path) }
        return node
    }

    /// An error about this value.
    public func error(_ message: String) -> JSONError {
        JSONError(path.isEmpty ? message : "key '\(path)' \(message)", at: file.path)
    }

    private func typed<T>(_ value: T?, _ expected: String) throws(JSONError) -> T {
        guard let value else { throw error("is \(Self.name(self.value.kind)), should be \(expected)") }
        return value
    }

    private static func name(_ kind: JSONValue.Kind) -> String {
        switch kind {
        case .object, .array, .integer: "an \(kind.rawValue)"
        case .null: "null"
        default: "a \(kind.rawValue)"
        }
    }

    private func node(_ value: JSONValue, _ key: String) -> JSONNode {
        JSONNode(value, file: file, path: join(key))
    }

    private func join(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}
