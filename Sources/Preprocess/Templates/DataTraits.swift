import Shared

/// What of a conversation a template may treat in a way of its own.
struct DataTraits: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let systemMessage = DataTraits(rawValue: 1)
    /// Thoughts within an answer's content, as `<think>…</think>`.
    static let taggedThoughts = DataTraits(rawValue: 2)
    /// Thoughts in a field of their own.
    static let reasoning = DataTraits(rawValue: 4)
    static let toolCalls = DataTraits(rawValue: 8)
    /// Content with other texts that the template searches for; what it does with them no probe tells.
    static let searchedTexts = DataTraits(rawValue: 16)

    static let thoughts: DataTraits = [.taggedThoughts, .reasoning]

    /// What data with these traits are called in messages.
    var name: String {
        if isEmpty { return "plain answers" }
        let names: [(DataTraits, String)] = [
            (.systemMessage, "a system message"), (.taggedThoughts, "thoughts as <think>…</think> in the answer"),
            (.reasoning, "thoughts in a field of their own"), (.toolCalls, "calls of tools"),
            (.searchedTexts, "texts in the answer that the template searches for"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: " and ")
    }
}

/// Texts in an answer that tell a template where thoughts are.
struct ThoughtMarkers: Sendable {
    /// What most models write.
    static let tags = ["<think>", "</think>"].map { Array($0.utf8) }

    /// The tokens around thoughts, of tokenizers that have them.
    static let tokens = [
        (start: "<think>", end: "</think>"), (start: "<|channel>", end: "<channel|>"),
        (start: "[THINK]", end: "[/THINK]"),
    ]

    /// Others that the template searches for.
    private let others: [[UInt8]]
    private static let inTags = Array("think>".utf8)

    init(_ template: ChatTemplate?) {
        let searched = template.map { Self.searchedTexts($0.source) + Self.searchedTexts($0.toolSource ?? []) } ?? []
        others = searched.filter { !Self.tags.contains($0) }
    }

    func traits(of conversation: Conversation) -> DataTraits {
        var traits: DataTraits = conversation.tools == nil ? [] : .toolCalls
        for message in conversation.messages {
            switch message.role {
            case .system: traits.insert(.systemMessage)
            case .tool: traits.insert(.toolCalls)
            case .user: break
            case .assistant:
                if message.reasoning != nil { traits.insert(.reasoning) }
                if message.toolCalls != nil { traits.insert(.toolCalls) }
                if ByteSearch.contains(Self.inTags, message.content) { traits.insert(.taggedThoughts) }
                if others.contains(where: { ByteSearch.contains($0, message.content) }) {
                    traits.insert(.searchedTexts)
                }
            }
        }
        return traits
    }

    /// The parts of an answer between markers, without space around them.
    func parts(of content: [UInt8]) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var start = 0
        while start < content.count {
            let next = (Self.tags + others).compactMap { marker in
                ByteSearch.first(marker, in: content, start..<content.count).map { ($0, $0 + marker.count) }
            }.min { $0.0 < $1.0 }
            parts.append(content[start..<(next?.0 ?? content.count)].withoutSpaceAround)
            start = next?.1 ?? content.count
        }
        return parts.filter { !$0.isEmpty }
    }

    /// Texts in quotes that a template splits by, looks for or replaces: `x.split('TEXT')`, `'TEXT' in x`.
    ///
    /// Names of members and single letters aren't meant: a text has a sign among three or more characters.
    private static func searchedTexts(_ source: [UInt8]) -> [[UInt8]] {
        let quotes: Set<UInt8> = [UInt8(ascii: "'"), UInt8(ascii: "\"")]
        var found: Set<[UInt8]> = []
        for call in ["split", "partition", "replace", "find", "index", "startswith", "endswith"] {
            let pattern = Array("\(call)(".utf8)
            var position = 0
            while let start = ByteSearch.first(pattern, in: source, position..<source.count) {
                position = start + pattern.count
                guard position < source.count, quotes.contains(source[position]),
                    let end = source[(position + 1)...].firstIndex(of: source[position])
                else { continue }
                found.insert(Array(source[(position + 1)..<end]))
            }
        }
        let within = Array(" in ".utf8)
        var position = 0
        while let start = ByteSearch.first(within, in: source, position..<source.count) {
            position = start + within.count
            let before = source[..<start].dropLast(source[..<start].hasSuffix(" not") ? 4 : 0)
            guard let quote = before.last, quotes.contains(quote),
                let opening = before.dropLast().lastIndex(of: quote)
            else { continue }
            found.insert(Array(source[(opening + 1)..<(before.endIndex - 1)]))
        }
        return found.map(unescaped).filter { text in
            text.count > 2 && text.contains { !($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) && $0 > 0x20 && $0 != 0x5F }
        }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private static func unescaped(_ literal: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        var isEscape = false
        for byte in literal {
            if isEscape {
                text.append(byte == UInt8(ascii: "n") ? 0x0A : byte)
                isEscape = false
            } else if byte == UInt8(ascii: "\\") {
                isEscape = true
            } else {
                text.append(byte)
            }
        }
        return text
    }
}

extension ArraySlice<UInt8> {
    fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
