/// `"%s of %d" % (a, b)`, and the `format` filter.
enum PercentFormat {
    static func apply(_ format: Text, _ value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        var values: [Value]
        if case .tuple(let list) = value { values = list.elements } else { values = [value] }
        let mapping: Mapping? = if case .mapping(let mapping) = value { mapping } else { nil }
        var result = Text([])
        var source = format.scalars[...]
        var used = 0
        func next() throws(Failure) -> Value {
            guard used < values.count else { throw Failure("not enough arguments for format string") }
            used += 1
            return values[used - 1]
        }
        while let scalar = source.popFirst() {
            guard scalar == "%" else {
                result.utf8 += Text([scalar]).utf8
                continue
            }
            var key: Text?
            if source.first == "(" {
                let name = source.dropFirst().prefix { $0 != ")" }
                source = source.dropFirst(name.count + 2)
                key = Text(name)
            }
            let flags = source.prefix { "-+ #0".unicodeScalars.contains($0) }
            source = source.dropFirst(flags.count)
            let width = source.prefix { ("0"..."9").contains($0) }
            source = source.dropFirst(width.count)
            var precision: Int?
            if source.first == "." {
                let digits = source.dropFirst().prefix { ("0"..."9").contains($0) }
                source = source.dropFirst(digits.count + 1)
                precision = Int(String(String.UnicodeScalarView(digits))) ?? 0
            }
            guard let conversion = source.popFirst() else { throw Failure("incomplete format") }
            if conversion == "%" {
                result.utf8.append(UInt8(ascii: "%"))
                continue
            }
            var spec = FormatSpec()
            spec.width = Int(String(String.UnicodeScalarView(width))) ?? 0
            spec.precision = precision
            spec.align = flags.contains("-") ? "<" : flags.contains("0") ? "=" : ">"
            spec.fill = flags.contains("0") && !flags.contains("-") ? "0" : " "
            spec.sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "-"
            spec.isAlternate = flags.contains("#")
            let value: Value
            if let key {
                guard let mapping else { throw Failure("format requires a mapping") }
                guard let item = mapping[key] else { throw Failure("'\(key.string)'") }
                value = item
            } else {
                value = try next()
            }
            result.utf8 += try spec.percent(conversion, value, rendering).utf8
        }
        guard used == values.count || mapping != nil else {
            throw Failure("not all arguments converted during string formatting")
        }
        return result
    }
}

/// `"{} of {total:>8.2f}".format(a, total=b)`.
enum BraceFormat {
    static func apply(_ format: Text, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Text {
        var result = Text([])
        var source = format.scalars[...]
        var automatic = 0
        while let scalar = source.popFirst() {
            if scalar == "{" || scalar == "}", source.first == scalar {
                source = source.dropFirst()
                result.utf8 += Text([scalar]).utf8
            } else if scalar == "}" {
                throw Failure("Single '}' encountered in format string")
            } else if scalar == "{" {
                let field = source.prefix { $0 != "}" }
                guard field.count < source.count else { throw Failure("expected '}' before end of string") }
                guard !field.contains("{") else { throw Failure("fields within fields are not supported") }
                source = source.dropFirst(field.count + 1)
                result.utf8 += try replacement(field, arguments, &automatic, rendering).utf8
            } else {
                result.utf8 += Text([scalar]).utf8
            }
        }
        return result
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
            case "r": value = .string(try value.represented())
            case "s": value = .string(try value.printed())
            default: throw Failure("unknown conversion in a format string")
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
            throw Failure("attributes and items in a format string are not supported")
        }
        if let place = first.isEmpty ? automatic : Int(first) {
            if first.isEmpty { automatic += 1 }
            guard arguments.positional.indices.contains(place) else {
                throw Failure("Replacement index \(place) out of range for positional args tuple")
            }
            return arguments.positional[place]
        }
        guard let value = arguments.named.last(where: { $0.name == first })?.value else {
            throw Failure("'\(first)'")
        }
        return value
    }
}
