/// `a + b` and the other operators of two numbers, texts or lists.
final class Operation: ExpressionNode, Expression {
    private let symbol: Token.Symbol
    private let left: any Expression
    private let right: any Expression

    init(_ symbol: Token.Symbol, _ left: any Expression, _ right: any Expression, _ position: Int) {
        self.symbol = symbol
        self.left = left
        self.right = right
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try left.resolve(scope)
        try right.resolve(scope)
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let (a, b) = (try left.evaluate(rendering), try right.evaluate(rendering))
        rendering.position = position
        if case .string(let first) = a, case .string(let second) = b, symbol == .plus {
            return .string(try rendering.budget.text(first, second))
        }
        return try a.combined(symbol, with: b, rendering)
    }
}

/// `-a` and `+a`.
final class Sign: ExpressionNode, Expression {
    private let isMinus: Bool
    private let operand: any Expression

    init(isMinus: Bool, _ operand: any Expression, _ position: Int) {
        self.isMinus = isMinus
        self.operand = operand
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) { try operand.resolve(scope) }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try operand.evaluate(rendering)
        rendering.position = position
        switch value.number {
        case .int(let number): return .int(isMinus ? try Integer.difference(0, number) : number)
        case .float(let number): return .float(isMinus ? -number : number)
        case nil:
            if case .undefined(let undefined) = value { throw undefined.failure }
            throw .type("bad operand type for unary \(isMinus ? "-" : "+"): '\(value.typeName)'")
        }
    }
}

/// `a ~ b ~ c`: what is printed, joined.
final class Concatenation: ExpressionNode, Expression {
    private let operands: [any Expression]

    init(_ operands: [any Expression], _ position: Int) {
        self.operands = operands
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        for operand in operands { try operand.resolve(scope) }
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [Value] = []
        for operand in operands { values.append(try operand.evaluate(rendering)) }
        rendering.position = position
        var text = TextBuilder(rendering.budget)
        for value in values { try text.append(try value.printed(rendering.budget)) }
        return .string(try text.text())
    }
}

/// `a < b == c in d`: true if every neighbouring pair is.
final class Comparison: ExpressionNode, Expression {
    enum Operator {
        case equal, notEqual, less, lessEqual, greater, greaterEqual, isIn, isNotIn
    }

    private let first: any Expression
    private let rest: [(Operator, any Expression)]

    init(_ first: any Expression, _ rest: [(Operator, any Expression)], _ position: Int) {
        self.first = first
        self.rest = rest
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try first.resolve(scope)
        for (_, operand) in rest { try operand.resolve(scope) }
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        var left = try first.evaluate(rendering)
        for (comparison, operand) in rest {
            let right = try operand.evaluate(rendering)
            rendering.position = position
            guard try Self.holds(comparison, left, right, rendering.budget) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    static func holds(
        _ comparison: Operator, _ left: Value, _ right: Value, _ budget: Budget
    ) throws(Failure) -> Bool {
        switch comparison {
        case .equal: try left.equals(right, budget)
        case .notEqual: !(try left.equals(right, budget))
        case .less: try left.isLess(than: right, "<", budget)
        case .greater: try right.isLess(than: left, ">", budget)
        case .lessEqual: try left.isLessOrEqual(to: right, "<=", budget)
        case .greaterEqual: try right.isLessOrEqual(to: left, ">=", budget)
        case .isIn: try right.contains(left, budget)
        case .isNotIn: !(try right.contains(left, budget))
        }
    }
}
