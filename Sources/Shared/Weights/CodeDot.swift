import CMachine

/// Products of a packed row's codes with rows of activations that are split into pairs of bfloat16.
///
/// Codes are multiplied as they are, and the sum of a few of their products with their scale: a third of the instructions
/// that scaling each number takes. Each product is one sum in one order, however many rows there are.
extension RowFormat {
    /// Whether this machine multiplies codes faster than numbers.
    public static var multipliesCodes: Bool { machine_multiplies_pairs() != 0 }

    /// Σ w x over `count` numbers, whole blocks of a row that has codes.
    public func product(codes row: UnsafeRawPointer, count: Int, with x: PairSplit) -> Float {
        var sink = CodeDotSink(x)
        codes(row, count, into: &sink)
        return sink.dot.total
    }

    /// Adds the products of `count` numbers with those of four rows of activations, from one of their columns on.
    public func addProducts(
        codes row: UnsafeRawPointer, count: Int, with x: (PairSplit, PairSplit, PairSplit, PairSplit), from column: Int,
        to sums: inout FourCodeDots
    ) {
        var sink = FourCodeDotsSink(x: x, offset: column / 32, dots: sums)
        codes(row, count, into: &sink)
        sums = sink.dots
    }
}

/// The sums of one row of a weight with four rows of activations, of which some columns may have been added.
public struct FourCodeDots {
    fileprivate var (first, second, third, fourth) = (CodeDot(), CodeDot(), CodeDot(), CodeDot())

    public init() {}

    public var totals: SIMD4<Float> { SIMD4(first.total, second.total, third.total, fourth.total) }
}

private struct CodeDotSink: CodeSink {
    private var next: UnsafeRawPointer
    private var sums: UnsafePointer<Float>
    var dot = CodeDot()

    init(_ x: PairSplit) { (next, sums) = (x.pairs, x.sums) }

    @inline(__always) mutating func put(_ codes: SIMD16<UInt32>, _ scales: SIMD16<Float>) {
        dot.add(codes, scales, next)
        next += 128
        sums += 1
    }

    @inline(__always) mutating func put(offsets: SIMD8<Float>) { dot.subtract(offsets, sums) }
    @inline(__always) mutating func put(offset: Float) { dot.subtract(offset, sums) }
}

private struct FourCodeDotsSink: CodeSink {
    let x: (PairSplit, PairSplit, PairSplit, PairSplit)
    /// Thirty-twos of numbers.
    var offset: Int
    var dots: FourCodeDots

    @inline(__always) mutating func put(_ codes: SIMD16<UInt32>, _ scales: SIMD16<Float>) {
        dots.first.add(codes, scales, x.0.pairs + 128 * offset)
        dots.second.add(codes, scales, x.1.pairs + 128 * offset)
        dots.third.add(codes, scales, x.2.pairs + 128 * offset)
        dots.fourth.add(codes, scales, x.3.pairs + 128 * offset)
        offset += 1
    }

    @inline(__always) mutating func put(offsets: SIMD8<Float>) {
        dots.first.subtract(offsets, x.0.sums + offset)
        dots.second.subtract(offsets, x.1.sums + offset)
        dots.third.subtract(offsets, x.2.sums + offset)
        dots.fourth.subtract(offsets, x.3.sums + offset)
    }

    @inline(__always) mutating func put(offset: Float) {
        dots.first.subtract(offset, x.0.sums + self.offset)
        dots.second.subtract(offset, x.1.sums + self.offset)
        dots.third.subtract(offset, x.2.sums + self.offset)
        dots.fourth.subtract(offset, x.3.sums + self.offset)
    }
}

/// One row's sum: of products with codes as two that take turns, and of what offsets take away.
fileprivate struct CodeDot {
    private var next = SIMD16<Float>.zero
    private var other = SIMD16<Float>.zero
    private var eight = SIMD8<Float>.zero
    private var (single, otherSingle): (Float, Float) = (0, 0)

    /// - Parameter x: 32 numbers' larger and smaller parts.
    @inline(__always) mutating func add(_ codes: SIMD16<UInt32>, _ scales: SIMD16<Float>, _ x: UnsafeRawPointer) {
        let large = machine_add_pairs(.zero, codes, x.loadUnaligned(as: SIMD16<UInt32>.self))
        let both = machine_add_pairs(large, codes, x.loadUnaligned(fromByteOffset: 64, as: SIMD16<UInt32>.self))
        (next, other) = (other, next.addingProduct(both, scales))
    }

    @inline(__always) mutating func subtract(_ offsets: SIMD8<Float>, _ sums: UnsafePointer<Float>) {
        eight.addProduct(offsets, UnsafeRawPointer(sums).loadUnaligned(as: SIMD8<Float>.self))
    }

    @inline(__always) mutating func subtract(_ offset: Float, _ sums: UnsafePointer<Float>) {
        (single, otherSingle) = (otherSingle, single.addingProduct(offset, sums[0]))
    }

    @inline(__always) var total: Float {
        let sixteen = next + other
        return SIMD16(lowHalf: sixteen.lowHalf - eight, highHalf: sixteen.highHalf).total - (single + otherSingle)
    }
}
