/// The filters by name: Jinja's own, but for those that are about HTML or chance, and Hugging Face's `tojson`.
enum Filters {
    typealias Function = @Sendable (Rendering, Value, Arguments) throws(Failure) -> Value

    static let all: [String: Function] =
        textFilters.merging(listFilters) { _, new in new }.merging(valueFilters) { _, new in new }

    private static let valueFilters: [String: Function] = [
        "abs": { _, value, _ throws(Failure) in
            switch value.number {
            case .int(let number): .int(try Integer.magnitude(number))
            case .float(let number): .float(abs(number))
            case nil: throw operandFailure(value, "abs()")
            }
        },
        "attr": { rendering, value, arguments throws(Failure) in
            let name = try text(try arguments.bound(to: ["name"], of: "attr", required: 1)[0], "attr")
            return try value.method(AttributeName(name), rendering)
                ?? .undefined(Undefined(attribute: name, of: value))
        },
        "d": defaultValue, "default": defaultValue,
        "float": { _, value, arguments throws(Failure) in
            let other = try arguments.bound(to: ["default"], of: "float")[0] ?? .float(0)
            if case .undefined(let undefined) = value { throw undefined.failure }
            if let number = value.number { return .float(number.double) }
            return value.text.flatMap { NumberText.float($0) }.map(Value.float) ?? other
        },
        "int": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["default", "base"], of: "int")
            let other = values[0] ?? .int(0)
            if case .undefined(let undefined) = value { throw undefined.failure }
            if case .float(let number) = value {
                return Int(exactly: number.rounded(.towardZero)).map(Value.int) ?? other
            }
            if let int = value.int { return .int(int) }
            guard let text = value.text else { return other }
            if let int = NumberText.int(text, base: values[1]?.int ?? 10) { return .int(int) }
            return NumberText.float(text).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map(Value.int) ?? other
        },
        "round": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["precision", "method"], of: "round")
            let (precision, method) = (values[0]?.int ?? 0, values[1]?.text?.shown ?? "common")
            guard ["common", "ceil", "floor"].contains(method) else {
                throw .runtime("method must be common, ceil or floor")
            }
            guard let number = value.number else { throw operandFailure(value, "round()") }
            if case .int(let int) = number, method == "common" {
                guard precision < 0 else { return .int(int) }
                return .int(try Integer.rounded(int, digits: try Integer.difference(0, precision)))
            }
            return .float(try Rounding.round(number.double, precision, method))
        },
        "tojson": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(
                to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
            var writer = JSONWriter(
                rendering.budget, ensuresASCII: values[0]?.isTrue ?? false,
                indent: try jsonIndent(values[1], rendering.budget),
                separators: try jsonSeparators(values[2], rendering.budget), sortsKeys: values[3]?.isTrue ?? false)
            return .string(try writer.text(of: value))
        },
        "count": length, "length": length,
        "string": { rendering, value, _ throws(Failure) in
            value.isMarkup ? value : .string(try value.printed(rendering.budget))
        },
        "pprint": { rendering, value, _ throws(Failure) in .string(try value.represented(rendering.budget)) },
        "filesizeformat": { rendering, value, arguments throws(Failure) in
            let isBinary = try arguments.bound(to: ["binary"], of: "filesizeformat")[0]?.isTrue ?? false
            guard let bytes = value.number?.double ?? value.text.flatMap(NumberText.float) else {
                throw operandFailure(value, "float()")
            }
            return .string(try rendering.budget.text(try FileSize.text(bytes, isBinary: isBinary)))
        },
    ]

    private static let defaultValue: Function = { _, value, arguments throws(Failure) in
        let values = try arguments.bound(to: ["default_value", "boolean"], of: "default")
        let isMissing = value.isUndefined || (values[1]?.isTrue ?? false) && !value.isTrue
        return isMissing ? values[0] ?? .string("") : value
    }

    private static let length: Function = { rendering, value, _ throws(Failure) in
        guard let count = try value.count(rendering.budget) else {
            throw .type("object of type '\(value.typeName)' has no len()")
        }
        return .int(count)
    }

    private static func jsonIndent(_ value: Value?, _ budget: Budget) throws(Failure) -> Text? {
        guard let value, !value.isNone else { return nil }
        if let text = value.text { return text }
        guard let int = value.int else { throw operandFailure(value, "indent") }
        return try (" " as Text).repeated(max(0, int), budget)
    }

    private static func jsonSeparators(_ value: Value?, _ budget: Budget) throws(Failure) -> (item: Text, key: Text)? {
        guard let value, !value.isNone else { return nil }
        let parts = try value.iterated(budget).elements
        guard parts.count == 2, let item = parts[0].text, let key = parts[1].text else {
            throw .type("separators must be two strings")
        }
        return (item, key)
    }

    /// A filter's argument that must be text.
    static func text(_ value: Value?, _ filter: String) throws(Failure) -> Text {
        if case .undefined(let undefined) = value { throw undefined.failure }
        guard let text = value?.text else {
            throw .type("\(filter) wants a string, not \(value?.typeName ?? "nothing")")
        }
        return text
    }

    static func operandFailure(_ value: Value, _ function: String) -> Failure {
        if case .undefined(let undefined) = value { return undefined.failure }
        return .type("bad operand type for \(function): '\(value.typeName)'")
    }
}

extension Value {
    /// What Python's `len` gives; nil where it fails.
    func count(_ budget: Budget) throws(Failure) -> Int? {
        switch self {
        case .undefined: return 0
        case .string(let text), .markup(let text):
            try budget.work(bytes: text.utf8.count)
            return text.count
        case .list(let list), .tuple(let list): return list.elements.count
        case .mapping(let mapping): return mapping.entries.count
        case .object(let object): return object.count
        default: return nil
        }
    }
}
