/// A function of the language or of the program.
final class Function: Object {
    typealias Body = (Arguments, Rendering) throws(Failure) -> Value

    private let name: String
    private let body: Body

    /// - Parameter depth: Of what the body holds.
    init(_ budget: Budget, _ name: String, depth: Int = 0, _ body: @escaping Body) throws(Failure) {
        self.name = name
        self.body = body
        try super.init(budget, depth: depth)
    }

    override var typeName: String { "function" }
    override var isCallable: Bool { true }
    override func text(_ budget: Budget) throws(Failure) -> Text { try budget.text("<function \(name)>") }

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
                if case .markup = value { return try result.marked(rendering.budget) }
                return result
            case .mapping(let method):
                if case .mapping(let mapping) = value { return try method.call(on: mapping, arguments, rendering) }
            case .sequence(let method): return try method.call(on: value, arguments, rendering)
            }
            throw .type("a method of another type")
        }
    }

    private let method: Method
    private let owner: Value

    init(_ budget: Budget, _ method: Method, of owner: Value) throws(Failure) {
        self.method = method
        self.owner = owner
        try super.init(budget, depth: owner.depth)
    }

    override var typeName: String { "builtin_function_or_method" }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        try method.call(on: owner, arguments, rendering)
    }
}

/// `namespace(a=b)`: the only thing that a template can change from within a loop.
///
/// Namespaces may hold each other in rings and chains: the rendering holds all of them, and empties them when it ends.
final class Namespace: Object {
    private var values: [(name: Text, value: Value)] = []

    init(_ rendering: Rendering) throws(Failure) {
        try super.init(rendering.budget)
        rendering.hold { [self] in values = [] }
    }

    override var typeName: String { "Namespace" }
    override func text(_ budget: Budget) throws(Failure) -> Text { try budget.text("<Namespace>") }

    override func attribute(_ name: Text, _ rendering: Rendering) throws(Failure) -> Value? {
        try rendering.budget.work(elements: values.count >> 4)
        return values.first { $0.name.utf8 == name.utf8 }?.value
    }

    override func item(_ key: Value, _ rendering: Rendering) throws(Failure) -> Value? {
        guard let text = key.text else { return nil }
        return try attribute(text, rendering)
    }

    func set(_ name: Text, to value: Value, _ rendering: Rendering) throws(Failure) {
        try rendering.budget.work(elements: values.count >> 4)
        if let position = values.firstIndex(where: { $0.name.utf8 == name.utf8 }) {
            values[position].value = value
        } else {
            try rendering.budget.pay(elements: 2)
            values.append((name, value))
        }
    }
}

/// What `range` gives.
final class RangeObject: Object {
    private let start: Int
    private let step: Int
    private let length: Int
    private let shown: String

    /// - Parameters:
    ///   - length: How many numbers there are; the last is an integer of 64 bits.
    ///   - shown: How it prints.
    init(_ budget: Budget, from start: Int, by step: Int, length: Int, shown: String) throws(Failure) {
        self.start = start
        self.step = step
        self.length = length
        self.shown = shown
        try super.init(budget)
    }

    override var typeName: String { "range" }
    override var isTrue: Bool { length > 0 }
    override var count: Int? { length }
    override func text(_ budget: Budget) throws(Failure) -> Text { try budget.text(shown) }

    /// Sums that overflow on the way fit in the end.
    subscript(index: Int) -> Int { start &+ index &* step }

    override func elements(_ budget: Budget) throws(Failure) -> [Value]? {
        try budget.check(elements: length)
        return (0..<length).map { .int(self[$0]) }
    }

    override func item(_ key: Value, _ rendering: Rendering) -> Value? {
        key.int.flatMap { Value.index($0, count: length) }.map { .int(self[$0]) }
    }

    /// Python's `==`: whether the numbers are the same.
    func equals(_ other: RangeObject) -> Bool {
        length == other.length
            && (length == 0 || start == other.start && (length == 1 || step == other.step))
    }
}

/// What `map`, `select` and others give: it can be gone over once.
final class IteratorObject: Object {
    private let name: String
    private var rest: [Value]

    init(_ budget: Budget, _ name: String, _ elements: [Value]) throws(Failure) {
        self.name = name
        rest = elements
        try super.init(budget, depth: elements.depth, elements: elements.count)
    }

    override var typeName: String { name }
    override func elements(_ budget: Budget) -> [Value]? {
        defer { rest = [] }
        return rest
    }
}

/// `keys()`, `values()` and `items()` of a dictionary.
final class MappingView: Object {
    private let name: String
    private let values: [Value]

    init(_ budget: Budget, _ name: String, _ values: [Value]) throws(Failure) {
        self.name = name
        self.values = values
        try super.init(budget, depth: values.depth, elements: values.count)
    }

    override var typeName: String { name }
    override var isTrue: Bool { !values.isEmpty }
    override var count: Int? { values.count }
    override func elements(_ budget: Budget) -> [Value]? { values }

    override func text(_ budget: Budget) throws(Failure) -> Text {
        var text = TextBuilder(budget)
        try text.append("\(name)(")
        try text.append(try budget.list(values).represented(budget))
        try text.append(")")
        return try text.text()
    }
}

/// `cycler(a, b)`.
final class Cycler: Object {
    private let items: [Value]
    private var position = 0

    /// - Parameter items: At least one.
    init(_ budget: Budget, _ items: [Value]) throws(Failure) {
        self.items = items
        try super.init(budget, depth: items.depth, elements: items.count)
    }

    override var typeName: String { "Cycler" }
    override func attribute(_ name: Text, _ rendering: Rendering) throws(Failure) -> Value? {
        switch name {
        case "current": return items[position]
        case "next":
            return .object(
                try Function(rendering.budget, "next", depth: depth) { [self] _, _ in
                    defer { position = (position + 1) % items.count }
                    return items[position]
                })
        case "reset":
            return .object(
                try Function(rendering.budget, "reset", depth: depth) { [self] _, _ in
                    position = 0
                    return .none
                })
        default: return nil
        }
    }
}

/// `joiner(", ")`: nothing the first time, its text from then on.
final class Joiner: Object {
    private let separator: Value
    private var wasUsed = false

    init(_ budget: Budget, _ separator: Value) throws(Failure) {
        self.separator = separator
        try super.init(budget, depth: separator.depth)
    }

    override var typeName: String { "Joiner" }
    override var isCallable: Bool { true }
    override func call(_ arguments: Arguments, _ rendering: Rendering) -> Value? {
        defer { wasUsed = true }
        return wasUsed ? separator : .string("")
    }
}

/// A group of `groupby`: a pair whose parts also have names.
final class Group: Object {
    private let name: Value
    private let list: Value

    init(_ budget: Budget, _ name: Value, _ list: [Value]) throws(Failure) {
        self.name = name
        self.list = try budget.list(list)
        try super.init(budget, depth: max(name.depth, self.list.depth))
    }

    override var typeName: String { "_GroupTuple" }
    override var count: Int? { 2 }
    override func elements(_ budget: Budget) -> [Value]? { [name, list] }
    override func text(_ budget: Budget) throws(Failure) -> Text {
        try budget.tuple([name, list]).represented(budget)
    }

    override func attribute(_ name: Text, _ rendering: Rendering) -> Value? {
        name == "grouper" ? self.name : name == "list" ? list : nil
    }

    override func item(_ key: Value, _ rendering: Rendering) -> Value? {
        key.int.flatMap { Value.index($0, count: 2) }.map { $0 == 0 ? name : list }
    }
}
