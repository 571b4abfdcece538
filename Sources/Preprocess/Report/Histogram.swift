/// How many values fall between each two bounds.
struct Histogram {
    let bounds: [Double]
    private(set) var counts: [Int]

    /// Equal bins from 0 to `limit`, in which a value of `limit` itself is in the last.
    init(_ values: some Sequence<Double>, limit: Double, bins: Int) {
        bounds = (0...bins).map { limit * Double($0) / Double(bins) }
        counts = Array(repeating: 0, count: bins)
        for value in values where limit > 0 { counts[min(bins - 1, max(0, Int(value / limit * Double(bins))))] += 1 }
    }
}
