import Shared

/// Products of a few rows of activations, as decoding has them: bound by reading the weight once.
enum FewRows {
    /// Rows up to which `multiply` comes here.
    static let most = 8

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// Each number is one sum in one order, whichever rows stand beside it: a verification of drafted tokens computes
    /// bit by bit what decoding them one by one would.
    static func multiply(_ x: Matrix, _ weight: Matrix, into y: Matrix, accumulate: Bool) {
        // A piece of W stays in the second-level cache until all groups of rows have seen it.
        let pieceRows = max(2, 65_536 / max(1, weight.columns) & ~1)
        Parallel.ranges(weight.rows, atLeast: 1 + 65_536 / max(1, weight.columns)) { range in
            for first in stride(from: range.lowerBound, to: range.upperBound, by: pieceRows) {
                let piece = first..<min(first + pieceRows, range.upperBound)
                for row in stride(from: 0, to: y.rows, by: 4) {
                    group(x, row, weight, piece, into: y, accumulate: accumulate)
                }
            }
        }
    }

    /// Up to four rows of x from `row`, with the weight's rows in `piece`, two at a time: eight sums in registers,
    /// which is as many as two multipliers of four cycles take.
    private static func group(
        _ x: Matrix, _ row: Int, _ weight: Matrix, _ piece: Range<Int>, into y: Matrix, accumulate: Bool
    ) {
        let count = min(4, x.rows - row)
        let (x0, x1) = (x.row(row), x.row(row + min(1, count - 1)))
        let (x2, x3) = (x.row(row + min(2, count - 1)), x.row(row + min(3, count - 1)))
        for first in stride(from: piece.lowerBound, to: piece.upperBound, by: 2) {
            let second = min(first + 1, piece.upperBound - 1)
            let sums = products(weight.row(first), weight.row(second), x0, x1, x2, x3, weight.columns)
            for i in 0..<count {
                let target = y.row(row + i)
                target[first] = sums.first[i] + (accumulate ? target[first] : 0)
                if second > first { target[second] = sums.second[i] + (accumulate ? target[second] : 0) }
            }
        }
    }

    /// The products of two weight rows with four rows of x.
    @inline(__always) private static func products(
        _ v: UnsafeMutablePointer<Float>, _ w: UnsafeMutablePointer<Float>, _ x0: UnsafeMutablePointer<Float>,
        _ x1: UnsafeMutablePointer<Float>, _ x2: UnsafeMutablePointer<Float>, _ x3: UnsafeMutablePointer<Float>,
        _ count: Int
    ) -> (first: SIMD4<Float>, second: SIMD4<Float>) {
        var (v0, v1, v2, v3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
        var (w0, w1, w2, w3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
        for i in stride(from: 0, to: count, by: 16) {
            let (v, w) = (v.load(i, of: count), w.load(i, of: count))
            var x = x0.load(i, of: count)
            v0.addProduct(v, x)
            w0.addProduct(w, x)
            x = x1.load(i, of: count)
            v1.addProduct(v, x)
            w1.addProduct(w, x)
            x = x2.load(i, of: count)
            v2.addProduct(v, x)
            w2.addProduct(w, x)
            x = x3.load(i, of: count)
            v3.addProduct(v, x)
            w3.addProduct(w, x)
        }
        return (
            SIMD4(v0.sum(), v1.sum(), v2.sum(), v3.sum()), SIMD4(w0.sum(), w1.sum(), w2.sum(), w3.sum())
        )
    }
}
