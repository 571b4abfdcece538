import CMachine

/// What takes the numbers of a row as they are unpacked: sixteen at a time, in ascending order.
protocol NumberSink {
    mutating func put(_ numbers: SIMD16<Float>)
}

/// Writes them as they are.
struct FloatSink: NumberSink {
    private var next: UnsafeMutableRawPointer

    init(_ target: UnsafeMutablePointer<Float>) { next = UnsafeMutableRawPointer(target) }

    @inline(__always) mutating func put(_ numbers: SIMD16<Float>) {
        next.storeBytes(of: numbers, as: SIMD16<Float>.self)
        next += 64
    }
}

/// Rounds them to bfloat16: to nearest, ties to even; NaNs are not looked for, as blocks of numbers have none.
struct BFloat16Sink: NumberSink {
    private var next: UnsafeMutableRawPointer

    /// Bytes that memory is asked for ahead: stores to a panel wait for it otherwise.
    private static let ahead = 512

    init(_ target: UnsafeMutablePointer<UInt16>) { next = UnsafeMutableRawPointer(target) }

    @inline(__always) mutating func put(_ numbers: SIMD16<Float>) {
        machine_prefetch_for_writing(next + Self.ahead)
        next.storeBytes(of: machine_round(numbers), as: SIMD16<UInt16>.self)
        next += 32
    }
}

extension SIMD16 where Scalar == UInt8 {
    @inline(__always) var integers: SIMD16<Int32> { machine_integers_of_bytes(self) }
    @inline(__always) var floats: SIMD16<Float> { machine_floats_of_bytes(self) }
    /// As numbers with a sign.
    @inline(__always) var signedFloats: SIMD16<Float> { machine_floats_of_signed_bytes(self) }
}

extension SIMD16 where Scalar == Int32 {
    @inline(__always) var floats: SIMD16<Float> { machine_floats_of_integers(self) }
}
