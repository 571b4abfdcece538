/// The filters by name: Jinja's own, but for those that are about HTML or chance, and Hugging Face's `tojson`.
enum Filters {
    typealias Function = @Sendable (Rendering, Value, Arguments) throws(Failure) -> Value

    static let all: [String: Function] =
        textFilters.merging(listFilters) { _, new in new }.merging(valueFilters) { _, new in new }

    private static let valueFilters: [String: Function] = [
        "abs": { _, value, _ throws(Failure) in
            switch value.number {
            case .int(let number): .int(try number == .min ? checked((0, true)) : abs(number))
            case .float(let number): .float(abs(number))
            case nil: throw operandFailure(value, "abs()")
            }
        },
        "attr": { _, value, arguments throws(Failure) in
            let name = try text(try arguments.bound(to: ["name"], of: "attr", required: 1)[0], "attr")
            return try value.method(AttributeName(name.string)) ?? .undefined(Undefined(attribute: name, of: value))
        },
        "d": defaultValue, "default": defaultValue,
        "float": { _, value, arguments throws(Failure) in
            let usual = try arguments.bound(to: ["default"], of: "float")[0] ?? .float(0)
            if case .undefined(let undefined) = value { throw undefined.failure }
            if let number = value.number { return .float(number.double) }
            return value.text.flatMap { NumberText.float($0) }.map(Value.float) ?? usual
        },
        "int": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["default", "base"], of: "int")
            let usual = values[0] ?? .int(0)
            if case .undefined(let undefined) = value { throw undefined.failure }
            if case .float(let number) = value {
                return Int(exactly: number.rounded(.towardZero)).map(Value.int) ?? usual
            }
            if let int = value.int { return .int(int) }
            guard let text = value.text else { return usual }
            if let int = NumberText.int(text, base: values[1]?.int ?? 10) { return .int(int) }
            return NumberText.float(text).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map(Value.int) ?? usual
        },
        "round": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["precision", "method"], of: "round")
            let (precision, method) = (values[0]?.int ?? 0, values[1]?.text?.string ?? "common")
            guard ["common", "ceil", "floor"].contains(method) else {
                throw Failure("method must be common, ceil or floor")
            }
            guard let number = value.number else { throw operandFailure(value, "round()") }
            if case .int(let int) = number, method == "common" {
                guard precision < 0 else { return .int(int) }
                return .int(Int(exactly: Rounding.round(Double(int), precision, method)) ?? int)
            }
            return .float(Rounding.round(number.double, precision, method))
        },
        "tojson": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(
                to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
            var writer = JSONWriter(
                ensuresASCII: values[0]?.isTrue ?? false, indent: try jsonIndent(values[1]),
                separators: try jsonSeparators(values[2]), sortsKeys: values[3]?.isTrue ?? false)
            return .string(try writer.text(of: value))
        },
        "count": length, "length": length,
        "string": { _, value, _ throws(Failure) in
            if case .markup = value { value } else { .string(try value.printed()) }
        },
        "pprint": { _, value, _ throws(Failure) in .string(try value.represented()) },
        "filesizeformat": { _, value, arguments throws(Failure) in
            let isBinary = try arguments.bound(to: ["binary"], of: "filesizeformat")[0]?.isTrue ?? false
            guard let bytes = value.number?.double ?? value.text.flatMap(NumberText.float) else {
                throw operandFailure(value, "float()")
            }
            return .string(Text(FileSize.text(bytes, isBinary: isBinary)))
        },
    ]

    private static let defaultValue: Function = { _, value, arguments throws(Failure) in
        let values = try arguments.bound(to: ["default_value", "boolean"], of: "default")
        let isMissing = value.isUndefined || (values[1]?.isTrue ?? false) && !value.isTrue
        return isMissing ? values[0] ?? .string("") : value
    }

    private static let length: Function = { _, value, _ throws(Failure) in
        guard let count = value.count else { throw Failure("object of type '\(value.typeName)' has no len()") }
        return .int(count)
    }

    private static func jsonIndent(_ value: Value?) throws(Failure) -> Text? {
        guard let value, !value.isNone else { return nil }
        if let text = value.text { return text }
        guard let int = value.int else { throw operandFailure(value, "indent") }
        guard int <= 1000 else { throw Failure("an indent of \(int) is too much") }
        return Text(String(repeating: " ", count: max(0, int)))
    }

    private static func jsonSeparators(_ value: Value?) throws(Failure) -> (item: Text, key: Text)? {
        guard let value, !value.isNone else { return nil }
        let parts = try value.iterated()
        guard parts.count == 2, let item = parts[0].text, let key = parts[1].text else {
            throw Failure("separators must be two strings")
        }
        return (item, key)
    }

    /// A filter's argument that must be text.
    static func text(_ value: Value?, _ filter: String) throws(Failure) -> Text {
        guard let text = value?.text else {
            throw Failure("\(filter) wants a string, not \(value?.typeName ?? "nothing")")
        }
        return text
    }

    static func operandFailure(_ value: Value, _ function: String) -> Failure {
        if case .undefined(let undefined) = value { return undefined.failure }
        return Failure("bad operand type for \(function): '\(value.typeName)'")
    }
}

extension Value {
    /// What Python's `len` gives; nil where it fails.
    var count: Int? {
        switch self {
        case .undefined: 0
        case .string(let text), .markup(let text): text.count
        case .list(let list), .tuple(let list): list.elements.count
        case .mapping(let mapping): mapping.entries.count
        case .object(let object): object.count
        default: nil
        }
    }
}
