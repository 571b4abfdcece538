import Shared

extension SourceRow {
    /// Of all that makes its sample, byte by byte.
    var contentDigest: Digest {
        switch content {
        case .preformatted(let text): return Digest(of: text)
        case .tokens(let sample):
            let bytes = sample.inputIDs.withUnsafeBytes { Array($0) }
            return Digest(of: bytes + sample.lossMask.map { $0 ? 1 : 0 })
        case .conversation(let conversation):
            var bytes: [UInt8] = []
            func add(_ name: String, _ value: [UInt8]) { bytes += Array("\u{0}\(name)\u{0}".utf8) + value }
            for message in conversation.messages {
                add(message.role.rawValue, message.content)
                if let reasoning = message.reasoning { add("thoughts", reasoning) }
                for field in message.fields { add("field \(field.name)", Array(field.value.compact.utf8)) }
                if !message.isSupervised { add("unsupervised", []) }
            }
            if let tools = conversation.tools { add("tools", Array(tools.compact.utf8)) }
            return Digest(of: bytes)
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
