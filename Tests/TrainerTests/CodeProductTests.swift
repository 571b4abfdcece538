import Testing

@testable import Shared
@testable import Trainer

/// Products with the codes of packed weights are those of the numbers that the codes stand for, on any machine.
struct CodeProductTests {
    /// Formats that have codes, and where the float16 scales of a block are; none where they are of another kind.
    private static let formats: [(format: RowFormat, scales: [Int])] = [
        (.blocks(.q4_0), [0]), (.blocks(.q4_1), [0, 2]), (.blocks(.q4_K), [0, 2]), (.blocks(.q5_K), [0, 2]),
        (.blocks(.q6_K), [208]), (.blocks(.iq4_NL), [0]), (.blocks(.iq4_XS), [0]), (.blocks(.mxfp4), []),
        (.groups(CodeGroups(code: .fourBits, size: 64)), []), (.groups(CodeGroups(code: .fourBits, size: 2304)), []),
    ]

    @Test func areOfAllFormatsThatHaveCodes() {
        let tested = Set(Self.formats.map { $0.format })
        for format in tested { #expect(format.hasCodes) }
        for quantization in BlockQuantization.allCases where RowFormat.blocks(quantization).hasCodes {
            #expect(tested.contains(.blocks(quantization)), "\(quantization)")
        }
        #expect(!RowFormat.plain(.float16).hasCodes)
        #expect(!RowFormat.groups(CodeGroups(code: .eightBits, size: 64)).hasCodes)
    }

    /// Random blocks of some rows.
    private static func blocks(
        _ format: RowFormat, _ scales: [Int], rows: Int, columns: Int, _ random: inout SplitMix64
    ) -> [UInt8] {
        var bytes = (0..<rows * format.byteCount(columns: columns)).map { _ in UInt8(random.below(256)) }
        for block in stride(from: 0, to: bytes.count, by: format.blockBytes) {
            for offset in scales {
                let bits = Float16(0.02 * (random.uniform() - 0.3)).bitPattern
                (bytes[block + offset], bytes[block + offset + 1]) = (UInt8(bits & 255), UInt8(bits >> 8))
            }
            switch format {
            case .blocks(.mxfp4): bytes[block] = UInt8(115 + random.below(8))
            case .groups:
                for (offset, value) in [(0, Float(0.02 * random.uniform())), (4, Float(random.below(16)))] {
                    for byte in 0..<4 { bytes[block + offset + byte] = UInt8(value.bitPattern >> (8 * byte) & 255) }
                }
            default: break
            }
        }
        return bytes
    }

    /// More than two tiles of columns and than two chunks of rows, none of which comes out even.
    @Test(arguments: formats.indices, [1, 3]) func areThoseOfTheNumbers(index: Int, threads: Int) throws {
        let ((format, scales), (rows, columns)) = (Self.formats[index], (21, 2304))
        var random = SplitMix64(seed: UInt64(index))
        var bytes = Self.blocks(format, scales, rows: rows, columns: columns, &random)
        let compute = Compute(precision: .bfloat16, threads: threads)
        let workspace = Workspace(compute)
        try bytes.withUnsafeMutableBytes { memory in
            let stride = format.byteCount(columns: columns)
            let start = try #require(memory.baseAddress)
            let weight = PackedMatrix(
                [(0, 9), (9, rows)].map { first, end in
                    .init(start: start + first * stride, rows: end - first, format: format, stride: stride)
                }, columns: columns, compute)
            let numbers = workspace.matrix(rows: rows, columns: columns)
            weight.unpack(0..<rows, into: .float32(numbers))
            for number in numbers.elements { #expect(number.isFinite) }
            #expect(Set(numbers.elements).count > 15)
            let x = workspace.matrix(rows: 16, columns: columns)
            for i in 0..<x.rows { for j in 0..<columns { x[i, j] = Float(random.uniform()) - 0.4 } }
            var alone: [Float] = []
            for count in [1, 2, 3, 4, 5, 8, 16] {
                let y = workspace.zeros(rows: count, columns: rows)
                FewRows.multiplyCodes(x[rows: 0..<count], weight, into: y, accumulate: false)
                if count == 1 { alone = y.elements }
                #expect(y[rows: 0..<1].elements == alone, "\(count) rows")
                let wanted = (0..<count).flatMap { i in
                    (0..<rows).map { j in
                        Float((0..<columns).reduce(0.0) { $0 + Double(x[i, $1]) * Double(numbers[j, $1]) })
                    }
                }
                expectClose(y.elements, wanted, tolerance: 1e-5, "\(format), \(count) rows")
                FewRows.multiplyCodes(x[rows: 0..<count], weight, into: y, accumulate: true)
                expectClose(y.elements, wanted.map { 2 * $0 }, tolerance: 1e-5, "\(format), \(count) rows, twice")
                for row in 0..<count {
                    let one = workspace.zeros(rows: 1, columns: rows)
                    FewRows.multiplyCodes(x[rows: row..<row + 1], weight, into: one, accumulate: false)
                    FewRows.multiplyCodes(x[rows: row..<row + 1], weight, into: one, accumulate: true)
                    #expect(one.elements == y[rows: row..<row + 1].elements, "row \(row) of \(count)")
                }
            }
        }
    }
}
