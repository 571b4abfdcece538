/// A function of the language or of the program.
final class Function: Object {
    typealias Body = (Arguments, Rendering) throws(Failure) -> Value

    private let name: String
    private let body: Body

    init(_ name: String, _ body: @escaping Body) {
        self.name = name
        self.body = body
    }

    override var typeName: String { "function" }
    override var text: String { "<function \(name)>" }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        try body(arguments, rendering)
    }
}

/// A method with the value it is of, as `a.strip` without a call.
final class BoundMethod: Object {
    enum Method {
        case text(TextMethod)
        case mapping(MappingMethod)
        case sequence(SequenceMethod)

        /// The method that a name is of a value of a built-in type.
        init?(_ name: AttributeName, of value: Value) {
            switch value {
            case .string, .markup:
                guard let method = name.textMethod else { return nil }
                self = .text(method)
            case .mapping:
                guard let method = name.mappingMethod else { return nil }
                self = .mapping(method)
            default: return nil
            }
        }

        func call(on value: Value, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value {
            switch self {
            case .text(let method):
                guard let text = value.text else { break }
                let result = try method.call(on: text, arguments, rendering)
                if case .markup = value { return result.marked() }
                return result
            case .mapping(let method):
                if case .mapping(let mapping) = value { return try method.call(on: mapping, arguments) }
            case .sequence(let method): return try method.call(on: value, arguments)
            }
            throw Failure("a method of another type")
        }
    }

    private let method: Method
    private let owner: Value

    init(_ method: Method, of owner: Value) {
        self.method = method
        self.owner = owner
    }

    override var typeName: String { "builtin_function_or_method" }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        try method.call(on: owner, arguments, rendering)
    }
}

/// `namespace(a=b)`: the only thing that a template can change from within a loop.
final class Namespace: Object {
    var values: [(name: Text, value: Value)]

    init(_ values: [(Text, Value)]) { self.values = values }

    override var typeName: String { "Namespace" }
    override var text: String { "<Namespace>" }
    override func attribute(_ name: Text) -> Value? { values.first { $0.name.utf8 == name.utf8 }?.value }
    override func item(_ key: Value) -> Value? { key.text.flatMap(attribute) }

    func set(_ name: Text, to value: Value) {
        if let place = values.firstIndex(where: { $0.name.utf8 == name.utf8 }) {
            values[place].value = value
        } else {
            values.append((name, value))
        }
    }
}

/// What `range` gives.
final class RangeObject: Object {
    let values: [Int]
    private let shown: String

    init(_ values: [Int], shown: String) {
        self.values = values
        self.shown = shown
    }

    override var typeName: String { "range" }
    override var isTrue: Bool { !values.isEmpty }
    override var count: Int? { values.count }
    override var text: String { shown }
    override func elements() -> [Value]? { values.map(Value.int) }
    override func item(_ key: Value) -> Value? {
        key.int.flatMap { Value.index($0, count: values.count) }.map { .int(values[$0]) }
    }
}

/// What `map`, `select` and others give: it can be gone over once.
final class IteratorObject: Object {
    private let name: String
    private var rest: [Value]

    init(_ name: String, _ elements: [Value]) {
        self.name = name
        rest = elements
    }

    override var typeName: String { name }
    override func elements() -> [Value]? {
        defer { rest = [] }
        return rest
    }
}

/// `keys()`, `values()` and `items()` of a dictionary.
final class MappingView: Object {
    private let name: String
    private let values: [Value]

    init(_ name: String, _ values: [Value]) {
        self.name = name
        self.values = values
    }

    override var typeName: String { name }
    override var isTrue: Bool { !values.isEmpty }
    override var count: Int? { values.count }
    override var text: String {
        let list = (try? Value.list(values).represented().string) ?? "[…]"
        return "\(name)(\(list))"
    }
    override func elements() -> [Value]? { values }
}

/// `cycler(a, b)`.
final class Cycler: Object {
    private let items: [Value]
    private var position = 0

    init(_ items: [Value]) { self.items = items }

    override var typeName: String { "Cycler" }
    override func attribute(_ name: Text) -> Value? {
        switch name {
        case "current": items[position]
        case "next":
            .object(
                Function("next") { [self] _, _ in
                    defer { position = (position + 1) % items.count }
                    return items[position]
                })
        case "reset":
            .object(
                Function("reset") { [self] _, _ in
                    position = 0
                    return .none
                })
        default: nil
        }
    }
}

/// `joiner(", ")`: nothing the first time, its text from then on.
final class Joiner: Object {
    private let separator: Value
    private var wasUsed = false

    init(_ separator: Value) { self.separator = separator }

    override var typeName: String { "Joiner" }
    override var isCallable: Bool { true }
    override func call(_ arguments: Arguments, _ rendering: Rendering) -> Value? {
        defer { wasUsed = true }
        return wasUsed ? separator : .string("")
    }
}

/// `loop` within a `for`.
final class LoopObject: Object {
    let elements: [Value]
    private let depth: Int
    /// Renders the body anew for other elements; nil where the loop isn't recursive.
    private let recurse: (([Value], Int) throws(Failure) -> Text)?
    var index = 0
    private var changed: [Value]?

    init(_ elements: [Value], depth: Int, recurse: (([Value], Int) throws(Failure) -> Text)?) {
        self.elements = elements
        self.depth = depth
        self.recurse = recurse
    }

    override var typeName: String { "LoopContext" }
    override var text: String { "<LoopContext \(index + 1)/\(elements.count)>" }
    override var count: Int? { elements.count }
    override var isCallable: Bool { true }

    override func attribute(_ name: Text) -> Value? {
        switch name {
        case "index": return .int(index + 1)
        case "index0": return .int(index)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == elements.count - 1)
        case "length": return .int(elements.count)
        case "revindex": return .int(elements.count - index)
        case "revindex0": return .int(elements.count - index - 1)
        case "previtem":
            return index > 0 ? elements[index - 1] : .undefined(Undefined(message: "there is no previous item"))
        case "nextitem":
            let next = index + 1
            return next < elements.count
                ? elements[next] : .undefined(Undefined(message: "there is no next item"))
        case "depth": return .int(depth + 1)
        case "depth0": return .int(depth)
        case "cycle":
            return .object(
                Function("cycle") { [self] arguments, _ throws(Failure) in
                    guard !arguments.positional.isEmpty else { throw Failure("no items for cycling given") }
                    return arguments.positional[index % arguments.positional.count]
                })
        case "changed":
            return .object(
                Function("changed") { [self] arguments, _ throws(Failure) in
                    let now = arguments.positional
                    defer { changed = now }
                    guard let before = changed else { return .bool(true) }
                    return .bool(!(try Value.list(before).equals(.list(now))))
                })
        default: return nil
        }
    }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        guard let recurse else {
            throw Failure("The loop must have the 'recursive' marker to be called recursively.")
        }
        let values = try arguments.bound(to: ["iterable"], of: "loop", required: 1)
        return .string(try recurse(try values[0]?.iterated() ?? [], depth + 1))
    }
}
