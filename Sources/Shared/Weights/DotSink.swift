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

/// A sum as two that take turns.
private struct AlternatingSum {
    private var next = SIMD16<Float>.zero
    private var other = SIMD16<Float>.zero

    @inline(__always) mutating func add(_ a: SIMD16<Float>, _ b: SIMD16<Float>) {
        (next, other) = (other, next.addingProduct(a, b))
    }

    @inline(__always) var total: Float { (next + other).total }
}
