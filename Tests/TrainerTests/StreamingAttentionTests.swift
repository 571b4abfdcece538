import Glibc
import Shared
import Testing

@testable import Trainer

/// The target's attention against sums in double precision, and what it touches and takes.
struct StreamingAttentionTests {
    private let workspace = Workspace()

    private func attention(
        _ span: AttentionSpan, hasSinks: Bool = false, precision: MatrixPrecision = .float32
    ) -> StreamingAttention {
        var attention = StreamingAttention(
            numHeads: 4, headDim: 24, keyValueHead: [0, 0, 1, 1], scale: 0.3, span: span, precision: precision)
        if hasSinks { attention.sinks = random(1, 4, seed: 9) }
        return attention
    }

    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        var random = RandomNumbers(seed: seed)
        let matrix = workspace.matrix(rows: rows, columns: columns)
        random.fill(matrix)
        return matrix
    }

    /// One row of one head, by its definition.
    private func expected(
        _ attention: StreamingAttention, _ q: Matrix, _ keyValue: Attention.KeyValue, row: Int, head: Int,
        keys: Range<Int>
    ) -> [Double] {
        let (d, kv) = (attention.headDim, attention.keyValueHead[head] * attention.headDim)
        var (sum, output) = (0.0, [Double](repeating: 0, count: d))
        if let sinks = attention.sinks { sum += Glibc.exp(Double(sinks[0, head])) }
        for key in keys {
            let score = (0..<d).reduce(0.0) { $0 + Double(q[row, head * d + $1]) * Double(keyValue.keys[key, kv + $1]) }
            let e = Glibc.exp(score * Double(attention.scale))
            sum += e
            for i in 0..<d { output[i] += e * Double(keyValue.values[key, kv + i]) }
        }
        return output.map { $0 / sum }
    }

    @Test(
        arguments: [AttentionSpan.full, .sliding(1), .sliding(70), .sliding(400), .chunked(64), .chunked(300)],
        [false, true])
    func equalsSumsInDouble(span: AttentionSpan, hasSinks: Bool) {
        expectSums(attention(span, hasSinks: hasSinks), tolerance: 2e-6)
    }

    /// With operands of eight bits.
    @Test(
        .needsBFloat16, arguments: [AttentionSpan.full, .sliding(70), .chunked(300)], [false, true])
    func inBFloat16ItDiffersByItsRounding(span: AttentionSpan, hasSinks: Bool) {
        expectSums(attention(span, hasSinks: hasSinks, precision: .bfloat16), tolerance: 2e-2)
    }

    private func expectSums(_ attention: StreamingAttention, tolerance: Double) {
        let span = attention.span
        let sequences = [0..<531, 531..<536, 536..<700]
        let q = random(700, 96, seed: 1)
        let keyValue = Attention.KeyValue(keys: random(700, 48, seed: 2), values: random(700, 48, seed: 3))
        let visible = sequences.flatMap { sequence in sequence.map { Int32($0 - sequence.lowerBound + 1) } }
        let o = workspace.matrix(rows: 700, columns: 96)
        attention.forward(
            q, keyValue, visible: visible, segments: sequences.map { .init(queries: $0, keys: $0) }, into: o,
            in: workspace)
        for sequence in sequences {
            for row in stride(from: sequence.lowerBound, to: sequence.upperBound, by: 3) {
                let count = Int(visible[row])
                let first = (0..<count).first { key in
                    switch span {
                    case .full: true
                    case .sliding(let size): key > count - 1 - size
                    case .chunked(let size): key / size == (count - 1) / size
                    }
                }
                let keys = sequence.lowerBound + (first ?? 0)..<sequence.lowerBound + count
                for head in 0..<4 {
                    let wanted = expected(attention, q, keyValue, row: row, head: head, keys: keys)
                    let found = (0..<24).map { Double(o[row, head * 24 + $0]) }
                    let worst = zip(found, wanted).reduce(0) { max($0, abs($1.0 - $1.1)) }
                    #expect(worst < tolerance, "row \(row), head \(head): off by \(worst)")
                }
            }
        }
    }

    /// Keys that no row sees may hold anything.
    @Test(arguments: [AttentionSpan.sliding(100), .chunked(512)], [128, 1])
    func blocksOutsideOfWindowsAndChunksAreNotTouched(span: AttentionSpan, rows: Int) {
        let attention = attention(span)
        let keyValue = Attention.KeyValue(keys: random(1024, 48, seed: 2), values: random(1024, 48, seed: 3))
        let hidden = 0..<(span == .chunked(512) ? 512 : 768)
        keyValue.keys[rows: hidden].fill(.nan)
        keyValue.values[rows: hidden].fill(.nan)
        let o = workspace.matrix(rows: rows, columns: 96)
        attention.forward(
            random(rows, 96, seed: 1), keyValue, visible: (0..<rows).map { Int32(1024 - rows + $0 + 1) },
            segments: [.init(queries: 0..<rows, keys: 0..<1024)], into: o, in: workspace)
        let isFinite = o.elements.allSatisfy { $0.isFinite }
        #expect(isFinite)
    }

    /// Scores of [heads, tokens, tokens] would grow with the square of the length.
    @Test func memoryDoesNotDependOnTheLength() {
        let taken = [512, 2048, 8192].map { tokens in
            let attention = attention(.sliding(64))
            let (q, keys) = (random(tokens, 96, seed: 1), random(tokens, 48, seed: 2))
            let o = workspace.matrix(rows: tokens, columns: 96)
            let scratch = Workspace()
            attention.forward(
                q, .init(keys: keys, values: keys), visible: (0..<tokens).map { Int32($0 + 1) },
                segments: [.init(queries: 0..<tokens, keys: 0..<tokens)], into: o, in: scratch)
            return scratch.highWater
        }
        #expect(taken[0] == taken[1] && taken[1] == taken[2], "floats at 512, 2048 and 8192 tokens: \(taken)")
    }

    /// The memory of a whole target's forward pass, the batch's own rows apart, is in proportion to the tokens.
    @Test func aTargetsMemoryGrowsInProportion() throws {
        let golden = try TargetGolden("mistral-sliding")
        let taken = try [512, 2048, 8192].map { tokens in
            let target = try TargetModelRegistry.load(
                golden.directory, communicator: AbsentRanks(), positions: tokens)
            let scratch = Workspace()
            let ids = (0..<tokens).map { Int32($0 % 250) }
            let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in true })])
            let x = FrozenWeights()
            let embedding = x.matrix(rows: tokens, columns: target.configuration.hiddenSize)
            target.embed(ids, into: embedding)
            target.forward(embedding, DecoderRows(batch), in: scratch) { _, _ in }
            return Double(scratch.highWater) / Double(tokens)
        }
        #expect(taken[1] <= taken[0] && taken[2] <= taken[0], "floats a token at 512, 2048 and 8192 tokens: \(taken)")
    }
}
