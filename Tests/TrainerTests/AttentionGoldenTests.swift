import Shared
import TestSupport
import Testing

@testable import Trainer

/// Attention, plain and of training-time test, against torch's in float64.
struct AttentionGoldenTests {
    private let workspace = Workspace()

    private func golden(_ name: String) throws -> LayerGolden {
        LayerGolden(
            file: try SafetensorsFile(Fixtures.folder.appending(path: "layers/\(name).safetensors").path),
            workspace: workspace)
    }

    /// Of the largest number; operands of bfloat16 have eight bits.
    private func tolerance(_ precision: MatrixPrecision) -> Float { precision == .float32 ? 1e-5 : 2e-2 }

    private func attention(_ g: LayerGolden, _ precision: MatrixPrecision) throws -> Attention {
        let (heads, kvHeads) = (try g.integers("num_attention_heads")[0], try g.integers("num_key_value_heads")[0])
        let headDim = try g.integers("head_dim")[0]
        return Attention(
            numHeads: heads, headDim: headDim, keyValueHead: (0..<heads).map { $0 / (heads / kvHeads) },
            scale: 1 / Float(headDim).squareRoot(), precision: precision)
    }

    /// The sequences, with only the active rows among the queries.
    private func segments(_ starts: [Int], active: [Int]) -> (segments: [Attention.Segment], visible: [Int32]) {
        var (segments, visible): ([Attention.Segment], [Int32]) = ([], [])
        for (first, end) in zip(starts, starts.dropFirst()) {
            let own = active.filter { (first..<end).contains($0) }
            segments.append(.init(queries: visible.count..<visible.count + own.count, keys: first..<end))
            visible += own.map { Int32($0 - first + 1) }
        }
        return (segments, visible)
    }

    @Test func causalAttention() throws { try checkCausalAttention(.float32) }
    @Test(.needsBFloat16) func causalAttentionInBFloat16() throws { try checkCausalAttention(.bfloat16) }

    private func checkCausalAttention(_ precision: MatrixPrecision) throws {
        let g = try golden("attention")
        let attention = try attention(g, precision)
        let tolerance = tolerance(precision)
        let q = try g.matrix("q")
        let keyValue = Attention.KeyValue(keys: try g.matrix("k"), values: try g.matrix("v"))
        let (segments, visible) = segments(try g.integers("sequence_starts"), active: Array(0..<q.rows))
        let o = workspace.matrix(rows: q.rows, columns: q.columns)
        let logSumExp = workspace.matrix(rows: attention.numHeads, columns: q.rows)
        attention.forward(
            q, prefix: keyValue, visible: visible, segments: segments, into: o, logSumExp: logSumExp, in: workspace)
        expectClose(o.elements, try g.matrix("o").elements, tolerance: tolerance, "o")
        let dQ = workspace.matrix(rows: q.rows, columns: q.columns)
        let dKeyValue = Attention.KeyValue(
            keys: workspace.zeros(rows: q.rows, columns: keyValue.keys.columns),
            values: workspace.zeros(rows: q.rows, columns: keyValue.keys.columns))
        attention.backward(
            try g.matrix("do"), q: q, o: o, logSumExp: logSumExp, prefix: keyValue, visible: visible, own: [],
            segments: segments, into: dQ, dPrefix: dKeyValue, dOwn: [], in: workspace)
        expectClose(dQ.elements, try g.matrix("dq").elements, tolerance: tolerance, "dq")
        expectClose(dKeyValue.keys.elements, try g.matrix("dk").elements, tolerance: tolerance, "dk")
        expectClose(dKeyValue.values.elements, try g.matrix("dv").elements, tolerance: tolerance, "dv")
    }

    /// With rows that some steps leave out, all steps compute the rows that the first does; the gradients of the rest
    /// are zero.
    private static let cases = ["ttt_attention", "ttt_attention_packed", "ttt_attention_active"]

    @Test(arguments: cases) func trainingTimeTest(name: String) throws { try checkTrainingTimeTest(name, .float32) }
    @Test(.needsBFloat16, arguments: cases)
    func trainingTimeTestInBFloat16(name: String) throws { try checkTrainingTimeTest(name, .bfloat16) }

    private func checkTrainingTimeTest(_ name: String, _ precision: MatrixPrecision) throws {
        let g = try golden(name)
        let attention = try attention(g, precision)
        let tolerance = tolerance(precision)
        let starts = try g.integers("sequence_starts")
        let rows = starts.last ?? 0
        let active = name.hasSuffix("active") ? try g.integers("active_0") : Array(0..<rows)
        let indices = active.map { Int32($0) }
        let (segments, visible) = segments(starts, active: active)
        let positions = (0..<rows).map { row in Int32(row - (starts.last { $0 <= row } ?? 0)) }
        let rotary = RotaryEmbedding(
            frequencies: RotaryFrequencies.plain(theta: Double(try g.number("theta")), headDim: attention.headDim),
            positions: rows + 3)
        func picked(_ matrix: Matrix) -> Matrix {
            let result = workspace.matrix(rows: indices.count, columns: matrix.columns)
            result.gather(indices, from: matrix)
            return result
        }
        var (queries, keyValues): ([Matrix], [Attention.KeyValue]) = ([], [])
        for k in 0..<3 {
            let (q, keys) = (try g.matrix("q_\(k)"), try g.matrix("k_\(k)"))
            rotary.apply(q, positionOf: positions, offset: k)
            rotary.apply(keys, positionOf: positions, offset: k)
            expectClose(q.elements, try g.matrix("q_rotated_\(k)").elements, tolerance: 1e-5, "rotated q \(k)")
            let values = try g.matrix("v_\(k)")
            queries.append(picked(q))
            keyValues.append(
                k == 0 ? .init(keys: keys, values: values) : .init(keys: picked(keys), values: picked(values)))
        }
        var (outputs, sums): ([Matrix], [Matrix]) = ([], [])
        for k in 0..<3 {
            outputs.append(workspace.matrix(rows: active.count, columns: queries[k].columns))
            sums.append(workspace.matrix(rows: attention.numHeads, columns: active.count))
            attention.forward(
                queries[k], prefix: keyValues[0], visible: visible, own: Array(keyValues[1..<max(1, k + 1)]),
                segments: segments, into: outputs[k], logSumExp: sums[k], in: workspace)
            expectClose(outputs[k].elements, picked(try g.matrix("o_\(k)")).elements, tolerance: tolerance, "o \(k)")
        }
        let gradients = keyValues.map { keyValue in
            Attention.KeyValue(
                keys: workspace.zeros(rows: keyValue.keys.rows, columns: keyValue.keys.columns),
                values: workspace.zeros(rows: keyValue.keys.rows, columns: keyValue.keys.columns))
        }
        for k in (0..<3).reversed() {
            let dQ = workspace.matrix(rows: active.count, columns: queries[k].columns)
            attention.backward(
                picked(try g.matrix("do_\(k)")), q: queries[k], o: outputs[k], logSumExp: sums[k],
                prefix: keyValues[0], visible: visible, own: Array(keyValues[1..<max(1, k + 1)]), segments: segments,
                into: dQ, dPrefix: gradients[0], dOwn: Array(gradients[1..<max(1, k + 1)]), in: workspace)
            expectClose(dQ.elements, picked(try g.matrix("dq_rotated_\(k)")).elements, tolerance: tolerance, "dq \(k)")
            let (dKeys, dValues) = (try g.matrix("dk_rotated_\(k)"), try g.matrix("dv_\(k)"))
            let (wantedKeys, wantedValues) = k == 0 ? (dKeys, dValues) : (picked(dKeys), picked(dValues))
            expectClose(gradients[k].keys.elements, wantedKeys.elements, tolerance: tolerance, "dk \(k)")
            expectClose(gradients[k].values.elements, wantedValues.elements, tolerance: tolerance, "dv \(k)")
        }
    }

    /// Blocks of queries and several threads give what one row at a time gives.
    @Test func longSequencesEqualRowByRow() throws { try checkLongSequences(.float32) }
    @Test(.needsBFloat16) func longSequencesEqualRowByRowInBFloat16() throws { try checkLongSequences(.bfloat16) }

    private func checkLongSequences(_ precision: MatrixPrecision) throws {
        let attention = Attention(
            numHeads: 3, headDim: 10, keyValueHead: [0, 0, 1], scale: 0.3, precision: precision)
        var random = RandomNumbers(seed: 4)
        let count = 300
        let (q, keys, values) = (
            workspace.matrix(rows: count, columns: 30), workspace.matrix(rows: count, columns: 20),
            workspace.matrix(rows: count, columns: 20)
        )
        for matrix in [q, keys, values] { random.fill(matrix) }
        let o = workspace.matrix(rows: count, columns: 30)
        let logSumExp = workspace.matrix(rows: 3, columns: count)
        let prefix = Attention.KeyValue(keys: keys, values: values)
        attention.forward(
            q, prefix: prefix, visible: (0..<count).map { Int32($0 + 1) },
            segments: [.init(queries: 0..<count, keys: 0..<count)], into: o, logSumExp: logSumExp, in: workspace)
        for row in [0, 1, 127, 128, 255, 299] {
            let one = workspace.matrix(rows: 1, columns: 30)
            attention.forward(
                q[rows: row..<row + 1], prefix: prefix, visible: [Int32(row + 1)],
                segments: [.init(queries: 0..<1, keys: 0..<count)], into: one,
                logSumExp: workspace.matrix(rows: 3, columns: 1), in: workspace)
            expectClose(o[rows: row..<row + 1].elements, one.elements, tolerance: tolerance(precision), "row \(row)")
        }
    }
}
