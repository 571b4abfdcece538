/// The tests by name, as in `x is defined`: all of Jinja's.
enum Tests {
    typealias Function = @Sendable (Value, Arguments) throws(Failure) -> Bool

    static let all: [String: Function] = [
        "defined": { value, _ in !value.isUndefined },
        "undefined": { value, _ in value.isUndefined },
        "none": { value, _ in value.isNone },
        "boolean": { value, _ in if case .bool = value { true } else { false } },
        "true": { value, _ in if case .bool(true) = value { true } else { false } },
        "false": { value, _ in if case .bool(false) = value { true } else { false } },
        "integer": { value, _ in if case .int = value { true } else { false } },
        "float": { value, _ in if case .float = value { true } else { false } },
        "number": { value, _ in value.number != nil },
        "string": { value, _ in value.text != nil },
        "mapping": { value, _ in if case .mapping = value { true } else { false } },
        "iterable": { value, _ in value.isIterable },
        "sequence": { value, _ in value.isSequence },
        "callable": { value, _ in
            switch value {
            case .undefined: true
            case .object(let object): object.isCallable
            default: false
            }
        },
        "escaped": { value, _ in if case .markup = value { true } else { false } },
        "lower": { value, _ throws(Failure) in try value.printed().hasCase(lower: true) },
        "upper": { value, _ throws(Failure) in try value.printed().hasCase(lower: false) },
        "odd": { value, _ throws(Failure) in try remainder(value, .int(2)) == 1 },
        "even": { value, _ throws(Failure) in try remainder(value, .int(2)) == 0 },
        "divisibleby": { value, arguments throws(Failure) in
            try remainder(value, try other(arguments, "divisibleby")) == 0
        },
        "sameas": { value, arguments throws(Failure) in value.isSame(as: try other(arguments, "sameas")) },
        "filter": { value, _ in value.text.map { Filters.all[$0.string] != nil } ?? false },
        "test": { value, _ in value.text.map { isTest($0.string) } ?? false },
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
        { value, arguments throws(Failure) in
            try Comparison.holds(comparison, value, try other(arguments, "the test"))
        }
    }

    private static func other(_ arguments: Arguments, _ name: String) throws(Failure) -> Value {
        try arguments.bound(to: ["other"], of: name, required: 1)[0] ?? .none
    }

    private static func remainder(_ value: Value, _ divisor: Value) throws(Failure) -> Double {
        guard let number = value.number, let by = divisor.number else {
            throw Filters.operandFailure(value.number == nil ? value : divisor, "%")
        }
        guard by.double != 0 else { throw Failure("integer modulo by zero") }
        let rest = number.double.truncatingRemainder(dividingBy: by.double)
        return rest < 0 ? rest + abs(by.double) : rest
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

    fileprivate func isSame(as other: Value) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.string(let a), .string(let b)): a == b
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): a === b
        case (.mapping(let a), .mapping(let b)): a === b
        case (.object(let a), .object(let b)): a === b
        default: false
        }
    }
}
