/// A call of a text's method: its arguments, and what they make of the text.
struct TextCall {
    let method: String
    let text: Text
    let arguments: Arguments
    let budget: Budget

    private func bound(_ names: [String], required: Int = 0) throws(Failure) -> [Value?] {
        try arguments.bound(to: names, of: method, required: required)
    }

    private func text(_ value: Value?, _ name: String) throws(Failure) -> Text {
        if case .undefined(let undefined) = value { throw undefined.failure }
        guard let text = value?.text else {
            throw .type("\(method)() argument '\(name)' must be str, not \(value?.typeName ?? "nothing")")
        }
        try budget.work(bytes: text.utf8.count)
        return text
    }

    private func int(_ value: Value?, default other: Int) throws(Failure) -> Int {
        guard let value, !value.isNone else { return other }
        guard let int = value.int else {
            throw .type("'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return int
    }

    func onlyText(_ name: String) throws(Failure) -> Text { try text(try bound([name], required: 1)[0], name) }

    /// A part of the text; all of it costs nothing.
    private func part(_ range: Range<Int>) throws(Failure) -> Value {
        .string(range == 0..<text.utf8.count ? text : try budget.text(text.utf8[range]))
    }

    func plain(_ change: (Text) throws(Failure) -> Text) throws(Failure) -> Value {
        _ = try bound([])
        return .string(try change(text))
    }

    func test(_ test: (Text) -> Bool) throws(Failure) -> Value {
        _ = try bound([])
        return .bool(test(text))
    }

    func all(_ test: (Unicode.Scalar) -> Bool) throws(Failure) -> Value {
        _ = try bound([])
        return .bool(!text.isEmpty && text.scalars.allSatisfy(test))
    }

    func strip(start: Bool, end: Bool) throws(Failure) -> Value {
        let characters = try bound(["chars"])[0] ?? .none
        if characters.isNone { return try part(text.stripped(start: start, end: end)) }
        let set = try CharacterSet(try text(characters, "chars"), budget)
        return try part(text.stripped(start: start, end: end, set.contains))
    }

    /// `startswith` and `endswith`, which take one text or a tuple of them, and a range.
    func hasEnd(_ test: (Text, Text) -> Bool) throws(Failure) -> Value {
        let values = try bound(["prefix", "start", "end"], required: 1)
        var part = text
        if values[1] != nil || values[2] != nil {
            part = try budget.text(text.bytes(try range(values[1], values[2])))
        }
        guard case .tuple(let list) = values[0] else { return .bool(test(part, try text(values[0], "prefix"))) }
        for element in list.elements {
            try budget.step()
            if test(part, try text(element, "prefix")) { return .bool(true) }
        }
        return .bool(false)
    }

    /// The code points that `start` and `end` select.
    private func range(_ start: Value?, _ end: Value?) throws(Failure) -> Range<Int> {
        let count = text.count
        func index(_ value: Value?, default other: Int) throws(Failure) -> Int {
            let int = try int(value, default: other)
            return min(max(int < 0 ? int + count : int, 0), count)
        }
        let low = try index(start, default: 0)
        return low..<max(low, try index(end, default: count))
    }

    func find(fromEnd: Bool) throws(Failure) -> Int? {
        let values = try bound(["sub", "start", "end"], required: 1)
        let wanted = try text(values[0], "sub")
        let range = try range(values[1], values[2])
        let (low, high) = (text.offset(of: range.lowerBound), text.offset(of: range.upperBound))
        guard fromEnd else { return text.find(wanted, from: low, to: high).map(text.index(ofByte:)) }
        return try text.findLast(wanted, from: low, to: high, budget).map(text.index(ofByte:))
    }

    func found(_ index: Int?) throws(Failure) -> Int {
        guard let index else { throw .value("substring not found") }
        return index
    }

    func count() throws(Failure) -> Value {
        let values = try bound(["sub", "start", "end"], required: 1)
        let range = try range(values[1], values[2])
        let wanted = try text(values[0], "sub")
        guard !wanted.isEmpty else { return .int(range.count + 1) }
        let end = text.offset(of: range.upperBound)
        var (count, position) = (0, text.offset(of: range.lowerBound))
        while let found = text.find(wanted, from: position, to: end) {
            count += 1
            position = found + wanted.utf8.count
        }
        return .int(count)
    }

    func replace() throws(Failure) -> Value {
        let values = try bound(["old", "new", "count"], required: 2)
        return .string(
            try text.replacing(
                try text(values[0], "old"), by: try text(values[1], "new"), atMost: try int(values[2], default: -1),
                budget))
    }

    func join() throws(Failure) -> Value {
        let elements = try (try bound(["iterable"], required: 1)[0] ?? .none).iterated(budget).elements
        var result = TextBuilder(budget)
        for (i, element) in elements.enumerated() {
            try budget.step()
            guard let part = element.text else {
                throw .type("sequence item \(i): expected str instance, \(element.typeName) found")
            }
            if i > 0 { try result.append(text) }
            try result.append(part)
        }
        return .string(try result.text())
    }

    func split(fromEnd: Bool) throws(Failure) -> Value {
        let values = try bound(["sep", "maxsplit"])
        let limit = try int(values[1], default: -1)
        var parts: [Value] = []
        func add(_ range: Range<Int>) throws(Failure) {
            try budget.step()
            parts.append(try part(range))
        }
        guard let value = values[0], !value.isNone else {
            if fromEnd {
                try text.forEachWord(atMostAtEnd: limit, add)
            } else {
                try text.forEachWord(atMost: limit, add)
            }
            return try budget.list(parts)
        }
        let separator = try text(value, "sep")
        guard !separator.isEmpty else { throw .value("empty separator") }
        guard fromEnd else {
            try text.forEachPart(separator: separator, atMost: limit, add)
            return try budget.list(parts)
        }
        let (reversed, wanted) = (try text.reversed(budget), try separator.reversed(budget))
        let count = text.utf8.count
        try reversed.forEachPart(separator: wanted, atMost: limit) { (range) throws(Failure) in
            try add(count - range.upperBound..<count - range.lowerBound)
        }
        return try budget.list(parts.reversed())
    }

    func splitLines() throws(Failure) -> Value {
        let keepEnds = try bound(["keepends"])[0]?.isTrue ?? false
        var lines: [Value] = []
        try text.forEachLine(keepEnds: keepEnds) { (range) throws(Failure) in
            try budget.step()
            lines.append(try part(range))
        }
        return try budget.list(lines)
    }

    func partition(fromEnd: Bool) throws(Failure) -> Value {
        let separator = try onlyText("sep")
        guard !separator.isEmpty else { throw .value("empty separator") }
        let position = fromEnd ? try text.findLast(separator, budget) : text.find(separator)
        guard let position else {
            let nothing = Value.string("")
            return try budget.tuple(fromEnd ? [nothing, nothing, .string(text)] : [.string(text), nothing, nothing])
        }
        return try budget.tuple([
            try part(0..<position), .string(separator), try part(position + separator.utf8.count..<text.utf8.count),
        ])
    }

    /// - Parameter left: How many of the missing characters are on the left, given these and the width.
    func pad(_ left: (Int, Int) -> Int) throws(Failure) -> Value {
        let values = try bound(["width", "fillchar"], required: 1)
        let width = try int(values[0], default: 0)
        let fill = try values[1].map { (value) throws(Failure) in try text(value, "fillchar") } ?? " "
        guard fill.count == 1 else { throw .type("The fill character must be exactly one character long") }
        let missing = try Integer.difference(width, text.count)
        guard missing > 0 else { return .string(text) }
        let before = left(missing, width)
        var result = TextBuilder(budget)
        try result.append(fill, times: before)
        try result.append(text)
        try result.append(fill, times: missing - before)
        return .string(try result.text())
    }

    func fillZeros() throws(Failure) -> Value {
        let width = try int(try bound(["width"], required: 1)[0], default: 0)
        let missing = try Integer.difference(width, text.count)
        guard missing > 0 else { return .string(text) }
        let sign = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+") ? 1 : 0
        var result = TextBuilder(budget)
        try result.append(text.utf8.prefix(sign))
        try result.append("0", times: missing)
        try result.append(text.utf8.dropFirst(sign))
        return .string(try result.text())
    }

    func expandTabs() throws(Failure) -> Value {
        let size = try int(try bound(["tabsize"])[0], default: 8)
        var (result, column) = (TextBuilder(budget), 0)
        for scalar in text.scalars {
            switch scalar {
            case "\t":
                guard size > 0 else { continue }
                let spaces = size - column % size
                try result.append(" ", times: spaces)
                // No more than the text's bytes, of which these were the last.
                column += spaces
            case "\n", "\r":
                try result.append(scalar)
                column = 0
            default:
                try result.append(scalar)
                column += 1
            }
        }
        return .string(try result.text())
    }
}

/// Characters to be stripped.
struct CharacterSet {
    private let scalars: Set<Unicode.Scalar>

    init(_ text: Text, _ budget: Budget) throws(Failure) {
        var scalars: Set<Unicode.Scalar> = []
        for scalar in text.scalars where scalars.insert(scalar).inserted { try budget.pay(bytes: 16) }
        self.scalars = scalars
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool { scalars.contains(scalar) }
}

extension Text {
    /// The bytes from the last to the first: no text, but what can be searched from the end.
    fileprivate func reversed(_ budget: Budget) throws(Failure) -> Text { try budget.text(utf8.reversed()) }

    /// The last byte at which `pattern` is found, from `start` on and before `end`.
    func findLast(
        _ pattern: Text, from start: Int = 0, to end: Int? = nil, _ budget: Budget
    ) throws(Failure) -> Int? {
        let end = end ?? utf8.count
        guard start <= end - pattern.utf8.count else { return nil }
        guard !pattern.isEmpty else { return end }
        let reversed = try budget.text(utf8[start..<end].reversed())
        return reversed.find(try pattern.reversed(budget)).map { end - $0 - pattern.utf8.count }
    }

    /// - Parameter limit: How often at most; negative for always.
    func replacing(
        _ old: Text, by new: Text, atMost limit: Int, _ budget: Budget
    ) throws(Failure) -> Text {
        var (result, rest) = (TextBuilder(budget), max(limit, -1))
        if old.isEmpty {
            for scalar in scalars {
                if rest != 0 {
                    try result.append(new)
                    rest -= 1
                }
                try result.append(scalar)
            }
            if rest != 0 { try result.append(new) }
            return try result.text()
        }
        var position = 0
        while rest != 0, let found = find(old, from: position) {
            try budget.step()
            try result.append(utf8[position..<found])
            try result.append(new)
            position = found + old.utf8.count
            rest -= 1
        }
        guard position > 0 else { return self }
        try result.append(utf8[position...])
        return try result.text()
    }
}
