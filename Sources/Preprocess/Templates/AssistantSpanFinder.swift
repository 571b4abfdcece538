/// Finds the assistant's turns in text that was rendered elsewhere, by a template's headers.
///
/// A turn begins behind an assistant's header. It ends with the first end-of-turn token that another header or the
/// text's end follows: what else is said about end-of-turn tokens is content. If none is followed so, other turns are
/// written in a way that the template doesn't know, and the turn ends with its first. The last turn may lack one.
struct AssistantSpanFinder: Sendable {
    private let assistantHeader: [UInt8]
    private let endOfTurn: [UInt8]
    private let headers: [[UInt8]]
    private let skipped: [UInt8]
    private let ignored: [[UInt8]]

    init(_ template: ChatTemplate) {
        assistantHeader = Array(template.assistantHeader.utf8)
        endOfTurn = Array(template.endOfTurnToken.utf8)
        skipped = Array(template.skippedPrefix.utf8)
        ignored = template.ignoredTexts.map { Array($0.utf8) }
        headers = [template.userHeader, template.assistantHeader, template.systemHeader, template.toolHeader]
            .compactMap { $0.map { Array($0.utf8) } }.filter { !$0.isEmpty }
    }

    /// Leaves the spans of `text.bytes` in `text`.
    func findSpans(in text: inout RenderedText) {
        text.assistantSpans.removeAll(keepingCapacity: true)
        text.ignoredRanges.removeAll(keepingCapacity: true)
        var position = 0
        while let header = ByteSearch.first(assistantHeader, in: text.bytes, position..<text.bytes.count) {
            var start = header + assistantHeader.count
            if !skipped.isEmpty, text.bytes[start...].starts(with: skipped) { start += skipped.count }
            let end = endOfSpan(from: start, in: text.bytes)
            text.assistantSpans.append(start..<end)
            position = end
        }
        text.ignore(ignored)
    }

    private func endOfSpan(from start: Int, in text: [UInt8]) -> Int {
        var position = start
        var first: Int?
        while !endOfTurn.isEmpty, let found = ByteSearch.first(endOfTurn, in: text, position..<text.count) {
            let end = found + endOfTurn.count
            if end == text.count || headers.contains(where: { text[end...].starts(with: $0) }) { return end }
            first = first ?? end
            position = end
        }
        let next = ByteSearch.first(assistantHeader, in: text, start..<text.count)
        if let next, endOfTurn.isEmpty {
            // Without a token for it, a turn ends where another header begins.
            return headers.compactMap { ByteSearch.first($0, in: text, start..<text.count) }.min() ?? next
        }
        return next == nil ? text.count : first ?? text.count
    }
}
