import Glibc

/// The functions that templates find without being given them.
enum Globals {
    typealias Body = @Sendable (Arguments, Rendering) throws(Failure) -> Value
    private static let largestRange = 100_000

    static func function(_ name: String) -> Value? { all[name].map { .object(Function(name, $0)) } }

    private static let all: [String: Body] = [
        "range": { arguments, rendering throws(Failure) in
            var numbers: [Int] = []
            for value in arguments.positional {
                guard let int = value.int else { throw Filters.operandFailure(value, "range()") }
                numbers.append(int)
            }
            guard (1...3).contains(numbers.count), arguments.named.isEmpty else {
                throw Failure("range expected 1 to 3 arguments, got \(arguments.positional.count)")
            }
            let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
            let step = numbers.count == 3 ? numbers[2] : 1
            guard step != 0 else { throw Failure("range() arg 3 must not be zero") }
            let (distance, overflow) = end.subtractingReportingOverflow(start)
            guard !overflow, step != .min, distance / step < largestRange else {
                throw Failure(kind: .limit, "the range is longer than \(largestRange)")
            }
            let shown = "range(\(start), \(end)\(step == 1 ? "" : ", \(step)"))"
            return .object(RangeObject(Array(stride(from: start, to: end, by: step)), shown: shown))
        },
        "dict": { arguments, _ throws(Failure) in
            var members: [(Value, Value)] = []
            for value in arguments.positional.prefix(1) {
                if case .mapping(let mapping) = value {
                    members += mapping.entries.map { ($0.key, $0.value) }
                } else {
                    for pair in try value.iterated() {
                        let parts = try pair.iterated()
                        guard parts.count == 2 else { throw Failure("dict() wants pairs") }
                        members.append((parts[0], parts[1]))
                    }
                }
            }
            members += arguments.named.map { (.string($0.name), $0.value) }
            return try Value.mapping(try Mapping(members)).checkedDepth()
        },
        "namespace": { arguments, rendering throws(Failure) in
            let namespace = Namespace([])
            for value in arguments.positional {
                guard case .mapping(let mapping) = value else { throw Failure("namespace() wants a mapping") }
                for entry in mapping.entries { namespace.set(try entry.key.printed(), to: entry.value) }
            }
            for argument in arguments.named { namespace.set(Text(argument.name), to: argument.value) }
            rendering.hold(namespace)
            return .object(namespace)
        },
        "cycler": { arguments, _ throws(Failure) in
            guard !arguments.positional.isEmpty else { throw Failure("at least one item has to be provided") }
            return .object(Cycler(arguments.positional))
        },
        "joiner": { arguments, _ throws(Failure) in
            .object(Joiner(try arguments.bound(to: ["sep"], of: "joiner")[0] ?? .string(", ")))
        },
        "raise_exception": { arguments, _ throws(Failure) in
            let message = try arguments.bound(to: ["message"], of: "raise_exception", required: 1)[0] ?? .none
            throw Failure(kind: .raised, try message.printed().string)
        },
        "strftime_now": { arguments, rendering throws(Failure) in
            let format = try arguments.bound(to: ["format"], of: "strftime_now", required: 1)[0] ?? .none
            return .string(Text(Clock.text(try Filters.text(format, "strftime_now").string, rendering.environment)))
        },
    ]
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
