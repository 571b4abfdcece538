import Glibc

extension Value {
    /// The result of an operator, as Python has it for these types.
    func combined(_ symbol: Token.Symbol, with other: Value, _ rendering: Rendering) throws(Failure) -> Value {
        if case .undefined(let undefined) = self { throw undefined.failure }
        if case .undefined(let undefined) = other { throw undefined.failure }
        if let a = number, let b = other.number { return try Self.arithmetic(symbol, a, b) }
        switch (symbol, self, other) {
        case (.plus, .string(let a), .string(let b)): return .string(a + b)
        case (.plus, .markup, .string), (.plus, .string, .markup), (.plus, .markup, .markup):
            return .markup(try escaped() + other.escaped())
        case (.plus, .string, _), (.plus, .markup, _):
            throw Failure("can only concatenate str (not \"\(other.typeName)\") to str")
        case (.plus, .list(let a), .list(let b)):
            try rendering.spend(elements: a.elements.count + b.elements.count)
            return .list(a.elements + b.elements)
        case (.plus, .tuple(let a), .tuple(let b)):
            try rendering.spend(elements: a.elements.count + b.elements.count)
            return .tuple(a.elements + b.elements)
        case (.times, _, _):
            if let product = try repeated(other, rendering) { return product }
            if let product = try other.repeated(self, rendering) { return product }
        case (.modulo, .string(let format), _):
            return .string(try PercentFormat.apply(format, other, rendering))
        case (.modulo, .markup(let format), _):
            return .markup(try PercentFormat.apply(format, other, rendering))
        default: break
        }
        let name = symbol == .power ? "** or pow()" : symbol.rawValue
        throw Failure("unsupported operand type(s) for \(name): '\(typeName)' and '\(other.typeName)'")
    }

    /// A text or a list so many times; nil of anything else.
    private func repeated(_ times: Value, _ rendering: Rendering) throws(Failure) -> Value? {
        guard let int = times.int else { return nil }
        let count = max(0, int)
        switch self {
        case .string(let text): return .string(try text.repeated(count, rendering))
        case .markup(let text): return .markup(try text.repeated(count, rendering))
        case .list(let list): return .list(try list.repeated(count, rendering))
        case .tuple(let list): return .tuple(try list.repeated(count, rendering))
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
            guard b != 0 else { throw Failure("float division by zero") }
            return .float(a / b)
        case .floorDivide:
            guard b != 0 else { throw Failure("float floor division by zero") }
            return .float(((a - modulo(a, b)) / b).rounded())
        case .modulo:
            guard b != 0 else { throw Failure("float modulo") }
            return .float(modulo(a, b))
        default:
            guard a >= 0 || b == b.rounded() else { throw Failure("complex numbers are not supported") }
            guard a != 0 || b >= 0 else { throw Failure("0.0 cannot be raised to a negative power") }
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
        case .plus: return .int(try checked(a.addingReportingOverflow(b)))
        case .minus: return .int(try checked(a.subtractingReportingOverflow(b)))
        case .times: return .int(try checked(a.multipliedReportingOverflow(by: b)))
        case .divide:
            guard b != 0 else { throw Failure("division by zero") }
            return .float(Double(a) / Double(b))
        case .floorDivide, .modulo:
            guard b != 0 else { throw Failure("integer division or modulo by zero") }
            let quotient = try checked(a.dividedReportingOverflow(by: b))
            let rest = a - quotient * b
            let isBelow = rest != 0 && (rest < 0) != (b < 0)
            return symbol == .modulo ? .int(isBelow ? rest + b : rest) : .int(isBelow ? quotient - 1 : quotient)
        default:
            guard b >= 0 else { return try arithmetic(.power, .float(Double(a)), .float(Double(b))) }
            return .int(try power(a, b))
        }
    }

    private static func power(_ base: Int, _ exponent: Int) throws(Failure) -> Int {
        var (result, base, rest) = (1, base, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = try checked(result.multipliedReportingOverflow(by: base)) }
            rest >>= 1
            if rest > 0 { base = try checked(base.multipliedReportingOverflow(by: base)) }
        }
        return result
    }
}

extension Text {
    func repeated(_ count: Int, _ rendering: Rendering) throws(Failure) -> Text {
        let (size, overflow) = utf8.count.multipliedReportingOverflow(by: count)
        try rendering.spend(bytes: overflow ? .max : size)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        if !isEmpty { for _ in 0..<count { bytes += utf8 } }
        return Text(bytes)
    }
}

extension List {
    fileprivate func repeated(_ count: Int, _ rendering: Rendering) throws(Failure) -> [Value] {
        let (size, overflow) = elements.count.multipliedReportingOverflow(by: count)
        try rendering.spend(elements: overflow ? .max : size)
        return size == 0 ? [] : Array(repeatElement(elements, count: count).joined())
    }
}
