/// Finds the assistant's turns in text that was rendered elsewhere, by a template's headers.
///
/// A turn begins behind an assistant's header. It ends with the first end-of-turn token that another header or the
/// text's end follows: what else is said about end-of-turn tokens is content. The last turn may lack one.
struct AssistantSpanFinder: Sendable {
    private let assistantHeader: [UInt8]
    private let endOfTurn: [UInt8]
    private let headers: [[UInt8]]

    init(_ template: ChatTemplate) {
        assistantHeader = Array(template.assistantHeader.utf8)
        endOfTurn = Array(template.endOfTurnToken.utf8)
        headers = [template.userHeader, template.assistantHeader, template.systemHeader, template.toolHeader]
            .compactMap { $0.map { Array($0.utf8) } }
    }

    /// Leaves the spans of `text.bytes` in `text`.
    func findSpans(in text: inout RenderedText) {
        text.assistantSpans.removeAll(keepingCapacity: true)
        var position = 0
        while let header = Self.find(assistantHeader, in: text.bytes, from: position) {
            let start = header + assistantHeader.count
            let end = endOfSpan(from: start, in: text.bytes)
            text.assistantSpans.append(start..<end)
            position = end
        }
    }

    private func endOfSpan(from start: Int, in text: [UInt8]) -> Int {
        var position = start
        while let found = Self.find(endOfTurn, in: text, from: position) {
            let end = found + endOfTurn.count
            if end == text.count || headers.contains(where: { text[end...].starts(with: $0) }) { return end }
            position = end
        }
        return text.count
    }

    private static func find(_ pattern: [UInt8], in text: [UInt8], from start: Int) -> Int? {
        guard let first = pattern.first, start <= text.count - pattern.count else { return nil }
        var position = start
        while let place = text[position...].firstIndex(of: first) {
            if text[place...].starts(with: pattern) { return place }
            position = place + 1
        }
        return nil
    }
}
