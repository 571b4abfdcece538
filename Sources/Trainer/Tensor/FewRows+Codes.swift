import CMachine
import Shared

/// Products of a few rows of activations with the codes of a packed weight.
extension FewRows {
    /// Rows of the weight that a tile of x stays in the first-level cache for, and columns of a tile.
    private static let (chunk, tileWidth) = (8, 1024)

    static func canMultiplyCodes(of weight: PackedMatrix, _ precision: MatrixPrecision) -> Bool {
        precision == .bfloat16 && RowFormat.multipliesCodes && weight.segments.allSatisfy { $0.format.hasCodes }
    }

    /// y = x Wᵀ, or y += x Wᵀ.
    static func multiplyCodes(_ x: Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool) {
        // A multiple of a cache line.
        let bytes = (PairSplit.byteCount(columns: x.columns) + 63) & ~63
        withUnsafeTemporaryAllocation(byteCount: x.rows * bytes, alignment: 64) { memory in
            guard let start = memory.baseAddress else { return }
            let splits = (0..<x.rows).map { PairSplit(x.row($0), columns: x.columns, in: start + $0 * bytes) }
            y.compute.rows(weight.rows, of: weight.columns) { range in
                guard x.rows == 1 else { return multiply(splits, weight, range, into: y, accumulate) }
                weight.eachRow(in: range) { row, bytes, format in
                    let sum = format.product(codes: bytes, count: weight.columns, with: splits[0])
                    y[0, row] = sum + (accumulate ? y[0, row] : 0)
                }
            }
        }
    }

    /// Several rows, by fours: for each of a chunk of the weight's rows, and each tile of columns.
    private static func multiply(
        _ x: [PairSplit], _ weight: PackedMatrix, _ range: Range<Int>, into y: Matrix, _ accumulate: Bool
    ) {
        let tiles = weight.tiles(weight.tileWidth(tileWidth))
        let groups = (x.count + 3) / 4
        withUnsafeTemporaryAllocation(of: FourCodeDots.self, capacity: groups * chunk) { sums in
            for rows in range.chunks(chunk) {
                let next = rows.upperBound..<min(rows.upperBound + chunk, range.upperBound)
                sums.initialize(repeating: FourCodeDots())
                for tile in tiles {
                    weight.prefetch(next, tile)
                    for group in 0..<groups {
                        // The last one again where there are fewer.
                        let split = { (i: Int) in x[min(4 * group + i, x.count - 1)] }
                        let four = (split(0), split(1), split(2), split(3))
                        weight.eachRow(in: rows) { row, bytes, format in
                            let start = bytes + format.byteCount(columns: tile.lowerBound)
                            format.addProducts(
                                codes: start, count: tile.count, with: four, from: tile.lowerBound,
                                to: &sums[group * chunk + row - rows.lowerBound])
                        }
                    }
                }
                for group in 0..<groups {
                    for row in rows {
                        let totals = sums[group * chunk + row - rows.lowerBound].totals
                        for i in 0..<min(4, x.count - 4 * group) {
                            let target = y.row(4 * group + i)
                            target[row] = totals[i] + (accumulate ? target[row] : 0)
                        }
                    }
                }
            }
        }
    }
}

extension PackedMatrix {
    /// Columns of a tile: `width`, or all where blocks would be cut.
    func tileWidth(_ width: Int) -> Int {
        segments.allSatisfy { width.isMultiple(of: $0.format.blockSize) } ? width : max(1, columns)
    }

    func tiles(_ width: Int) -> [Range<Int>] { (0..<columns).chunks(width) }

    /// Asks for a tile of rows, which are too far apart for the CPU to guess it.
    func prefetch(_ rows: Range<Int>, _ tile: Range<Int>) {
        eachRow(in: rows) { _, bytes, format in
            let start = bytes + format.byteCount(columns: tile.lowerBound)
            for offset in stride(from: 0, to: format.byteCount(columns: tile.count), by: 64) {
                machine_prefetch(start + offset)
            }
        }
    }
}
