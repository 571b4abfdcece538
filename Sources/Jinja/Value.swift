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

    /// How deep what it holds is nested: 1 for a list of numbers.
    ///
    /// Namespaces count as nothing, as they are emptied before they are released.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .mapping(let mapping): mapping.depth
        case .object(let object): object.depth
        default: 0
        }
    }
}

/// A value that isn't there; printed, it is nothing, and most else that is done with it is an error.
public final class Undefined {
    private enum Reason {
        case name(String)
        case attribute(Text, owner: String)
        case message(String, JinjaError.Kind)
    }

    private let reason: Reason

    init(name: String) { reason = .name(name) }

    /// - Parameter kind: Of the error that using it is.
    init(message: String, kind: JinjaError.Kind = .undefined) { reason = .message(message, kind) }

    init(attribute: Text, of value: Value) {
        reason = .attribute(attribute, owner: value.isNone ? "None" : "\(value.typeName) object")
    }

    /// Why it can't be used.
    var failure: Failure {
        switch reason {
        case .name(let name): Failure(kind: .undefined, "'\(name)' is undefined")
        case .attribute(let name, let owner):
            Failure(kind: .undefined, "'\(owner)' has no attribute '\(name.shown)'")
        case .message(let message, let kind): Failure(kind: kind, message)
        }
    }
}

/// The elements of a list or a tuple.
public final class List {
    let elements: [Value]
    let depth: Int
    private let budget: Budget?

    /// The elements of a list that a program gives to a template; those of a rendering are made by its budget.
    public init(_ elements: [Value]) {
        self.elements = elements
        depth = elements.depth + 1
        budget = nil
    }

    /// - Throws: `Failure` if the budget doesn't allow for it.
    fileprivate init(_ elements: [Value], _ budget: Budget) throws(Failure) {
        let depth = elements.depth + 1
        try budget.check(depth: depth)
        try budget.pay(bytes: Self.cost(elements.count))
        self.elements = elements
        self.depth = depth
        self.budget = budget
    }

    deinit { budget?.refund(Self.cost(elements.count)) }

    private static func cost(_ count: Int) -> Int { count * MemoryLayout<Value>.stride + Budget.overhead }
}

extension [Value] {
    /// The depth of the deepest.
    var depth: Int { reduce(0) { Swift.max($0, $1.depth) } }
}

extension Budget {
    /// The elements of a list or a tuple, or what is iterated over.
    func elements(_ values: [Value]) throws(Failure) -> List { try List(values, self) }

    func list(_ elements: [Value]) throws(Failure) -> Value { .list(try List(elements, self)) }
    func tuple(_ elements: [Value]) throws(Failure) -> Value { .tuple(try List(elements, self)) }
}

/// What has a state or a behaviour of its own.
public class Object {
    /// How deep what it holds is nested, itself included.
    let depth: Int
    private let budget: Budget
    private let cost: Int

    /// - Parameters:
    ///   - depth: Of what it holds.
    ///   - elements: How many values it holds.
    /// - Throws: `Failure` if the budget doesn't allow for it.
    init(_ budget: Budget, depth: Int = 0, elements: Int = 0) throws(Failure) {
        // The elements exist already, so that the product is no large number.
        let cost = elements * MemoryLayout<Value>.stride + 2 * Budget.overhead
        try budget.check(depth: depth + 1)
        try budget.pay(bytes: cost)
        self.depth = depth + 1
        self.budget = budget
        self.cost = cost
    }

    deinit { budget.refund(cost) }

    var typeName: String { "object" }
    var isTrue: Bool { true }
    /// nil where Python's `len` fails.
    var count: Int? { nil }
    var isCallable: Bool { false }

    /// What it prints as.
    func text(_ budget: Budget) throws(Failure) -> Text { try budget.text("<\(typeName) object>") }
    /// All that it iterates over; nil where it can't be iterated.
    func elements(_ budget: Budget) throws(Failure) -> [Value]? { nil }
    func attribute(_ name: Text, _ rendering: Rendering) throws(Failure) -> Value? { nil }
    func item(_ key: Value, _ rendering: Rendering) throws(Failure) -> Value? { nil }
    /// The result of calling it; nil where it can't be called.
    func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? { nil }
}
