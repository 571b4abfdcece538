@testable import Jinja

/// Values, and templates' words for them, that are at the ends of what there is.
enum HostileValues {
    /// Bounds that a rendering reaches in milliseconds.
    static let limits = Limits(steps: 20_000, depth: 200, bytes: 1 << 18, memory: 1 << 20)

    static var variables: [String: Value] {
        [
            "smallest": .int(.min), "largest": .int(.max), "minusOne": .int(-1), "zero": .int(0), "one": .int(1),
            "power": .int(1 << 62), "many": .int(100_000), "huge": .float(1.7e308), "tiny": .float(1e-300),
            "infinite": .float(.infinity), "minusInfinite": .float(-.infinity), "nan": .float(.nan),
            "nothing": .none, "yes": .bool(true), "empty": .string(""), "letter": .string("a"),
            "name": .string("content"),
            "infinityText": .string("-inf"), "numberText": .string("-9223372036854775808"),
            "format": .string("%999999999999s %(a)s {:99999999999} {0} %d"),
            "spaces": .string(Text(String(repeating: " a\t\n", count: 300))),
            "long": .string(Text(String(repeating: "a", count: 2000))),
            "wide": .string(Text(String(repeating: "e\u{301}🙂", count: 300))),
            "html": .markup(Text(String(repeating: "<&>", count: 300))),
            "list": .list(List([.int(.min), .int(1)])),
            "texts": .list(List(Array(repeating: .string("b"), count: 500))),
            "pairs": .list(List(Array(repeating: .tuple(List([.string("k"), .int(1)])), count: 100))),
            "deep": (0..<190).reduce(Value.list(List([]))) { inner, _ in .list(List([inner])) },
            "deepest": (0..<1000).reduce(Value.none) { inner, _ in .mapping(Mapping([("content", inner)])) },
            "mapping": .mapping(Mapping((0..<100).map { (Text("k\($0)"), .int($0)) })),
        ]
    }

    static let names =
        variables.keys.sorted() + ["missing", "range", "joiner(deep)", "range(99999)", "texts|map('upper')"]

    /// As arguments, which make for many pairs.
    static let arguments = [
        "smallest", "largest", "minusOne", "zero", "power", "huge", "infinite", "nan", "nothing", "yes", "empty",
        "name",
        "long", "wide", "list", "texts", "deepest", "mapping", "missing",
    ]
    static let fewArguments = ["smallest", "largest", "zero", "letter", "texts"]

    /// Everything that has a name, and that a template can apply to a value with arguments: `$` stands for the value, `@`
    /// for the arguments with their parentheses.
    static let operations: [String] =
        Filters.all.keys.sorted().map { "$|\($0)@" } + Tests.all.keys.sorted().map { "$ is \($0)@" }
        + TextMethod.allCases.map { "$.\($0.rawValue)@" } + MappingMethod.allCases.map { "$.\($0.rawValue)@" }
        + SequenceMethod.allCases.map { "$.\($0.rawValue)@" }
        + ["map", "select", "reject", "selectattr", "rejectattr"].flatMap { filter in
            Filters.all.keys.sorted().map { "$|\(filter)('\($0)')|list" }
        }

    /// The functions that need no value, with arguments.
    static let functions: [String] = Globals.all.keys.sorted().map { "\($0)@" }

    static let operators: [String] =
        ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or"].map { "$ \($0) £" }
        + [
            "$[£]", "$[£:]", "$[:£]", "$[::£]", "$.£", "[$] * £", "($, £) < ($, £)", "{$: £}", "$ if £ else £", "-$",
            "+$",
        ]
}

extension String {
    /// The expression with the value and the arguments at their positions.
    func applied(to value: String, _ arguments: [String] = []) -> String {
        let list = arguments.isEmpty ? "" : "(\(arguments.joined(separator: ", ")))"
        return replacing("$", with: value.contains(where: { " |".contains($0) }) ? "(\(value))" : value)
            .replacing("@", with: hasPrefix("$.") || !contains("$") ? "(\(arguments.joined(separator: ", ")))" : list)
            .replacing("£", with: arguments.first ?? "1")
    }
}
