/// How the flat buffer of all parameters is divided among ranks: cut into buckets, and each bucket into a part for
/// each rank.
///
/// A bucket is what is sent in one go: 4 MB, measured at more than twice the speed of one long buffer. Parts are whole
/// pieces, and what is summed piece by piece doesn't depend on how many ranks share the pieces.
struct Sharding: Equatable, Sendable {
    /// Elements of a piece.
    static let pieceSize = 4096
    /// Elements of a bucket by default.
    static let bucketSize = 1 << 20

    /// Elements of the whole buffer.
    let count: Int
    let ranks: Int
    /// Elements of a bucket, a multiple of a piece's.
    let bucketSize: Int

    init(count: Int, ranks: Int, bucketSize: Int = Self.bucketSize) {
        precondition(bucketSize.isMultiple(of: Self.pieceSize))
        self.count = count
        self.ranks = ranks
        self.bucketSize = bucketSize
    }

    var buckets: Int { (count + bucketSize - 1) / bucketSize }
    var pieces: Int { (count + Self.pieceSize - 1) / Self.pieceSize }

    /// The range of a bucket in the buffer.
    func bucket(_ index: Int) -> Range<Int> {
        index * bucketSize..<min(count, (index + 1) * bucketSize)
    }

    /// A range, cut at the ends of buckets.
    func cut(_ range: Range<Int>) -> [Range<Int>] {
        guard !range.isEmpty else { return [] }
        return (range.lowerBound / bucketSize...(range.upperBound - 1) / bucketSize).map {
            bucket($0).clamped(to: range)
        }
    }

    /// The range of a rank's part of a bucket in the buffer; empty where there are fewer pieces than ranks.
    func part(ofBucket index: Int, rank: Int) -> Range<Int> {
        let bucket = bucket(index)
        let pieces = shard((bucket.count + Self.pieceSize - 1) / Self.pieceSize, rank: rank, of: ranks)
        let start = { (piece: Int) in min(bucket.upperBound, bucket.lowerBound + piece * Self.pieceSize) }
        return start(pieces.lowerBound)..<start(pieces.upperBound)
    }

    /// The pieces of some ranges, in order, each with the index of its range.
    static func pieces(of ranges: some Sequence<(offset: Int, element: Range<Int>)>) -> [(
        range: Int, elements: Range<Int>
    )] {
        ranges.flatMap { index, range in
            stride(from: range.lowerBound, to: range.upperBound, by: pieceSize).map {
                (range: index, elements: $0..<min($0 + pieceSize, range.upperBound))
            }
        }
    }

    /// A rank's parts of all buckets.
    func parts(of rank: Int) -> [Range<Int>] { (0..<buckets).map { part(ofBucket: $0, rank: rank) } }
}
