import Shared

/// Products of a few rows of activations, as decoding has them: bound by reading the weight once.
///
/// Each number is one sum in one order, whichever rows stand beside it: a verification of drafted tokens computes bit
/// by bit what decoding them one by one would.
enum FewRows {
    /// Rows up to which `multiply` comes here: a verification has one more than the tokens drafted for it.
    static let most = 16

    /// y = x Wᵀ, or y += x Wᵀ.
    static func multiply(_ x: Matrix, _ weight: Matrix, into y: Matrix, accumulate: Bool) {
        pieces(weight.rows, weight.columns, y.compute) { piece in
            for row in stride(from: 0, to: y.rows, by: 4) {
                let inputs = Inputs(row: { x.row(row + min($0, x.rows - row - 1)) }, count: weight.columns)
                pairs(piece) { first, second in
                    let sums = products(
                        WeightRow(start: weight.row(first)), WeightRow(start: weight.row(second)), inputs)
                    store(sums, first, second, row, into: y, accumulate: accumulate)
                }
            }
        }
    }

    /// y = x Wᵀ, or y += x Wᵀ, of a bfloat16 weight whose rows end in zeros up to a multiple of 32 columns.
    static func multiply(_ x: Matrix, _ weight: BFloat16Matrix, into y: Matrix, accumulate: Bool) {
        let width = (weight.columns + 31) & ~31
        precondition(weight.stride >= width)
        withUnsafeTemporaryAllocation(byteCount: 4 * x.rows * width, alignment: 64) { memory in
            let split = Matrix(
                start: memory.bindMemory(to: Float.self).baseAddress ?? x.start, rows: x.rows, columns: width, y.compute
            )
            for row in 0..<x.rows { splitPairs(x.row(row), x.columns, into: split.row(row), width) }
            pieces(weight.rows, width / 2, y.compute) { piece in
                for row in stride(from: 0, to: y.rows, by: 4) {
                    let inputs = Inputs(row: { split.row(row + min($0, x.rows - row - 1)) }, count: width)
                    pairs(piece) { first, second in
                        let sums = products(
                            PairedWeightRow(start: weight.row(first)), PairedWeightRow(start: weight.row(second)),
                            inputs)
                        store(sums, first, second, row, into: y, accumulate: accumulate)
                    }
                }
            }
        }
    }

    /// y = x W, or y += x W, of a weight [in features, out features].
    static func multiply(_ x: Matrix, byInputs weight: Matrix, into y: Matrix, accumulate: Bool) {
        precondition(x.columns == weight.rows && y.rows == x.rows && y.columns == weight.columns)
        if !accumulate { for row in 0..<y.rows { y.row(row).update(repeating: 0, count: y.columns) } }
        // Columns of a piece stay in the cache while all inputs are added to them.
        let width = 2048
        let pieces = max((weight.columns + width - 1) / width, weight.count < 65_536 ? 1 : y.compute.threads)
        y.compute.forEach(pieces) { piece, _ in
            let bounds = (piece..<piece + 2).map { min(weight.columns, (weight.columns * $0 / pieces + 15) & ~15) }
            let (part, sums) = (weight[columns: bounds[0]..<bounds[1]], y[columns: bounds[0]..<bounds[1]])
            for input in stride(from: 0, to: part.rows & ~7, by: 8) {
                addInputs(part[rows: input..<input + 8], x[columns: input..<input + 8], to: sums)
            }
            for input in part.rows & ~7..<part.rows {
                for row in 0..<x.rows { add(x[row, input], part.row(input), to: sums.row(row), sums.columns) }
            }
        }
    }

    /// y += x W of eight inputs, four rows of x at a time, the last one again where there are fewer.
    @inline(__always) private static func addInputs(_ weight: Matrix, _ x: Matrix, to y: Matrix) {
        let count = y.columns
        for row in stride(from: 0, to: y.rows, by: 4) {
            let inputs = Inputs(row: { x.row(row + min($0, x.rows - row - 1)) }, count: 8)
            let sums = Inputs(row: { y.row(row + min($0, y.rows - row - 1)) }, count: count)
            for i in stride(from: 0, to: count, by: 16) {
                var y0 = sums.rows.0.load(i, of: count)
                var y1 = sums.rows.1.load(i, of: count)
                var y2 = sums.rows.2.load(i, of: count)
                var y3 = sums.rows.3.load(i, of: count)
                for j in 0..<8 {
                    let w = weight.row(j).load(i, of: count)
                    y0.addProduct(w, Vector(repeating: inputs.rows.0[j]))
                    y1.addProduct(w, Vector(repeating: inputs.rows.1[j]))
                    y2.addProduct(w, Vector(repeating: inputs.rows.2[j]))
                    y3.addProduct(w, Vector(repeating: inputs.rows.3[j]))
                }
                sums.rows.0.store(y0, i, of: count)
                sums.rows.1.store(y1, i, of: count)
                sums.rows.2.store(y2, i, of: count)
                sums.rows.3.store(y3, i, of: count)
            }
        }
    }

    // MARK: - The weight's rows

    /// Spreads a weight's rows over threads, in pieces that stay in the second-level cache until all groups of x have
    /// seen them.
    private static func pieces(_ rows: Int, _ floats: Int, _ compute: Compute, _ body: (Range<Int>) -> Void) {
        let pieceRows = max(2, 65_536 / max(1, floats) & ~1)
        compute.rows(rows, of: floats) { range in
            for first in stride(from: range.lowerBound, to: range.upperBound, by: pieceRows) {
                body(first..<min(first + pieceRows, range.upperBound))
            }
        }
    }

    /// A piece's rows by twos; the last one comes with itself if their number is odd.
    @inline(__always) private static func pairs(_ piece: Range<Int>, _ body: (_ first: Int, _ second: Int) -> Void) {
        for first in stride(from: piece.lowerBound, to: piece.upperBound, by: 2) {
            body(first, min(first + 1, piece.upperBound - 1))
        }
    }

    /// Each 32 elements as the even ones and then the odd ones, which is how a bfloat16 row's halves of words come.
    private static func splitPairs(
        _ x: UnsafeMutablePointer<Float>, _ count: Int, into split: UnsafeMutablePointer<Float>, _ width: Int
    ) {
        for i in 0..<width {
            split[i & ~31 + (i & 31) / 2 + (i & 1) * 16] = i < count ? x[i] : 0
        }
    }

    // MARK: - Two weight rows with four rows of x

    /// Four rows of x, the last one again where there are fewer.
    private struct Inputs {
        let rows:
            (
                UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
                UnsafeMutablePointer<Float>
            )
        let count: Int

        init(row: (Int) -> UnsafeMutablePointer<Float>, count: Int) {
            rows = (row(0), row(1), row(2), row(3))
            self.count = count
        }
    }

    private typealias Sums = (first: SIMD4<Float>, second: SIMD4<Float>)

    /// Eight sums in registers: as many as two multipliers of four cycles take.
    @inline(__always) private static func products<Row: VectorRow>(_ v: Row, _ w: Row, _ x: Inputs) -> Sums {
        var (v0, v1, v2, v3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
        var (w0, w1, w2, w3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
        for i in stride(from: 0, to: x.count, by: 16) {
            let (v, w) = (v.load(i, of: x.count), w.load(i, of: x.count))
            var input = x.rows.0.load(i, of: x.count)
            v0.addProduct(v, input)
            w0.addProduct(w, input)
            input = x.rows.1.load(i, of: x.count)
            v1.addProduct(v, input)
            w1.addProduct(w, input)
            input = x.rows.2.load(i, of: x.count)
            v2.addProduct(v, input)
            w2.addProduct(w, input)
            input = x.rows.3.load(i, of: x.count)
            v3.addProduct(v, input)
            w3.addProduct(w, input)
        }
        return (SIMD4(v0.total, v1.total, v2.total, v3.total), SIMD4(w0.total, w1.total, w2.total, w3.total))
    }

    @inline(__always) private static func store(
        _ sums: Sums, _ first: Int, _ second: Int, _ row: Int, into y: Matrix, accumulate: Bool
    ) {
        for i in 0..<min(4, y.rows - row) {
            let target = y.row(row + i)
            target[first] = sums.first[i] + (accumulate ? target[first] : 0)
            if second > first { target[second] = sums.second[i] + (accumulate ? target[second] : 0) }
        }
    }
}

/// A weight's row as vectors.
private protocol VectorRow {
    /// The vector that goes with sixteen elements of x at `offset` of `count`.
    func load(_ offset: Int, of count: Int) -> Vector
}

private struct WeightRow: VectorRow {
    let start: UnsafeMutablePointer<Float>

    @inline(__always) func load(_ offset: Int, of count: Int) -> Vector { start.load(offset, of: count) }
}

/// A row of bfloat16, of which each 32-bit word holds two: its lower half and its upper half are floats by a shift and
/// by a mask.
private struct PairedWeightRow: VectorRow {
    let start: UnsafeMutablePointer<UInt16>

    @inline(__always) func load(_ offset: Int, of count: Int) -> Vector {
        let words = UnsafeRawPointer(start + offset & ~31).loadUnaligned(as: SIMD16<UInt32>.self)
        return unsafeBitCast(offset & 16 == 0 ? words &<< 16 : words & 0xFFFF_0000, to: Vector.self)
    }
}
