import Shared

extension SourceRow {
    /// Of all that makes its sample, byte by byte.
    var contentDigest: Digest {
        switch content {
        case .preformatted(let text): Digest(of: text)
        case .tokens(let sample): sample.inputIDs.withUnsafeBytes { Digest(of: $0) }
        case .conversation(let conversation):
            Digest(of: conversation.messages.flatMap { Array("\u{0}\($0.role.rawValue)\u{0}".utf8) + $0.content })
        }
    }

    /// Of the words that the user begins with: without case, and with one space for all that is between words.
    ///
    /// Of a record that is text or tokens, all of it is its question.
    var questionDigest: Digest {
        guard case .conversation(let conversation) = content,
            let first = conversation.messages.first(where: { $0.role == .user })
        else { return contentDigest }
        return Digest(of: Self.words(first.content).joined(separator: " "))
    }

    /// The words of all that the user says; nil for a record that is no conversation.
    var userWords: [Substring]? {
        guard case .conversation(let conversation) = content else { return nil }
        return conversation.messages.filter { $0.role == .user }.flatMap { Self.words($0.content) }
    }

    private static func words(_ text: [UInt8]) -> [Substring] {
        String(decoding: text, as: UTF8.self).lowercased().split(whereSeparator: \.isWhitespace)
    }
}
