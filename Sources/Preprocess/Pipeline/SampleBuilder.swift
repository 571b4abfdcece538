import Shared

/// Makes conversations into samples: rendered, encoded, masked and cut to length.
///
/// A worker has one of its own, whose scratch and word cache serve from conversation to conversation.
final class SampleBuilder {
    /// What shapes samples besides the tokenizer and the template.
    struct Settings: Equatable, Sendable {
        /// The most tokens of a sample.
        var maxLength = BuildSettings().maxLength
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
        /// What ids of tokens must be below.
        var vocabSize = Int.max
    }

    private let encoder: TokenEncoder
    private let renderer: any ConversationRenderer
    private let spanFinder: AssistantSpanFinder?
    private let settings: Settings
    private let fit: TemplateFit
    private let markers: ThoughtMarkers
    private let check: TurnCheck?
    private let comparesTurns: Bool
    private let hasTokensBeyondVocabulary: Bool
    private let encoded = EncodedText()
    private var text = RenderedText()
    /// Whether the text built last has no room for an answer within the most tokens.
    private var isFull = false

    /// - Parameter fit: What is known of the format, shared by all workers.
    /// - Throws: `TemplateError` or `JinjaError` if the format can't render anything.
    init(_ tokenizer: Tokenizer, _ format: ChatFormat, _ fit: TemplateFit, _ settings: Settings) throws {
        encoder = tokenizer.makeEncoder()
        let renderer = try format.makeRenderer()
        hasTokensBeyondVocabulary = tokenizer.vocabSize > settings.vocabSize
        self.renderer = renderer
        spanFinder = format.entry.map(AssistantSpanFinder.init)
        self.settings = settings
        self.fit = fit
        markers = format.thoughtMarkers
        check = (renderer as? JinjaRenderer).map { TurnCheck($0, format) }
        comparesTurns = format.comparesTurns
    }

    /// The samples of a row, whatever it has.
    ///
    /// - Throws: `Rejection` as below.
    func samples(from row: SourceRow) throws(Rejection) -> MadeRow {
        switch row.content {
        case .conversation(let conversation): try samples(from: conversation)
        case .preformatted(let text): try samples(fromPreformatted: text)
        case .tokens(let sample): try samples(fromTokens: sample)
        }
    }

    /// The samples of a conversation: one, one for each of the assistant's turns, or the parts of one that is too long.
    ///
    /// - Throws: `Rejection` if the template refuses or changes a message, or too few tokens are supervised or too many
    ///   are there; of several turns, if nothing is left.
    func samples(from conversation: Conversation) throws(Rejection) -> MadeRow {
        guard settings.isRowPerTurn else {
            return try samples(from: conversation, onlyLastTurn: settings.trainsOnlyLastTurn)
        }
        let turns = conversation.turns
        if turns.isEmpty, conversation.messages.contains(where: { $0.role == .assistant }) {
            throw Rejection(.tooFewLossTokens, "none of the assistant's messages is to be supervised")
        }
        var row = MadeRow(samples: [])
        var (leftOut, reason) = (0, Rejection(.noAssistant, "no turn of the assistant was found"))
        var bounds = RowBounds(canShrink: !markers.traits(of: conversation).isDisjoint(with: .thoughts))
        for (number, index) in turns.enumerated() {
            isFull = false
            var tokens = 0
            do throws(Rejection) {
                let made = try samples(from: conversation.prefix(index + 1), onlyLastTurn: true)
                row.samples += made.samples
                tokens = made.samples.reduce(0) { $0 + $1.inputIDs.count }
                row.truncated += made.truncated
                row.leftOut += made.leftOut
            } catch {
                (leftOut, reason) = (leftOut + 1, error)
            }
            if try bounds.isReached(bytes: text.bytes.count, tokens: tokens, isFull: isFull) {
                leftOut += turns.count - number - 1
                break
            }
        }
        guard !row.samples.isEmpty else { throw reason }
        if leftOut > 0 { row.repairs.append(.init(Repair.turns.rawValue, droppedMessages: leftOut)) }
        return row
    }

    private func samples(from conversation: Conversation, onlyLastTurn: Bool) throws(Rejection) -> MadeRow {
        var isAfterPrompt = false
        do {
            try renderer.render(conversation, into: &text)
            if settings.isRowPerTurn, comparesTurns, let check, try !isKnownToFit(conversation, .lastTurn) {
                isAfterPrompt = try check.continuePrompt(conversation, &text)
            }
        } catch {
            throw Rejection(.template, "\(error)")
        }
        return try samples(of: conversation, onlyLastTurn: onlyLastTurn, isAfterPrompt: isAfterPrompt)
    }

    /// Samples from text in the model's own format, in which the assistant's turns are found by their headers.
    func samples(fromPreformatted bytes: [UInt8]) throws(Rejection) -> MadeRow {
        text.removeAll()
        text.bytes += bytes
        guard let spanFinder else { throw Rejection(.template, "no template marks turns in preformatted text") }
        spanFinder.findTurns(in: &text)
        return try samples(of: nil, onlyLastTurn: settings.trainsOnlyLastTurn)
    }

    /// Samples from tokens whose mask is known.
    func samples(fromTokens sample: Sample) throws(Rejection) -> MadeRow {
        guard let largest = sample.inputIDs.max(), largest < settings.vocabSize else {
            let id = sample.inputIDs.max().map { "token \($0) is not below the vocabulary, \(settings.vocabSize)" }
            throw Rejection(.badTokens, id ?? "'input_ids' is empty")
        }
        // Of a row that is too long, padding is what can be spared.
        var sample = sample.inputIDs.count > settings.maxLength ? sample.withoutPadding : sample
        if settings.trainsOnlyLastTurn, let end = sample.lossMask.lastIndex(of: true) {
            let start = sample.lossMask[...end].lastIndex(of: false).map { $0 + 1 } ?? 0
            for position in 0..<start { sample.lossMask[position] = false }
        }
        return try fitted(sample)
    }

    /// - Parameters:
    ///   - conversation: What `text` was rendered from; nil if it was rendered elsewhere.
    ///   - isAfterPrompt: Whether it is a generation prompt and the turn that continues it.
    private func samples(
        of conversation: Conversation?, onlyLastTurn: Bool, isAfterPrompt: Bool = false
    ) throws(Rejection) -> MadeRow {
        if text.turns.isEmpty, settings.minLossTokens > 0 {
            throw Rejection(.noAssistant, "no turn of the assistant was found")
        }
        // What will be cut off needs no tokens: one more than the most tells that there is something to cut.
        let limit = settings.overflow == .truncate ? settings.maxLength + 1 : Int.max
        do {
            try text.bytes.withUnsafeBufferPointer { bytes throws(PatternError) in
                try encoder.encode(bytes, into: encoded, upTo: limit)
            }
        } catch {
            throw Rejection(.unsupportedContent, "the tokenizer's pattern \(error)")
        }
        let isLonger = encoded.count > settings.maxLength
        let end = isLonger ? Int(encoded.starts[settings.maxLength]) : text.bytes.count
        isFull =
            isLonger && (settings.overflow == .drop || text.turns.last.map { $0.range.lowerBound >= end } ?? true)
            && settings.overflow != .split
        if let conversation {
            let limit = settings.overflow == .truncate ? end : .max
            try expectTurnsAsWritten(conversation, onlyLastTurn, isAfterPrompt, limit: limit)
        }
        let spans = text.supervisedSpans(onlyLastTurn: onlyLastTurn)[...]
        let count = min(encoded.count, limit)
        return try fitted(
            Sample(inputIDs: Array(encoded.ids[..<count]), lossMask: Self.mask(encoded, count: count, spans)))
    }

    /// Refuses a conversation of which a supervised turn isn't in the text as the model would have written it.
    ///
    /// - Parameter limit: The end of the text's part that is used.
    private func expectTurnsAsWritten(
        _ conversation: Conversation, _ onlyLastTurn: Bool, _ isAfterPrompt: Bool, limit: Int
    ) throws(Rejection) {
        guard let check else { return }
        var problem = check.dropped(conversation, text, onlyLastTurn: onlyLastTurn, limit: limit)
        let isAlone = onlyLastTurn && text.turns.last?.message == conversation.messages.count - 1
        let mode = TemplateFit.Mode(isRowPerTurn: settings.isRowPerTurn, onlyLastTurn: onlyLastTurn)
        if problem == nil, !isAfterPrompt, comparesTurns, try !isKnownToFit(conversation, isAlone ? .lastTurn : .whole)
        {
            problem = check.rewritten(conversation, text, onlyLastTurn: onlyLastTurn, limit: limit)
        }
        guard let problem else { return }
        let advice = fit.advice(markers.traits(of: conversation), mode)
        throw Rejection(problem.reason, "\(problem.sentence); \(advice)")
    }

    /// Whether probes have shown that the template writes such conversations right.
    private func isKnownToFit(_ conversation: Conversation, _ mode: TemplateFit.Mode) throws(Rejection) -> Bool {
        let traits = markers.traits(of: conversation)
        guard !traits.contains(.searchedTexts) else { return false }
        do {
            let verdict = try fit.verdict(traits)
            return verdict[.whole] == nil || verdict[mode] == nil
        } catch {
            throw Rejection(.template, "\(error)")
        }
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
        if hasTokensBeyondVocabulary { try expectTokensOfVocabulary(made) }
        let kept = made.filter { $0.supervisedCount >= settings.minLossTokens }
        let isCut = made.count == 1 && made[0].inputIDs.count < sample.inputIDs.count
        guard !kept.isEmpty else {
            let most = made.map(\.supervisedCount).max() ?? 0
            let cut = isCut ? " of the first \(settings.maxLength) tokens" : ""
            throw Rejection(.tooFewLossTokens, "\(most)\(cut), should be \(settings.minLossTokens) or more")
        }
        return MadeRow(samples: kept, truncated: isCut ? 1 : 0, leftOut: made.count - kept.count)
    }

    /// Refuses tokens that the tokenizer has and the model's embeddings lack, as those of images.
    private func expectTokensOfVocabulary(_ samples: [Sample]) throws(Rejection) {
        guard let stray = samples.lazy.flatMap(\.inputIDs).first(where: { $0 >= settings.vocabSize }) else { return }
        throw Rejection(.badTokens, "token \(stray) is not below the model's vocabulary, \(settings.vocabSize)")
    }

    /// Which of the first `count` tokens are supervised: those that begin within a span.
    ///
    /// A token that begins in a header and reaches into the answer, as the line ends of both may become one, isn't the
    /// assistant's: no model continues half a token. Tokens and spans are in order, so that one pass over both is
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

/// When the turns of one conversation are enough, where each is a row of its own.
///
/// A conversation of n turns makes n texts whose lengths grow, so that time and memory grow with n² unless something ends
/// it: the first text without room for an answer, as none of the longer ones has any.
struct RowBounds {
    /// Bytes of all texts of a conversation.
    private static let mostBytes = 256 << 20
    /// Tokens of all its samples.
    private static let mostTokens = 16 << 20
    /// Consecutive texts without room after which the others are assumed to have none either: templates that leave earlier thoughts
    /// out may make the next text shorter.
    private let mostFull: Int
    private var (bytes, tokens, full) = (0, 0, 0)

    init(canShrink: Bool) { mostFull = canShrink ? 64 : 2 }

    /// - Throws: `Rejection` if the texts together are too large.
    mutating func isReached(bytes: Int, tokens: Int, isFull: Bool) throws(Rejection) -> Bool {
        self.bytes += bytes
        self.tokens += tokens
        guard self.bytes <= Self.mostBytes, self.tokens <= Self.mostTokens else {
            throw Rejection(
                .tooLarge, "with a row for each turn its texts have more than \(Self.mostBytes >> 20) MiB")
        }
        full = isFull ? full + 1 : 0
        return full >= mostFull
    }
}
