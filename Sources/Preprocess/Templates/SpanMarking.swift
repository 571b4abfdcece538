import Jinja
import Shared

/// How the assistant's turns are found in what a model's own template renders.
enum SpanMarking: Sendable {
    /// They aren't.
    case none
    /// By `{% generation %}` tags.
    case generationTags
    /// By what the template writes for each of the assistant's messages, after the generation prompt.
    case turns(TurnPrompts)
    /// By a registry entry's headers.
    case headers(HeaderMarking)
    /// By rendering the conversation up to each turn again.
    case prefixes
}

/// Where the assistant's messages are in a rendered text; nil for one that the template's loops don't tell of.
struct AssistantRanges {
    let ranges: [(message: Int, range: Range<Int>?)]
    /// Messages that follow a tool's output.
    let answersToTools: Set<Int>

    /// Two ranges of a message are one if nothing of another stands between them.
    init(_ messages: [Message], _ marks: RenderedMarks) {
        var found = [Range<Int>?](repeating: nil, count: messages.count)
        for (tag, range) in marks.elements where messages.indices.contains(tag) {
            let known = found[tag] ?? range
            found[tag] = min(known.lowerBound, range.lowerBound)..<max(known.upperBound, range.upperBound)
        }
        answersToTools = Set(messages.indices.dropFirst().filter { messages[$0 - 1].role == .tool })
        ranges = messages.indices.filter { messages[$0].role == .assistant }.map { ($0, found[$0]) }
    }

    var isComplete: Bool { ranges.allSatisfy { $0.range != nil } }

    /// The turns that these ranges are, each with the message in whose range it lies; in order, as `turns` are.
    func naming(_ turns: [Range<Int>]) -> [RenderedText.Turn] {
        guard isComplete else {
            // One for each message, or it can't be told which is whose.
            let isOneEach = turns.count == ranges.count
            return turns.enumerated().map { .init(range: $1, message: isOneEach ? ranges[$0].message : nil) }
        }
        var rest = ranges[...]
        return turns.map { turn in
            while let range = rest.first?.range, range.upperBound <= turn.lowerBound { rest.removeFirst() }
            guard let (message, range) = rest.first, let range, range.lowerBound <= turn.lowerBound else {
                return .init(range: turn)
            }
            return .init(range: turn, message: message)
        }
    }
}

/// What a template writes before an answer: as its generation prompt, and in a conversation's earlier turns.
///
/// These differ where a template opens a block of thoughts in the generation prompt, and leaves the thoughts of earlier
/// turns out. An answer begins after the longer of the two that stands there.
struct TurnPrompts: Equatable, Sendable {
    /// Longest first.
    let prompts: [[UInt8]]
    /// The same after a tool's output, where some templates write no header.
    let afterTool: [[UInt8]]

    func turns(in text: [UInt8], _ ranges: AssistantRanges) throws(TemplateError) -> [RenderedText.Turn] {
        var turns: [RenderedText.Turn] = []
        for (message, range) in ranges.ranges {
            // A message of which the template writes nothing has nothing to learn.
            guard let range else { continue }
            let known = ranges.answersToTools.contains(message) ? afterTool : prompts
            guard let prompt = known.first(where: { text[range].starts(with: $0) }) else {
                throw TemplateError("message \(message) doesn't begin with the template's generation prompt")
            }
            turns.append(.init(range: range.lowerBound + prompt.count..<range.upperBound, message: message))
        }
        return turns
    }
}

/// A registry entry's headers, which mark turns in what another template rendered.
struct HeaderMarking: Sendable {
    private let header: [UInt8]
    private let endOfTurn: [UInt8]
    /// What may stand after the header and isn't the assistant's.
    private let skipped: [UInt8]
    private let ignored: [[UInt8]]
    private let finder: AssistantSpanFinder

    init(_ entry: HeaderTemplate) {
        header = Array(entry.assistantHeader.utf8)
        endOfTurn = Array(entry.endOfTurnToken.utf8)
        skipped = Array(entry.skippedPrefix.utf8)
        ignored = entry.ignoredTexts.map { Array($0.utf8) }
        finder = AssistantSpanFinder(entry)
    }

    /// Marks the turns in `text.bytes`: within each of the assistant's messages, from after the header to the last
    /// end-of-turn token; where the messages' ranges aren't known, as the headers alone tell.
    func mark(_ text: inout RenderedText, _ ranges: AssistantRanges) {
        guard ranges.isComplete else {
            finder.findTurns(in: &text)
            text.turns = ranges.naming(text.turns.map(\.range))
            return
        }
        for (message, range) in ranges.ranges {
            guard let range, let start = start(of: range, in: text.bytes) else { continue }
            let end = end(of: start..<range.upperBound, in: text.bytes)
            text.turns.append(.init(range: start..<end, message: message))
        }
        text.ignore(ignored)
    }

    private func start(of range: Range<Int>, in text: [UInt8]) -> Int? {
        var start: Int
        if let found = ByteSearch.first(header, in: text, range) {
            start = found + header.count
        } else if text[..<range.lowerBound].suffix(header.count).elementsEqual(header) {
            // A template may write it after the question.
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
