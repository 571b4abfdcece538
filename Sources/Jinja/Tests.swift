/// The tests by name, as in `x is defined`: all of Jinja's.
enum Tests {
    typealias Function = @Sendable (Rendering, Value, Arguments) throws(Failure) -> Bool

    static let all: [String: Function] = [
        "defined": { _, value, _ in !value.isUndefined },
        "undefined": { _, value, _ in value.isUndefined },
        "none": { _, value, _ in value.isNone },
        "boolean": { _, value, _ in if case .bool = value { true } else { false } },
        "true": { _, value, _ in if case .bool(true) = value { true } else { false } },
        "false": { _, value, _ in if case .bool(false) = value { true } else { false } },
        "integer": { _, value, _ in if case .int = value { true } else { false } },
        "float": { _, value, _ in if case .float = value { true } else { false } },
        "number": { _, value, _ in value.number != nil },
        "string": { _, value, _ in value.text != nil },
        "mapping": { _, value, _ in if case .mapping = value { true } else { false } },
        "iterable": { _, value, _ in value.isIterable },
        "sequence": { _, value, _ in value.isSequence },
        "callable": { _, value, _ in
            switch value {
            case .undefined: true
            case .object(let object): object.isCallable
            default: false
            }
        },
        "escaped": { _, value, _ in if case .markup = value { true } else { false } },
        "lower": { rendering, value, _ throws(Failure) in try hasCase(value, lower: true, rendering) },
        "upper": { rendering, value, _ throws(Failure) in try hasCase(value, lower: false, rendering) },
        "odd": { rendering, value, _ throws(Failure) in try remainder(value, .int(2), rendering, is: 1) },
        "even": { rendering, value, _ throws(Failure) in try remainder(value, .int(2), rendering, is: 0) },
        "divisibleby": { rendering, value, arguments throws(Failure) in
            try remainder(value, try other(arguments, "divisibleby"), rendering, is: 0)
        },
        "sameas": { rendering, value, arguments throws(Failure) in
            try value.isSame(as: try other(arguments, "sameas"), rendering.budget)
        },
        "filter": { _, value, _ in value.text.map { Filters.all[$0.shown] != nil } ?? false },
        "test": { _, value, _ in value.text.map { isTest($0.shown) } ?? false },
        "in": compare(.isIn),
        "==": compare(.equal), "eq": compare(.equal), "equalto": compare(.equal),
        "!=": compare(.notEqual), "ne": compare(.notEqual),
        "<": compare(.less), "lt": compare(.less), "lessthan": compare(.less),
        "<=": compare(.lessEqual), "le": compare(.lessEqual),
        ">": compare(.greater), "gt": compare(.greater), "greaterthan": compare(.greater),
        ">=": compare(.greaterEqual), "ge": compare(.greaterEqual),
    ]

    private static func isTest(_ name: String) -> Bool { all[name] != nil }

    private static func compare(_ comparison: Comparison.Operator) -> Function {
        { rendering, value, arguments throws(Failure) in
            try Comparison.holds(comparison, value, try other(arguments, "the test"), rendering.budget)
        }
    }

    private static func other(_ arguments: Arguments, _ name: String) throws(Failure) -> Value {
        try arguments.bound(to: ["other"], of: name, required: 1)[0] ?? .none
    }

    /// Whether the rest of dividing a number by another is this one.
    private static func remainder(
        _ value: Value, _ divisor: Value, _ rendering: Rendering, is rest: Int
    ) throws(Failure) -> Bool {
        guard let number = value.number, let by = divisor.number else {
            throw Filters.operandFailure(value.number == nil ? value : divisor, "%")
        }
        let remainder = try Value.number(number).combined(.modulo, with: .number(by), rendering)
        return try remainder.equals(.int(rest), rendering.budget)
    }

    private static func hasCase(_ value: Value, lower: Bool, _ rendering: Rendering) throws(Failure) -> Bool {
        let text = try value.printed(rendering.budget)
        try rendering.budget.work(bytes: text.utf8.count)
        return text.hasCase(lower: lower)
    }
}

extension Value {
    var isIterable: Bool {
        switch self {
        case .undefined, .string, .markup, .list, .tuple, .mapping: true
        case .object(let object): object is IteratorObject || object.count != nil
        default: false
        }
    }

    /// Whether it has a length and items.
    fileprivate var isSequence: Bool {
        switch self {
        case .undefined, .string, .markup, .list, .tuple, .mapping: true
        case .object(let object): object is RangeObject
        default: false
        }
    }

    fileprivate static func number(_ number: Number) -> Value {
        switch number {
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        }
    }

    fileprivate func isSame(as other: Value, _ budget: Budget) throws(Failure) -> Bool {
        switch (self, other) {
        case (.none, .none): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.int(let a), .int(let b)): return a == b
        case (.string, .string): return try equals(other, budget)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return a === b
        case (.mapping(let a), .mapping(let b)): return a === b
        case (.object(let a), .object(let b)): return a === b
        default: return false
        }
    }
}
