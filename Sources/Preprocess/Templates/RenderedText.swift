import Shared

/// A conversation in a model's own format, and which of its bytes the assistant wrote.
struct RenderedText: Equatable, Sendable {
    /// One of the assistant's turns.
    struct Turn: Equatable, Sendable {
        /// From after its header up to and including its end-of-turn token.
        var range: Range<Int>
        /// The index of its message in the conversation; nil where the text was rendered elsewhere.
        var message: Int?
    }

    /// UTF-8.
    var bytes: [UInt8] = []
    /// In the text's order.
    var turns: [Turn] = []
    /// What isn't supervised within them, in order.
    private(set) var ignoredRanges: [Range<Int>] = []

    /// The ranges of the turns.
    var assistantSpans: [Range<Int>] { turns.map(\.range) }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        removeTurns()
    }

    mutating func removeTurns() {
        turns.removeAll(keepingCapacity: true)
        ignoredRanges.removeAll(keepingCapacity: true)
    }

    /// Ignores each occurrence of these texts within the assistant's turns.
    mutating func ignore(_ patterns: [[UInt8]]) {
        for pattern in patterns {
            for turn in turns {
                var position = turn.range.lowerBound
                while let found = ByteSearch.first(pattern, in: bytes, position..<turn.range.upperBound) {
                    position = found + pattern.count
                    ignoredRanges.append(found..<position)
                }
            }
        }
        ignoredRanges.sort { $0.lowerBound < $1.lowerBound }
    }

    /// Ignores the turns of messages that the data leave out of the loss.
    ///
    /// - Throws: `TemplateError` if it isn't known which message a turn is.
    mutating func ignoreUnsupervised(_ messages: [Message]) throws(TemplateError) {
        guard messages.contains(where: { $0.role == .assistant && !$0.isSupervised }) else { return }
        for turn in turns {
            guard let index = turn.message else {
                throw TemplateError(
                    "some messages are not to be supervised, and which of the text's turns are theirs is not known")
            }
            if !messages[index].isSupervised { ignoredRanges.append(turn.range) }
        }
        ignoredRanges.sort { $0.lowerBound < $1.lowerBound }
    }

    /// What is supervised: the turns, or the last one, without what is ignored.
    ///
    /// - Complexity: Linear in both.
    func supervisedSpans(onlyLastTurn: Bool) -> [Range<Int>] {
        let supervised = onlyLastTurn ? turns.suffix(1) : turns[...]
        guard !ignoredRanges.isEmpty else { return supervised.map(\.range) }
        var spans: [Range<Int>] = []
        var holes = ignoredRanges[...]
        for turn in supervised.map(\.range) {
            // Holes may overlap, but none reaches from one turn into the next.
            holes = holes.drop { $0.upperBound <= turn.lowerBound }
            var start = turn.lowerBound
            for hole in holes {
                if hole.lowerBound >= turn.upperBound { break }
                if hole.lowerBound > start { spans.append(start..<hole.lowerBound) }
                start = max(start, hole.upperBound)
            }
            if start < turn.upperBound { spans.append(start..<turn.upperBound) }
        }
        return spans
    }
}
