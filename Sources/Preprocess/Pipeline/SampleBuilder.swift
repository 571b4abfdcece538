import Shared

/// Makes conversations into samples: rendered, encoded, masked and cut to length.
///
/// A worker has one of its own, whose scratch and word cache serve from conversation to conversation.
final class SampleBuilder {
    /// What shapes samples besides the tokenizer and the template.
    struct Settings: Equatable, Sendable {
        /// The most tokens of a sample.
        var maxLength = 2048
        /// What becomes of longer ones.
        var overflow = Overflow.truncate
        /// Whether only the assistant's last turn is supervised.
        var trainsOnlyLastTurn = false
        /// Whether each of the assistant's turns is a sample of its own, with what stands before it.
        var isRowPerTurn = false
        /// The fewest supervised tokens of a sample that is kept.
        var minLossTokens = 1
        /// Tokens that are never supervised.
        var ignoredTokens: Set<Int32> = []
        /// What ids of tokens that were given must be below.
        var vocabSize = Int.max
    }

    private let encoder: TokenEncoder
    private let renderer: any ConversationRenderer
    private let spanFinder: AssistantSpanFinder?
    private let settings: Settings
    private let encoded = EncodedText()
    private var text = RenderedText()

    /// - Parameter entry: The template whose headers mark the assistant's turns in preformatted text.
    init(_ tokenizer: Tokenizer, _ renderer: any ConversationRenderer, entry: ChatTemplate?, _ settings: Settings) {
        encoder = tokenizer.makeEncoder()
        self.renderer = renderer
        spanFinder = entry.map(AssistantSpanFinder.init)
        self.settings = settings
    }

    /// The samples of a conversation: one, one for each turn of the assistant's, or the parts of one that is too long.
    ///
    /// - Throws: `Rejection` if the template has no place for a message, or too few tokens are supervised or too many are
    ///   there; of several turns, if nothing is left.
    func samples(from conversation: Conversation) throws(Rejection) -> MadeRow {
        guard settings.isRowPerTurn else {
            return try samples(from: conversation, onlyLastTurn: settings.trainsOnlyLastTurn)
        }
        var row = MadeRow(samples: [])
        var (leftOut, reason) = (0, Rejection(.noAssistant, "no turn of the assistant was found"))
        for index in conversation.messages.indices where conversation.messages[index].role == .assistant {
            var turn = conversation
            turn.messages.removeSubrange((index + 1)...)
            do throws(Rejection) {
                let made = try samples(from: turn, onlyLastTurn: true)
                row.samples += made.samples
                row.truncated += made.truncated
                row.leftOut += made.leftOut
            } catch {
                (leftOut, reason) = (leftOut + 1, error)
            }
        }
        guard !row.samples.isEmpty else { throw reason }
        if leftOut > 0 { row.repairs.append(.init(Repair.turns.rawValue, droppedMessages: leftOut)) }
        return row
    }

    private func samples(from conversation: Conversation, onlyLastTurn: Bool) throws(Rejection) -> MadeRow {
        do {
            try renderer.render(conversation, into: &text)
        } catch {
            throw Rejection(.template, error.description)
        }
        return try samples(onlyLastTurn: onlyLastTurn)
    }

    /// Samples from text in the model's own format, in which the assistant's turns are found by their headers.
    func samples(fromPreformatted bytes: [UInt8]) throws(Rejection) -> MadeRow {
        text.bytes.removeAll(keepingCapacity: true)
        text.bytes += bytes
        guard let spanFinder else { throw Rejection(.template, "no template marks turns in preformatted text") }
        spanFinder.findSpans(in: &text)
        return try samples(onlyLastTurn: settings.trainsOnlyLastTurn)
    }

    /// Samples from tokens whose mask is known.
    func samples(fromTokens sample: Sample) throws(Rejection) -> MadeRow {
        guard let largest = sample.inputIDs.max(), largest < settings.vocabSize else {
            let id = sample.inputIDs.max().map { "token \($0) is not below the vocabulary, \(settings.vocabSize)" }
            throw Rejection(.badTokens, id ?? "'input_ids' is empty")
        }
        var sample = sample
        if settings.trainsOnlyLastTurn, let end = sample.lossMask.lastIndex(of: true) {
            let start = sample.lossMask[...end].lastIndex(of: false).map { $0 + 1 } ?? 0
            for position in 0..<start { sample.lossMask[position] = false }
        }
        return try fitted(sample)
    }

    private func samples(onlyLastTurn: Bool) throws(Rejection) -> MadeRow {
        if text.assistantSpans.isEmpty, settings.minLossTokens > 0 {
            throw Rejection(.noAssistant, "no turn of the assistant was found")
        }
        // What will be cut off needs no tokens: one behind the most tells that there is something to cut.
        let limit = settings.overflow == .truncate ? settings.maxLength + 1 : Int.max
        do {
            try text.bytes.withUnsafeBufferPointer { bytes throws(PatternError) in
                try encoder.encode(bytes, into: encoded, upTo: limit)
            }
        } catch {
            throw Rejection(.unsupportedContent, "the tokenizer's pattern \(error)")
        }
        let spans = text.supervisedSpans(onlyLastTurn: onlyLastTurn)[...]
        let count = min(encoded.count, limit)
        return try fitted(
            Sample(inputIDs: Array(encoded.ids[..<count]), lossMask: Self.mask(encoded, count: count, spans)))
    }

    /// The sample without supervised tokens that are ignored, and made to fit the most tokens.
    private func fitted(_ sample: Sample) throws(Rejection) -> MadeRow {
        var sample = sample
        if !settings.ignoredTokens.isEmpty {
            for (position, id) in sample.inputIDs.enumerated() where settings.ignoredTokens.contains(id) {
                sample.lossMask[position] = false
            }
        }
        let made = try settings.overflow.fit(sample, settings.maxLength)
        let kept = made.filter { $0.supervisedCount >= settings.minLossTokens }
        let isCut = made.count == 1 && made[0].inputIDs.count < sample.inputIDs.count
        guard !kept.isEmpty else {
            let most = made.map(\.supervisedCount).max() ?? 0
            let cut = isCut ? " of the first \(settings.maxLength) tokens" : ""
            throw Rejection(.tooFewLossTokens, "\(most)\(cut), should be \(settings.minLossTokens) or more")
        }
        return MadeRow(samples: kept, truncated: isCut ? 1 : 0, leftOut: made.count - kept.count)
    }

    /// Which of the first `count` tokens are supervised: those that begin within a span.
    ///
    /// A token that begins in a header and reaches into the answer, as the line ends of both may become one, isn't the
    /// assistant's: no model goes on from half a token. Tokens and spans are in order, so that one pass over both is
    /// enough.
    static func mask(_ encoded: EncodedText, count: Int, _ spans: ArraySlice<Range<Int>>) -> [Bool] {
        let starts = encoded.starts
        var mask = [Bool](repeating: false, count: count)
        var rest = spans
        for i in 0..<count {
            let start = Int(starts[i])
            while let span = rest.first, span.upperBound <= start { rest.removeFirst() }
            guard let span = rest.first else { break }
            mask[i] = start >= span.lowerBound
        }
        return mask
    }
}
