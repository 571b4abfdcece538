import Shared

/// Products of a few rows of activations with a packed weight.
///
/// In bfloat16 the codes of a weight are multiplied where it has them (`CodeDot`). Else one row is multiplied with a row of
/// the weight as it is unpacked, more of them with two rows that have been unpacked: columns are taken by tiles, whose part
/// of x stays in the first-level cache for some rows of the weight. Each number is one sum in one order, however many rows
/// there are.
extension FewRows {
    /// y = x Wᵀ, or y += x Wᵀ.
    static func multiply(_ x: Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool) {
        precondition(x.columns == weight.columns && y.columns == weight.rows && y.rows == x.rows)
        for first in stride(from: 0, to: x.rows, by: most) {
            let rows = first..<min(first + most, x.rows)
            multiplySome(x[rows: rows], weight, into: y[rows: rows], accumulate: accumulate)
        }
    }

    private static func multiplySome(_ x: Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool) {
        guard !canMultiplyCodes(of: weight, y.compute.precision) else {
            return multiplyCodes(x, weight, into: y, accumulate: accumulate)
        }
        y.compute.rows(weight.rows, of: weight.columns) { range in
            guard x.rows == 1 else { return Tiles(x, weight, y, accumulate).multiply(range) }
            weight.eachRow(in: range) { row, bytes, format in
                let sum = format.product(bytes, count: weight.columns, with: x.row(0))
                y[0, row] = sum + (accumulate ? y[0, row] : 0)
            }
        }
    }
}

/// A product of 2 to 16 rows on one thread, by tiles of columns.
private struct Tiles {
    private let x: Matrix
    private let weight: PackedMatrix
    private let y: Matrix
    private let accumulate: Bool
    /// Columns of a tile.
    private let width: Int

    /// Rows of the weight that a tile of x stays in the cache for.
    private static let chunk = 8

    init(_ x: Matrix, _ weight: PackedMatrix, _ y: Matrix, _ accumulate: Bool) {
        (self.x, self.weight, self.y, self.accumulate) = (x, weight, y, accumulate)
        width = weight.tileWidth(x.rows <= 8 ? 1024 : 512)
    }

    func multiply(_ range: Range<Int>) {
        let (tiles, groups) = (weight.tiles(width), (x.rows + 3) / 4)
        withUnsafeTemporaryAllocation(of: PairSums.self, capacity: Self.chunk / 2 * groups) { sums in
            withUnsafeTemporaryAllocation(byteCount: 8 * width, alignment: 64) { memory in
                guard let start = memory.bindMemory(to: Float.self).baseAddress else { return }
                let pair = Matrix(start: start, rows: 2, columns: width, y.compute)
                for rows in range.chunks(Self.chunk) {
                    sums.initialize(repeating: PairSums())
                    for tile in tiles {
                        for index in 0..<(rows.count + 1) / 2 {
                            let first = rows.lowerBound + 2 * index
                            let both = first..<min(first + 2, rows.upperBound)
                            weight.prefetch(both.upperBound..<min(both.upperBound + 2, rows.upperBound), tile)
                            unpack(both, tile, into: pair)
                            for group in 0..<groups {
                                sums[index * groups + group].add(
                                    pair.row(0), pair.row(both.count - 1), inputs(4 * group, tile), tile.count)
                            }
                        }
                    }
                    for index in 0..<(rows.count + 1) / 2 {
                        for group in 0..<groups {
                            let (row, totals) = (rows.lowerBound + 2 * index, sums[index * groups + group].totals)
                            store(totals.first, row, 4 * group)
                            if row + 1 < rows.upperBound { store(totals.second, row + 1, 4 * group) }
                        }
                    }
                }
            }
        }
    }

    private func unpack(_ rows: Range<Int>, _ tile: Range<Int>, into target: Matrix) {
        weight.eachRow(in: rows) { row, bytes, format in
            format.unpack(
                bytes + format.byteCount(columns: tile.lowerBound), count: tile.count,
                into: target.row(row - rows.lowerBound))
        }
    }

    /// A tile of four rows of x, the last one again where there are fewer.
    private func inputs(_ row: Int, _ tile: Range<Int>) -> Inputs {
        let start = { (i: Int) in x.row(min(row + i, x.rows - 1)) + tile.lowerBound }
        return (start(0), start(1), start(2), start(3))
    }

    private func store(_ sums: SIMD4<Float>, _ column: Int, _ row: Int) {
        for i in 0..<min(4, y.rows - row) {
            let target = y.row(row + i)
            target[column] = sums[i] + (accumulate ? target[column] : 0)
        }
    }
}

private typealias Inputs = (
    UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>
)

/// The sums of two rows of a weight with four rows of x, of even sixteens of columns and of odd ones.
private struct PairSums {
    private var even = EightSums()
    private var odd = EightSums()

    /// Adds products of some columns: an even number of sixteens, unless they are the last.
    @inline(__always) mutating func add(
        _ v: UnsafeMutablePointer<Float>, _ w: UnsafeMutablePointer<Float>, _ x: Inputs, _ count: Int
    ) {
        var (even, odd) = (even, odd)
        var i = 0
        while i + 32 <= count {
            even.add(v, w, x, i, count)
            odd.add(v, w, x, i + 16, count)
            i += 32
        }
        if i < count { even.add(v, w, x, i, count) }
        (self.even, self.odd) = (even, odd)
    }

    var totals: (first: SIMD4<Float>, second: SIMD4<Float>) {
        let (a, b) = (even.first, odd.first)
        let (c, d) = (even.second, odd.second)
        return (
            SIMD4((a.0 + b.0).total, (a.1 + b.1).total, (a.2 + b.2).total, (a.3 + b.3).total),
            SIMD4((c.0 + d.0).total, (c.1 + d.1).total, (c.2 + d.2).total, (c.3 + d.3).total)
        )
    }

    struct EightSums {
        var first = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
        var second = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)

        @inline(__always) mutating func add(
            _ v: UnsafeMutablePointer<Float>, _ w: UnsafeMutablePointer<Float>, _ x: Inputs, _ i: Int, _ count: Int
        ) {
            let (v, w) = (v.load(i, of: count), w.load(i, of: count))
            var input = x.0.load(i, of: count)
            first.0.addProduct(v, input)
            second.0.addProduct(w, input)
            input = x.1.load(i, of: count)
            first.1.addProduct(v, input)
            second.1.addProduct(w, input)
            input = x.2.load(i, of: count)
            first.2.addProduct(v, input)
            second.2.addProduct(w, input)
            input = x.3.load(i, of: count)
            first.3.addProduct(v, input)
            second.3.addProduct(w, input)
        }
    }
}
