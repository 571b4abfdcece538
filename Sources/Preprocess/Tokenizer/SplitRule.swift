import Shared

/// A split at what matches: the pre-tokenizers `Split`, `Digits`, `Punctuation`, `Whitespace` and their kind.
struct SplitRule: Sendable {
    /// What becomes of a match: `behavior`.
    enum Behavior: String, CaseIterable, Sendable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"

        /// Reads the key `behavior`.
        init(_ node: JSONNode, default standard: Behavior? = nil) throws(JSONError) {
            if let standard, node["behavior"] == nil {
                self = standard
                return
            }
            let name = try node.string("behavior")
            guard let behavior = Behavior(rawValue: name) else {
                throw try node.unsupported(
                    "behavior", "'\(name)'", supported: Behavior.allCases.map(\.rawValue).joined(separator: ", "))
            }
            self = behavior
        }
    }

    /// What matches.
    enum Separator: Sendable {
        case pattern(TextPattern)
        /// Every scalar of a kind by itself.
        case scalars(ScalarKind)
    }

    let separator: Separator
    let behavior: Behavior
    /// Whether what lies between the matches is what the behaviour is about.
    let isInverted: Bool

    init(_ separator: Separator, _ behavior: Behavior, isInverted: Bool = false) {
        self.separator = separator
        self.behavior = behavior
        self.isInverted = isInverted
    }

    /// Reads the pre-tokenizer `Split`.
    init(_ node: JSONNode) throws(JSONError) {
        self.init(
            .pattern(try TextPattern(node)), try Behavior(node), isInverted: try node.bool("invert", default: false))
    }

    /// The regular expression, if each of its matches is a piece of its own.
    var isolatedExpression: String? {
        guard behavior == .isolated || behavior == .removed && isInverted,
            case .pattern(.regularExpression(_, let source)) = separator
        else { return nil }
        return source
    }

    /// Splits the piece `range` of a text, as if the piece were a whole text.
    func split(
        _ range: Range<Int>, of text: UnsafePointer<UInt8>, with matcher: Matcher, into pieces: inout [Range<Int>]
    ) throws(PatternError) {
        let piece = UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
        var merger = PieceMerger(behavior: behavior, first: pieces.count)
        var done = 0
        var from = 0
        while from <= piece.count, let match = try firstMatch(in: piece, from: from, with: matcher) {
            try TokenEncoder.checkInterrupt()
            let offset = range.lowerBound
            if match.lowerBound > done {
                merger.add(offset + done..<offset + match.lowerBound, isMatch: isInverted, to: &pieces)
            }
            if !match.isEmpty {
                merger.add(offset + match.lowerBound..<offset + match.upperBound, isMatch: !isInverted, to: &pieces)
            }
            done = match.upperBound
            from = done
            if match.isEmpty {
                guard from < piece.count else { break }
                from += UTF8Scalars.decode(piece[from], at: text + offset + from).length
            }
        }
        if done < piece.count {
            merger.add(range.lowerBound + done..<range.upperBound, isMatch: isInverted, to: &pieces)
        }
    }

    private func firstMatch(
        in piece: UnsafeBufferPointer<UInt8>, from start: Int, with matcher: Matcher
    ) throws(PatternError) -> Range<Int>? {
        switch separator {
        case .pattern(let pattern): return try pattern.firstMatch(in: piece, from: start, with: matcher)
        case .scalars(let kind):
            var i = start
            while let scalar = piece.scalar(at: i) {
                let end = i + scalar.utf8.count
                if kind.contains(scalar) { return i..<end }
                i = end
            }
            return nil
        }
    }
}

/// Joins matches and the text between them as a behaviour asks.
private struct PieceMerger {
    let behavior: SplitRule.Behavior
    /// The number of pieces that were there before.
    let first: Int
    private var wasMatch = false

    init(behavior: SplitRule.Behavior, first: Int) {
        self.behavior = behavior
        self.first = first
    }

    mutating func add(_ piece: Range<Int>, isMatch: Bool, to pieces: inout [Range<Int>]) {
        // Of two matches in a row, only the first joins the piece before; and the last joins the piece after.
        let joins =
            switch behavior {
            case .removed, .isolated: false
            case .mergedWithPrevious: isMatch && !wasMatch
            case .mergedWithNext: !isMatch && wasMatch
            case .contiguous: isMatch == wasMatch
            }
        wasMatch = isMatch
        if behavior == .removed && isMatch { return }
        if joins, pieces.count > first {
            pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<piece.upperBound
        } else {
            pieces.append(piece)
        }
    }
}
