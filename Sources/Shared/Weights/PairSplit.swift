import CMachine

/// A row of numbers, each as the sum of two bfloat16, for products with codes: what is lost is a 2^-17th of a number.
public struct PairSplit {
    /// Of each 32 numbers the larger parts and then the smaller ones.
    let pairs: UnsafeRawPointer
    /// The sum of each 32 numbers.
    let sums: UnsafePointer<Float>

    /// Bytes that a number of columns takes, a multiple of 32.
    public static func byteCount(columns: Int) -> Int { columns / 32 * 132 + 32 }

    /// - Parameter memory: `byteCount` bytes, for as long as this is used.
    public init(_ x: UnsafePointer<Float>, columns: Int, in memory: UnsafeMutableRawPointer) {
        precondition(columns.isMultiple(of: 32))
        let sums = (memory + columns * 4).bindMemory(to: Float.self, capacity: columns / 32 + 8)
        for i in stride(from: 0, to: columns, by: 16) {
            let numbers = UnsafeRawPointer(x + i).loadUnaligned(as: SIMD16<Float>.self)
            let large = machine_round(numbers)
            let rest = numbers - unsafeBitCast(machine_words_of_halves(large) &<< 16, to: SIMD16<Float>.self)
            let part = memory + i / 32 * 128 + i % 32 * 2
            part.storeBytes(of: large, as: SIMD16<UInt16>.self)
            (part + 64).storeBytes(of: machine_round(rest), as: SIMD16<UInt16>.self)
            sums[i / 32] = numbers.total + (i.isMultiple(of: 32) ? 0 : sums[i / 32])
        }
        // Eight are read at a time.
        for i in 0..<8 { sums[columns / 32 + i] = 0 }
        (pairs, self.sums) = (UnsafeRawPointer(memory), UnsafePointer(sums))
    }
}
