import Shared

/// Which records are wanted by what they are.
///
/// Used by one thread.
final class RecordFilter {
    struct Settings: Sendable {
        /// How many questions of the user's a conversation has.
        var turns = 0...Int.max
        /// A jq expression that holds for a record.
        var expression: String?
        /// How many tokens a record has as `target` writes it.
        var tokens = 0...Int.max
        var target: (format: ChatFormat, text: TargetText)?
    }

    /// Why a record, or all of them, can't be filtered.
    struct Failure: Error {
        let message: String
    }

    private let settings: Settings
    private let expression: RecordExpression?
    private let builder: SampleBuilder?

    /// - Throws: `Failure` if the expression is none; what the target's template lacks.
    init(_ settings: Settings) throws {
        self.settings = settings
        expression = try settings.expression.map { text throws(Failure) in try RecordExpression(text) }
        builder = try settings.target.map { format, target in
            let whole = SampleBuilder.Settings(
                maxLength: .max, overflow: .drop, minLossTokens: 0, vocabSize: target.vocabSize)
            return try SampleBuilder(target.tokenizer, format, TemplateFit(format), whole)
        }
    }

    /// - Throws: `Failure` if the expression fails on it, or the target's template refuses it.
    func wants(_ row: SourceRow, _ record: JSONValue) throws(Failure) -> Bool {
        if settings.turns != 0...Int.max {
            guard case .conversation(let conversation) = row.content,
                settings.turns.contains(conversation.messages.count { $0.role == .user })
            else { return false }
        }
        if let expression, try !expression.holds(for: record) { return false }
        guard let builder else { return true }
        do throws(Rejection) {
            let samples = try builder.samples(from: row).samples
            return settings.tokens.contains(samples.reduce(0) { $0 + $1.inputIDs.count })
        } catch {
            throw Failure(message: "\(error.reason.rawValue): \(error.detail)")
        }
    }
}
