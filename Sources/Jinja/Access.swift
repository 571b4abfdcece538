/// `a.b`: an attribute, or else an item.
final class Attribute: Expression {
    let object: Expression
    let name: AttributeName

    init(_ object: Expression, _ name: String, _ position: Int) {
        self.object = object
        self.name = AttributeName(name)
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) { try object.resolve(scope) }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try object.evaluate(rendering)
        rendering.position = position
        return try value.attribute(name)
    }
}

/// `a[b]`: an item, or else an attribute.
final class Subscript: Expression {
    private let object: Expression
    private let key: Expression

    init(_ object: Expression, _ key: Expression, _ position: Int) {
        self.object = object
        self.key = key
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        try object.resolve(scope)
        try key.resolve(scope)
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try object.evaluate(rendering)
        if let slice = key as? Slice {
            let bounds = try slice.bounds(rendering)
            rendering.position = position
            return try value.sliced(bounds)
        }
        let key = try key.evaluate(rendering)
        rendering.position = position
        if let item = try value.item(key) { return item }
        guard let text = key.text else {
            return .undefined(Undefined(attribute: try key.represented(), of: value))
        }
        return try value.method(AttributeName(text.string)) ?? .undefined(Undefined(attribute: text, of: value))
    }
}

/// `a:b:c` within brackets.
final class Slice: Expression {
    private let parts: [Expression?]

    init(_ parts: [Expression?], _ position: Int) {
        self.parts = parts
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        for part in parts { try part?.resolve(scope) }
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        throw Failure("a slice stands alone")
    }

    /// Start, end and step; nil where there is none.
    func bounds(_ rendering: Rendering) throws(Failure) -> [Int?] {
        var bounds: [Int?] = []
        for part in parts {
            let value = try part?.evaluate(rendering) ?? .none
            rendering.position = position
            guard value.isNone || value.int != nil else {
                if case .undefined(let undefined) = value { throw undefined.failure }
                throw Failure("slice indices must be integers or None or have an __index__ method")
            }
            bounds.append(value.int)
        }
        return bounds
    }
}

/// A name behind a dot, with what it is to texts and dictionaries.
struct AttributeName {
    let text: Text
    let textMethod: TextMethod?
    let mappingMethod: MappingMethod?

    init(_ name: String) {
        text = Text(name)
        textMethod = TextMethod(rawValue: name)
        mappingMethod = MappingMethod(rawValue: name)
    }
}

extension Value {
    private static let unsafeListMethods: Set<String> = [
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ]
    private static let unsafeMappingMethods: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]

    func attribute(_ name: AttributeName) throws(Failure) -> Value {
        switch self {
        case .mapping(let mapping) where name.mappingMethod == nil:
            if let value = mapping[name.text] { return value }
            if let method = try method(name) { return method }
        case .undefined(let undefined): throw undefined.failure
        default:
            if let method = try method(name) { return method }
        }
        return .undefined(Undefined(attribute: name.text, of: self))
    }

    /// A method or an object's attribute.
    func method(_ name: AttributeName) throws(Failure) -> Value? {
        switch self {
        case .string, .markup:
            if let method = name.textMethod { return .object(BoundMethod(.text(method), of: self)) }
        case .mapping:
            if let method = name.mappingMethod { return .object(BoundMethod(.mapping(method), of: self)) }
            if Self.unsafeMappingMethods.contains(name.text.string) { return unsafe(name) }
        case .list:
            if Self.unsafeListMethods.contains(name.text.string) { return unsafe(name) }
            fallthrough
        case .tuple:
            if let method = SequenceMethod(rawValue: name.text.string) {
                return .object(BoundMethod(.sequence(method), of: self))
            }
        case .object(let object): return object.attribute(name.text)
        case .undefined(let undefined): throw undefined.failure
        default: break
        }
        return nil
    }

    private func unsafe(_ name: AttributeName) -> Value {
        .undefined(
            Undefined(message: "access to attribute '\(name.text.string)' of '\(typeName)' object is unsafe."))
    }

    /// The item of a key; nil where there is none.
    func item(_ key: Value) throws(Failure) -> Value? {
        switch self {
        case .mapping(let mapping): return try mapping.value(of: key)
        case .list(let list), .tuple(let list):
            return key.int.flatMap { Self.index($0, count: list.elements.count) }.map { list.elements[$0] }
        case .string(let text):
            return key.int.flatMap { Self.index($0, count: text.count) }.map { .string(text.slice($0..<$0 + 1)) }
        case .markup(let text):
            return key.int.flatMap { Self.index($0, count: text.count) }.map { .markup(text.slice($0..<$0 + 1)) }
        case .object(let object): return try object.item(key)
        case .undefined(let undefined): throw undefined.failure
        default: return nil
        }
    }

    static func index(_ index: Int, count: Int) -> Int? {
        let place = index < 0 ? index + count : index
        return (0..<count).contains(place) ? place : nil
    }

    func sliced(_ bounds: [Int?]) throws(Failure) -> Value {
        switch self {
        case .list(let list): return .list(try Self.places(bounds, list.elements.count).map { list.elements[$0] })
        case .tuple(let list): return .tuple(try Self.places(bounds, list.elements.count).map { list.elements[$0] })
        case .string(let text): return .string(try text.sliced(bounds))
        case .markup(let text): return .markup(try text.sliced(bounds))
        case .object(let range as RangeObject):
            return .list(try Self.places(bounds, range.values.count).map { .int(range.values[$0]) })
        case .undefined(let undefined): throw undefined.failure
        default: return .undefined(Undefined(attribute: "slice", of: self))
        }
    }

    /// The places that a slice takes of `count`.
    fileprivate static func places(_ bounds: [Int?], _ count: Int) throws(Failure) -> StrideTo<Int> {
        let step = bounds[2] ?? 1
        guard step != 0 else { throw Failure("slice step cannot be zero") }
        let (lowest, highest) = step > 0 ? (0, count) : (-1, count - 1)
        func clamped(_ bound: Int?, _ usual: Int) -> Int {
            guard let bound else { return usual }
            return min(max(bound < 0 ? bound + count : bound, lowest), highest)
        }
        let start = clamped(bounds[0], step > 0 ? lowest : highest)
        let end = clamped(bounds[1], step > 0 ? highest : lowest)
        // No step beyond the count takes more than one.
        return stride(from: start, to: end, by: min(max(step, -count - 1), count + 1))
    }
}

extension Text {
    fileprivate func sliced(_ bounds: [Int?]) throws(Failure) -> Text {
        if (bounds[2] ?? 1) == 1 {
            let count = count
            let places = try Value.places(bounds, count)
            guard let first = places.first(where: { _ in true }) else { return "" }
            return slice(first..<first + places.underestimatedCount)
        }
        let scalars = scalars
        return Text(try Value.places(bounds, scalars.count).map { scalars[$0] })
    }
}
