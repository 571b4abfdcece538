import Shared

/// Products of a few rows of activations with a blocked weight.
///
/// A vector has sixteen outputs, so that no sum is spread over one. Threads share the halves of blocks. Each number is one
/// sum over the inputs in their order, whichever rows stand beside it.
extension FewRows {
    /// y = x Wᵀ, or y += x Wᵀ, of a weight with an even number of columns.
    static func multiply(_ x: Matrix, _ weight: BlockedMatrix, into y: Matrix, accumulate: Bool) {
        precondition(x.columns == weight.columns && y.columns == weight.rows && y.rows == x.rows)
        precondition(weight.columns.isMultiple(of: 2))
        let half = BlockedMatrix.blockRows / 2
        y.compute.ranges((weight.rows + half - 1) / half, atLeast: 1 + 512 / max(1, weight.columns)) { range in
            var index = range.lowerBound
            while index < range.upperBound {
                let isWhole = index.isMultiple(of: 2) && index + 1 < range.upperBound
                let block = Block(
                    start: weight.block(index / 2) + index % 2 * 2 * half, secondHalf: isWhole ? 2 * half : 0)
                let end = index + (isWhole ? 2 : 1)
                let outputs = y[columns: index * half..<min(end * half, weight.rows)]
                for row in stride(from: 0, to: x.rows, by: 4) {
                    let rows = row..<min(row + 4, x.rows)
                    switch rows.count {
                    case 1: block.multiply(x[rows: rows], into: outputs[rows: rows], accumulate, RowSums())
                    case 2: block.multiply(x[rows: rows], into: outputs[rows: rows], accumulate, TwoRowSums())
                    default: block.multiply(x[rows: rows], into: outputs[rows: rows], accumulate, FourRowSums())
                    }
                }
                index = end
            }
        }
    }
}

/// A block of a weight, or half of one.
private struct Block {
    let start: UnsafeMutablePointer<UInt16>
    /// Elements from its first half to its second one; 0 where there is none, whose sums are the first's and go nowhere.
    let secondHalf: Int

    @inline(__always) func multiply<Sums: BlockSums>(
        _ x: Matrix, into y: Matrix, _ accumulate: Bool, _ zero: Sums
    ) {
        var sums = zero
        for input in stride(from: 0, to: x.columns, by: 2) { sums.add(weights(input), x, input) }
        sums.each { row, sums in
            guard row < y.rows else { return }
            store(sums.0, to: y.row(row), 0, y.columns, accumulate)
            store(sums.1, to: y.row(row), 16, y.columns, accumulate)
            store(sums.2, to: y.row(row), 32, y.columns, accumulate)
            store(sums.3, to: y.row(row), 48, y.columns, accumulate)
        }
    }

    @inline(__always) private func store(
        _ sums: Vector, to y: UnsafeMutablePointer<Float>, _ offset: Int, _ count: Int, _ accumulate: Bool
    ) {
        guard offset < count else { return }
        y.store(accumulate ? sums + y.load(offset, of: count) : sums, offset, of: count)
    }

    /// All outputs' weights of an input and the next one: lower and upper halves of words, which are floats by a shift and
    /// by a mask.
    @inline(__always) private func weights(_ input: Int) -> (first: FourVectors, second: FourVectors) {
        let pair = UnsafeRawPointer(start + input * BlockedMatrix.blockRows)
        let words = { (element: Int) in (pair + 2 * element).loadUnaligned(as: SIMD16<UInt32>.self) }
        let (a, b, c, d) = (words(0), words(32), words(secondHalf), words(secondHalf + 32))
        let low = { (words: SIMD16<UInt32>) in unsafeBitCast(words &<< 16, to: Vector.self) }
        let high = { (words: SIMD16<UInt32>) in unsafeBitCast(words & 0xFFFF_0000, to: Vector.self) }
        return ((low(a), low(b), low(c), low(d)), (high(a), high(b), high(c), high(d)))
    }
}

private typealias FourVectors = (Vector, Vector, Vector, Vector)

/// Sums of a block's outputs of some rows of x.
private protocol BlockSums {
    /// Adds the products of an input and the next one.
    mutating func add(_ weights: (first: FourVectors, second: FourVectors), _ x: Matrix, _ input: Int)
    func each(_ body: (_ row: Int, _ sums: FourVectors) -> Void)
}

private struct RowSums: BlockSums {
    private(set) var sums = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)

    @inline(__always) mutating func add(
        _ weights: (first: FourVectors, second: FourVectors), _ x: Matrix, _ input: Int
    ) {
        add(weights, x.row(0) + input)
    }

    @inline(__always) mutating func add(
        _ weights: (first: FourVectors, second: FourVectors), _ x: UnsafeMutablePointer<Float>
    ) {
        add(weights.first, Vector(repeating: x[0]))
        add(weights.second, Vector(repeating: x[1]))
    }

    @inline(__always) private mutating func add(_ weights: FourVectors, _ x: Vector) {
        sums.0.addProduct(weights.0, x)
        sums.1.addProduct(weights.1, x)
        sums.2.addProduct(weights.2, x)
        sums.3.addProduct(weights.3, x)
    }

    @inline(__always) func each(_ body: (_ row: Int, _ sums: FourVectors) -> Void) { body(0, sums) }
}

private struct TwoRowSums: BlockSums {
    private var (a, b) = (RowSums(), RowSums())

    @inline(__always) mutating func add(
        _ weights: (first: FourVectors, second: FourVectors), _ x: Matrix, _ input: Int
    ) {
        a.add(weights, x.row(0) + input)
        b.add(weights, x.row(1) + input)
    }

    @inline(__always) func each(_ body: (_ row: Int, _ sums: FourVectors) -> Void) {
        body(0, a.sums)
        body(1, b.sums)
    }
}

/// Of three or four rows, the last one twice where there are three.
private struct FourRowSums: BlockSums {
    private var (a, b, c, d) = (RowSums(), RowSums(), RowSums(), RowSums())

    @inline(__always) mutating func add(
        _ weights: (first: FourVectors, second: FourVectors), _ x: Matrix, _ input: Int
    ) {
        a.add(weights, x.row(0) + input)
        b.add(weights, x.row(1) + input)
        c.add(weights, x.row(2) + input)
        d.add(weights, x.row(min(3, x.rows - 1)) + input)
    }

    @inline(__always) func each(_ body: (_ row: Int, _ sums: FourVectors) -> Void) {
        body(0, a.sums)
        body(1, b.sums)
        body(2, c.sums)
        body(3, d.sums)
    }
}
