import Shared

/// A split by a pattern: the pre-tokenizer `Split`.
struct SplitRule: Sendable {
    /// What becomes of a match: `behavior`.
    enum Behavior: String, CaseIterable, Sendable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    let pattern: Pattern
    /// The pattern's text, unless it is matched literally.
    let regularExpression: String?
    let behavior: Behavior
    /// Whether what lies between the matches is what the behaviour is about.
    let isInverted: Bool

    init(_ node: JSONNode) throws(JSONError) {
        let source = try node.required("pattern")
        let name = try node.string("behavior")
        guard let behavior = Behavior(rawValue: name) else {
            throw try node.unsupported(
                "behavior", "'\(name)'", supported: Behavior.allCases.map(\.rawValue).joined(separator: ", "))
        }
        self.behavior = behavior
        isInverted = try node.bool("invert", default: false)
        do {
            if let regex = source["Regex"] {
                let text = try regex.asString()
                regularExpression = text
                pattern = try Pattern(oniguruma: text)
            } else {
                regularExpression = nil
                pattern = try Pattern(literal: try source.string("String"))
            }
        } catch let error as PatternError {
            throw source.error("\(error), which is not supported")
        } catch let error as JSONError {
            throw error
        } catch {
            throw source.error("\(error)")
        }
    }

    /// Whether each match is a piece of its own.
    var keepsMatches: Bool { behavior == .isolated || behavior == .removed && isInverted }

    /// Splits the piece `range` of a text, as if the piece were a whole text.
    func split(
        _ range: Range<Int>, of text: UnsafePointer<UInt8>, with matcher: Matcher, into pieces: inout [Range<Int>]
    ) throws(PatternError) {
        let piece = UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
        var merger = PieceMerger(behavior: behavior, first: pieces.count)
        var done = 0
        var from = 0
        while from <= piece.count, let match = try matcher.firstMatch(of: pattern, in: piece, from: from) {
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
                from += decodeScalar(piece[from], at: text + offset + from).length
            }
        }
        if done < piece.count {
            merger.add(range.lowerBound + done..<range.upperBound, isMatch: isInverted, to: &pieces)
        }
    }
}

/// Puts matches and what lies between them together as a behaviour says.
struct PieceMerger {
    let behavior: SplitRule.Behavior
    /// The number of pieces that were there before.
    let first: Int
    private var wasMatch = false

    init(behavior: SplitRule.Behavior, first: Int) {
        self.behavior = behavior
        self.first = first
    }

    mutating func add(_ piece: Range<Int>, isMatch: Bool, to pieces: inout [Range<Int>]) {
        // Of two matches in a row, only the first joins the piece before; and the last joins the piece behind.
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
