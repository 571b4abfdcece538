import Glibc
import Shared

/// Microscaling of 4-bit floating point (OCP Microscaling Formats 1.0): groups of 32 elements of one sign, two exponent
/// and one fraction bit share a power of two.
///
/// gpt-oss ships its experts so: blocks [experts, rows, groups, 16], two elements a byte, the low half first; scales
/// [experts, rows, groups], the exponent plus 127.
enum MXFP4 {
    /// Numbers that share a scale.
    static let groupSize = 32

    private static let values: [Float] = [
        0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6,
    ]

    /// Unpacks some columns of a row, counted over all experts, and gives each number and its index among them.
    static func unpack(
        _ blocks: StoredTensor, _ scales: StoredTensor, row: Int, columns: Range<Int>,
        _ put: (_ index: Int, _ value: Float) -> Void
    ) {
        let groups = blocks.shape[2]
        let (bytes, exponents) = (blocks.bytes, scales.bytes)
        values.withUnsafeBufferPointer { values in
            for column in columns {
                let group = row * groups + column / groupSize
                let index = column % groupSize
                let byte = bytes[group * (groupSize / 2) + index / 2]
                let code = Int(index.isMultiple(of: 2) ? byte & 15 : byte >> 4)
                put(column - columns.lowerBound, ldexpf(values[code], Int32(exponents[group]) - 127))
            }
        }
    }
}
