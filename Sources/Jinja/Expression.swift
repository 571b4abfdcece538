/// A part of a template that has a value.
///
/// Every kind is a class with `resolve`, which finds the places of names once, and `evaluate`.
class Expression {
    /// The byte of the source at which it begins.
    let position: Int
    /// How many expressions stand within each other, itself included; set by the parser, which bounds it.
    var height = 1

    init(_ position: Int) { self.position = position }

    func resolve(_ scope: Scope) throws(Failure) {}
    func evaluate(_ rendering: Rendering) throws(Failure) -> Value { .none }
}

final class Constant: Expression {
    let value: Value

    init(_ value: Value, _ position: Int) {
        self.value = value
        super.init(position)
    }

    override func evaluate(_ rendering: Rendering) -> Value { value }
}

final class Name: Expression {
    let name: String
    private var place = Place(depth: 0, slot: 0)

    init(_ name: String, _ position: Int) {
        self.name = name
        super.init(position)
    }

    override func resolve(_ scope: Scope) { place = scope.place(of: name) }
    override func evaluate(_ rendering: Rendering) -> Value { rendering.frame[place] }
}

/// `[a, b]` and `(a, b)`.
final class SequenceLiteral: Expression {
    let elements: [Expression]
    private let isTuple: Bool

    init(_ elements: [Expression], isTuple: Bool, _ position: Int) {
        self.elements = elements
        self.isTuple = isTuple
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        for element in elements { try element.resolve(scope) }
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [Value] = []
        values.reserveCapacity(elements.count)
        for element in elements { values.append(try element.evaluate(rendering)) }
        return try (isTuple ? Value.tuple(values) : .list(values)).checkedDepth()
    }
}

/// `{a: b}`.
final class MappingLiteral: Expression {
    private let members: [(key: Expression, value: Expression)]

    init(_ members: [(Expression, Expression)], _ position: Int) {
        self.members = members
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        for member in members {
            try member.key.resolve(scope)
            try member.value.resolve(scope)
        }
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [(Value, Value)] = []
        for member in members {
            values.append((try member.key.evaluate(rendering), try member.value.evaluate(rendering)))
        }
        rendering.position = position
        return try Value.mapping(try Mapping(values)).checkedDepth()
    }
}

/// `a if condition else b`; undefined where there is no other.
final class Conditional: Expression {
    private let condition: Expression
    private let then: Expression
    private let otherwise: Expression?

    init(_ condition: Expression, then: Expression, otherwise: Expression?, _ position: Int) {
        self.condition = condition
        self.then = then
        self.otherwise = otherwise
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        let wasConditional = scope.isConditional
        scope.isConditional = true
        defer { scope.isConditional = wasConditional }
        try condition.resolve(scope)
        try then.resolve(scope)
        try otherwise?.resolve(scope)
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        if try condition.evaluate(rendering).isTrue { return try then.evaluate(rendering) }
        if let otherwise { return try otherwise.evaluate(rendering) }
        return .undefined(
            Undefined(
                message: "the inline if-expression evaluated to false and no else section was defined"))
    }
}

/// `a and b`, `a or b`: the value that decides.
final class Logical: Expression {
    private let isAnd: Bool
    private let left: Expression
    private let right: Expression

    init(isAnd: Bool, _ left: Expression, _ right: Expression, _ position: Int) {
        self.isAnd = isAnd
        self.left = left
        self.right = right
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        try left.resolve(scope)
        try right.resolve(scope)
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try left.evaluate(rendering)
        return value.isTrue == isAnd ? try right.evaluate(rendering) : value
    }
}

/// `not a`.
final class Negation: Expression {
    private let operand: Expression

    init(_ operand: Expression, _ position: Int) {
        self.operand = operand
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) { try operand.resolve(scope) }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        .bool(!(try operand.evaluate(rendering).isTrue))
    }
}

extension Value {
    private static let deepest = 200

    /// Itself, if it isn't nested too deep to be walked.
    func checkedDepth() throws(Failure) -> Value {
        guard depth <= Self.deepest else {
            throw Failure(kind: .limit, "values are nested deeper than \(Self.deepest)")
        }
        return self
    }
}
