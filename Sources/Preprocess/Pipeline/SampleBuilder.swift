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

    /// - Throws: `Rejection` if the template has no place for a message, or too few tokens are supervised.
    func sample(from conversation: Conversation) throws(Rejection) -> Sample {
        do {
            try renderer.render(conversation, into: &text)
        } catch {
            throw Rejection(.template, error.description)
        }
        return try sample()
    }

    /// A sample from text in the model's own format, in which the assistant's turns are found by their headers.
    func sample(fromPreformatted bytes: [UInt8]) throws(Rejection) -> Sample {
        text.bytes.removeAll(keepingCapacity: true)
        text.bytes += bytes
        guard let spanFinder else { throw Rejection(.template, "no template marks turns in preformatted text") }
        spanFinder.findSpans(in: &text)
        return try sample()
    }

    private func sample() throws(Rejection) -> Sample {
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
        let spans = text.supervisedSpans(onlyLastTurn: settings.trainsOnlyLastTurn)[...]
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
