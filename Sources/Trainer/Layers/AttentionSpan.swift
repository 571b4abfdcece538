/// The keys of the past that a row may see.
enum AttentionSpan: Equatable, Sendable {
    /// All of them.
    case full
    /// The newest ones, the row's own among them (Mistral).
    case sliding(Int)
    /// Those of the row's own chunk; chunks follow each other from the sequence's beginning (Llama 4).
    case chunked(Int)

    /// The first key that a row sees, if it would see `visible` of them in full.
    @inline(__always) func first(of visible: Int) -> Int {
        switch self {
        case .full: 0
        case .sliding(let size): max(0, visible - size)
        case .chunked(let size): (visible - 1) / size * size
        }
    }
}
