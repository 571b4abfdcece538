/// A conversation in a model's own format, and which of its bytes the assistant wrote.
struct RenderedText: Equatable, Sendable {
    /// UTF-8.
    var bytes: [UInt8] = []
    /// The assistant's turns in order, each from behind its header up to and including its end-of-turn token.
    var assistantSpans: [Range<Int>] = []
    /// What isn't supervised within them, in order.
    var ignoredRanges: [Range<Int>] = []

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        assistantSpans.removeAll(keepingCapacity: true)
        ignoredRanges.removeAll(keepingCapacity: true)
    }

    /// Ignores each occurrence of these texts within the assistant's turns.
    mutating func ignore(_ patterns: [[UInt8]]) {
        for pattern in patterns {
            for span in assistantSpans {
                var position = span.lowerBound
                while let found = ByteSearch.first(pattern, in: bytes, position..<span.upperBound) {
                    position = found + pattern.count
                    ignoredRanges.append(found..<position)
                }
            }
        }
        ignoredRanges.sort { $0.lowerBound < $1.lowerBound }
    }

    /// What is supervised: the turns, or the last one, without what is ignored.
    func supervisedSpans(onlyLastTurn: Bool) -> [Range<Int>] {
        let turns = onlyLastTurn ? assistantSpans.suffix(1) : assistantSpans[...]
        guard !ignoredRanges.isEmpty else { return Array(turns) }
        var spans: [Range<Int>] = []
        for turn in turns {
            var start = turn.lowerBound
            for hole in ignoredRanges where hole.upperBound > start && hole.lowerBound < turn.upperBound {
                if hole.lowerBound > start { spans.append(start..<hole.lowerBound) }
                start = max(start, hole.upperBound)
            }
            if start < turn.upperBound { spans.append(start..<turn.upperBound) }
        }
        return spans
    }
}
