/// Text as a step reads it: bytes, and for each of them where in the original text it comes from.
///
/// Sixteen bytes after its end are readable.
struct AlignedView {
    let start: UnsafePointer<UInt8>
    let range: Range<Int>
    /// Where each byte from `start` on comes from; nil where every byte is its own.
    let origins: OriginRuns?

    var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: start + range.lowerBound, count: range.count)
    }

    /// The same text, less of it.
    func part(_ range: Range<Int>) -> AlignedView { AlignedView(start: start, range: range, origins: origins) }

    /// The original bytes of the byte at `i`.
    func origin(_ i: Int) -> Range<Int32> { origins.map { $0[i] } ?? Int32(i)..<Int32(i + 1) }

    /// The original bytes of all bytes of a range that isn't empty.
    func origin(_ range: Range<Int>) -> Range<Int32> {
        let (first, last) = (origin(range.lowerBound), origin(range.upperBound - 1))
        return first.lowerBound..<max(first.upperBound, last.upperBound)
    }
}

/// Text that a step writes, with where each of its bytes comes from.
final class AlignedText {
    private let text = PaddedText()
    private let origins = OriginRuns()
    @exclusivity(unchecked) private var limit = Int.max
    @exclusivity(unchecked) private var isOverfull = false

    var count: Int { text.count }

    /// What was written, valid until more is.
    var view: AlignedView {
        AlignedView(start: UnsafePointer(text.start), range: 0..<text.count, origins: origins)
    }

    /// The most bytes that normalizing and splitting may make of a text.
    ///
    /// No normal form is longer than eleven times the text, nor thirteen times where its spaces become `▁`.
    static func limit(of text: AlignedView) -> Int { min(16 * text.range.count + (1 << 16), Int(Int32.max)) }

    /// - Parameter limit: The most bytes that are kept; of what would be more, nothing is.
    func removeAll(limit: Int = .max) {
        text.removeAll()
        origins.removeAll()
        self.limit = limit
        isOverfull = false
    }

    /// - Throws: `PatternError` if there was more text than is kept.
    func checkLimit() throws(PatternError) {
        if isOverfull { throw PatternError("can't be matched: it becomes longer than \(limit) bytes by its rules") }
    }

    /// Whether that many more bytes can be kept.
    private func hasRoom(for added: Int) -> Bool {
        if added > limit - count { isOverfull = true }
        return !isOverfull
    }

    /// Appends a part of another text as it is.
    func append(_ source: AlignedView, _ range: Range<Int>) {
        guard !range.isEmpty, hasRoom(for: range.count) else { return }
        if let others = source.origins {
            origins.append(at: count, range, of: others)
        } else {
            origins.append(at: count, each: range.lowerBound)
        }
        text.append(source.start + range.lowerBound, count: range.count)
    }

    /// Appends bytes that all come from `origin`.
    func append(_ bytes: UnsafeBufferPointer<UInt8>, origin: Range<Int32>) {
        guard let start = bytes.baseAddress, !bytes.isEmpty, hasRoom(for: bytes.count) else { return }
        origins.append(at: count, all: origin)
        text.append(start, count: bytes.count)
    }

    func append(_ bytes: [UInt8], origin: Range<Int32>) {
        bytes.withUnsafeBufferPointer { append($0, origin: origin) }
    }
}

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
        // What is after the bytes and their padding is never read, and needn't become memory.
        grown.initialize(from: start, count: count)
        start.deallocate()
        start = grown
    }
}
