import Shared

/// Finds the assistant's turns in text that was rendered elsewhere, by a template's headers.
///
/// A turn begins after an assistant's header, and ends before the next of these. It ends at the first end-of-turn token
/// that another role's header or the end of the text follows: an end-of-turn token that an answer mentions is content. If
/// none is followed so, other turns are written in a way that the template doesn't know, and the turn ends at its first.
/// The last turn may lack one. Where turns have no such token of their own, they end before the next header.
struct AssistantSpanFinder: Sendable {
    private let assistantHeader: [UInt8]
    private let endOfTurn: [UInt8]
    /// What the turns of others begin with.
    private let headers: [[UInt8]]
    /// Whether a turn ends where a header begins.
    private let endsAtHeader: Bool
    /// Whether a turn may be several messages: gpt-oss's.
    private let joinsMessages: Bool
    private let skipped: [UInt8]
    private let ignored: [[UInt8]]

    init(_ template: HeaderTemplate) {
        assistantHeader = Array(template.assistantHeader.utf8)
        endOfTurn = Array(template.endOfTurnToken.utf8)
        skipped = Array(template.skippedPrefix.utf8)
        ignored = template.ignoredTexts.map { Array($0.utf8) }
        endsAtHeader = template.endOfTurnToken.isEmpty || template.endOfTurnToken == template.userHeader
        joinsMessages = template.parserType == .harmony
        headers = Self.headers(template).filter { !$0.isEmpty }.map { Array($0.utf8) }
    }

    /// Without space at their ends, which SpecForge's headers may lack.
    private static func headers(_ template: HeaderTemplate) -> [String] {
        if template.parserType == .harmony {
            return [template.userHeader] + ["system", "developer", "functions."].map { "<|start|>\($0)" }
        }
        // Some of what isn't supervised are headers.
        let more = template.assistantPattern == .inkling ? template.ignoredTexts : []
        return ([template.userHeader, template.systemHeader, template.toolHeader].compactMap(\.self) + more).map {
            String($0.reversed().drop(while: \.isWhitespace).reversed())
        }
    }

    /// Leaves the turns of `text.bytes` in `text`.
    ///
    /// - Complexity: Linear in the text.
    func findTurns(in text: inout RenderedText) {
        text.removeTurns()
        var search = HeaderSearch(headers)
        var position = 0
        while let header = ByteSearch.first(assistantHeader, in: text.bytes, position..<text.bytes.count) {
            var start = header + assistantHeader.count
            if !skipped.isEmpty, text.bytes[start...].starts(with: skipped) { start += skipped.count }
            let end = endOfTurn(from: start, in: text.bytes, &search)
            text.turns.append(RenderedText.Turn(range: start..<end))
            position = end
        }
        text.ignore(ignored)
    }

    private func endOfTurn(from start: Int, in text: [UInt8], _ search: inout HeaderSearch) -> Int {
        let next = joinsMessages ? nil : ByteSearch.first(assistantHeader, in: text, start..<text.count)
        let limit = next ?? text.count
        if endsAtHeader { return min(limit, search.first(from: start, in: text) ?? limit) }
        var position = start
        var first: Int?
        while let found = ByteSearch.first(endOfTurn, in: text, position..<limit) {
            let end = found + endOfTurn.count
            if end == text.count || headers.contains(where: { text[end...].starts(with: $0) }) { return end }
            first = first ?? end
            position = end
        }
        return first ?? limit
    }
}

/// The next of several headers, asked for from ever later positions: each header is searched for once in all.
private struct HeaderSearch {
    private let headers: [[UInt8]]
    /// Where each occurs next; the end of the text where it doesn't.
    private var next: [Int]

    init(_ headers: [[UInt8]]) {
        self.headers = headers
        next = Array(repeating: -1, count: headers.count)
    }

    mutating func first(from start: Int, in text: [UInt8]) -> Int? {
        for index in headers.indices where next[index] < start {
            next[index] = ByteSearch.first(headers[index], in: text, start..<text.count) ?? text.count
        }
        return next.min().flatMap { $0 < text.count ? $0 : nil }
    }
}
