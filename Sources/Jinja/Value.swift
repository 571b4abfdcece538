/// A value of a template: what Python's types are to Jinja.
///
/// Templates run in a sandbox in which lists and dictionaries can't be changed, so that they are values; only namespaces
/// and iterators have a state.
public enum Value {
    /// What a name, a key or an attribute that isn't there gives.
    case undefined(Undefined)
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
    /// Text that is HTML already, as `safe` marks it: what is joined to it is escaped.
    case markup(Text)
    case list(List)
    case tuple(List)
    case mapping(Mapping)
    case object(Object)

    public static func string(_ text: String) -> Value { .string(Text(text)) }
    public static func list(_ elements: [Value]) -> Value { .list(List(elements)) }
    static func tuple(_ elements: [Value]) -> Value { .tuple(List(elements)) }

    /// A string's text, marked or not.
    var text: Text? {
        switch self {
        case .string(let text), .markup(let text): text
        default: nil
        }
    }

    /// The number, also that of true and false.
    var number: Number? {
        switch self {
        case .int(let value): .int(value)
        case .bool(let value): .int(value ? 1 : 0)
        case .float(let value): .float(value)
        default: nil
        }
    }

    var int: Int? { if case .int(let value) = number { value } else { nil } }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// What Python's `bool` says.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .float(let value): value != 0
        case .string(let text), .markup(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.elements.isEmpty
        case .mapping(let mapping): !mapping.entries.isEmpty
        case .object(let object): object.isTrue
        }
    }

    /// The name of the type in Python.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .float: "float"
        case .string: "str"
        case .markup: "Markup"
        case .list: "list"
        case .tuple: "tuple"
        case .mapping: "dict"
        case .object(let object): object.typeName
        }
    }

    /// How deep what it holds is nested.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .mapping(let mapping): mapping.depth
        default: 0
        }
    }
}

enum Number {
    case int(Int)
    case float(Double)

    var double: Double {
        switch self {
        case .int(let value): Double(value)
        case .float(let value): value
        }
    }
}

/// A value that isn't there; printed, it is nothing, and most else that is done with it is an error.
public final class Undefined: Sendable {
    /// What the error says.
    let message: String

    init(message: String) { self.message = message }
    convenience init(name: String) { self.init(message: "'\(name)' is undefined") }
    convenience init(attribute: Text, of value: Value) {
        let owner = value.isNone ? "None" : "\(value.typeName) object"
        self.init(message: "'\(owner)' has no attribute '\(attribute.string)'")
    }

    var failure: Failure { Failure(message) }
}

/// The elements of a list or a tuple.
public final class List {
    let elements: [Value]
    let depth: Int

    init(_ elements: [Value]) {
        self.elements = elements
        depth = elements.reduce(0) { max($0, $1.depth) } + 1
    }
}

/// What has a state or a behaviour of its own.
public class Object {
    var typeName: String { "object" }
    var isTrue: Bool { true }
    /// nil where Python's `len` fails.
    var count: Int? { nil }
    /// What it prints as.
    var text: String { "<\(typeName) object>" }

    /// All that it iterates over; nil where it can't be iterated.
    func elements() throws(Failure) -> [Value]? { nil }
    func attribute(_ name: Text) -> Value? { nil }
    func item(_ key: Value) throws(Failure) -> Value? { nil }
    /// The result of calling it; nil where it can't be called.
    func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? { nil }
    var isCallable: Bool { false }
}
