import Shared

/// Makes conversations into prompts: the tokens that a target reads, without those of the answers that it is to make.
///
/// The text before the first answer is the template's generation prompt for it. The text between two answers is what the
/// template writes from the end token of one to the end of the generation prompt of the next; that there is such a text,
/// which is the same whatever the answers are, is found out by rendering the conversation with other answers in their
/// place. `lossMask` is true at the tokens after which an answer is to be made. Where thoughts aren't saved, what earlier
/// turns have in the place of a prompt's end is found too: `history`.
final class PromptBuilder {
    struct Settings: Sendable {
        var turns = PromptTurns.all
        var reasoning = AnswerReasoning.save
        /// The most tokens of a prompt, its answers left out.
        var maxLength = BuildSettings().maxLength
    }

    private static let question = "Is it so?"
    /// What stands in the place of answers; the second has thoughts, which some templates leave out of earlier turns.
    private static let answers = ["Certainly, it is.", "<think>\nIs it?\n</think>\n\nCertainly, it is."]

    private let encoder: TokenEncoder
    private let encoded = EncodedText()
    private let renderer: any ConversationRenderer
    private let settings: Settings
    private let vocabSize: Int
    /// The texts of tokens that end answers, longest first.
    private let ends: [[UInt8]]
    private var earlier = EarlierTurn.whole
    private var text = RenderedText()
    /// Why no conversation can have several answers made, if none can.
    private var severalProblem: String?

    /// What of an answer and its prompt stays in the history of the next one.
    var history: AnswerHistory { earlier.history }

    /// - Throws: `TemplateError` or `JinjaError` if the format can't render anything, or if thoughts are to be stripped
    ///   that can't be told in tokens.
    init(_ target: TargetText, _ format: ChatFormat, _ settings: Settings) throws {
        encoder = target.tokenizer.makeEncoder()
        renderer = try format.makeRenderer()
        vocabSize = target.vocabSize
        self.settings = settings
        ends = try target.endTokens.map { try target.tokenizer.decode([Int($0)]) }.filter { !$0.isEmpty }
            .sorted { ($1.count, $0[0]) < ($0.count, $1[0]) }
        switch settings.reasoning {
        case .save: if settings.turns == .all { severalProblem = findSeveralProblem(format) }
        case .strip: earlier = try findEarlierTurn(target, format)
        case .off:
            do {
                earlier = try findEarlierTurn(target, format)
            } catch {
                severalProblem = "\(error)"
            }
        }
    }

    /// - Throws: `Rejection` if the template refuses the conversation, or writes the text between its answers in a way that
    ///   depends on them; if there is no answer to make, or no room for a prompt.
    func samples(from row: SourceRow) throws(Rejection) -> MadeRow {
        guard case .conversation(let conversation) = row.content else {
            throw Rejection(.notAConversation, "has tokens, and not the messages that prompts are made of")
        }
        let plan = try AnswerPlan(conversation, settings.turns)
        if plan.answers.count > 1, let severalProblem { throw Rejection(.rewritten, severalProblem) }
        var sample = Sample(inputIDs: [], lossMask: [])
        var leftOut = 0
        for (number, ids) in try segments(plan).enumerated() {
            guard sample.inputIDs.count + ids.count <= settings.maxLength else {
                leftOut = plan.answers.count - number
                break
            }
            sample.inputIDs += ids
            sample.lossMask += repeatElement(false, count: ids.count - 1) + [true]
        }
        guard !sample.inputIDs.isEmpty else {
            throw Rejection(.tooLong, "its first prompt has more than \(settings.maxLength) tokens (--max-length)")
        }
        if let id = sample.inputIDs.first(where: { $0 >= vocabSize }) {
            throw Rejection(.badTokens, "token \(id) is not below the model's vocabulary, \(vocabSize)")
        }
        let repairs = leftOut == 0 ? [] : [SourceRecord.Repair(Repair.turns.rawValue, droppedMessages: leftOut)]
        return MadeRow(samples: [sample], repairs: repairs)
    }

    /// The tokens before each answer, from the end of the one before.
    private func segments(_ plan: AnswerPlan) throws(Rejection) -> [[Int32]] {
        var segments: [[Int32]] = []
        var before: [UInt8] = []
        var budget: RenderingBudget?
        for index in plan.answers {
            let prompt = try self.prompt(of: plan, before: index, Self.answers[0])
            var spent = budget ?? RenderingBudget(textBytes: plan.conversation.textBytes, .init())
            guard spent.pay(prompt.count) else {
                throw Rejection(
                    .tooLarge,
                    "has too many turns to render each one's prompt (\(spent.description)); use --prompts last")
            }
            budget = spent
            var start = 0
            if !segments.isEmpty {
                guard let end = earlier.end(of: Self.answers[0], after: before, in: prompt, ends) else {
                    throw Rejection(.rewritten, Self.severalSentence("message \(index) follows"))
                }
                start = end
            }
            let ids = try tokens(of: prompt, from: start)
            guard ids.suffix(history.removed.count).elementsEqual(history.removed) else {
                throw Rejection(.rewritten, Self.severalSentence("message \(index) is to be answered"))
            }
            segments.append(ids)
            before = prompt
        }
        return segments
    }

    private func prompt(of plan: AnswerPlan, before index: Int, _ answer: String) throws(Rejection) -> [UInt8] {
        var part = plan.conversation.prefix(index)
        for own in plan.answers where own < index { part.messages[own] = Message(.assistant, answer) }
        do {
            if let own = renderer as? JinjaRenderer { return try own.rendered(part, addGenerationPrompt: true).bytes }
            try renderer.render(part, addGenerationPrompt: true, into: &text)
            return text.bytes
        } catch {
            throw Rejection(.template, "\(error)")
        }
    }

    /// The tokens of a text from a position on, at which one begins.
    private func tokens(of text: [UInt8], from start: Int) throws(Rejection) -> [Int32] {
        do {
            try text.withUnsafeBufferPointer { bytes throws(PatternError) in try encoder.encode(bytes, into: encoded) }
        } catch {
            throw Rejection(.unsupportedContent, "the tokenizer's pattern \(error)")
        }
        let first = start == 0 ? 0 : encoded.starts.firstIndex { Int($0) >= start } ?? encoded.count
        guard first < encoded.count, start == 0 || Int(encoded.starts[first]) == start else {
            throw Rejection(.rewritten, "no token begins where an answer's end token ends; use --prompts last or first")
        }
        return Array(encoded.ids[first...])
    }

    // MARK: - Several answers

    /// The prompts of a conversation of two questions; the first one's answer stands in the second.
    private func prompts(_ format: ChatFormat, _ answer: String) throws(Rejection) -> [[UInt8]] {
        let talk = Conversation(
            messages: [Message(.user, Self.question), Message(.assistant, ""), Message(.user, "And that?")],
            tools: TurnProbe.conversation(form: format.form).tools)
        let plan = try AnswerPlan(talk, .all)
        var prompts: [[UInt8]] = []
        for index in plan.answers { prompts.append(try prompt(of: plan, before: index, answer)) }
        return prompts
    }

    private func findSeveralProblem(_ format: ChatFormat) -> String? {
        for answer in Self.answers {
            do {
                let prompts = try prompts(format, answer)
                guard EarlierTurn.whole.end(of: answer, after: prompts[0], in: prompts[1], ends) != nil else {
                    let hasThoughts = answer != Self.answers[0]
                    return Self.severalSentence(hasThoughts ? "answers have thoughts" : "an answer follows")
                }
            } catch {
                return "the template refuses a conversation of two questions: \(error.detail)"
            }
        }
        return nil
    }

    /// - Throws: `TemplateError` that says what of thoughts can't be told in tokens.
    private func findEarlierTurn(_ target: TargetText, _ format: ChatFormat) throws -> EarlierTurn {
        do {
            let prompts = try prompts(format, Self.answers[0])
            return try EarlierTurn(
                target, encoder, prompts, question: Self.question, answer: Self.answers[0], ends, settings.reasoning)
        } catch let rejection as Rejection {
            throw TemplateError("the template refuses a conversation of two questions: \(rejection.detail)")
        }
    }

    private static func severalSentence(_ cause: String) -> String {
        "the template writes a prompt differently once \(cause), so that a target's earlier answers can't stay as it wrote "
            + "them; use --prompts last or first, --reasoning strip, or Preprocess regenerate with a server"
    }
}

extension Conversation {
    /// Bytes of its messages' texts.
    fileprivate var textBytes: Int { messages.reduce(0) { $0 + $1.content.count } }
}
