import Shared
import Testing

@testable import Trainer

/// A row of a product with a weight is the same bit by bit whichever rows stand beside it.
struct IndependentRowsTests {
    private static let most = 70

    private static func expectIndependence(_ precision: MatrixPrecision, depth: Int, outputs: Int) {
        var generator = SplitMix64(seed: UInt64(depth * outputs))
        let memory = FrozenWeights(Compute(precision: precision, hasIndependentRows: true))
        let weight = memory.weight(rows: outputs, columns: depth)
        for row in 0..<outputs {
            for column in 0..<depth { weight.set(row, column, Float(generator.uniform()) - 0.5) }
        }
        expectIndependence(weight, precision)
        withExtendedLifetime(memory) {}
    }

    private static func expectIndependence(_ weight: FrozenWeight, _ precision: MatrixPrecision) {
        let (depth, outputs) = (weight.columns, weight.rows)
        var generator = SplitMix64(seed: UInt64(depth + outputs))
        let one = Compute(precision: precision, hasIndependentRows: true)
        let three = Compute(precision: precision, threads: 3, hasIndependentRows: true)
        let memory = FrozenWeights(one)
        let (x, start) = (memory.matrix(rows: most, columns: depth), memory.matrix(rows: most, columns: outputs))
        for index in 0..<x.count { x.start[index] = Float(generator.uniform()) - 0.5 }
        for index in 0..<start.count { start.start[index] = Float(generator.uniform()) - 0.5 }
        /// Some rows by themselves.
        func rows(_ range: Range<Int>, _ compute: Compute, accumulate: Bool) -> [Float] {
            let workspace = Workspace(compute)
            let (input, output) = (
                workspace.matrix(rows: range.count, columns: depth),
                workspace.matrix(rows: range.count, columns: outputs)
            )
            input.copy(from: x[rows: range])
            output.copy(from: start[rows: range])
            weight.apply(input, into: output, accumulate: accumulate)
            return output.elements
        }
        for accumulate in [false, true] {
            let all = rows(0..<most, one, accumulate: accumulate)
            for (first, count) in [(0, 1), (69, 1), (3, 2), (20, 15), (1, 16), (5, 17), (30, 33), (6, 64), (0, 70)] {
                let expected = Array(all[first * outputs..<(first + count) * outputs])
                for compute in [one, three] {
                    let found = rows(first..<first + count, compute, accumulate: accumulate)
                    #expect(
                        found.map(\.bitPattern) == expected.map(\.bitPattern),
                        "\(count) rows of \(depth) x \(outputs), \(compute.threads) threads, accumulate \(accumulate)")
                }
            }
        }
    }

    @Test(arguments: [8, 33, 64, 576], [1, 40, 97]) func inFloat32(depth: Int, outputs: Int) {
        Self.expectIndependence(.float32, depth: depth, outputs: outputs)
    }

    @Test(.needsBFloat16, arguments: [8, 33, 64, 576, 1536, 4096, 11_008], [1, 2, 40, 97])
    func inBFloat16(depth: Int, outputs: Int) {
        Self.expectIndependence(.bfloat16, depth: depth, outputs: outputs)
    }

    /// Blocked weights, of whole blocks and of parts of one, which hold what a weight of rows does.
    @Test(.needsAMX, arguments: [32, 576, 4096, 11_008], [64, 200, 320])
    func ofBlockedWeights(depth: Int, outputs: Int) {
        var generator = SplitMix64(seed: UInt64(depth * outputs))
        let memory = FrozenWeights(Compute(precision: .bfloat16, hasIndependentRows: true))
        let weight = memory.weight(rows: outputs, columns: depth)
        let plainMemory = FrozenWeights(Compute())
        let plain = plainMemory.weight(rows: outputs, columns: depth, .bfloat16)
        guard case .blocked = weight else {
            Issue.record("a weight of \(outputs) x \(depth) isn't blocked")
            return
        }
        for row in 0..<outputs {
            for column in 0..<depth {
                let value = Float(generator.uniform()) - 0.5
                weight.set(row, column, value)
                plain.set(row, column, value)
            }
        }
        Self.expectIndependence(weight, .bfloat16)
        let x = memory.matrix(rows: 70, columns: depth)
        for index in 0..<x.count { x.start[index] = Float(generator.uniform()) - 0.5 }
        let (found, expected) = (memory.matrix(rows: 70, columns: outputs), memory.matrix(rows: 70, columns: outputs))
        weight.apply(x, into: found)
        plain.apply(x, into: expected)
        let largest = expected.elements.map(abs).max() ?? 0
        #expect(zip(found.elements, expected.elements).allSatisfy { abs($0 - $1) <= 1e-5 * largest })
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// Packed weights, of more rows than a panel has too.
    @Test(arguments: BlockQuantization.allCases)
    func ofPackedWeightsInFloat32(quantization: BlockQuantization) throws {
        try Self.expectIndependence(.float32, quantization)
    }

    @Test(.needsBFloat16, arguments: BlockQuantization.allCases)
    func ofPackedWeightsInBFloat16(quantization: BlockQuantization) throws {
        try Self.expectIndependence(.bfloat16, quantization)
    }

    private static func expectIndependence(
        _ precision: MatrixPrecision, _ quantization: BlockQuantization
    ) throws {
        let tensor = try #require(try GGUFFile(GGUFGoldenTests.path("blocks")).tensors[quantization.rawValue])
        let format = try #require(tensor.format(columns: 0..<512))
        for outputs in [1, 2, 40, 97] + (quantization == .q4_K ? [2049] : []) {
            let memory = FrozenWeights(Compute(precision: precision))
            let weight = memory.packed([(outputs, format)], columns: 512)
            let rows = (0..<outputs).map { $0 % 3 }
            try weight.read(tensor, rows: rows[...], columns: 0..<512)
            expectIndependence(weight, precision)
            withExtendedLifetime(memory) {}
        }
    }

    /// What the switch is for: without it products are those of libraries, which round a row as its neighbours allow.
    @Test func withoutItSomeRowsDiffer() {
        let memory = FrozenWeights(Compute())
        var generator = SplitMix64(seed: 3)
        let weight = memory.weight(rows: 97, columns: 577)
        for row in 0..<97 { for column in 0..<577 { weight.set(row, column, Float(generator.uniform()) - 0.5) } }
        let x = memory.matrix(rows: 64, columns: 577)
        for index in 0..<x.count { x.start[index] = Float(generator.uniform()) - 0.5 }
        let (all, one) = (memory.matrix(rows: 64, columns: 97), memory.matrix(rows: 1, columns: 97))
        weight.apply(x, into: all)
        weight.apply(x[rows: 0..<1], into: one)
        #expect(all[rows: 0..<1].elements != one.elements)
    }
}
