/// Products of a packed row's numbers as they are unpacked: they are in no memory between.
///
/// A sum is kept as two, of the even sixteens of columns and of the odd ones, so that an addition needn't wait for the one
/// before it. Whatever multiplies rows that are unpacked already adds up in the same order.
extension RowFormat {
    /// Σ w x over `count` numbers, whole blocks of a row.
    public func product(_ row: UnsafeRawPointer, count: Int, with x: UnsafePointer<Float>) -> Float {
        var sink = DotSink(x)
        unpack(row, count, into: &sink)
        return sink.sum.total
    }

    /// Adds the products with four rows of x to sums: of some columns of a row, an even number of sixteens unless they
    /// are the last.
    public func addProducts(_ row: UnsafeRawPointer, count: Int, with x: FourRows, to sums: inout FourSums) {
        var sink = FourDotsSink(x, sums)
        unpack(row, count, into: &sink)
        sums = sink.sums
    }

    public typealias FourRows = (
        UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>
    )

    /// The sums of a row's products with four others.
    public struct FourSums {
        fileprivate var sums = (AlternatingSum(), AlternatingSum(), AlternatingSum(), AlternatingSum())

        public init() {}

        public var totals: SIMD4<Float> { SIMD4(sums.0.total, sums.1.total, sums.2.total, sums.3.total) }
    }
}

/// Multiplies with one row.
private struct DotSink: NumberSink {
    private var next: UnsafeRawPointer
    var sum = AlternatingSum()

    init(_ x: UnsafePointer<Float>) { next = UnsafeRawPointer(x) }

    @inline(__always) mutating func put(_ numbers: SIMD16<Float>) {
        sum.add(numbers, next.loadUnaligned(as: SIMD16<Float>.self))
        next += 64
    }
}

/// Multiplies with four rows.
private struct FourDotsSink: NumberSink {
    private var next: UnsafeRawPointer
    /// Bytes from the first row to the others.
    private let distances: (Int, Int, Int)
    var sums: RowFormat.FourSums

    init(_ x: RowFormat.FourRows, _ sums: RowFormat.FourSums) {
        next = UnsafeRawPointer(x.0)
        distances = (
            UnsafeRawPointer(x.1) - next, UnsafeRawPointer(x.2) - next, UnsafeRawPointer(x.3) - next
        )
        self.sums = sums
    }

    @inline(__always) mutating func put(_ numbers: SIMD16<Float>) {
        sums.sums.0.add(numbers, next.loadUnaligned(as: SIMD16<Float>.self))
        sums.sums.1.add(numbers, (next + distances.0).loadUnaligned(as: SIMD16<Float>.self))
        sums.sums.2.add(numbers, (next + distances.1).loadUnaligned(as: SIMD16<Float>.self))
        sums.sums.3.add(numbers, (next + distances.2).loadUnaligned(as: SIMD16<Float>.self))
        next += 64
    }
}

/// A sum as two that take turns.
private struct AlternatingSum {
    private var next = SIMD16<Float>.zero
    private var other = SIMD16<Float>.zero

    @inline(__always) mutating func add(_ a: SIMD16<Float>, _ b: SIMD16<Float>) {
        (next, other) = (other, next.addingProduct(a, b))
    }

    @inline(__always) var total: Float {
        let sixteen = next + other
        let eight = sixteen.lowHalf + sixteen.highHalf
        let four = eight.lowHalf + eight.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
}
