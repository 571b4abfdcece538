/// `"%s of %d" % (a, b)`, and the `format` filter.
enum PercentFormat {
    static func apply(_ format: Text, _ value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        let values: [Value]
        if case .tuple(let list) = value { values = list.elements } else { values = [value] }
        let mapping: Mapping? = if case .mapping(let mapping) = value { mapping } else { nil }
        let budget = rendering.budget
        var result = TextBuilder(budget)
        let size = format.utf8.count * MemoryLayout<Unicode.Scalar>.stride
        try budget.pay(bytes: size)
        defer { budget.refund(size) }
        var source = Array(format.scalars)[...]
        var used = 0
        func next() throws(Failure) -> Value {
            guard used < values.count else { throw .type("not enough arguments for format string") }
            used += 1
            return values[used - 1]
        }
        while let scalar = source.popFirst() {
            guard scalar == "%" else {
                try result.append(scalar)
                continue
            }
            var key: Text?
            if source.first == "(" {
                let name = source.dropFirst().prefix { $0 != ")" }
                source = source.dropFirst(name.count + 2)
                key = try budget.text(String(String.UnicodeScalarView(name)))
            }
            let flags = source.prefix { "-+ #0".unicodeScalars.contains($0) }
            source = source.dropFirst(flags.count)
            let width = try FormatSpec.number(&source) ?? 0
            var precision: Int?
            if source.first == "." {
                source = source.dropFirst()
                precision = try FormatSpec.number(&source) ?? 0
            }
            guard let conversion = source.popFirst() else { throw .value("incomplete format") }
            if conversion == "%" {
                try result.append(UInt8(ascii: "%"))
                continue
            }
            var spec = FormatSpec()
            spec.width = width
            spec.precision = precision
            spec.align = flags.contains("-") ? "<" : flags.contains("0") ? "=" : ">"
            spec.fill = flags.contains("0") && !flags.contains("-") ? "0" : " "
            spec.sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "-"
            spec.isAlternate = flags.contains("#")
            let value: Value
            if let key {
                guard let mapping else { throw .type("format requires a mapping") }
                guard let item = try mapping.value(of: key, budget) else { throw .value("'\(key.shown)'") }
                value = item
            } else {
                value = try next()
            }
            try result.append(try spec.percent(conversion, value, rendering))
        }
        guard used == values.count || mapping != nil else {
            throw .type("not all arguments converted during string formatting")
        }
        return try result.text()
    }
}

/// `"{} of {total:>8.2f}".format(a, total=b)`.
enum BraceFormat {
    static func apply(_ format: Text, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Text {
        let budget = rendering.budget
        var result = TextBuilder(budget)
        let size = format.utf8.count * MemoryLayout<Unicode.Scalar>.stride
        try budget.pay(bytes: size)
        defer { budget.refund(size) }
        var source = Array(format.scalars)[...]
        var automatic = 0
        while let scalar = source.popFirst() {
            if scalar == "{" || scalar == "}", source.first == scalar {
                source = source.dropFirst()
                try result.append(scalar)
            } else if scalar == "}" {
                throw .value("Single '}' encountered in format string")
            } else if scalar == "{" {
                let field = source.prefix { $0 != "}" }
                guard field.count < source.count else { throw .value("expected '}' before end of string") }
                guard !field.contains("{") else { throw .value("fields within fields are not supported") }
                source = source.dropFirst(field.count + 1)
                try result.append(try replacement(field, arguments, &automatic, rendering))
            } else {
                try result.append(scalar)
            }
        }
        return try result.text()
    }

    private static func replacement(
        _ field: ArraySlice<Unicode.Scalar>, _ arguments: Arguments, _ automatic: inout Int, _ rendering: Rendering
    ) throws(Failure) -> Text {
        let name = field.prefix { $0 != ":" && $0 != "!" }
        var rest = field.dropFirst(name.count)
        var value = try argument(String(String.UnicodeScalarView(name)), arguments, &automatic)
        if rest.first == "!" {
            let conversion = rest.dropFirst().first
            rest = rest.dropFirst(2)
            switch conversion {
            case "r": value = .string(try value.represented(rendering.budget))
            case "s": value = .string(try value.printed(rendering.budget))
            default: throw .value("unknown conversion in a format string")
            }
        }
        let spec = try FormatSpec(rest.dropFirst())
        return try spec.apply(to: value, rendering)
    }

    private static func argument(
        _ name: String, _ arguments: Arguments, _ automatic: inout Int
    ) throws(Failure) -> Value {
        let first = name.prefix { $0 != "." && $0 != "[" }
        guard first.count == name.count else {
            throw .value("attributes and items in a format string are not supported")
        }
        if let index = first.isEmpty ? automatic : Int(first) {
            if first.isEmpty { automatic += 1 }
            guard arguments.positional.indices.contains(index) else {
                throw .value("Replacement index \(index) out of range for positional args tuple")
            }
            return arguments.positional[index]
        }
        guard let value = arguments.named.last(where: { $0.name == first })?.value else {
            throw .value("'\(Text(name).shown)'")
        }
        return value
    }
}
