import Glibc

/// The functions that templates find without being given them.
enum Globals {
    typealias Body = @Sendable (Arguments, Rendering) throws(Failure) -> Value
    private static let largestRange = 100_000

    static func function(_ name: String, _ budget: Budget) throws(Failure) -> Value? {
        guard let body = all[name] else { return nil }
        return .object(try Function(budget, name, body))
    }

    static let all: [String: Body] = [
        "range": { arguments, rendering throws(Failure) in
            var numbers: [Int] = []
            for value in arguments.positional {
                guard let int = value.int else { throw Filters.operandFailure(value, "range()") }
                numbers.append(int)
            }
            guard (1...3).contains(numbers.count), arguments.named.isEmpty else {
                throw .type("range expected 1 to 3 arguments, got \(arguments.positional.count)")
            }
            let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
            let step = numbers.count == 3 ? numbers[2] : 1
            let shown = "range(\(start), \(end)\(step == 1 ? "" : ", \(step)"))"
            return .object(
                try RangeObject(
                    rendering.budget, from: start, by: step, length: try length(from: start, to: end, by: step),
                    shown: shown))
        },
        "dict": { arguments, rendering throws(Failure) in
            let budget = rendering.budget
            var members: [(key: Value, value: Value)] = []
            for value in arguments.positional.prefix(1) {
                if case .mapping(let mapping) = value {
                    for entry in mapping.entries { members.append((entry.key, entry.value)) }
                } else {
                    for pair in try value.iterated(budget).elements {
                        let parts = try pair.iterated(budget).elements
                        guard parts.count == 2 else { throw .value("dict() wants pairs") }
                        members.append((parts[0], parts[1]))
                    }
                }
            }
            for argument in arguments.named {
                members.append((.string(try budget.text(argument.name)), argument.value))
            }
            return try budget.mapping(members)
        },
        "namespace": { arguments, rendering throws(Failure) in
            let namespace = try Namespace(rendering)
            for value in arguments.positional {
                guard case .mapping(let mapping) = value else { throw .type("namespace() wants a mapping") }
                for entry in mapping.entries {
                    try namespace.set(try entry.key.printed(rendering.budget), to: entry.value, rendering)
                }
            }
            for argument in arguments.named {
                try namespace.set(try rendering.budget.text(argument.name), to: argument.value, rendering)
            }
            return .object(namespace)
        },
        "cycler": { arguments, rendering throws(Failure) in
            guard !arguments.positional.isEmpty else { throw .runtime("at least one item has to be provided") }
            return .object(try Cycler(rendering.budget, arguments.positional))
        },
        "joiner": { arguments, rendering throws(Failure) in
            let separator = try arguments.bound(to: ["sep"], of: "joiner")[0] ?? .string(", ")
            return .object(try Joiner(rendering.budget, separator))
        },
        "raise_exception": { arguments, rendering throws(Failure) in
            let message = try arguments.bound(to: ["message"], of: "raise_exception", required: 1)[0] ?? .none
            throw Failure(kind: .raised, try message.printed(rendering.budget).string)
        },
        "strftime_now": { arguments, rendering throws(Failure) in
            let format = try arguments.bound(to: ["format"], of: "strftime_now", required: 1)[0] ?? .none
            let text = try Filters.text(format, "strftime_now")
            try rendering.budget.work(bytes: text.utf8.count)
            return .string(try rendering.budget.text(Clock.text(text.string, rendering.environment)))
        },
    ]

    /// How many numbers a range has.
    private static func length(from start: Int, to end: Int, by step: Int) throws(Failure) -> Int {
        guard step != 0 else { throw .value("range() arg 3 must not be zero") }
        let isUp = step > 0
        guard isUp ? start < end : start > end else { return 0 }
        // As magnitudes, which have no sign to overflow.
        let distance = isUp ? end.magnitude(from: start) : start.magnitude(from: end)
        let length = (distance - 1) / step.magnitude + 1
        guard length <= largestRange else {
            throw Failure(kind: .limit, "the range is longer than \(largestRange)")
        }
        return Int(length)
    }
}

extension Int {
    /// How much more it is than a smaller integer.
    fileprivate func magnitude(from smaller: Int) -> UInt { UInt(bitPattern: self) &- UInt(bitPattern: smaller) }
}

/// The time as C's `strftime` writes it.
private enum Clock {
    static func text(_ format: String, _ environment: Environment) -> String {
        var seconds = environment.now ?? time(nil)
        var parts = tm()
        if environment.now == nil { localtime_r(&seconds, &parts) } else { gmtime_r(&seconds, &parts) }
        var buffer = [CChar](repeating: 0, count: 1024)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
