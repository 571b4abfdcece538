extension Value {
    /// What Python's `str` gives, and a template writes.
    func printed(_ budget: Budget) throws(Failure) -> Text {
        switch self {
        case .undefined: return ""
        case .string(let text), .markup(let text): return text
        default: return try represented(budget)
        }
    }

    /// What Python's `repr` gives.
    func represented(_ budget: Budget) throws(Failure) -> Text {
        var text = TextBuilder(budget)
        try represent(into: &text, budget)
        return try text.text()
    }

    private func represent(into text: inout TextBuilder, _ budget: Budget) throws(Failure) {
        try budget.enter()
        switch self {
        case .undefined: try text.append("Undefined")
        case .none: try text.append("None")
        case .bool(let value): try text.append(value ? "True" : "False")
        case .int(let value): try text.append("\(value)")
        case .float(let value): try text.append(FloatText.shortest(value))
        case .string(let value): try value.quote(into: &text)
        case .markup(let value):
            try text.append("Markup(")
            try value.quote(into: &text)
            try text.append(")")
        case .list(let list): try Self.join(list.elements, "[", "]", into: &text, budget)
        case .tuple(let list):
            try Self.join(list.elements, "(", list.elements.count == 1 ? ",)" : ")", into: &text, budget)
        case .mapping(let mapping):
            try text.append("{")
            for (i, entry) in mapping.entries.enumerated() {
                if i > 0 { try text.append(", ") }
                try entry.key.represent(into: &text, budget)
                try text.append(": ")
                try entry.value.represent(into: &text, budget)
            }
            try text.append("}")
        case .object(let object): try text.append(try object.text(budget))
        }
    }

    private static func join(
        _ elements: [Value], _ open: String, _ close: String, into text: inout TextBuilder, _ budget: Budget
    ) throws(Failure) {
        try text.append(open)
        for (i, element) in elements.enumerated() {
            if i > 0 { try text.append(", ") }
            try element.represent(into: &text, budget)
        }
        try text.append(close)
    }

    /// What is printed, with `&`, `<`, `>` and quotation marks escaped as in HTML; marked text as it is.
    func escaped(_ budget: Budget) throws(Failure) -> Text {
        if case .markup(let text) = self { return text }
        return try printed(budget).escaped(budget)
    }

    /// Texts marked as HTML, also those in a list.
    func marked(_ budget: Budget) throws(Failure) -> Value {
        func marked(_ elements: [Value]) throws(Failure) -> [Value] {
            try budget.enter()
            var all: [Value] = []
            for element in elements { all.append(try element.marked(budget)) }
            return all
        }
        switch self {
        case .string(let text): return .markup(text)
        case .list(let list): return try budget.list(try marked(list.elements))
        case .tuple(let list): return try budget.tuple(try marked(list.elements))
        default: return self
        }
    }

    /// All that iterating goes over.
    func iterated(_ budget: Budget) throws(Failure) -> List {
        switch self {
        case .undefined: return try budget.elements([])
        case .list(let list), .tuple(let list): return list
        case .mapping(let mapping): return try budget.elements(mapping.entries.map(\.key))
        case .string(let text), .markup(let text):
            // Each is paid for as it is made; too many are refused before.
            let size = text.count * (Budget.overhead + MemoryLayout<Value>.stride)
            try budget.pay(bytes: size)
            budget.refund(size)
            var characters: [Value] = []
            for scalar in text.scalars {
                let character = try budget.text(scalar)
                characters.append(isMarkup ? .markup(character) : .string(character))
            }
            return try budget.elements(characters)
        case .object(let object): if let elements = try object.elements(budget) { return try budget.elements(elements) }
        default: break
        }
        throw .type("'\(typeName)' object is not iterable")
    }

    var isMarkup: Bool { if case .markup = self { true } else { false } }
}

extension Text {
    func escaped(_ budget: Budget) throws(Failure) -> Text {
        try budget.work(bytes: utf8.count)
        guard utf8.contains(where: { Self.escape($0) != nil }) else { return self }
        var text = TextBuilder(budget)
        for byte in utf8 {
            if let escape = Self.escape(byte) { try text.append(escape) } else { try text.append(byte) }
        }
        return try text.text()
    }

    private static func escape(_ byte: UInt8) -> String? {
        switch byte {
        case UInt8(ascii: "&"): "&amp;"
        case UInt8(ascii: "<"): "&lt;"
        case UInt8(ascii: ">"): "&gt;"
        case UInt8(ascii: "'"): "&#39;"
        case UInt8(ascii: "\""): "&#34;"
        default: nil
        }
    }

    /// Appends the text as a string literal of Python's.
    fileprivate func quote(into text: inout TextBuilder) throws(Failure) {
        let hasSingle = utf8.contains(UInt8(ascii: "'"))
        let quote = hasSingle && !utf8.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        try text.append(quote)
        for scalar in scalars {
            switch scalar {
            case "\\": try text.append("\\\\")
            case "\n": try text.append("\\n")
            case "\r": try text.append("\\r")
            case "\t": try text.append("\\t")
            case _ where scalar.value == UInt32(quote): try text.append([UInt8(ascii: "\\"), quote])
            case " "..."~": try text.append(UInt8(truncatingIfNeeded: scalar.value))
            case _ where scalar.isPrintable: try text.append(scalar)
            default:
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                let digits = String(scalar.value, radix: 16)
                try text.append("\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)")
            }
        }
        try text.append(quote)
    }
}

extension Unicode.Scalar {
    /// What Python's `str.isprintable` holds for.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: self == " "
        default: true
        }
    }
}
