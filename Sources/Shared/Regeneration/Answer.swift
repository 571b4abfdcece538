/// What an answer may be that data shouldn't have too much of.
public enum AnswerMark: String, CaseIterable, Sendable, OptionValue {
    /// Without text, or with white space alone.
    case empty
    /// Ends with a text that is repeated; see `LoopRule`.
    case looping
    /// Ended by the limit of tokens and not by the model.
    case cut
}

/// What is known of one answer besides its contents.
public struct Answer: Equatable, Sendable {
    /// More than any model makes, and so few that those of all answers add up.
    public static let possibleTokens = 0...1 << 32

    /// With the token that ended it.
    public let tokens: Int
    /// Whether the model ended it.
    public let isFinished: Bool
    public let isEmpty: Bool
    public let isLooping: Bool

    public init(tokens: Int, isFinished: Bool, isEmpty: Bool, isLooping: Bool) {
        (self.tokens, self.isFinished, self.isEmpty, self.isLooping) = (tokens, isFinished, isEmpty, isLooping)
    }

    /// An answer in tokens.
    ///
    /// - Parameters:
    ///   - ids: With the token that ended it, if one did.
    ///   - isFinished: Whether the last one is such a token.
    public init(ids: [Int32], isFinished: Bool) {
        let text = isFinished ? ids.dropLast() : ids[...]
        self.init(
            tokens: ids.count, isFinished: isFinished, isEmpty: text.isEmpty,
            isLooping: LoopRule.isLooping(tokens: text))
    }

    /// An answer in tokens of which thoughts don't stay: without them it may be empty, with them it may be looping.
    public init(ids: [Int32], isFinished: Bool, _ history: AnswerHistory) {
        let whole = Answer(ids: ids, isFinished: isFinished)
        let kept = Answer(ids: history.answer(ids, isFinished: isFinished), isFinished: isFinished)
        self.init(
            tokens: whole.tokens, isFinished: isFinished, isEmpty: kept.isEmpty, isLooping: whole.isLooping)
    }

    /// An answer in text.
    public init(utf8 text: [UInt8], tokens: Int, isFinished: Bool) {
        self.init(
            tokens: tokens, isFinished: isFinished, isEmpty: text.allSatisfy { $0 <= 0x20 },
            isLooping: LoopRule.isLooping(text: text))
    }

    /// Whether a conversation may go on after it: the target never sees a history with half an answer or none.
    public var mayBeContinued: Bool { isFinished && !isEmpty }

    public var marks: [AnswerMark] {
        [(AnswerMark.empty, isEmpty), (.looping, isLooping), (.cut, !isFinished)].filter(\.1).map(\.0)
    }

    var json: JSONText {
        var members: [(String, JSONText)] = [("tokens", .int(tokens)), ("finished", .bool(isFinished))]
        if isEmpty { members.append(("empty", .bool(true))) }
        if isLooping { members.append(("looping", .bool(true))) }
        return .object(members)
    }

    /// Reads what `json` writes; nil if it is something else.
    init?(_ value: JSONValue) {
        guard let tokens = value["tokens"]?.int, Self.possibleTokens.contains(tokens),
            let isFinished = value["finished"]?.bool
        else { return nil }
        self.init(
            tokens: tokens, isFinished: isFinished, isEmpty: value["empty"]?.bool ?? false,
            isLooping: value["looping"]?.bool ?? false)
    }
}

/// What became of a record.
public enum RecordOutcome: Sendable {
    /// Its contents, as `messages` or `input_ids` and `loss_mask`, and its answers in order.
    case answered([(String, JSONText)], [Answer])
    /// Why it has no answers.
    case failed(String)
}
