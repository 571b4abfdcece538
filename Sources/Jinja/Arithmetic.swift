import Glibc

extension Value {
    /// The result of an operator, as Python has it for these types.
    func combined(_ symbol: Token.Symbol, with other: Value, _ rendering: Rendering) throws(Failure) -> Value {
        let budget = rendering.budget
        if case .undefined(let undefined) = self { throw undefined.failure }
        if case .undefined(let undefined) = other { throw undefined.failure }
        if let a = number, let b = other.number { return try Self.arithmetic(symbol, a, b) }
        switch (symbol, self, other) {
        case (.plus, .string(let a), .string(let b)): return .string(try budget.text(a, b))
        case (.plus, .markup, .string), (.plus, .string, .markup), (.plus, .markup, .markup):
            return .markup(try budget.text(try escaped(budget), try other.escaped(budget)))
        case (.plus, .string, _), (.plus, .markup, _):
            throw .type("can only concatenate str (not \"\(other.typeName)\") to str")
        case (.plus, .list(let a), .list(let b)): return try budget.list(a.elements + b.elements)
        case (.plus, .tuple(let a), .tuple(let b)): return try budget.tuple(a.elements + b.elements)
        case (.times, _, _):
            if let product = try repeated(other, budget) { return product }
            if let product = try other.repeated(self, budget) { return product }
        case (.modulo, .string(let format), _):
            return .string(try PercentFormat.apply(format, other, rendering))
        case (.modulo, .markup(let format), _):
            return .markup(try PercentFormat.apply(format, other, rendering))
        default: break
        }
        let name = symbol == .power ? "** or pow()" : symbol.rawValue
        throw .type("unsupported operand type(s) for \(name): '\(typeName)' and '\(other.typeName)'")
    }

    /// A text or a list a number of times; nil of anything else.
    private func repeated(_ times: Value, _ budget: Budget) throws(Failure) -> Value? {
        guard let int = times.int else { return nil }
        let count = max(0, int)
        switch self {
        case .string(let text): return .string(try text.repeated(count, budget))
        case .markup(let text): return .markup(try text.repeated(count, budget))
        case .list(let list): return try budget.list(try list.repeated(count, budget))
        case .tuple(let list): return try budget.tuple(try list.repeated(count, budget))
        default: return nil
        }
    }

    private static func arithmetic(_ symbol: Token.Symbol, _ a: Number, _ b: Number) throws(Failure) -> Value {
        if case .int(let a) = a, case .int(let b) = b { return try arithmetic(symbol, a, b) }
        let (a, b) = (a.double, b.double)
        switch symbol {
        case .plus: return .float(a + b)
        case .minus: return .float(a - b)
        case .times: return .float(a * b)
        case .divide:
            guard b != 0 else { throw .value("float division by zero") }
            return .float(a / b)
        case .floorDivide:
            guard b != 0 else { throw .value("float floor division by zero") }
            return .float(((a - modulo(a, b)) / b).rounded())
        case .modulo:
            guard b != 0 else { throw .value("float modulo") }
            return .float(modulo(a, b))
        default:
            guard a >= 0 || b == b.rounded() else { throw .value("complex numbers are not supported") }
            guard a != 0 || b >= 0 else { throw .value("0.0 cannot be raised to a negative power") }
            return .float(pow(a, b))
        }
    }

    /// The remainder with the divisor's sign.
    private static func modulo(_ a: Double, _ b: Double) -> Double {
        let rest = fmod(a, b)
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
    }

    private static func arithmetic(_ symbol: Token.Symbol, _ a: Int, _ b: Int) throws(Failure) -> Value {
        switch symbol {
        case .plus: return .int(try Integer.sum(a, b))
        case .minus: return .int(try Integer.difference(a, b))
        case .times: return .int(try Integer.product(a, b))
        case .divide:
            guard b != 0 else { throw .value("division by zero") }
            return .float(Double(a) / Double(b))
        case .floorDivide: return .int(try Integer.quotient(a, by: b))
        case .modulo: return .int(try Integer.remainder(a, by: b))
        default:
            guard b >= 0 else { return try arithmetic(.power, .float(Double(a)), .float(Double(b))) }
            return .int(try Integer.power(a, b))
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

extension Text {
    /// - Parameter count: Not negative.
    func repeated(_ count: Int, _ budget: Budget) throws(Failure) -> Text {
        var text = TextBuilder(budget)
        try text.append(self, times: count)
        return try text.text()
    }
}

extension List {
    fileprivate func repeated(_ count: Int, _ budget: Budget) throws(Failure) -> [Value] {
        guard count > 0, !elements.isEmpty else { return [] }
        let (size, overflow) = elements.count.multipliedReportingOverflow(by: count)
        let all = overflow ? Int.max : size
        try budget.check(elements: all)
        return Array(repeatElement(elements, count: count).joined())
    }
}
