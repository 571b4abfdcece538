/// When an answer counts as looping: it ends with a unit that stands there four times in a row or more, and these copies
/// together are 48 tokens or more, or 192 bytes of a text.
///
/// So a short "ha ha ha ha" is none, and neither is a list whose lines differ.
public enum LoopRule {
    static let copies = 4
    static let mostTokensWithout = 48
    static let mostBytesWithout = 192

    public static func isLooping(tokens: some BidirectionalCollection<Int32>) -> Bool {
        isLooping(tokens.reversed(), mostTokensWithout)
    }

    /// White space at the end doesn't count.
    public static func isLooping(text: [UInt8]) -> Bool {
        isLooping(text.reversed().drop { $0 <= 0x20 }, mostBytesWithout)
    }

    /// Whether a beginning of at least `length` elements is a unit repeated, in linear time.
    ///
    /// `border[n]` is the length of the longest proper prefix of the first n elements that is also their suffix (Knuth,
    /// Morris and Pratt), so that n − border[n] is their smallest period.
    private static func isLooping<T: Equatable>(_ elements: some Sequence<T>, _ length: Int) -> Bool {
        let elements = Array(elements)
        guard elements.count >= length else { return false }
        var border = [0, 0]
        border.reserveCapacity(elements.count + 1)
        for n in 1...elements.count {
            if n > 1 {
                var matched = border[n - 1]
                while matched > 0, elements[matched] != elements[n - 1] { matched = border[matched] }
                border.append(elements[matched] == elements[n - 1] ? matched + 1 : 0)
            }
            if n >= length, n >= copies * (n - border[n]) { return true }
        }
        return false
    }
}
