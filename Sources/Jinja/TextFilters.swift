extension Filters {
    static let textFilters: [String: Function] = [
        "capitalize": { rendering, value, _ throws(Failure) in
            try mapText(value, rendering) { (text) throws(Failure) in try text.capitalized(rendering.budget) }
        },
        "lower": { rendering, value, _ throws(Failure) in
            try mapText(value, rendering) { (text) throws(Failure) in try text.lowercased(rendering.budget) }
        },
        "upper": { rendering, value, _ throws(Failure) in
            try mapText(value, rendering) { (text) throws(Failure) in try text.uppercased(rendering.budget) }
        },
        "title": { rendering, value, _ throws(Failure) in
            try mapText(value, rendering) { (text) throws(Failure) in try titled(text, rendering.budget) }
        },
        "trim": { rendering, value, arguments throws(Failure) in
            let budget = rendering.budget
            let characters = try arguments.bound(to: ["chars"], of: "trim")[0] ?? .none
            let set = characters.isNone ? nil : try CharacterSet(try text(characters, "trim"), budget)
            return try mapText(value, rendering) { (text) throws(Failure) in
                try budget.work(bytes: text.utf8.count)
                let range = set.map { text.stripped($0.contains) } ?? text.stripped()
                return range == 0..<text.utf8.count ? text : try budget.text(text.utf8[range])
            }
        },
        "center": { rendering, value, arguments throws(Failure) in
            let width = try arguments.bound(to: ["width"], of: "center")[0] ?? .int(80)
            return .string(
                try TextMethod.center.call(
                    on: try value.printed(rendering.budget), Arguments(positional: [width]), rendering
                ).printed(rendering.budget))
        },
        "replace": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["old", "new", "count"], of: "replace", required: 2)
            let parts = [
                Value.string(try values[0]?.printed(rendering.budget) ?? ""),
                .string(try values[1]?.printed(rendering.budget) ?? ""), values[2] ?? .none,
            ]
            return try TextMethod.replace.call(
                on: try value.printed(rendering.budget), Arguments(positional: parts), rendering)
        },
        "format": { rendering, value, arguments throws(Failure) in
            guard arguments.positional.isEmpty || arguments.named.isEmpty else {
                throw .type("can't handle positional and keyword arguments at the same time")
            }
            let values =
                arguments.named.isEmpty
                ? try rendering.budget.tuple(arguments.positional)
                : try rendering.budget.mapping(named: arguments.named)
            return .string(try PercentFormat.apply(try value.printed(rendering.budget), values, rendering))
        },
        "indent": { rendering, value, arguments throws(Failure) in
            let budget = rendering.budget
            let values = try arguments.bound(to: ["width", "first", "blank"], of: "indent")
            let (first, blank) = (values[1]?.isTrue ?? false, values[2]?.isTrue ?? false)
            let indentation =
                if let text = values[0]?.text { text } else {
                    try (" " as Text).repeated(max(0, values[0]?.int ?? 4), budget)
                }
            let source = try budget.text(try text(value, "indent"), "\n")
            var (result, isFirst) = (TextBuilder(budget), true)
            if first { try result.append(indentation) }
            try source.forEachLine { (line) throws(Failure) in
                try budget.step()
                if !isFirst {
                    try result.append(0x0A)
                    if blank || !line.isEmpty { try result.append(indentation) }
                }
                isFirst = false
                try result.append(source.utf8[line])
            }
            return sameKind(as: value, try result.text())
        },
        "truncate": { rendering, value, arguments throws(Failure) in
            let budget = rendering.budget
            let values = try arguments.bound(to: ["length", "killwords", "end", "leeway"], of: "truncate")
            let source = try text(value, "truncate")
            let end = try values[2].map { (value) throws(Failure) in try text(value, "truncate") } ?? "..."
            let (length, leeway) = (values[0]?.int ?? 255, values[3]?.int ?? 5)
            guard length >= end.count, leeway >= 0 else {
                throw .value("expected length >= \(end.count) and leeway >= 0, got \(length) and \(leeway)")
            }
            try budget.work(bytes: source.utf8.count)
            guard source.count > (try Integer.sum(length, leeway)) else { return value }
            var cut = source.bytes(0..<length - end.count)
            if !(values[1]?.isTrue ?? false) {
                cut = cut.lastIndex(of: UInt8(ascii: " ")).map { cut[..<$0] } ?? cut
            }
            var result = TextBuilder(budget)
            try result.append(cut)
            try result.append(end)
            return .string(try result.text())
        },
        "wordcount": { rendering, value, _ throws(Failure) in
            let text = try value.printed(rendering.budget)
            try rendering.budget.work(bytes: text.utf8.count)
            var (count, isWithinWord) = (0, false)
            for scalar in text.scalars {
                let isWord = scalar == "_" || scalar.isLetter || scalar.properties.numericType != nil
                if isWord, !isWithinWord { count += 1 }
                isWithinWord = isWord
            }
            return .int(count)
        },
        "e": escape, "escape": escape,
        "forceescape": { rendering, value, _ throws(Failure) in
            .markup(try value.printed(rendering.budget).escaped(rendering.budget))
        },
        "safe": { rendering, value, _ throws(Failure) in .markup(try value.printed(rendering.budget)) },
        "urlencode": { rendering, value, _ throws(Failure) in
            let budget = rendering.budget
            var result = TextBuilder(budget)
            guard value.text == nil, let pairs = try pairs(value, budget) else {
                try percentEncode(value, keeping: "/", space: "%20", into: &result, budget)
                return .string(try result.text())
            }
            for (i, (key, value)) in pairs.enumerated() {
                if i > 0 { try result.append("&") }
                try percentEncode(key, keeping: "", space: "+", into: &result, budget)
                try result.append("=")
                try percentEncode(value, keeping: "", space: "+", into: &result, budget)
            }
            return .string(try result.text())
        },
    ]

    private static let escape: Function = { rendering, value, _ throws(Failure) in
        .markup(try value.escaped(rendering.budget))
    }

    private static func mapText(
        _ value: Value, _ rendering: Rendering, _ change: (Text) throws(Failure) -> Text
    ) throws(Failure) -> Value {
        sameKind(as: value, try change(try value.printed(rendering.budget)))
    }

    private static func sameKind(as value: Value, _ text: Text) -> Value {
        value.isMarkup ? .markup(text) : .string(text)
    }

    /// Words as Jinja divides them: after space and `-`, `(`, `{`, `[`, `<`.
    private static func titled(_ text: Text, _ budget: Budget) throws(Failure) -> Text {
        var begins = true
        return try text.mapped(budget) { scalar in
            defer {
                begins =
                    switch scalar {
                    case "-", "(", "{", "[", "<": true
                    default: isSpace(scalar)
                    }
            }
            return begins ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
        }
    }

    /// The pairs of a mapping or a list of pairs; nil of anything else.
    private static func pairs(_ value: Value, _ budget: Budget) throws(Failure) -> [(Value, Value)]? {
        if case .mapping(let mapping) = value { return mapping.entries.map { ($0.key, $0.value) } }
        guard try value.count(budget) != nil || value.typeName == "generator" else { return nil }
        var pairs: [(Value, Value)] = []
        for element in try value.iterated(budget).elements {
            let parts = try element.iterated(budget).elements
            guard parts.count == 2 else { throw .value("too many or too few values for a pair") }
            pairs.append((parts[0], parts[1]))
        }
        return pairs
    }

    private static func percentEncode(
        _ value: Value, keeping kept: Text, space: String, into result: inout TextBuilder, _ budget: Budget
    ) throws(Failure) {
        for byte in try value.printed(budget).utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "~"):
                try result.append(byte)
            case UInt8(ascii: " "): try result.append(space)
            case _ where kept.utf8.contains(byte): try result.append(byte)
            default: try result.append("%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true))
            }
        }
    }
}
