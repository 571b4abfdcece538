import Shared

/// A token that is looked for in the text itself, before it is split: an element of `added_tokens`.
struct AddedToken: Equatable, Sendable {
    let id: Int32
    var content: [UInt8]
    /// Whether it counts only between characters that aren't of words.
    let isSingleWord: Bool
    /// Whether it takes the spaces before it.
    let stripsLeft: Bool
    /// Whether it takes the spaces behind it.
    let stripsRight: Bool
    /// Whether it is looked for in the normalized text.
    let isNormalized: Bool
    let isSpecial: Bool

    init(_ node: JSONNode, id: Int) throws(JSONError) {
        guard let id = Int32(exactly: id), id >= 0 else { throw node.error("has id \(id), should be 0 to 2147483647") }
        self.id = id
        content = Array(try node.string("content").utf8)
        isSpecial = try node.bool("special", default: false)
        isSingleWord = try node.bool("single_word", default: false)
        stripsLeft = try node.bool("lstrip", default: false)
        stripsRight = try node.bool("rstrip", default: false)
        isNormalized = try node.bool("normalized", default: !isSpecial)
    }
}

/// Finds added tokens in a text, the longest of those that begin first.
struct AddedTokenFinder: Sendable {
    /// A found token, spaces that it takes included.
    struct Match: Equatable {
        let id: Int32
        let start: Int
        let end: Int
    }

    private let tokens: [AddedToken]
    private let isFirstByte: [Bool]
    private var nodes: [Node] = [Node()]

    /// A place in the tree of the tokens' bytes; its children are sorted by their byte.
    private struct Node: Sendable {
        var token: Int32 = -1
        var bytes: [UInt8] = []
        var children: [Int32] = []
    }

    init(_ tokens: [AddedToken]) {
        self.tokens = tokens.filter { !$0.content.isEmpty }
        var isFirstByte = [Bool](repeating: false, count: 256)
        for token in self.tokens { isFirstByte[Int(token.content[0])] = true }
        self.isFirstByte = isFirstByte
        for (number, token) in self.tokens.enumerated() { insert(token.content, number) }
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// The first token at or behind `position`; `taken` is where the match before it ended, spaces included.
    ///
    /// - Parameter next: Is set to where to look for the next one.
    func next(
        in text: UnsafeBufferPointer<UInt8>, from position: Int, taken: Int, next: inout Int
    ) -> Match? {
        guard let start = text.baseAddress else { return nil }
        return isFirstByte.withUnsafeBufferPointer { isFirstByte in
            var i = position
            while i < text.count {
                guard isFirstByte[Int(start[i])], let (number, end) = longest(in: text, at: i) else {
                    i &+= 1
                    continue
                }
                next = end
                if let match = match(tokens[number], at: i..<end, in: text, taken: taken) { return match }
                i = end
            }
            return nil
        }
    }

    private func longest(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (token: Int, end: Int)? {
        var found: (token: Int, end: Int)?
        var node = 0
        for i in start..<text.count {
            guard let child = child(of: node, text[i]) else { break }
            node = child
            if nodes[node].token >= 0 { found = (Int(nodes[node].token), i + 1) }
        }
        return found
    }

    private func match(
        _ token: AddedToken, at range: Range<Int>, in text: UnsafeBufferPointer<UInt8>, taken: Int
    ) -> Match? {
        if token.isSingleWord {
            let before = Scalars.last(in: text, before: range.lowerBound)
            let behind = Scalars.first(in: text, at: range.upperBound)
            if before.map(Scalars.isOfWord) ?? false || behind.map(Scalars.isOfWord) ?? false { return nil }
        }
        var (start, end) = (range.lowerBound, range.upperBound)
        if token.stripsLeft {
            while let scalar = Scalars.last(in: text, before: start), scalar.properties.isWhitespace {
                start -= scalar.utf8.count
            }
            start = max(start, taken)
        }
        if token.stripsRight {
            while let scalar = Scalars.first(in: text, at: end), scalar.properties.isWhitespace {
                end += scalar.utf8.count
            }
        }
        return Match(id: token.id, start: start, end: end)
    }

    private mutating func insert(_ content: [UInt8], _ number: Int) {
        var node = 0
        for byte in content {
            if let child = child(of: node, byte) {
                node = child
                continue
            }
            let place = nodes[node].bytes.firstIndex { $0 > byte } ?? nodes[node].bytes.count
            nodes[node].bytes.insert(byte, at: place)
            nodes[node].children.insert(Int32(nodes.count), at: place)
            node = nodes.count
            nodes.append(Node())
        }
        nodes[node].token = Int32(number)
    }

    @inline(__always)
    private func child(of node: Int, _ byte: UInt8) -> Int? {
        guard let place = nodes[node].bytes.firstIndex(of: byte) else { return nil }
        return Int(nodes[node].children[place])
    }
}

/// Scalars at places in UTF-8.
private enum Scalars {
    static func first(in text: UnsafeBufferPointer<UInt8>, at position: Int) -> Unicode.Scalar? {
        guard position < text.count else { return nil }
        var iterator = text[position..<min(position + 4, text.count)].makeIterator()
        var decoder = UTF8()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return nil }
        return scalar
    }

    static func last(in text: UnsafeBufferPointer<UInt8>, before position: Int) -> Unicode.Scalar? {
        guard position > 0 else { return nil }
        var start = position - 1
        while start > 0, position - start < 4, text[start] & 0xC0 == 0x80 { start -= 1 }
        return first(in: text, at: start)
    }

    /// Whether a regular expression's `\w` matches the scalar.
    static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return properties.isAlphabetic || scalar == "\u{200C}" || scalar == "\u{200D}"
        }
    }
}
