extension Value {
    /// Python's `==`.
    func equals(_ other: Value) throws(Failure) -> Bool {
        if let a = number, let b = other.number {
            if case .int(let a) = a, case .int(let b) = b { return a == b }
            return a.double == b.double
        }
        switch (self, other) {
        case (.string(let a), .string(let b)): return a.utf8 == b.utf8
        case (.string, .markup), (.markup, .string), (.markup, .markup): return text == other.text
        case (.undefined, .undefined), (.none, .none): return true
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard a.elements.count == b.elements.count else { return false }
            for (a, b) in zip(a.elements, b.elements) where !(try a.equals(b)) { return false }
            return true
        case (.mapping(let a), .mapping(let b)):
            guard a.entries.count == b.entries.count else { return false }
            for entry in a.entries {
                guard let value = try b.value(of: entry.key), try entry.value.equals(value) else { return false }
            }
            return true
        case (.object(let a), .object(let b)):
            if let a = a as? RangeObject, let b = b as? RangeObject { return a.values == b.values }
            return a === b
        default: return false
        }
    }

    func isLess(than other: Value, _ symbol: String) throws(Failure) -> Bool {
        if let a = number, let b = other.number {
            if case .int(let a) = a, case .int(let b) = b { return a < b }
            return a.double < b.double
        }
        if let a = text, let b = other.text { return a < b }
        if case .undefined(let undefined) = self { throw undefined.failure }
        if case .undefined(let undefined) = other { throw undefined.failure }
        switch (self, other) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (a, b) in zip(a.elements, b.elements) where !(try a.equals(b)) {
                return try a.isLess(than: b, symbol)
            }
            return a.elements.count < b.elements.count
        default:
            let (a, b) = symbol.hasPrefix(">") ? (other, self) : (self, other)
            throw Failure("'\(symbol)' not supported between instances of '\(a.typeName)' and '\(b.typeName)'")
        }
    }

    func isLessOrEqual(to other: Value, _ symbol: String) throws(Failure) -> Bool {
        if try equals(other) { return true }
        return try isLess(than: other, symbol)
    }

    /// Whether an element, a key or a part of a text is in it.
    func contains(_ element: Value) throws(Failure) -> Bool {
        switch self {
        case .undefined: return false
        case .string(let text), .markup(let text):
            guard let part = element.text else {
                throw Failure("'in <string>' requires string as left operand, not \(element.typeName)")
            }
            return text.find(part) != nil
        case .mapping(let mapping): return try mapping.value(of: element) != nil
        default:
            for value in try iterated() where try value.equals(element) { return true }
            return false
        }
    }
}
