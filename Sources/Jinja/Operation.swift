/// `a + b` and the other operators of two numbers, texts or lists.
final class Operation: Expression {
    private let symbol: Token.Symbol
    private let left: Expression
    private let right: Expression

    init(_ symbol: Token.Symbol, _ left: Expression, _ right: Expression, _ position: Int) {
        self.symbol = symbol
        self.left = left
        self.right = right
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        try left.resolve(scope)
        try right.resolve(scope)
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        let (a, b) = (try left.evaluate(rendering), try right.evaluate(rendering))
        if case .string(let first) = a, case .string(let second) = b, symbol == .plus {
            try rendering.spend(bytes: first.utf8.count + second.utf8.count)
            return .string(first + second)
        }
        rendering.position = position
        return try a.combined(symbol, with: b, rendering)
    }
}

/// `-a` and `+a`.
final class Sign: Expression {
    private let isMinus: Bool
    private let operand: Expression

    init(isMinus: Bool, _ operand: Expression, _ position: Int) {
        self.isMinus = isMinus
        self.operand = operand
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) { try operand.resolve(scope) }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try operand.evaluate(rendering)
        rendering.position = position
        switch value.number {
        case .int(let number): return .int(isMinus ? try checked(0.subtractingReportingOverflow(number)) : number)
        case .float(let number): return .float(isMinus ? -number : number)
        case nil:
            if case .undefined(let undefined) = value { throw undefined.failure }
            throw Failure("bad operand type for unary \(isMinus ? "-" : "+"): '\(value.typeName)'")
        }
    }
}

/// `a ~ b ~ c`: what is printed, joined.
final class Concatenation: Expression {
    private let operands: [Expression]

    init(_ operands: [Expression], _ position: Int) {
        self.operands = operands
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        for operand in operands { try operand.resolve(scope) }
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        var values: [Value] = []
        for operand in operands { values.append(try operand.evaluate(rendering)) }
        rendering.position = position
        var bytes: [UInt8] = []
        for value in values {
            bytes += try value.printed().utf8
            try rendering.spend(bytes: bytes.count)
        }
        return .string(Text(bytes))
    }
}

/// `a < b == c in d`: true if every neighbouring pair is.
final class Comparison: Expression {
    enum Operator {
        case equal, notEqual, less, lessEqual, greater, greaterEqual, isIn, isNotIn
    }

    private let first: Expression
    private let rest: [(Operator, Expression)]

    init(_ first: Expression, _ rest: [(Operator, Expression)], _ position: Int) {
        self.first = first
        self.rest = rest
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        try first.resolve(scope)
        for (_, operand) in rest { try operand.resolve(scope) }
    }

    override func evaluate(_ rendering: Rendering) throws(Failure) -> Value {
        var left = try first.evaluate(rendering)
        for (comparison, operand) in rest {
            let right = try operand.evaluate(rendering)
            rendering.position = position
            guard try Self.holds(comparison, left, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    static func holds(_ comparison: Operator, _ left: Value, _ right: Value) throws(Failure) -> Bool {
        switch comparison {
        case .equal: try left.equals(right)
        case .notEqual: !(try left.equals(right))
        case .less: try left.isLess(than: right, "<")
        case .greater: try right.isLess(than: left, ">")
        case .lessEqual: try left.isLessOrEqual(to: right, "<=")
        case .greaterEqual: try right.isLessOrEqual(to: left, ">=")
        case .isIn: try right.contains(left)
        case .isNotIn: !(try right.contains(left))
        }
    }
}

/// The result of integer arithmetic, which Python would make as large as needed.
func checked(_ result: (partialValue: Int, overflow: Bool)) throws(Failure) -> Int {
    guard !result.overflow else { throw Failure("the integer has more than 64 bits") }
    return result.partialValue
}
