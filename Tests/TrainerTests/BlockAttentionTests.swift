import Glibc
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Attention of blocks beyond a tile's keys and a piece's rows, forward and backward, against loops in double precision;
/// the same bit by bit for any number of threads.
struct BlockAttentionTests {
    private static let (headDim, heads, keyValueHeads, blockSize) = (10, 6, 2, 5)

    /// Two sequences: one whose context is three tiles with blocks at chance, and a short one.
    private static let anchors: [[Int]] = {
        var random = Trainer.SplitMix64(seed: 3)
        return [(0..<1200).filter { $0 == 1199 || random.below(9) == 0 }, [1, 4, 5]]
    }()

    private static func attention(_ span: BlockShape.Span, _ precision: MatrixPrecision) -> BlockAttention {
        BlockAttention(
            shape: BlockShape(
                hiddenSize: 4, intermediateSize: 4, numHiddenLayers: 1, numAttentionHeads: heads,
                numKeyValueHeads: keyValueHeads, headDim: headDim, rmsNormEpsilon: 1e-5, featureCount: 1,
                vocabSize: 100, draftVocabSize: 100, blockSize: blockSize, anchorFirst: false, maskToken: 99,
                spans: [span]), span: span, precision: precision)
    }

    private static let segments: [BlockAttention.Segment] = {
        var (row, context): (Int, Int) = (0, 0)
        return anchors.map { anchors in
            let length = anchors.last ?? 0
            defer { (row, context) = (row + anchors.count * blockSize, context + length) }
            return BlockAttention.Segment(
                firstRow: row, context: context..<context + length, anchors: anchors, blockSize: blockSize)
        }
    }()

    /// What goes in and what comes out: o, dq, and the gradients of the context's and the rows' keys and values.
    private struct Pass {
        let (q, dO, context, own): (Matrix, Matrix, Attention.KeyValue, Attention.KeyValue)
        let results: [Matrix]
        /// All of it is in its memory.
        let workspace: Workspace

        init(_ attention: BlockAttention, in workspace: Workspace) {
            self.workspace = workspace
            var random = RandomNumbers(seed: 11)
            let (rows, contextRows) = (
                BlockAttentionTests.segments.reduce(0) { $0 + $1.anchors.count * blockSize },
                BlockAttentionTests.segments.reduce(0) { $0 + $1.context.count }
            )
            func matrix(_ rows: Int, _ heads: Int) -> Matrix {
                let matrix = workspace.matrix(rows: rows, columns: heads * headDim)
                random.fill(matrix)
                return matrix
            }
            func zeros(_ rows: Int) -> Attention.KeyValue {
                let width = keyValueHeads * headDim
                return Attention.KeyValue(
                    keys: workspace.zeros(rows: rows, columns: width),
                    values: workspace.zeros(rows: rows, columns: width))
            }
            (q, dO) = (matrix(rows, heads), matrix(rows, heads))
            context = Attention.KeyValue(
                keys: matrix(contextRows, keyValueHeads), values: matrix(contextRows, keyValueHeads))
            own = Attention.KeyValue(keys: matrix(rows, keyValueHeads), values: matrix(rows, keyValueHeads))
            let (o, dQ) = (matrix(rows, heads), matrix(rows, heads))
            let logSumExp = workspace.matrix(rows: heads, columns: rows)
            let (dContext, dOwn) = (zeros(contextRows), zeros(rows))
            attention.forward(
                q, context: context, own: own, BlockAttentionTests.segments, into: o, logSumExp: logSumExp,
                in: workspace)
            attention.backward(
                dO, q: q, o: o, logSumExp: logSumExp, context: context, own: own, BlockAttentionTests.segments,
                into: dQ, dContext: dContext, dOwn: dOwn, in: workspace)
            results = [o, dQ, dContext.keys, dContext.values, dOwn.keys, dOwn.values]
        }

        /// The same by loops.
        func reference(_ span: BlockShape.Span) -> [[Double]] {
            var results = self.results.map { [Double](repeating: 0, count: $0.count) }
            let size = headDim
            for segment in BlockAttentionTests.segments {
                for (block, anchor) in segment.anchors.enumerated() {
                    let first = segment.firstRow + block * blockSize
                    let begin = segment.context.lowerBound
                    let past = (begin + max(0, anchor - (span.window ?? anchor))..<begin + anchor).map {
                        (0, $0, context)
                    }
                    for row in first..<first + blockSize {
                        let seen = past + (first...(span.isCausal ? row : first + blockSize - 1)).map { (2, $0, own) }
                        for head in 0..<heads {
                            let (place, shared) = (head * size, head / (heads / keyValueHeads) * size)
                            func dot(_ a: Matrix, _ b: Matrix, _ key: Int) -> Double {
                                (0..<size).reduce(0) {
                                    $0 + Double(a[row, place + $1]) * Double(b[key, shared + $1])
                                }
                            }
                            let scale = 1 / Double(size).squareRoot()
                            let scores = seen.map { exp(scale * dot(q, $0.2.keys, $0.1)) }
                            let sum = scores.reduce(0, +)
                            let dP = seen.map { dot(dO, $0.2.values, $0.1) }
                            let mean = zip(scores, dP).reduce(0) { $0 + $1.0 / sum * $1.1 }
                            for (i, (kind, key, keyValue)) in seen.enumerated() {
                                let p = scores[i] / sum
                                let dS = scale * p * (dP[i] - mean)
                                for d in 0..<size {
                                    let (mine, theirs) = (
                                        row * heads * size + place + d, key * keyValueHeads * size + shared + d
                                    )
                                    results[0][mine] += p * Double(keyValue.values[key, shared + d])
                                    results[1][mine] += dS * Double(keyValue.keys[key, shared + d])
                                    results[2 + kind][theirs] += dS * Double(q[row, place + d])
                                    results[3 + kind][theirs] += p * Double(dO[row, place + d])
                                }
                            }
                        }
                    }
                }
            }
            return results
        }
    }

    private static let spans = [
        BlockShape.Span(), BlockShape.Span(window: 700), BlockShape.Span(window: 30, isCausal: true),
    ]

    @Test(arguments: spans) func itEqualsDoubleLoops(span: BlockShape.Span) { check(span, .float32) }
    @Test(.needsBFloat16, arguments: spans) func itEqualsDoubleLoopsInBFloat16(span: BlockShape.Span) {
        check(span, .bfloat16)
    }

    private func check(_ span: BlockShape.Span, _ precision: MatrixPrecision) {
        let attention = Self.attention(span, precision)
        let pass = Pass(attention, in: Workspace(Compute(precision: precision, threads: 2)))
        defer { withExtendedLifetime(pass) {} }
        let names = ["o", "dq", "dk of the context", "dv of the context", "dk of the rows", "dv of the rows"]
        for (name, (found, expected)) in zip(names, zip(pass.results, pass.reference(span))) {
            LongAttentionTests.expectEqual(found, expected, precision, "\(name), \(span)")
        }
        for threads in [1, 3, 8] {
            let other = Pass(attention, in: Workspace(Compute(precision: precision, threads: threads)))
            defer { withExtendedLifetime(other) {} }
            for (name, (found, same)) in zip(names, zip(other.results, pass.results)) {
                #expect(found.elements == same.elements, "\(name) of \(threads) threads")
            }
        }
    }

    /// 512 blocks of 8: thirty-two pieces, of which two heads and parts of one and a half make work for forty threads.
    @Test func aSequenceIsWorkForManyThreads() {
        let segment = BlockAttention.Segment(
            firstRow: 0, context: 0..<1023, anchors: (0..<512).map { 2 * $0 + 1 }, blockSize: 8)
        let attention = Self.attention(BlockShape.Span(), .float32)
        #expect(attention.splits([attention.pieces(segment)]) * Self.keyValueHeads >= 40)
    }
}
