import CMachine
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
            let rows = WeightRows(start: weight.start, stride: weight.stride, ahead: x.rows == 1 ? 8 : 4)
            multiply(x, rows, piece, into: y, accumulate: accumulate)
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
                let rows = PairedWeightRows(start: weight.start, stride: weight.stride, ahead: x.rows == 1 ? 8 : 4)
                multiply(split, rows, piece, into: y, accumulate: accumulate)
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
            let inputs = Inputs(row: { x.row(row + min($0, x.rows - row - 1)) })
            let sums = Inputs(row: { y.row(row + min($0, y.rows - row - 1)) })
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

    /// Four rows of x, the last one again where there are fewer.
    private struct Inputs {
        let rows:
            (
                UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
                UnsafeMutablePointer<Float>
            )

        init(row: (Int) -> UnsafeMutablePointer<Float>) { rows = (row(0), row(1), row(2), row(3)) }
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

    /// Each 32 elements as the even ones and then the odd ones, which is how a bfloat16 row's halves of words come.
    private static func splitPairs(
        _ x: UnsafeMutablePointer<Float>, _ count: Int, into split: UnsafeMutablePointer<Float>, _ width: Int
    ) {
        for i in 0..<width {
            split[i & ~31 + (i & 31) / 2 + (i & 1) * 16] = i < count ? x[i] : 0
        }
    }

    // MARK: - Eight sums in registers: as many as two multipliers of four cycles take

    /// Multiplies rows of x with a piece of a weight's rows: two of x with four of the weight at a time, and a last one
    /// with eight.
    @inline(__always) private static func multiply<Rows: VectorRows>(
        _ x: Matrix, _ weight: Rows, _ piece: Range<Int>, into y: Matrix, accumulate: Bool
    ) {
        for row in stride(from: 0, to: x.rows & ~1, by: 2) {
            let inputs = (x.row(row), x.row(row + 1))
            for first in stride(from: piece.lowerBound, to: piece.upperBound, by: 4) {
                let sums = products(weight, first..<min(first + 4, piece.upperBound), inputs, x.columns)
                store(sums.first, count: min(4, piece.upperBound - first), to: y.row(row) + first, accumulate)
                store(sums.second, count: min(4, piece.upperBound - first), to: y.row(row + 1) + first, accumulate)
            }
        }
        guard !x.rows.isMultiple(of: 2) else { return }
        let row = x.rows - 1
        for first in stride(from: piece.lowerBound, to: piece.upperBound, by: 8) {
            let sums = products(weight, first..<min(first + 8, piece.upperBound), x.row(row), x.columns)
            store(sums, count: min(8, piece.upperBound - first), to: y.row(row) + first, accumulate)
        }
    }

    @inline(__always) private static func store<Sums: SIMD<Float>>(
        _ sums: Sums, count: Int, to y: UnsafeMutablePointer<Float>, _ accumulate: Bool
    ) {
        for i in 0..<count { y[i] = sums[i] + (accumulate ? y[i] : 0) }
    }

    /// Of up to four rows of a weight with two rows of x.
    @inline(__always) private static func products<Rows: VectorRows>(
        _ weight: Rows, _ rows: Range<Int>, _ x: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>),
        _ count: Int
    ) -> (first: SIMD4<Float>, second: SIMD4<Float>) {
        let four = weight.four(rows, 0)
        var (first, second) = (FourSums(), FourSums())
        var i = 0
        while i + 32 <= count {
            weight.prefetch(four, i)
            first.add(weight, four, i, x.0, second: &second, x.1, count)
            first.add(weight, four, i + 16, x.0, second: &second, x.1, count)
            i += 32
        }
        while i < count {
            first.add(weight, four, i, x.0, second: &second, x.1, count)
            i += 16
        }
        return (first.totals, second.totals)
    }

    /// Of up to eight rows of a weight with one row of x.
    @inline(__always) private static func products<Rows: VectorRows>(
        _ weight: Rows, _ rows: Range<Int>, _ x: UnsafeMutablePointer<Float>, _ count: Int
    ) -> SIMD8<Float> {
        let (low, high) = (weight.four(rows, 0), weight.four(rows, 4))
        var (first, second) = (FourSums(), FourSums())
        var i = 0
        while i + 32 <= count {
            weight.prefetch(low, i)
            weight.prefetch(high, i)
            first.add(weight, low, i, x, count)
            second.add(weight, high, i, x, count)
            first.add(weight, low, i + 16, x, count)
            second.add(weight, high, i + 16, x, count)
            i += 32
        }
        while i < count {
            first.add(weight, low, i, x, count)
            second.add(weight, high, i, x, count)
            i += 16
        }
        return SIMD8(lowHalf: first.totals, highHalf: second.totals)
    }
}

/// Four rows of a weight.
private typealias FourRows<Element> = (
    UnsafeMutablePointer<Element>, UnsafeMutablePointer<Element>, UnsafeMutablePointer<Element>,
    UnsafeMutablePointer<Element>
)

/// Sums of four rows of a weight with one row of x.
private struct FourSums {
    private var sums = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)

    /// Adds the products of sixteen columns at `i` of `count`.
    @inline(__always) mutating func add<Rows: VectorRows>(
        _ weight: Rows, _ rows: FourRows<Rows.Element>, _ i: Int, _ x: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        let x = x.load(i, of: count)
        sums.0.addProduct(weight.load(rows.0, i, of: count), x)
        sums.1.addProduct(weight.load(rows.1, i, of: count), x)
        sums.2.addProduct(weight.load(rows.2, i, of: count), x)
        sums.3.addProduct(weight.load(rows.3, i, of: count), x)
    }

    /// The same of the same weight with a second row of x, to other sums.
    @inline(__always) mutating func add<Rows: VectorRows>(
        _ weight: Rows, _ rows: FourRows<Rows.Element>, _ i: Int, _ x: UnsafeMutablePointer<Float>,
        second: inout FourSums, _ z: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        let (x, z) = (x.load(i, of: count), z.load(i, of: count))
        var w = weight.load(rows.0, i, of: count)
        sums.0.addProduct(w, x)
        second.sums.0.addProduct(w, z)
        w = weight.load(rows.1, i, of: count)
        sums.1.addProduct(w, x)
        second.sums.1.addProduct(w, z)
        w = weight.load(rows.2, i, of: count)
        sums.2.addProduct(w, x)
        second.sums.2.addProduct(w, z)
        w = weight.load(rows.3, i, of: count)
        sums.3.addProduct(w, x)
        second.sums.3.addProduct(w, z)
    }

    var totals: SIMD4<Float> {
        @inline(__always) get { SIMD4(sums.0.total, sums.1.total, sums.2.total, sums.3.total) }
    }
}

/// A weight's rows as vectors.
private protocol VectorRows {
    associatedtype Element
    var start: UnsafeMutablePointer<Element> { get }
    /// Elements between the starts of two rows.
    var stride: Int { get }
    /// Rows that are multiplied at a time: those after them are asked for meanwhile.
    var ahead: Int { get }

    /// The vector that goes with sixteen elements of x at `offset` of `count`.
    func load(_ row: UnsafeMutablePointer<Element>, _ offset: Int, of count: Int) -> Vector
    /// Asks for what is `ahead` rows after 32 elements at `offset`: rows are too short for the CPU to guess it.
    func prefetch(_ row: UnsafeMutablePointer<Element>, _ offset: Int)
}

extension VectorRows {
    /// Four of some rows, from one of them on; the last one again where there are fewer.
    @inline(__always) func four(_ rows: Range<Int>, _ first: Int) -> FourRows<Element> {
        let row = { (i: Int) in start + min(rows.lowerBound + first + i, rows.upperBound - 1) * stride }
        return (row(0), row(1), row(2), row(3))
    }

    @inline(__always) func prefetch(_ rows: FourRows<Element>, _ offset: Int) {
        prefetch(rows.0, offset)
        prefetch(rows.1, offset)
        prefetch(rows.2, offset)
        prefetch(rows.3, offset)
    }
}

private struct WeightRows: VectorRows {
    let start: UnsafeMutablePointer<Float>
    let stride: Int
    let ahead: Int

    @inline(__always) func load(_ row: UnsafeMutablePointer<Float>, _ offset: Int, of count: Int) -> Vector {
        row.load(offset, of: count)
    }

    @inline(__always) func prefetch(_ row: UnsafeMutablePointer<Float>, _ offset: Int) {
        machine_prefetch(row + ahead * stride + offset)
        machine_prefetch(row + ahead * stride + offset + 16)
    }
}

/// Rows of bfloat16, of which each 32-bit word holds two elements: its lower half and its upper half are floats by a
/// shift and by a mask.
private struct PairedWeightRows: VectorRows {
    let start: UnsafeMutablePointer<UInt16>
    let stride: Int
    let ahead: Int

    @inline(__always) func load(_ row: UnsafeMutablePointer<UInt16>, _ offset: Int, of count: Int) -> Vector {
        let words = UnsafeRawPointer(row + offset & ~31).loadUnaligned(as: SIMD16<UInt32>.self)
        return unsafeBitCast(offset & 16 == 0 ? words &<< 16 : words & 0xFFFF_0000, to: Vector.self)
    }

    @inline(__always) func prefetch(_ row: UnsafeMutablePointer<UInt16>, _ offset: Int) {
        machine_prefetch(row + ahead * stride + offset)
    }
}
