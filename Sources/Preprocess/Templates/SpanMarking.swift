import Jinja

/// How the assistant's spans are found in what a model's own template renders.
enum SpanMarking: Sendable {
    /// They aren't.
    case none
    /// By `{% generation %}` tags.
    case generationTags
    /// By what the template writes for each of the assistant's messages, behind what it asks for an answer with.
    case turns(TurnPrompts)
    /// By a registry entry's headers.
    case headers(HeaderMarking)
    /// By rendering the conversation up to each turn anew.
    case prefixes
}

/// Where the assistant's messages are in a rendered text; nil for one that the template's loops don't tell of.
struct AssistantRanges {
    let ranges: [(message: Int, range: Range<Int>?)]

    /// Two places of a message are one if nothing of another stands between them.
    init(_ messages: [Message], _ marks: RenderedMarks) {
        var found = [Range<Int>?](repeating: nil, count: messages.count)
        for (tag, range) in marks.elements where messages.indices.contains(tag) {
            let known = found[tag] ?? range
            found[tag] = min(known.lowerBound, range.lowerBound)..<max(known.upperBound, range.upperBound)
        }
        ranges = messages.indices.filter { messages[$0].role == .assistant }.map { ($0, found[$0]) }
    }

    var isComplete: Bool { ranges.allSatisfy { $0.range != nil } }
}

/// What a template writes before an answer: asked for one, and in a conversation's earlier turns.
///
/// These differ where a template opens a block of thoughts for the answer that it asks for, and leaves the thoughts of
/// earlier turns out. An answer begins behind the longer of the two that stands there.
struct TurnPrompts: Equatable, Sendable {
    /// Longest first.
    let prompts: [[UInt8]]

    func spans(in text: [UInt8], _ turns: AssistantRanges) throws(TemplateError) -> [Range<Int>] {
        var spans: [Range<Int>] = []
        for (message, range) in turns.ranges {
            // A message of which the template writes nothing has nothing to learn.
            guard let range else { continue }
            guard let prompt = prompts.first(where: { text[range].starts(with: $0) }) else {
                throw TemplateError("message \(message) doesn't begin with what the template asks for an answer with")
            }
            spans.append(range.lowerBound + prompt.count..<range.upperBound)
        }
        return spans
    }
}

/// A registry entry's headers, which mark spans in what another template rendered.
struct HeaderMarking: Sendable {
    private let header: [UInt8]
    private let endOfTurn: [UInt8]
    /// What may stand behind the header and isn't the assistant's.
    private let skipped: [UInt8]
    private let ignored: [[UInt8]]
    private let finder: AssistantSpanFinder

    init(_ entry: ChatTemplate) {
        header = Array(entry.assistantHeader.utf8)
        endOfTurn = Array(entry.endOfTurnToken.utf8)
        skipped = Array(entry.skippedPrefix.utf8)
        ignored = entry.ignoredTexts.map { Array($0.utf8) }
        finder = AssistantSpanFinder(entry)
    }

    /// Marks the spans in `text.bytes`: within each of the assistant's messages, from behind the header to the last
    /// end-of-turn token; where the messages' places aren't known, as the headers alone tell.
    func mark(_ text: inout RenderedText, _ turns: AssistantRanges) {
        guard turns.isComplete else {
            finder.findSpans(in: &text)
            return
        }
        for (_, range) in turns.ranges {
            guard let range, let start = start(of: range, in: text.bytes) else { continue }
            text.assistantSpans.append(start..<end(of: start..<range.upperBound, in: text.bytes))
        }
        text.ignore(ignored)
    }

    private func start(of range: Range<Int>, in text: [UInt8]) -> Int? {
        var start: Int
        if let found = ByteSearch.first(header, in: text, range) {
            start = found + header.count
        } else if text[..<range.lowerBound].suffix(header.count).elementsEqual(header) {
            // A template may write it behind the question.
            start = range.lowerBound
        } else {
            return nil
        }
        if !skipped.isEmpty, text[start..<range.upperBound].starts(with: skipped) { start += skipped.count }
        return start
    }

    private func end(of range: Range<Int>, in text: [UInt8]) -> Int {
        guard !endOfTurn.isEmpty, let found = ByteSearch.last(endOfTurn, in: text, range) else {
            return range.upperBound
        }
        return found + endOfTurn.count
    }
}

/// Searching bytes for others.
enum ByteSearch {
    static func first(_ pattern: [UInt8], in text: [UInt8], _ range: Range<Int>) -> Int? {
        guard let first = pattern.first else { return nil }
        var position = range.lowerBound
        while position + pattern.count <= range.upperBound {
            guard let place = text[position..<range.upperBound].firstIndex(of: first),
                place + pattern.count <= range.upperBound
            else { return nil }
            if text[place...].starts(with: pattern) { return place }
            position = place + 1
        }
        return nil
    }

    static func last(_ pattern: [UInt8], in text: [UInt8], _ range: Range<Int>) -> Int? {
        guard !pattern.isEmpty else { return nil }
        var position = range.upperBound - pattern.count
        while position >= range.lowerBound {
            if text[position] == pattern[0], text[position...].starts(with: pattern) { return position }
            position -= 1
        }
        return nil
    }
}
