extension Filters {
    static let textFilters: [String: Function] = [
        "capitalize": { _, value, _ throws(Failure) in try mapText(value, \.capitalized) },
        "lower": { _, value, _ throws(Failure) in try mapText(value) { Text($0.string.lowercased()) } },
        "upper": { _, value, _ throws(Failure) in try mapText(value) { Text($0.string.uppercased()) } },
        "title": { _, value, _ throws(Failure) in try mapText(value, titled) },
        "trim": { _, value, arguments throws(Failure) in
            let characters = try arguments.bound(to: ["chars"], of: "trim")[0] ?? .none
            if characters.isNone { return try mapText(value) { $0.stripped() } }
            let scalars = try text(characters, "trim").scalars
            return try mapText(value) { $0.stripped { scalars.contains($0) } }
        },
        "center": { rendering, value, arguments throws(Failure) in
            let width = try arguments.bound(to: ["width"], of: "center")[0] ?? .int(80)
            return .string(
                try TextMethod.center.call(
                    on: try value.printed(), Arguments(positional: [width]), rendering
                ).printed())
        },
        "replace": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["old", "new", "count"], of: "replace", required: 2)
            let parts = [
                Value.string(try values[0]?.printed() ?? ""), .string(try values[1]?.printed() ?? ""),
                values[2] ?? .none,
            ]
            return try TextMethod.replace.call(
                on: try value.printed(), Arguments(positional: parts), rendering)
        },
        "format": { rendering, value, arguments throws(Failure) in
            guard arguments.positional.isEmpty || arguments.named.isEmpty else {
                throw Failure("can't handle positional and keyword arguments at the same time")
            }
            let values: Value =
                arguments.named.isEmpty
                ? .tuple(arguments.positional) : .mapping(Mapping(arguments.named.map { ($0.name, $0.value) }))
            return .string(try PercentFormat.apply(try value.printed(), values, rendering))
        },
        "indent": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["width", "first", "blank"], of: "indent")
            let (first, blank) = (values[1]?.isTrue ?? false, values[2]?.isTrue ?? false)
            let indentation =
                if let text = values[0]?.text { text } else {
                    try Text(" ").repeated(max(0, values[0]?.int ?? 4), rendering)
                }
            let source = try text(value, "indent")
            try rendering.spend(bytes: source.utf8.count)
            var bytes: [UInt8] = first ? indentation.utf8 : []
            for (i, line) in (source + "\n").lines().enumerated() {
                if i > 0 { bytes.append(0x0A) }
                if i > 0, blank || !line.isEmpty { bytes += indentation.utf8 }
                bytes += line.utf8
                try rendering.spend(bytes: bytes.count)
            }
            return try sameKind(as: value, Text(bytes))
        },
        "truncate": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["length", "killwords", "end", "leeway"], of: "truncate")
            let source = try text(value, "truncate")
            let end = try values[2].map { (value) throws(Failure) in try text(value, "truncate") } ?? "..."
            let (length, leeway) = (values[0]?.int ?? 255, values[3]?.int ?? 5)
            guard length >= end.count, leeway >= 0 else {
                throw Failure("expected length >= \(end.count) and leeway >= 0, got \(length) and \(leeway)")
            }
            guard source.count > length + leeway else { return value }
            let cut = source.slice(0..<length - end.count)
            if values[1]?.isTrue ?? false { return .string(cut + end) }
            return .string((cut.findLast(" ").map { Text(cut.utf8[..<$0]) } ?? cut) + end)
        },
        "wordcount": { _, value, _ throws(Failure) in
            var (count, isWithinWord) = (0, false)
            for scalar in try value.printed().scalars {
                let isWord = scalar == "_" || scalar.isLetter || scalar.properties.numericType != nil
                if isWord, !isWithinWord { count += 1 }
                isWithinWord = isWord
            }
            return .int(count)
        },
        "e": escape, "escape": escape,
        "forceescape": { _, value, _ throws(Failure) in .markup(try value.printed().escaped) },
        "safe": { _, value, _ throws(Failure) in .markup(try value.printed()) },
        "urlencode": { _, value, _ throws(Failure) in
            if value.text == nil, let pairs = try? pairs(value) {
                var parts: [String] = []
                for (key, value) in pairs {
                    parts.append(try percentEncoded(key, keeping: "") + "=" + percentEncoded(value, keeping: ""))
                }
                return .string(parts.joined(separator: "&").replacing("%20", with: "+"))
            }
            return .string(try percentEncoded(value, keeping: "/"))
        },
    ]

    private static let escape: Function = { _, value, _ throws(Failure) in .markup(try value.escaped()) }

    private static func mapText(_ value: Value, _ change: (Text) -> Text) throws(Failure) -> Value {
        try sameKind(as: value, change(try value.printed()))
    }

    private static func sameKind(as value: Value, _ text: Text) throws(Failure) -> Value {
        if case .markup = value { .markup(text) } else { .string(text) }
    }

    /// Words as Jinja divides them: behind space and `-`, `(`, `{`, `[`, `<`.
    private static func titled(_ text: Text) -> Text {
        var (result, begins) = ("", true)
        for scalar in text.scalars {
            result += begins ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            begins = isSpace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar)
        }
        return Text(result)
    }

    private static func pairs(_ value: Value) throws(Failure) -> [(Value, Value)]? {
        if case .mapping(let mapping) = value { return mapping.entries.map { ($0.key, $0.value) } }
        guard value.count != nil || value.typeName == "generator" else { return nil }
        var pairs: [(Value, Value)] = []
        for element in try value.iterated() {
            let parts = try element.iterated()
            guard parts.count == 2 else { throw Failure("too many or too few values for a pair") }
            pairs.append((parts[0], parts[1]))
        }
        return pairs
    }

    private static func percentEncoded(_ value: Value, keeping kept: String) throws(Failure) -> String {
        var result = ""
        for byte in try value.printed().utf8 {
            let scalar = Unicode.Scalar(byte)
            let isPlain = byte < 0x80 && (scalar.isLetter || scalar.isDigit || "_.-~".unicodeScalars.contains(scalar))
            if isPlain || kept.utf8.contains(byte) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
