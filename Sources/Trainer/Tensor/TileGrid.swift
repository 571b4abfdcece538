/// How a product's output is cut into tiles that threads take, by both of its sides.
///
/// A tile packs its rows of one operand and its columns of the other, so that square tiles pack the least. Tiles go
/// column by column: threads that are neighbours, and so as a rule on one socket, share the columns' operand, the
/// weight.
struct TileGrid: Equatable {
    private let m: Int
    private let n: Int
    /// Tiles along each side.
    let rows: Int
    let columns: Int

    var count: Int { rows * columns }

    /// What packing an element costs, in multiply-adds of an element of the output.
    private static let packing = 32.0
    /// The share of a tile that the others wait where the system takes a thread off its core for a moment.
    private static let delay = 0.15
    /// Tiles of each thread, at most.
    private static let mostRounds = 4
    /// Elements of a tile's side, at least: libraries compute as many at a time.
    private static let (leastRows, leastColumns) = (16, 32)

    /// The grid of an output [m, n] for that many threads that is done first.
    init(_ m: Int, _ n: Int, threads: Int) {
        (self.m, self.n) = (m, n)
        var best = (rows: 1, columns: 1, cost: Double.infinity)
        func consider(_ rows: Int, _ columns: Int) {
            let (height, width) = (Double((m + rows - 1) / rows), Double((n + columns - 1) / columns))
            let tile = height * width + Self.packing * (height + width)
            let cost = tile * (Double((rows * columns + threads - 1) / threads) + Self.delay)
            if cost < best.cost { best = (rows, columns, cost) }
        }
        consider(1, 1)
        if threads > 1 {
            let (mostRows, mostColumns) = (max(1, m / Self.leastRows), max(1, n / Self.leastColumns))
            for tiles in stride(from: threads, through: Self.mostRounds * threads, by: threads) {
                for rows in 1...min(tiles, mostRows) { consider(rows, min(tiles / rows, mostColumns)) }
            }
        }
        (rows, columns) = (best.rows, best.columns)
    }

    /// Threads that the grid of products is made for that are the same bit by bit for any number of them.
    static let fixedThreads = 64

    /// The rows and columns of a tile.
    subscript(index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        (
            Self.part(index % rows, of: rows, m, Self.leastRows),
            Self.part(index / rows, of: columns, n, Self.leastColumns)
        )
    }

    /// A part of 0..<count, which begins at a multiple of `unit` where there are as many units as parts.
    private static func part(_ index: Int, of parts: Int, _ count: Int, _ unit: Int) -> Range<Int> {
        let units = count / unit
        guard units >= parts else { return count * index / parts..<count * (index + 1) / parts }
        let end = { (index: Int) in index == parts ? count : units * index / parts * unit }
        return end(index)..<end(index + 1)
    }
}
