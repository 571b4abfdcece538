/// Bytes that grow in place, followed by readable padding.
///
/// Scanners and the word cache may so load 16 bytes wherever a word begins, and read a scalar without checking that
/// it is whole. One thread's, like all scratch of an encoder: Swift needn't check that no two look at it at once.
final class PaddedText {
    @exclusivity(unchecked) private(set) var start: UnsafeMutablePointer<UInt8>
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity: Int
    private static let padding = 16

    init() {
        capacity = 4096
        start = .allocate(capacity: capacity + Self.padding)
        start.initialize(repeating: 0, count: capacity + Self.padding)
    }

    deinit { start.deallocate() }

    func removeAll() { count = 0 }

    func append(_ bytes: UnsafePointer<UInt8>, count added: Int) {
        reserve(added)
        (start + count).update(from: bytes, count: added)
        count += added
        (start + count).update(repeating: 0, count: Self.padding)
    }

    private func reserve(_ added: Int) {
        guard count + added > capacity else { return }
        capacity = max(2 * capacity, count + added)
        let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity + Self.padding)
        grown.initialize(repeating: 0, count: capacity + Self.padding)
        grown.update(from: start, count: count)
        start.deallocate()
        start = grown
    }
}
