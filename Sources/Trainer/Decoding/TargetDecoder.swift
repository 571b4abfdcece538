/// The target, decoding one sequence with a key/value cache.
final class TargetDecoder {
    private let target: DecoderTargetModel
    private let targetLayers: [Int]
    private let cache: KeyValueCache
    private let workspace: Workspace
    private let memory: FrozenWeights
    private let auxiliaryBuffer: Matrix

    /// - Parameters:
    ///   - capacity: The longest sequence.
    ///   - targetLayers: The layers whose outputs the draft sees.
    init(_ target: DecoderTargetModel, targetLayers: [Int], capacity: Int, workspace: Workspace) {
        self.target = target
        self.targetLayers = targetLayers
        self.workspace = workspace
        memory = FrozenWeights(workspace.compute)
        cache = target.makeCache(capacity: capacity)
        auxiliaryBuffer = memory.matrix(
            rows: capacity, columns: targetLayers.count * target.configuration.hiddenSize)
    }

    /// Bytes of what a decoder keeps, for sequences of up to `capacity` tokens.
    static func byteCount(_ target: DecoderTargetModel, targetLayers: Int, capacity: Int) -> Int {
        let auxiliary = capacity * targetLayers * target.configuration.hiddenSize * MemoryLayout<Float>.stride
        return target.cacheByteCount(capacity: capacity) + auxiliary
    }

    /// What the target computes for tokens that follow those it has seen.
    struct Output {
        /// The token after each: the likeliest, or what was drawn.
        let next: [Int32]
        /// [tokens, layers · hidden], valid until the next call.
        let auxiliary: Matrix
    }

    /// Tokens that the cache holds.
    var count: Int { cache.count }

    /// Runs the target over tokens that continue the sequence.
    ///
    /// - Parameters:
    ///   - onlyLast: Whether the next token is wanted after the last one alone, as of a prompt.
    ///   - drawing: How next tokens are drawn; nil for the likeliest.
    func run(_ tokens: [Int32], onlyLast: Bool = false, _ drawing: TokenDrawing? = nil) -> Output {
        let h = target.configuration.hiddenSize
        let auxiliary = auxiliaryBuffer[rows: 0..<tokens.count]
        return workspace.scope {
            let x = workspace.matrix(rows: tokens.count, columns: h)
            target.embed(tokens, into: x)
            target.forward(x, DecoderRows(continuing: cache, tokens), in: workspace) { layer, input in
                for (i, wanted) in targetLayers.enumerated() where wanted + 1 == layer {
                    auxiliary[columns: i * h..<(i + 1) * h].copy(from: input)
                }
            }
            let wanted = onlyLast ? x[rows: tokens.count - 1..<tokens.count] : x
            return Output(
                next: drawing.map { draw(wanted, $0) } ?? likeliest(wanted), auxiliary: auxiliary)
        }
    }

    /// Forgets tokens from `count` on: those that were drafted and not accepted.
    func truncate(to count: Int) { cache.truncate(to: count) }

    func embed(_ ids: [Int32], into embedding: Matrix) {
        target.embed(ids, into: embedding)
    }

    /// A token for each row by the whole vocabulary's logits, which every rank gets: all draw the same.
    private func draw(_ hidden: Matrix, _ drawing: TokenDrawing) -> [Int32] {
        workspace.scope {
            let all = workspace.zeros(rows: hidden.rows, columns: target.configuration.vocabSize)
            let own = workspace.matrix(rows: hidden.rows, columns: target.vocabulary.count)
            target.logits(hidden, into: own)
            all[columns: target.vocabulary].copy(from: own)
            if target.communicator.size > 1 { target.communicator.allReduceSum(all) }
            return drawing.draw(all)
        }
    }

    /// The likeliest token of each row over the whole vocabulary: each rank's best, and the best of those.
    private func likeliest(_ hidden: Matrix) -> [Int32] {
        workspace.scope {
            let (rows, size) = (hidden.rows, target.communicator.size)
            let logits = workspace.matrix(rows: rows, columns: target.vocabulary.count)
            target.logits(hidden, into: logits)
            let best = workspace.matrix(rows: rows, columns: 2)
            let all = workspace.matrix(rows: size * rows, columns: 2)
            for row in 0..<rows {
                let index = indexOfMaximum(logits.row(row), logits.columns)
                best[row, 0] = logits[row, index]
                best[row, 1] = Float(index + target.vocabulary.lowerBound)
            }
            target.communicator.allGather(
                UnsafeBufferPointer(start: best.start, count: best.count),
                into: UnsafeMutableBufferPointer(start: all.start, count: all.count))
            return (0..<rows).map { row in
                var winner = all.row(row)
                for rank in 1..<max(1, size) where all[rank * rows + row, 0] > winner[0] {
                    winner = all.row(rank * rows + row)
                }
                return Int32(winner[1])
            }
        }
    }
}
