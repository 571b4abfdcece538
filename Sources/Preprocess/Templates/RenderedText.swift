/// A conversation in a model's own format, and which of its bytes the assistant wrote.
struct RenderedText: Equatable, Sendable {
    /// UTF-8.
    var bytes: [UInt8] = []
    /// The assistant's turns in order, each from behind its header up to and including its end-of-turn token.
    var assistantSpans: [Range<Int>] = []

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        assistantSpans.removeAll(keepingCapacity: true)
    }
}
