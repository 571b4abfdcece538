/// A call of a text's method: its arguments, and what they make of the text.
struct TextCall {
    let method: String
    let text: Text
    let arguments: Arguments
    let rendering: Rendering

    private func bound(_ names: [String], required: Int = 0) throws(Failure) -> [Value?] {
        try arguments.bound(to: names, of: method, required: required)
    }

    private func text(_ value: Value?, _ name: String) throws(Failure) -> Text {
        if case .undefined(let undefined) = value { throw undefined.failure }
        guard let text = value?.text else {
            throw Failure("\(method)() argument '\(name)' must be str, not \(value?.typeName ?? "nothing")")
        }
        return text
    }

    private func int(_ value: Value?, _ usual: Int) throws(Failure) -> Int {
        guard let value, !value.isNone else { return usual }
        guard let int = value.int else {
            throw Failure("'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return int
    }

    func onlyText(_ name: String) throws(Failure) -> Text { try text(try bound([name], required: 1)[0], name) }

    func plain(_ change: (Text) -> Text) throws(Failure) -> Value {
        _ = try bound([])
        return .string(change(text))
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
        if characters.isNone { return .string(text.stripped(start: start, end: end)) }
        let scalars = try text(characters, "chars").scalars
        return .string(text.stripped(start: start, end: end) { scalars.contains($0) })
    }

    /// `startswith` and `endswith`, which take one text or a tuple of them, and a range.
    func hasEnd(_ test: (Text, Text) -> Bool) throws(Failure) -> Value {
        let values = try bound(["prefix", "start", "end"], required: 1)
        var part = text
        if values[1] != nil || values[2] != nil { part = text.slice(try range(values[1], values[2])) }
        if case .tuple(let list) = values[0] {
            for element in list.elements where test(part, try text(element, "prefix")) { return .bool(true) }
            return .bool(false)
        }
        return .bool(test(part, try text(values[0], "prefix")))
    }

    private func range(_ start: Value?, _ end: Value?) throws(Failure) -> Range<Int> {
        let count = text.count
        func place(_ value: Value?, _ usual: Int) throws(Failure) -> Int {
            let int = try int(value, usual)
            return min(max(int < 0 ? int + count : int, 0), count)
        }
        let low = try place(start, 0)
        return low..<max(low, try place(end, count))
    }

    func find(fromEnd: Bool) throws(Failure) -> Int? {
        let values = try bound(["sub", "start", "end"], required: 1)
        let wanted = try text(values[0], "sub")
        let range = try range(values[1], values[2])
        let (low, high) = (text.offset(of: range.lowerBound), text.offset(of: range.upperBound))
        let found = fromEnd ? text.findLast(wanted, from: low, to: high) : text.find(wanted, from: low, to: high)
        return found.map(text.index(ofByte:))
    }

    func found(_ place: Int?) throws(Failure) -> Int {
        guard let place else { throw Failure("substring not found") }
        return place
    }

    func count() throws(Failure) -> Value {
        let values = try bound(["sub", "start", "end"], required: 1)
        let part = text.slice(try range(values[1], values[2]))
        let wanted = try text(values[0], "sub")
        guard !wanted.isEmpty else { return .int(part.count + 1) }
        var (count, position) = (0, 0)
        while let found = part.find(wanted, from: position) {
            count += 1
            position = found + wanted.utf8.count
        }
        return .int(count)
    }

    func replace() throws(Failure) -> Value {
        let values = try bound(["old", "new", "count"], required: 2)
        let (old, new) = (try text(values[0], "old"), try text(values[1], "new"))
        let limit = try int(values[2], -1)
        let places = old.isEmpty ? text.count + 1 : text.utf8.count / old.utf8.count
        try rendering.spend(bytes: text.utf8.count + (limit < 0 ? places : min(limit, places)) * new.utf8.count)
        return .string(text.replacing(old, by: new, atMost: limit))
    }

    func join() throws(Failure) -> Value {
        let elements = try bound(["iterable"], required: 1)[0]?.iterated() ?? []
        var bytes: [UInt8] = []
        for (i, element) in elements.enumerated() {
            guard let part = element.text else {
                throw Failure("sequence item \(i): expected str instance, \(element.typeName) found")
            }
            if i > 0 { bytes += text.utf8 }
            bytes += part.utf8
            try rendering.spend(bytes: part.utf8.count + text.utf8.count)
        }
        return .string(Text(bytes))
    }

    func split(fromEnd: Bool) throws(Failure) -> Value {
        let values = try bound(["sep", "maxsplit"])
        let limit = try int(values[1], -1)
        guard let value = values[0], !value.isNone else {
            return .list(text.words(atMost: limit, fromEnd: fromEnd).map(Value.string))
        }
        let separator = try text(value, "sep")
        guard !separator.isEmpty else { throw Failure("empty separator") }
        try rendering.spend(bytes: text.utf8.count)
        var parts: [Value] = []
        if fromEnd {
            var end = text.utf8.count
            while parts.count != limit, let found = text.findLast(separator, to: end) {
                parts.append(.string(Text(text.utf8[(found + separator.utf8.count)..<end])))
                end = found
            }
            parts.append(.string(Text(text.utf8[..<end])))
            return .list(parts.reversed())
        }
        var start = 0
        while parts.count != limit, let found = text.find(separator, from: start) {
            parts.append(.string(Text(text.utf8[start..<found])))
            start = found + separator.utf8.count
        }
        parts.append(.string(start == 0 ? text : Text(text.utf8[start...])))
        return .list(parts)
    }

    func splitLines() throws(Failure) -> Value {
        let keepEnds = try bound(["keepends"])[0]?.isTrue ?? false
        return .list(text.lines(keepEnds: keepEnds).map(Value.string))
    }

    func partition(fromEnd: Bool) throws(Failure) -> Value {
        let separator = try onlyText("sep")
        guard !separator.isEmpty else { throw Failure("empty separator") }
        guard let found = fromEnd ? text.findLast(separator) : text.find(separator) else {
            let nothing = Value.string("")
            return .tuple(fromEnd ? [nothing, nothing, .string(text)] : [.string(text), nothing, nothing])
        }
        return .tuple([
            .string(Text(text.utf8[..<found])), .string(separator),
            .string(Text(text.utf8[(found + separator.utf8.count)...])),
        ])
    }

    /// - Parameter left: How many of the missing characters stand on the left, given these and the width.
    func pad(_ left: (Int, Int) -> Int) throws(Failure) -> Value {
        let values = try bound(["width", "fillchar"], required: 1)
        let width = try int(values[0], 0)
        let fill = try values[1].map { (value) throws(Failure) in try text(value, "fillchar") } ?? " "
        guard fill.count == 1 else { throw Failure("The fill character must be exactly one character long") }
        let missing = width - text.count
        guard missing > 0 else { return .string(text) }
        let before = left(missing, width)
        return .string(
            try fill.repeated(before, rendering) + text + fill.repeated(missing - before, rendering))
    }

    func fillZeros() throws(Failure) -> Value {
        let width = try int(try bound(["width"], required: 1)[0], 0)
        let zeros = try Text("0").repeated(max(0, width - text.count), rendering)
        let hasSign = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+")
        return .string(Text(text.utf8.prefix(hasSign ? 1 : 0) + zeros.utf8 + text.utf8.dropFirst(hasSign ? 1 : 0)))
    }

    func expandTabs() throws(Failure) -> Value {
        let size = try int(try bound(["tabsize"])[0], 8)
        try rendering.spend(bytes: text.utf8.count.multipliedReportingOverflow(by: max(1, size)).partialValue)
        var (result, column) = ([Unicode.Scalar](), 0)
        for scalar in text.scalars {
            if scalar == "\t" {
                let spaces = size > 0 ? size - column % size : 0
                result += repeatElement(" ", count: spaces)
                column += spaces
            } else {
                result.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return .string(Text(result))
    }
}
