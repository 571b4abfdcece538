import Shared

@testable import Trainer

/// A small draft of another kind than EAGLE-3, for tests of what is the same for all: it learns blocks of tokens at once,
/// from anchors that it draws in each sequence.
///
///     h_k = W [f | e_anchor | e_mask] + slot_k,   z_k = head norm(h_k)
///
/// f are the target's features of the token before the anchor. Row k of a block learns the token k + 1 after the anchor,
/// if all up to it are supervised; the head is frozen.
struct BlockDraft: DraftModel {
    static let mask: Int32 = 7
    let blockSize: Int
    let anchorsPerSequence: Int
    let parameters: ParameterStore
    private let map: Linear
    /// [block size, hidden].
    private let slots: Parameter
    private let head: DistillationHead

    init(hiddenSize: Int, targetLayers: Int, draftVocabSize: Int, blockSize: Int, anchors: Int, _ compute: Compute) {
        self.blockSize = blockSize
        anchorsPerSequence = anchors
        parameters = ParameterStore(
            [
                .matrix([("fc.weight", hiddenSize)], columns: (targetLayers + 2) * hiddenSize),
                .matrix([("slots.weight", blockSize)], columns: hiddenSize), .vector("norm.weight", count: hiddenSize),
                .matrix([("lm_head.weight", draftVocabSize)], columns: hiddenSize, isFrozen: true),
            ], compute)
        let all = parameters.parameters
        map = Linear(weight: all[0])
        slots = all[1]
        head = DistillationHead(
            norm: RMSNorm(weight: all[2], epsilon: 1e-5), lmHead: Linear(weight: all[3]),
            positionWeights: Self.weights(blockSize).map { Float($0) }, objective: .crossEntropy)
    }

    private static func weights(_ blockSize: Int) -> [Double] {
        (0..<blockSize).reduce(into: []) { weights, _ in weights.append((weights.last ?? 1.25) * 0.8) }
    }

    func initializeHead(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        head.initialize(from: target, draftToTarget: draftToTarget)
    }

    // MARK: Learning

    var appendedTokens: [Int32] { [Self.mask] }
    var positionCount: Int { blockSize }
    var positionsAfterEnd: Int { blockSize }

    /// The anchors of a sequence, drawn from those that a supervised token follows: ascending.
    func anchors(_ sequence: TrainingSequence) -> [Int] {
        let mask = sequence.sample.lossMask
        var candidates = mask.indices.dropFirst().dropLast().filter { mask[$0 + 1] }
        var random = SplitMix64(seed: sequence.seed)
        return (0..<min(anchorsPerSequence, candidates.count)).map { _ in
            candidates.remove(at: random.below(candidates.count))
        }.sorted()
    }

    /// The rows of the batch at which blocks begin, with their sequences, and what they learn.
    private func plan(_ sequences: [TrainingSequence]) -> (anchors: [(row: Int, sequence: Int)], labels: DraftLabels) {
        let batch = Batch(sequences)
        var (anchors, labels): ([(row: Int, sequence: Int)], [DraftLabels.Label]) = ([], [])
        for (index, sequence) in sequences.enumerated() {
            var own: [DraftLabels.Label] = []
            for anchor in self.anchors(sequence) {
                let row = batch.starts[index] + anchor
                let learnt = sequence.sample.lossMask[(anchor + 1)...].prefix { $0 }.count
                for k in 0..<min(blockSize, learnt) {
                    own.append(
                        DraftLabels.Label(
                            position: k, row: anchors.count * blockSize + k, round: anchors.count, targetRow: row + k,
                            sequence: index))
                }
                anchors.append((row, index))
            }
            labels += own.sorted { ($0.targetRow ?? 0, $0.position) < ($1.targetRow ?? 0, $1.position) }
        }
        return (
            anchors,
            DraftLabels(
                positionCount: blockSize, sequenceCount: sequences.count, roundCount: anchors.count, all: labels)
        )
    }

    func labelCount(_ sequence: TrainingSequence) -> Double { Double(anchors(sequence).count) }
    func loss(_ statistics: TrainingStatistics) -> Double { statistics.weightedLoss(Self.weights(blockSize)) }

    func learn(_ lesson: Lesson, weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics {
        parameters.round()
        let plans = lesson.sequences.map { plan($0) }
        let (anchors, h) = (plans[lesson.rank].anchors, slots.weight.columns)
        return workspace.scope {
            let width = map.weight.weight.columns
            let x = workspace.matrix(rows: anchors.count * blockSize, columns: width)
            let hidden = workspace.matrix(rows: x.rows, columns: h)
            for (round, anchor) in anchors.enumerated() {
                // The mask's embedding follows each sequence's.
                let embedding = anchor.row + anchor.sequence
                let end = lesson.ownSequences[...anchor.sequence].reduce(0) { $0 + $1.length } + anchor.sequence
                for k in 0..<blockSize {
                    let row = x[rows: round * blockSize + k..<round * blockSize + k + 1]
                    row[columns: 0..<width - 2 * h].copy(from: lesson.features[rows: anchor.row - 1..<anchor.row])
                    row[columns: width - 2 * h..<width - h].copy(
                        from: lesson.embedding[rows: embedding..<embedding + 1])
                    row[columns: width - h..<width].copy(from: lesson.embedding[rows: end..<end + 1])
                }
            }
            map.forward(x, into: hidden)
            for row in 0..<hidden.rows {
                hidden[rows: row..<row + 1].add(slots.weight[rows: row % blockSize..<row % blockSize + 1])
            }
            let (statistics, dHidden) = head.learn(
                [hidden], plans.map(\.labels), lesson, weights: weights, in: workspace)
            if let gradient = dHidden.first {
                map.backward(gradient, x: x, into: nil)
                for row in 0..<gradient.rows {
                    slots.gradient[rows: row % blockSize..<row % blockSize + 1].add(gradient[rows: row..<row + 1])
                }
            }
            return statistics
        }
    }

    // MARK: Drafting

    var longestDraft: Int { blockSize }

    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting {
        parameters.round()
        return Decoder(self, draftToTarget, workspace, embed)
    }

    /// It keeps no keys.
    func decoderByteCount(capacity: Int) -> Int { 0 }

    /// Drafts a whole block from the newest verified token.
    private final class Decoder: Drafting {
        private let draft: BlockDraft
        private let draftToTarget: [Int32]
        private let workspace: Workspace
        private let memory: FrozenWeights
        private let embed: ([Int32], Matrix) -> Void
        private let x: Matrix

        init(
            _ draft: BlockDraft, _ draftToTarget: [Int32], _ workspace: Workspace,
            _ embed: @escaping ([Int32], Matrix) -> Void
        ) {
            (self.draft, self.draftToTarget, self.workspace, self.embed) = (draft, draftToTarget, workspace, embed)
            memory = FrozenWeights(workspace.compute)
            x = memory.matrix(rows: 1, columns: draft.map.weight.weight.columns)
        }

        func restart() {}

        func advance(features: Matrix, next: [Int32]) {
            let h = draft.slots.weight.columns
            x[columns: 0..<features.columns].copy(from: features[rows: features.rows - 1..<features.rows])
            workspace.scope {
                let embedding = workspace.matrix(rows: 2, columns: h)
                embed([next[next.count - 1], BlockDraft.mask], embedding)
                x[columns: features.columns..<features.columns + h].copy(from: embedding[rows: 0..<1])
                x[columns: features.columns + h..<x.columns].copy(from: embedding[rows: 1..<2])
            }
        }

        func draft(_ count: Int) -> [Int32] {
            precondition(count <= draft.blockSize)
            return (0..<count).map { k in
                workspace.scope {
                    let hidden = workspace.matrix(rows: 1, columns: draft.slots.weight.columns)
                    let logits = workspace.matrix(rows: 1, columns: draftToTarget.count)
                    draft.map.forward(x, into: hidden)
                    hidden.add(draft.slots.weight[rows: k..<k + 1])
                    draft.head.norm.forward(hidden, into: hidden)
                    draft.head.lmHead.forward(hidden, into: logits)
                    return draftToTarget[indexOfMaximum(logits.start, logits.columns)]
                }
            }
        }
    }

    // MARK: Planning

    var headOperations: Double { head.operations }
    var cost: @Sendable (Sample) -> Double { { sample in Double(sample.lossMask.count { $0 }) } }

    func workload(_ sequences: [TrainingSequence], on rank: PlannedRank) -> DraftWorkload {
        let (anchors, labels) = plan(sequences)
        let (rows, h, width) = (anchors.count * blockSize, slots.weight.columns, map.weight.weight.columns)
        return DraftWorkload(
            elements: rows * (width + 2 * h) + head.elements(labels, on: rank),
            roundedElements: (rows * width, rows * h), targetRows: labels.targetRows.count,
            operations: 4 * Double(rows * width * h) + head.operations * Double(labels.all.count),
            products: head.products(labels, on: rank))
    }

    func necessaryWork(_ sequence: TrainingSequence) -> NecessaryWork {
        let labels = plan([sequence]).labels
        let logits = labels.targetRows.sorted()
        return NecessaryWork(
            targetRows: (logits.last ?? -1) + 1, logits: logits,
            operations: 4 * Double(labels.all.count * map.weight.weight.count))
    }
}

extension BlockHead {
    /// What one label says of itself.
    struct Measured {
        let row: BlockLoss.Row
        /// What it counts among those of its block.
        let weight: Float
        /// The draft's logits.
        let logits: [Float]
    }

    /// Each label's losses, without any gradient; nil of those that learn nothing.
    ///
    /// Collective in the teacher's group.
    func measure(_ lessons: Lessons, in workspace: Workspace) -> [Measured?] {
        var measured: [Int: Measured] = [:]
        forEachPiece(lessons, in: workspace) { learnt in
            let logits = learnt.labels.indices.map { i in
                Array(UnsafeBufferPointer(start: learnt.z.row(i), count: learnt.z.columns))
            }
            let (rows, weights) = measure(learnt)
            for (i, row) in learnt.rows.enumerated() {
                measured[Int(row)] = Measured(row: rows[i], weight: weights[i], logits: logits[i])
            }
        }
        return lessons.own.all.map { measured[$0.row] }
    }
}
