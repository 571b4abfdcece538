/// `a.b`: an attribute, or else an item.
final class Attribute: ExpressionNode, Expression {
    let object: any Expression
    let name: AttributeName

    init(_ object: any Expression, _ name: String, _ position: Int) {
        self.object = object
        self.name = AttributeName(Text(name))
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) { try object.resolve(scope) }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try object.evaluate(rendering)
        rendering.position = position
        return try value.attribute(name, rendering)
    }
}

/// `a[b]`: an item, or else an attribute.
final class Subscript: ExpressionNode, Expression {
    private let object: any Expression
    private let key: any Expression

    init(_ object: any Expression, _ key: any Expression, _ position: Int) {
        self.object = object
        self.key = key
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try object.resolve(scope)
        try key.resolve(scope)
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try object.evaluate(rendering)
        if let slice = key as? Slice {
            let bounds = try slice.bounds(rendering)
            rendering.position = position
            return try value.sliced(bounds, rendering.budget)
        }
        let key = try key.evaluate(rendering)
        rendering.position = position
        return try value.itemOrAttribute(key, rendering)
    }
}

/// `a:b:c` within brackets.
final class Slice: ExpressionNode, Expression {
    private let parts: [(any Expression)?]

    init(_ parts: [(any Expression)?], _ position: Int) {
        self.parts = parts
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        for part in parts { try part?.resolve(scope) }
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        throw .type("a slice is one of several keys")
    }

    /// Start, end and step; nil where there is none.
    func bounds(_ rendering: Rendering) throws(Failure) -> [Int?] {
        var bounds: [Int?] = []
        for part in parts {
            let value = try part?.evaluate(rendering) ?? .none
            rendering.position = position
            guard value.isNone || value.int != nil else {
                if case .undefined(let undefined) = value { throw undefined.failure }
                throw .type("slice indices must be integers or None or have an __index__ method")
            }
            bounds.append(value.int)
        }
        return bounds
    }
}

/// A name after a dot, with what it is to texts and dictionaries.
struct AttributeName {
    let text: Text
    let textMethod: TextMethod?
    let mappingMethod: MappingMethod?

    init(_ name: Text) {
        text = name
        // No method's name is as long.
        let short = name.utf8.count < 32 ? name.string : ""
        textMethod = TextMethod(rawValue: short)
        mappingMethod = MappingMethod(rawValue: short)
    }
}

extension Value {
    private static let unsafeListMethods: Set<String> = [
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ]
    private static let unsafeMappingMethods: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]

    func attribute(_ name: AttributeName, _ rendering: Rendering) throws(Failure) -> Value {
        switch self {
        case .mapping(let mapping) where name.mappingMethod == nil:
            if let value = try mapping.value(of: name.text, rendering.budget) { return value }
            if let method = try method(name, rendering) { return method }
        case .undefined(let undefined): throw undefined.failure
        default:
            if let method = try method(name, rendering) { return method }
        }
        return .undefined(Undefined(attribute: name.text, of: self))
    }

    /// A method or an object's attribute.
    func method(_ name: AttributeName, _ rendering: Rendering) throws(Failure) -> Value? {
        func bound(_ method: BoundMethod.Method) throws(Failure) -> Value {
            .object(try BoundMethod(rendering.budget, method, of: self))
        }
        switch self {
        case .string, .markup:
            if let method = name.textMethod { return try bound(.text(method)) }
        case .mapping:
            if let method = name.mappingMethod { return try bound(.mapping(method)) }
            if Self.unsafeMappingMethods.contains(name.text.shown) { return unsafe(name) }
        case .list:
            if Self.unsafeListMethods.contains(name.text.shown) { return unsafe(name) }
            fallthrough
        case .tuple:
            if let method = SequenceMethod(rawValue: name.text.shown) { return try bound(.sequence(method)) }
        case .object(let object): return try object.attribute(name.text, rendering)
        case .undefined(let undefined): throw undefined.failure
        default: break
        }
        return nil
    }

    private func unsafe(_ name: AttributeName) -> Value {
        .undefined(
            Undefined(
                message: "access to attribute '\(name.text.shown)' of '\(typeName)' object is unsafe.", kind: .unsafe))
    }

    /// The item of a key, or else the attribute of that name.
    func itemOrAttribute(_ key: Value, _ rendering: Rendering) throws(Failure) -> Value {
        if let item = try item(key, rendering) { return item }
        guard let text = key.text else {
            return .undefined(Undefined(attribute: try key.represented(rendering.budget), of: self))
        }
        return try method(AttributeName(text), rendering) ?? .undefined(Undefined(attribute: text, of: self))
    }

    /// The item of a key; nil where there is none.
    func item(_ key: Value, _ rendering: Rendering) throws(Failure) -> Value? {
        switch self {
        case .mapping(let mapping): return try mapping.value(of: key, rendering.budget)
        case .list(let list), .tuple(let list):
            return key.int.flatMap { Self.index($0, count: list.elements.count) }.map { list.elements[$0] }
        case .string(let text), .markup(let text):
            guard let int = key.int else { return nil }
            try rendering.budget.work(bytes: text.utf8.count)
            guard let index = Self.index(int, count: text.count) else { return nil }
            let character = try rendering.budget.text(text.bytes(index..<index + 1))
            return isMarkup ? .markup(character) : .string(character)
        case .object(let object): return try object.item(key, rendering)
        case .undefined(let undefined): throw undefined.failure
        default: return nil
        }
    }

    static func index(_ index: Int, count: Int) -> Int? {
        let index = index < 0 ? index + count : index
        return (0..<count).contains(index) ? index : nil
    }

    fileprivate func sliced(_ bounds: [Int?], _ budget: Budget) throws(Failure) -> Value {
        func part(_ count: Int, _ element: (Int) -> Value) throws(Failure) -> [Value] {
            let indices = try Self.indices(bounds, count)
            try budget.work(elements: indices.underestimatedCount)
            return indices.map(element)
        }
        switch self {
        case .list(let list): return try budget.list(try part(list.elements.count) { list.elements[$0] })
        case .tuple(let list): return try budget.tuple(try part(list.elements.count) { list.elements[$0] })
        case .string(let text): return .string(try text.sliced(bounds, budget))
        case .markup(let text): return .markup(try text.sliced(bounds, budget))
        case .object(let range as RangeObject):
            return try budget.list(try part(range.count ?? 0) { .int(range[$0]) })
        case .undefined(let undefined): throw undefined.failure
        default: return .undefined(Undefined(attribute: "slice", of: self))
        }
    }

    /// The indices that a slice takes of `count`.
    fileprivate static func indices(_ bounds: [Int?], _ count: Int) throws(Failure) -> StrideTo<Int> {
        let step = bounds[2] ?? 1
        guard step != 0 else { throw .value("slice step cannot be zero") }
        let (lowest, highest) = step > 0 ? (0, count) : (-1, count - 1)
        func clamped(_ bound: Int?, default end: Int) -> Int {
            guard let bound else { return end }
            return min(max(bound < 0 ? bound + count : bound, lowest), highest)
        }
        let start = clamped(bounds[0], default: step > 0 ? lowest : highest)
        let end = clamped(bounds[1], default: step > 0 ? highest : lowest)
        // No step beyond the count takes more than one.
        return stride(from: start, to: end, by: min(max(step, -count - 1), count + 1))
    }
}

extension Text {
    fileprivate func sliced(_ bounds: [Int?], _ budget: Budget) throws(Failure) -> Text {
        try budget.work(bytes: utf8.count)
        let indices = try Value.indices(bounds, count)
        if (bounds[2] ?? 1) == 1 {
            guard let first = indices.first(where: { _ in true }) else { return "" }
            return try budget.text(bytes(first..<first + indices.underestimatedCount))
        }
        // The code points are kept for as long as this takes.
        let size = utf8.count * MemoryLayout<Unicode.Scalar>.stride
        try budget.pay(bytes: size)
        defer { budget.refund(size) }
        let scalars = Array(scalars)
        var text = TextBuilder(budget)
        for index in indices { try text.append(scalars[index]) }
        return try text.text()
    }
}
