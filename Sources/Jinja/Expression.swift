/// A part of a template that has a value.
///
/// Every kind is a class with `resolve`, which finds the slots of names once, and `compute`.
protocol Expression: ExpressionNode {
    func resolve(_ scope: Scope) throws(Failure)
    /// The value; asked for by `evaluate`.
    func compute(_ rendering: Rendering) throws(Failure) -> Value
}

extension Expression {
    /// The value, for one step.
    func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        try rendering.budget.enter()
        return try compute(rendering)
    }
}

/// What all kinds of expressions have.
class ExpressionNode {
    /// The byte of the source at which it begins.
    let position: Int
    /// How many expressions are nested within each other, itself included; set by the parser, which bounds it.
    var height = 1

    init(_ position: Int) { self.position = position }
}

final class Constant: ExpressionNode, Expression {
    let value: Value

    init(_ value: Value, _ position: Int) {
        self.value = value
        super.init(position)
    }

    func resolve(_ scope: Scope) {}
    func compute(_ rendering: Rendering) -> Value { value }
}

final class Name: ExpressionNode, Expression {
    let name: String
    private var slot = SlotPath(depth: 0, slot: 0)

    init(_ name: String, _ position: Int) {
        self.name = name
        super.init(position)
    }

    func resolve(_ scope: Scope) { slot = scope.slot(of: name) }
    func compute(_ rendering: Rendering) -> Value { rendering.frame[slot] }
}

/// `[a, b]` and `(a, b)`.
final class SequenceLiteral: ExpressionNode, Expression {
    let elements: [any Expression]
    private let isTuple: Bool

    init(_ elements: [any Expression], isTuple: Bool, _ position: Int) {
        self.elements = elements
        self.isTuple = isTuple
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        for element in elements { try element.resolve(scope) }
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [Value] = []
        values.reserveCapacity(elements.count)
        for element in elements { values.append(try element.evaluate(rendering)) }
        return isTuple ? try rendering.budget.tuple(values) : try rendering.budget.list(values)
    }
}

/// `{a: b}`.
final class MappingLiteral: ExpressionNode, Expression {
    private let members: [(key: any Expression, value: any Expression)]

    init(_ members: [(any Expression, any Expression)], _ position: Int) {
        self.members = members
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        for member in members {
            try member.key.resolve(scope)
            try member.value.resolve(scope)
        }
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [(key: Value, value: Value)] = []
        for member in members {
            values.append((try member.key.evaluate(rendering), try member.value.evaluate(rendering)))
        }
        rendering.position = position
        return try rendering.budget.mapping(values)
    }
}

/// `a if condition else b`; undefined where there is no other.
final class Conditional: ExpressionNode, Expression {
    private let condition: any Expression
    private let then: any Expression
    private let otherwise: (any Expression)?

    init(_ condition: any Expression, then: any Expression, otherwise: (any Expression)?, _ position: Int) {
        self.condition = condition
        self.then = then
        self.otherwise = otherwise
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        let wasConditional = scope.isConditional
        scope.isConditional = true
        defer { scope.isConditional = wasConditional }
        try condition.resolve(scope)
        try then.resolve(scope)
        try otherwise?.resolve(scope)
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        if try condition.evaluate(rendering).isTrue { return try then.evaluate(rendering) }
        if let otherwise { return try otherwise.evaluate(rendering) }
        return .undefined(
            Undefined(
                message: "the inline if-expression evaluated to false and no else section was defined"))
    }
}

/// `a and b`, `a or b`: the value that decides.
final class Logical: ExpressionNode, Expression {
    private let isAnd: Bool
    private let left: any Expression
    private let right: any Expression

    init(isAnd: Bool, _ left: any Expression, _ right: any Expression, _ position: Int) {
        self.isAnd = isAnd
        self.left = left
        self.right = right
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try left.resolve(scope)
        try right.resolve(scope)
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try left.evaluate(rendering)
        return value.isTrue == isAnd ? try right.evaluate(rendering) : value
    }
}

/// `not a`.
final class Negation: ExpressionNode, Expression {
    private let operand: any Expression

    init(_ operand: any Expression, _ position: Int) {
        self.operand = operand
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) { try operand.resolve(scope) }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        .bool(!(try operand.evaluate(rendering).isTrue))
    }
}
