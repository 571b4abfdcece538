import Glibc
import Shared
import TestSupport
import Testing

@testable import Trainer

/// The draft's attention beyond a tile's keys and a block's rows, forward and backward, against loops in double
/// precision.
struct LongAttentionTests {
    private static let (headDim, keyValueHead, scale) = (10, [0, 0, 1], 0.3)
    private static let (numHeads, numKeyValueHeads) = (3, 2)

    /// What the loops compute, [rows, columns] each, concatenated.
    private struct Reference {
        var o: [Double]
        var dQ: [Double]
        /// Of step 0 and then of each later one.
        var dKeys: [[Double]]
        var dValues: [[Double]]
    }

    /// - Parameters:
    ///   - keys: Of step 0, [keys, kv], and of each later step, [rows, kv]; values likewise.
    private static func reference(
        q: [Float], dO: [Float], keys: [[Float]], values: [[Float]], visible: [Int]
    ) -> Reference {
        let (rows, h, kv) = (visible.count, numHeads * headDim, numKeyValueHeads * headDim)
        var result = Reference(
            o: [Double](repeating: 0, count: rows * h), dQ: [Double](repeating: 0, count: rows * h),
            dKeys: keys.map { [Double](repeating: 0, count: $0.count) },
            dValues: values.map { [Double](repeating: 0, count: $0.count) })
        for row in 0..<rows {
            for head in 0..<numHeads {
                let (query, offset) = (row * h + head * headDim, keyValueHead[head] * headDim)
                // Where each key that the row sees stands: its step and the offset of its first element.
                let seen =
                    (0..<visible[row]).map { (step: 0, start: $0 * kv + offset) }
                    + (1..<keys.count).map { (step: $0, start: row * kv + offset) }
                func dot(_ a: [Float], _ i: Int, _ b: [Float], _ j: Int) -> Double {
                    (0..<headDim).reduce(0) { $0 + Double(a[i + $1]) * Double(b[j + $1]) }
                }
                let scores = seen.map { scale * dot(q, query, keys[$0.step], $0.start) }
                let largest = scores.max() ?? 0
                let exponentials = scores.map { exp($0 - largest) }
                let sum = exponentials.reduce(0, +)
                let p = exponentials.map { $0 / sum }
                for (key, weight) in zip(seen, p) {
                    for d in 0..<headDim {
                        result.o[query + d] += weight * Double(values[key.step][key.start + d])
                    }
                }
                let dP = seen.map { dot(dO, query, values[$0.step], $0.start) }
                let mean = zip(p, dP).reduce(0) { $0 + $1.0 * $1.1 }
                for (i, key) in seen.enumerated() {
                    let dS = scale * p[i] * (dP[i] - mean)
                    for d in 0..<headDim {
                        result.dQ[query + d] += dS * Double(keys[key.step][key.start + d])
                        result.dKeys[key.step][key.start + d] += dS * Double(q[query + d])
                        result.dValues[key.step][key.start + d] += p[i] * Double(dO[query + d])
                    }
                }
            }
        }
        return result
    }

    /// Checks direction and each element: the largest alone would hide a wrong small column.
    static func expectEqual(_ found: Matrix, _ expected: [Double], _ precision: MatrixPrecision, _ name: String) {
        let values = found.elements.map { Double($0) }
        let products = zip(values, expected).reduce((0.0, 0.0, 0.0)) {
            ($0.0 + $1.0 * $1.1, $0.1 + $1.0 * $1.0, $0.2 + $1.1 * $1.1)
        }
        let cosine = products.0 / (products.1 * products.2).squareRoot()
        #expect(cosine > (precision == .float32 ? 1 - 1e-9 : 0.9998), "\(name): cosine \(cosine)")
        let typical = (products.2 / Double(expected.count)).squareRoot()
        let tolerance = precision == .float32 ? 2e-5 : 4e-2
        let worst = zip(values, expected).map { abs($0 - $1) / (abs($1) + typical) }.max() ?? .infinity
        #expect(worst < tolerance, "\(name): an element is off by \(worst)")
    }

    /// 700 keys are two tiles, 400 rows four blocks; a packed batch has a second, short sequence.
    @Test func severalTilesAndBlocksEqualDoubleLoops() throws { try check(.float32) }
    @Test(.needsBFloat16) func severalTilesAndBlocksEqualDoubleLoopsInBFloat16() throws { try check(.bfloat16) }

    private func check(_ precision: MatrixPrecision) throws {
        let workspace = Workspace()
        var random = RandomNumbers(seed: 11)
        let (keyCount, shortCount, steps) = (700, 9, 2)
        // Of the long sequence the rows from 300 on, of the short one all.
        let visible = (300..<keyCount).map { $0 + 1 } + (0..<shortCount).map { $0 + 1 }
        let (rows, h, kv) = (visible.count, Self.numHeads * Self.headDim, Self.numKeyValueHeads * Self.headDim)
        func matrix(_ rows: Int, _ columns: Int) -> Matrix {
            let matrix = workspace.matrix(rows: rows, columns: columns)
            random.fill(matrix)
            return matrix
        }
        let (q, dO) = (matrix(rows, h), matrix(rows, h))
        let keyValues = (0...steps).map { step in
            let count = step == 0 ? keyCount + shortCount : rows
            return Attention.KeyValue(keys: matrix(count, kv), values: matrix(count, kv))
        }
        let attention = Attention(
            numHeads: Self.numHeads, headDim: Self.headDim, keyValueHead: Self.keyValueHead, scale: Float(Self.scale),
            precision: precision)
        let segments = [
            Attention.Segment(queries: 0..<rows - shortCount, keys: 0..<keyCount),
            Attention.Segment(queries: rows - shortCount..<rows, keys: keyCount..<keyCount + shortCount),
        ]
        let (o, dQ) = (workspace.matrix(rows: rows, columns: h), workspace.matrix(rows: rows, columns: h))
        let logSumExp = workspace.matrix(rows: Self.numHeads, columns: rows)
        let gradients = keyValues.map {
            Attention.KeyValue(
                keys: workspace.zeros(rows: $0.keys.rows, columns: kv),
                values: workspace.zeros(rows: $0.keys.rows, columns: kv))
        }
        attention.forward(
            q, prefix: keyValues[0], visible: visible.map { Int32($0) }, own: Array(keyValues.dropFirst()),
            segments: segments, into: o, logSumExp: logSumExp, in: workspace)
        attention.backward(
            dO, q: q, o: o, logSumExp: logSumExp, prefix: keyValues[0], visible: visible.map { Int32($0) },
            own: Array(keyValues.dropFirst()), segments: segments, into: dQ, dPrefix: gradients[0],
            dOwn: Array(gradients.dropFirst()), in: workspace)
        for segment in segments {
            let some = Array(visible[segment.queries])
            let own = (0...steps).map { $0 == 0 ? segment.keys : segment.queries }
            let expected = Self.reference(
                q: q[rows: segment.queries].elements, dO: dO[rows: segment.queries].elements,
                keys: zip(keyValues, own).map { $0.keys[rows: $1].elements },
                values: zip(keyValues, own).map { $0.values[rows: $1].elements }, visible: some)
            Self.expectEqual(o[rows: segment.queries], expected.o, precision, "o")
            Self.expectEqual(dQ[rows: segment.queries], expected.dQ, precision, "dq")
            for step in 0...steps {
                Self.expectEqual(gradients[step].keys[rows: own[step]], expected.dKeys[step], precision, "dk \(step)")
                Self.expectEqual(
                    gradients[step].values[rows: own[step]], expected.dValues[step], precision, "dv \(step)")
            }
        }
    }
}
