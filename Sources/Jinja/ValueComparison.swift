extension Value {
    /// Python's `==`.
    func equals(_ other: Value, _ budget: Budget) throws(Failure) -> Bool {
        if let a = number, let b = other.number {
            if case .int(let a) = a, case .int(let b) = b { return a == b }
            return a.double == b.double
        }
        if let a = text, let b = other.text {
            guard a.utf8.count == b.utf8.count else { return false }
            try budget.work(bytes: a.utf8.count)
            return a.utf8 == b.utf8
        }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard a.elements.count == b.elements.count else { return false }
            try budget.enter()
            for (a, b) in zip(a.elements, b.elements) {
                try budget.step()
                guard try a.equals(b, budget) else { return false }
            }
            return true
        case (.mapping(let a), .mapping(let b)):
            guard a.entries.count == b.entries.count else { return false }
            try budget.enter()
            for entry in a.entries {
                try budget.step()
                guard let value = try b.value(of: entry.key, budget), try entry.value.equals(value, budget) else {
                    return false
                }
            }
            return true
        case (.object(let a), .object(let b)):
            if let a = a as? RangeObject, let b = b as? RangeObject { return a.equals(b) }
            return a === b
        default: return false
        }
    }

    /// Python's `<`.
    ///
    /// - Parameter symbol: The operator that an error names; `>` for an exchanged pair.
    func isLess(than other: Value, _ symbol: String, _ budget: Budget) throws(Failure) -> Bool {
        try budget.enter()
        if let a = number, let b = other.number {
            if case .int(let a) = a, case .int(let b) = b { return a < b }
            return a.double < b.double
        }
        if let a = text, let b = other.text {
            try budget.work(bytes: min(a.utf8.count, b.utf8.count))
            return a < b
        }
        if case .undefined(let undefined) = self { throw undefined.failure }
        if case .undefined(let undefined) = other { throw undefined.failure }
        switch (self, other) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (a, b) in zip(a.elements, b.elements) {
                try budget.step()
                guard try a.equals(b, budget) else { return try a.isLess(than: b, symbol, budget) }
            }
            return a.elements.count < b.elements.count
        default:
            let (a, b) = symbol.hasPrefix(">") ? (other, self) : (self, other)
            throw .type("'\(symbol)' not supported between instances of '\(a.typeName)' and '\(b.typeName)'")
        }
    }

    func isLessOrEqual(to other: Value, _ symbol: String, _ budget: Budget) throws(Failure) -> Bool {
        if try equals(other, budget) { return true }
        return try isLess(than: other, symbol, budget)
    }

    /// Whether an element, a key or a part of a text is in it.
    func contains(_ element: Value, _ budget: Budget) throws(Failure) -> Bool {
        switch self {
        case .undefined: return false
        case .string(let text), .markup(let text):
            guard let part = element.text else {
                throw .type("'in <string>' requires string as left operand, not \(element.typeName)")
            }
            try budget.work(bytes: text.utf8.count)
            return text.find(part) != nil
        case .mapping(let mapping): return try mapping.value(of: element, budget) != nil
        default:
            for value in try iterated(budget).elements {
                try budget.step()
                if try value.equals(element, budget) { return true }
            }
            return false
        }
    }
}
