import Glibc

/// Softmax of rows whose scores come block by block: of each row the largest score so far, and the sum of exponentials
/// relative to it (Milakov and Gimelshein 2018; Dao and others 2022).
///
/// Rows of scores have room up to a multiple of sixteen: vectors are whole, and what is past the end is masked.
struct StreamingSoftmax {
    private let largest: UnsafeMutablePointer<Float>
    private let sums: UnsafeMutablePointer<Float>

    init(rows: Int, in workspace: Workspace) {
        let state = workspace.matrix(rows: 2, columns: rows)
        (largest, sums) = (state.row(0), state.row(1))
    }

    /// Begins a row with one score that has no value: a sink, or none.
    func begin(_ row: Int, sink: Float = -.infinity) {
        largest[row] = sink
        sums[row] = sink > -.infinity ? 1 : 0
    }

    /// Replaces a block's scores by their exponentials relative to the largest so far, and by 0 where the row doesn't
    /// see them.
    ///
    /// - Returns: What sums relative to the previous largest are to be multiplied by.
    @inline(__always)
    func add(_ scores: UnsafeMutablePointer<Float>, _ count: Int, seen: Range<Int>, to row: Int) -> Float {
        let previous = largest[row]
        largest[row] = max(previous, scores.maximum(seen))
        let shrink = previous == largest[row] ? 1 : expf(previous - largest[row])
        sums[row] = sums[row] * shrink + scores.exponentiate(count, seen: seen, minus: largest[row])
        return shrink
    }

    /// Σ e^(s − largest).
    func sum(_ row: Int) -> Float { sums[row] }

    func logSumExp(_ row: Int) -> Float { largest[row] + logf(sums[row]) }
}

extension UnsafeMutablePointer<Float> {
    /// The largest of some elements; -∞ of none.
    @inline(__always) fileprivate func maximum(_ seen: Range<Int>) -> Float {
        let nothing = Vector(repeating: -.infinity)
        var (m0, m1, m2, m3) = (nothing, nothing, nothing, nothing)
        let whole = seen.wholeVectors
        var i = whole.lowerBound
        while i + 64 <= whole.upperBound {
            m0 = larger(m0, vector(i))
            m1 = larger(m1, vector(i + 16))
            m2 = larger(m2, vector(i + 32))
            m3 = larger(m3, vector(i + 48))
            i += 64
        }
        while i < whole.upperBound {
            m0 = larger(m0, vector(i))
            i += 16
        }
        let (first, end) = (seen.vectors.lowerBound, seen.vectors.upperBound)
        if first < whole.lowerBound, first < end {
            m1 = larger(m1, nothing.replacing(with: vector(first), where: seen.lanes(first)))
        }
        if end > whole.upperBound, first < end {
            m2 = larger(m2, nothing.replacing(with: vector(end - 16), where: seen.lanes(end - 16)))
        }
        return larger(larger(m0, m1), larger(m2, m3)).largest
    }

    /// Replaces x by e^(x − shift) in `seen` and by 0 elsewhere, and returns the sum.
    @inline(__always) func exponentiate(_ count: Int, seen: Range<Int>, minus shift: Float) -> Float {
        let shifts = Vector(repeating: shift)
        let (whole, vectors) = (seen.wholeVectors, seen.vectors)
        var sum = Vector.zero
        for i in stride(from: vectors.lowerBound, to: vectors.upperBound, by: 16) {
            var e = exp(vector(i) - shifts)
            if _slowPath(!whole.contains(i)) { e = Vector.zero.replacing(with: e, where: seen.lanes(i)) }
            set(e, i)
            sum += e
        }
        update(repeating: 0, count: vectors.lowerBound)
        if vectors.upperBound < count {
            (self + vectors.upperBound).update(repeating: 0, count: count - vectors.upperBound)
        }
        return sum.total
    }

    @inline(__always) private func vector(_ offset: Int) -> Vector {
        UnsafeRawPointer(self + offset).loadUnaligned(as: Vector.self)
    }

    @inline(__always) private func set(_ vector: Vector, _ offset: Int) {
        UnsafeMutableRawPointer(self + offset).storeBytes(of: vector, as: Vector.self)
    }
}

/// Sixteen elements at a time, from multiples of sixteen on.
extension Range<Int> {
    /// The vectors that lie in the range.
    @inline(__always) fileprivate var wholeVectors: Range<Int> {
        let first = (lowerBound + 15) & ~15
        return first..<Swift.max(first, upperBound & ~15)
    }

    /// The vectors that lie in the range at least in part.
    @inline(__always) fileprivate var vectors: Range<Int> {
        let first = lowerBound & ~15
        return first..<(isEmpty ? first : (upperBound + 15) & ~15)
    }

    /// Which of a vector's elements lie in the range.
    @inline(__always) fileprivate func lanes(_ offset: Int) -> SIMDMask<SIMD16<Int32>> {
        let lanes = SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) &+ Int32(offset)
        return (lanes .>= Int32(lowerBound)) .& (lanes .< Int32(upperBound))
    }
}
