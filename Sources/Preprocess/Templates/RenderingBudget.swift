/// Bounds what is rendered to find or to compare a conversation's turns one by one.
///
/// Of n turns n texts are rendered, whose lengths grow: without a bound, time would grow with n². So it is linear in the
/// conversation's text.
struct RenderingBudget {
    /// The most bytes that may be rendered.
    struct Limits {
        /// As a multiple of the conversation's text.
        var multiple = 256
        /// However short the conversation is.
        var always = 64 << 20
    }

    private let most: Int
    private var rendered = 0

    init(textBytes: Int, _ limits: Limits) { most = max(limits.always, limits.multiple * textBytes) }

    /// Whether that many more bytes may be rendered.
    mutating func pay(_ bytes: Int) -> Bool {
        rendered += bytes
        return rendered <= most
    }

    var description: String { "\(most >> 20) MiB at most" }
}
