/// Why a record of the dataset can't be used.
struct Rejection: Error, Equatable {
    /// What is counted and listed; raw values stand in stores.
    enum Reason: String, CaseIterable, Sendable {
        case malformed = "malformed JSON"
        case cutOff = "cut off"
        case tooLarge = "too large"
        case notAConversation = "not a conversation"
        case empty = "empty"
        case unknownRole = "unknown role"
        case unsupportedContent = "unsupported content"
        case noUser = "no user message"
        case noAssistant = "no assistant message"
        case wrongOrder = "wrong role order"
        case template = "refused by the template"
        case dropped = "left out by the template"
        case rewritten = "rewritten by the template"
        case prompt = "not as the generation prompt asks"
        case badTokens = "unusable token ids"
        case tooLong = "too long"
        case tooFewLossTokens = "too few supervised tokens"
    }

    let reason: Reason
    /// What exactly is wrong with this record.
    let detail: String

    /// The longest detail in bytes: stores keep many, and templates and data may put anything into one.
    static let longestDetail = 500

    init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        guard detail.utf8.count > Self.longestDetail else {
            self.detail = detail
            return
        }
        var end = detail.utf8.index(detail.startIndex, offsetBy: Self.longestDetail)
        while end > detail.startIndex, end.samePosition(in: detail.unicodeScalars) == nil {
            end = detail.utf8.index(before: end)
        }
        self.detail = String(detail[..<end]) + " …"
    }
}

/// What was mended so that a record could be used; raw values stand in stores.
enum Repair: String, CaseIterable, Sendable {
    /// Messages before the first of the user, except a system message at the beginning.
    case leadingMessages = "leading messages left out"
    /// All from the first message that can't follow the one before it.
    case wrongOrder = "cut at wrong role order"
    /// With a row per turn: turns of which no answer is left.
    case turns = "turns left out"
}
