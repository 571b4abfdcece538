import Shared

/// Makes conversations into samples: rendered, encoded, masked and cut to length.
///
/// A worker has one of its own, whose scratch and word cache serve from conversation to conversation.
final class SampleBuilder {
    /// What shapes samples besides the tokenizer and the template.
    struct Settings: Equatable, Sendable {
        /// The most tokens of a sample; what is behind them is cut off.
        var maxLength = 2048
        /// Whether only the assistant's last turn is supervised.
        var trainsOnlyLastTurn = false
        /// Whether each of the assistant's turns is a sample of its own, with what stands before it.
        var isRowPerTurn = false
        /// The fewest supervised tokens of a sample that is kept.
        var minLossTokens = 1
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

    /// The samples of a conversation: one, or one for each turn of the assistant's.
    ///
    /// - Throws: `Rejection` if nothing is left of it.
    func samples(from conversation: Conversation) throws(Rejection) -> MadeRow {
        guard settings.isRowPerTurn else { return MadeRow(samples: [try sample(from: conversation)]) }
        var row = MadeRow(samples: [])
        var (leftOut, reason) = (0, Rejection(.noAssistant, "no turn of the assistant was found"))
        for index in conversation.messages.indices where conversation.messages[index].role == .assistant {
            var turn = conversation
            turn.messages.removeSubrange((index + 1)...)
            do throws(Rejection) {
                row.samples.append(try sample(from: turn, onlyLastTurn: true))
            } catch {
                (leftOut, reason) = (leftOut + 1, error)
            }
        }
        guard !row.samples.isEmpty else { throw reason }
        if leftOut > 0 { row.repairs.append(.init(Repair.turns.rawValue, droppedMessages: leftOut)) }
        return row
    }

    /// - Throws: `Rejection` if the template has no place for a message, or too few tokens are supervised.
    func sample(from conversation: Conversation, onlyLastTurn: Bool = false) throws(Rejection) -> Sample {
        do {
            try renderer.render(conversation, into: &text)
        } catch {
            throw Rejection(.template, error.description)
        }
        return try sample(onlyLastTurn: onlyLastTurn || settings.trainsOnlyLastTurn)
    }

    /// A sample from text in the model's own format, in which the assistant's turns are found by their headers.
    func sample(fromPreformatted bytes: [UInt8]) throws(Rejection) -> Sample {
        text.bytes.removeAll(keepingCapacity: true)
        text.bytes += bytes
        guard let spanFinder else { throw Rejection(.template, "no template marks turns in preformatted text") }
        spanFinder.findSpans(in: &text)
        return try sample(onlyLastTurn: settings.trainsOnlyLastTurn)
    }

    private func sample(onlyLastTurn: Bool) throws(Rejection) -> Sample {
        if text.assistantSpans.isEmpty, settings.minLossTokens > 0 {
            throw Rejection(.noAssistant, "no turn of the assistant was found")
        }
        do {
            try text.bytes.withUnsafeBufferPointer { bytes throws(PatternError) in
                try encoder.encode(bytes, into: encoded)
            }
        } catch {
            throw Rejection(.unsupportedContent, "the tokenizer's pattern \(error)")
        }
        let spans = text.supervisedSpans(onlyLastTurn: onlyLastTurn)[...]
        let count = min(encoded.count, settings.maxLength)
        let mask = Self.mask(encoded, count: count, spans)
        let supervised = mask.reduce(0) { $0 + ($1 ? 1 : 0) }
        guard supervised >= settings.minLossTokens else {
            let cut = encoded.count > count ? " of the first \(count) tokens" : ""
            throw Rejection(.tooFewLossTokens, "\(supervised)\(cut), should be \(settings.minLossTokens) or more")
        }
        return Sample(inputIDs: Array(encoded.ids[..<count]), lossMask: mask)
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
